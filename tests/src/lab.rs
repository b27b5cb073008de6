//! The fault laboratory: every fault of a declared list, again and again, under a load of mixed
//! commands on the real servers; after each kind the histories are compared with what the writers
//! were told, and `jangbu verify` looks at the rest.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use domain::Timestamp;
use fastrand::Rng;

use crate::{Fleet, Load, Role, Stack, load::Judged};

mod brokers;
mod clock;
mod list;
mod mysql;
mod poison;
mod processes;
mod servers;
mod table;
mod wire;

pub use list::{FAULTS, Fault};
pub use table::Row;

/// How long anything may need to come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the faults are brought upon, and how hard.
pub struct Lab<'a> {
    /// The servers.
    pub stack: &'a Stack,
    /// One of each process, and whoever else joins.
    pub fleet: &'a mut Fleet,
    /// What a run is decided by, as far as that can be.
    pub seed: u64,
    /// How many write at once.
    pub writers: u64,
    /// Commands that must be decided between two faults.
    pub between: u64,
}

/// A fault's view of the laboratory.
struct Scene<'a> {
    stack: &'a Stack,
    fleet: &'a mut Fleet,
    load: &'a mut Load,
    chance: Rng,
    /// One more in each run of a fault, for what takes turns.
    turn: u64,
}

impl Lab<'_> {
    /// Brings a fault upon the system so many times, and judges what came of it.
    ///
    /// # Errors
    /// When the system does not recover, or a writer is answered what it should never be.
    pub async fn run(&mut self, fault: &Fault, runs: u32, tell: impl Fn(&str)) -> Result<Row> {
        let (begin, client) = (Instant::now(), self.fleet.client()?);
        let since = now()?;
        let seed = self.seed ^ fingerprint(fault.name);
        let mut load = Load::start(&client, self.writers, seed);
        load.until_decided(self.between.min(100), PATIENCE).await?;
        load.forget_stalls();
        let mut row = Row::of(fault.name);
        for run in 0..runs {
            let turn = seed.wrapping_add(u64::from(run));
            let chance = Rng::with_seed(turn);
            let (stack, fleet, load) = (self.stack, &mut *self.fleet, &mut load);
            let scene = Scene { stack, fleet, load, chance, turn };
            let struck = list::strike(fault, scene).await;
            row.faults += struck.with_context(|| format!("{}, run {run}", fault.name))?;
            let recovered = load.until_decided(self.between, PATIENCE).await;
            recovered.with_context(|| format!("after {}, run {run}", fault.name))?;
            self.nobody_has_ended().with_context(|| format!("{}, run {run}", fault.name))?;
            tell(&format!("{}: {} of {runs}, {} decided", fault.name, run + 1, load.decided()));
        }
        let report = load.finish().await?;
        row.commands = report.decided.len() as u64;
        row.sent_again = report.sent_again;
        row.stall = report.stall;
        row.judged = report.judge(&client).await?;
        // What was appended since then must agree with the read side.
        self.fleet.verify(&["--since", &since]).await?;
        row.took = begin.elapsed();
        Ok(row)
    }

    /// Whoever was struck is there again, and nobody else has ended.
    fn nobody_has_ended(&mut self) -> Result<()> {
        for role in Role::ALL {
            let process = self.fleet.process(role)?;
            let ended = process.ended()?;
            ensure!(ended.is_none(), "{}: {ended:?}: {}", role.binary(), process.log_tail());
        }
        Ok(())
    }
}

impl Row {
    /// Whether nothing was lost, doubled or disordered.
    pub fn is_clean(&self) -> bool {
        self.judged == Judged::default()
    }
}

/// The time as `jangbu verify` takes it.
fn now() -> Result<String> {
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    Ok(Timestamp(i64::try_from(millis)?).to_string())
}

/// The same for a name on every machine (FNV-1a, 64 bit).
fn fingerprint(name: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
}
