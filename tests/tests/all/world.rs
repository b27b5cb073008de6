//! The stack and the fleet that the tests share, made when the first one asks.

use std::{
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, anyhow};
use libtest_mimic::{Conclusion, Failed, Trial};
use tests::{Client, Fleet, Stack, samples};
use tokio::{runtime::Runtime, time::timeout};
use uuid::Uuid;

/// What a test on servers is given.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) fleet: Fleet,
    pub(crate) client: Client,
    /// Whether the test before left something to mend.
    spoilt: bool,
}

/// How long a test may take: one that hangs must not take the others along.
const AT_MOST: Duration = Duration::from_secs(900);

/// After so many failures the others are not tried: each might wait for as long as it may.
const FAILURES: u32 = 4;

static FAILED: AtomicU32 = AtomicU32::new(0);
static WORLD: Mutex<Option<World>> = Mutex::new(None);
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A test of the sources.
pub(crate) fn on_paper(name: &str, test: fn() -> Result<()>) -> Trial {
    Trial::test(name, move || test().map_err(failed))
}

/// A test of the running whole, which is mended first where the test before has failed.
pub(crate) fn on_servers<T>(name: &str, test: T) -> Trial
where
    T: AsyncFnOnce(&mut World) -> Result<()> + Send + 'static,
{
    Trial::test(name, move || {
        let mut world = WORLD.lock().unwrap_or_else(|broken| broken.into_inner());
        if FAILED.load(Relaxed) >= FAILURES {
            return Err(failed(anyhow!("not tried: {FAILURES} have failed before")));
        }
        let outcome = RUNTIME.block_on(async {
            let world = match world.as_mut() {
                Some(world) => world.mended().await?,
                None => world.insert(World::begin().await?),
            };
            let outcome = match timeout(AT_MOST, test(world)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(anyhow!("not done after {AT_MOST:?}")),
            };
            world.spoilt = outcome.is_err();
            outcome.inspect_err(|error| eprintln!("{}\n{error:#}", world.fleet.tails()))
        });
        outcome.map_err(|error| {
            FAILED.fetch_add(1, Relaxed);
            failed(error)
        })
    })
}

impl World {
    /// `JANGBU_TEST_KEEP=1` leaves the servers up, so that the next run begins sooner.
    async fn begin() -> Result<Self> {
        let stack = Stack::up("test")?;
        let fleet = Fleet::start(&stack.addresses, None).await?;
        let client = fleet.client()?;
        // The first of each process takes its partitions before it has anything to show.
        let (body, key) = (samples::vacuum(), Uuid::now_v7().to_string());
        let first = client.insist("/products", &body, &key).await?;
        client.find("청소기", &first.header("consistency-token")?).await?;
        Ok(Self { stack, fleet, client, spoilt: false })
    }

    /// What runs may be the very process that no longer does its work, so all begin anew.
    async fn mended(&mut self) -> Result<&mut Self> {
        if self.spoilt {
            self.stack.mend()?;
            self.fleet.begin_anew().await?;
        }
        Ok(self)
    }
}

/// Ends the processes, then the servers with their data.
pub(crate) fn end(conclusion: &Conclusion) {
    let Some(World { stack, fleet, .. }) = WORLD.lock().ok().and_then(|mut world| world.take())
    else {
        return;
    };
    if let Err(error) = RUNTIME.block_on(fleet.stop()) {
        eprintln!("the processes did not end in order: {error:#}");
    }
    let keep = std::env::var_os("JANGBU_TEST_KEEP").is_some();
    if !keep && let Err(error) = stack.clean() {
        eprintln!("the servers did not end in order: {error:#}");
    }
    if conclusion.has_failed() {
        eprintln!("logs: {:?}", tests::process::logs());
    }
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
