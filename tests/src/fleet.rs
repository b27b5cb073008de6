//! One of each process, together on one stack.

use std::{collections::BTreeMap, fs, net::TcpListener, process::ExitStatus, time::Duration};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    client::Client,
    process::{self, Process, Settings},
    wait::until,
};

/// How long everything may need to come to rest.
const REST: Duration = Duration::from_secs(120);

/// What a process does for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes commands and answers queries.
    Api,
    /// Decides.
    Handler,
    /// Keeps the read models.
    Projector,
    /// Keeps the search index.
    Indexer,
}

impl Role {
    /// Every role, in the order of starting.
    pub const ALL: [Self; 4] = [Self::Handler, Self::Projector, Self::Indexer, Self::Api];

    /// What the points of its path begin with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            _ => self.binary(),
        }
    }

    /// The name of its binary.
    pub fn binary(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Handler => "command-handler",
            Self::Projector => "projector",
            Self::Indexer => "indexer",
        }
    }
}

mod watch;

/// The processes of a stack.
pub struct Fleet {
    settings: Settings,
    base: String,
    /// Where each serves its metrics, whichever process it is; the api does so where it answers.
    metrics: BTreeMap<Role, String>,
    running: BTreeMap<Role, Process>,
}

impl Fleet {
    /// Prepares topics and tables, then starts one process of each role, with fresh logs; the api
    /// listens on `port`, or on a free one.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub async fn start(addresses: &Settings, port: Option<u16>) -> Result<Self> {
        let port = port.map_or_else(free_port, Ok)?;
        let mut settings = addresses.clone();
        let mut set = |key: &str, value: String| settings.insert(key.to_owned(), value);
        set("JANGBU_HTTP", format!("127.0.0.1:{port}"));
        let keys = |malls: &[&str], kind: &str| {
            let keys = malls.iter().map(|mall| format!("{mall}={mall}{kind}"));
            keys.collect::<Vec<_>>().join(",")
        };
        set("JANGBU_KEYS", keys(&["demo", "other", "shop", "still", "trial"], "-key"));
        set("JANGBU_STOREFRONT_KEYS", keys(&["demo", "shop", "trial"], "-shop-key"));
        Self::end_leftovers(&settings)?;
        let base = format!("http://127.0.0.1:{port}");
        let mut metrics = BTreeMap::new();
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Api) {
            metrics.insert(role, format!("127.0.0.1:{}", free_port()?));
        }
        let mut fleet = Self { settings, base, metrics, running: BTreeMap::new() };
        fleet.prepare()?;
        for role in Role::ALL {
            // The log of an earlier run would be taken for this one's. Mostly there is none.
            let _ = fs::remove_file(process::log_of(role.binary())?);
        }
        fleet.begin_anew().await?;
        Ok(fleet)
    }

    /// Ends what a killed run left behind on these servers.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn end_leftovers(addresses: &Settings) -> Result<()> {
        process::end_leftovers(&Role::ALL.map(Role::binary), addresses)
    }

    fn prepare(&self) -> Result<()> {
        for words in [&["migrate"][..], &["topics", "apply", "--yes"]] {
            let (status, printed) = self.jangbu(words)?;
            ensure!(status.success(), "jangbu {}: {}", words.join(" "), printed.trim());
        }
        Ok(())
    }

    /// Runs the operator's tool.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn jangbu(&self, words: &[&str]) -> Result<(ExitStatus, String)> {
        process::run("jangbu", words, &self.settings)
    }

    /// Lets `jangbu verify` look at everything once it is at rest. What it finds broken is never
    /// looked at twice: what mends itself was broken all the same.
    ///
    /// # Errors
    /// When anything is broken, or rest is not reached.
    pub async fn verify(&self, flags: &[&str]) -> Result<()> {
        let words = [&["verify", "--wait", "30"], flags].concat();
        let found = until("verify reaches rest", REST, async || {
            let (status, printed) = self.jangbu(&words)?;
            let is_told = status.success() || printed.contains("\nbroken ");
            ensure!(is_told, "{printed}");
            Ok(Some((status.success(), printed)))
        });
        let (holds, printed) = found.await?;
        ensure!(holds, "{printed}");
        Ok(())
    }

    /// A client of the api with the key of the mall `demo`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.base, "demo", "demo-key")
    }

    /// Where the api answers.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The settings of every process.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A setting of every process.
    ///
    /// # Errors
    /// When there is none of the name.
    pub fn setting(&self, key: &str) -> Result<&str> {
        self.settings.get(key).map(String::as_str).with_context(|| format!("no {key}"))
    }

    /// The process of a role.
    ///
    /// # Errors
    /// When it was never started.
    pub fn process(&mut self, role: Role) -> Result<&mut Process> {
        self.running.get_mut(&role).with_context(|| format!("no {role:?}"))
    }

    /// Where a process serves its metrics.
    pub fn metrics(&self, role: Role) -> Option<&str> {
        self.running.get(&role).and_then(Process::metrics_address)
    }

    /// Puts a new process in the place of the one of a role, which is killed. `fault` names a point
    /// of its path, a passage and what happens to it there: `handler.before_commit:3:kill`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self, role: Role, fault: Option<&str>) -> Result<()> {
        self.running.remove(&role);
        let metrics = self.metrics.get(&role).cloned();
        let process = begin(self.own_settings(role), role, role.binary(), fault, metrics)?;
        self.running.insert(role, process);
        Ok(())
    }

    /// The settings of the fleet's own process of a role: where the stack has proxies, it comes
    /// through those that nobody else uses.
    fn own_settings(&self, role: Role) -> Settings {
        let own = format!("JANGBU_{}_", role.word().to_uppercase());
        let mut settings = self.settings.clone();
        for (key, value) in &self.settings {
            let usual = key.strip_prefix(&own).map(|name| format!("JANGBU_{name}"));
            if let Some(setting) = usual.and_then(|key| settings.get_mut(&key)) {
                setting.clone_from(value);
            }
        }
        settings
    }

    /// As [`Fleet::restart`], with further settings.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(&mut self, role: Role, further: &[(&str, &str)]) -> Result<()> {
        self.running.remove(&role);
        let mut settings = self.own_settings(role);
        settings
            .extend(further.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let process = Process::start(role.binary(), role.binary(), &settings)?;
        self.running.insert(role, process);
        Ok(())
    }

    /// Kills the process of a role.
    ///
    /// # Errors
    /// When it was never started.
    pub fn end(&mut self, role: Role) -> Result<()> {
        self.running.remove(&role).map(drop).with_context(|| format!("no {role:?}"))
    }

    /// Ends the process of a role in order.
    ///
    /// # Errors
    /// When it was never started, or does not end with success.
    pub async fn terminate(&mut self, role: Role) -> Result<()> {
        self.running.remove(&role).with_context(|| format!("no {role:?}"))?.stop().await
    }

    /// A further process of a role, beside the fleet's own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn another(&self, role: Role, name: &str, fault: Option<&str>) -> Result<Process> {
        let metrics = match role {
            Role::Api => None,
            _ => Some(format!("127.0.0.1:{}", free_port()?)),
        };
        begin(self.settings.clone(), role, name, fault, metrics)
    }

    /// Starts again what has ended, and waits until the api is ready.
    ///
    /// # Errors
    /// When a process does not come up.
    pub async fn mend(&mut self) -> Result<()> {
        for role in Role::ALL {
            if self.process(role)?.ended()?.is_some() {
                self.restart(role, None)?;
            }
        }
        self.until_ready().await
    }

    /// Puts a new process in the place of each, and waits until the api is ready.
    ///
    /// # Errors
    /// When a process does not come up.
    pub async fn begin_anew(&mut self) -> Result<()> {
        for role in Role::ALL {
            self.restart(role, None)?;
        }
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> Result<()> {
        let client = self.client()?;
        let seen = until("the api is ready", Duration::from_secs(60), async || {
            if let Some(end) = self.first_end()? {
                return Ok(Some(Err(end)));
            }
            let answer = client.open("/health/ready").send().await?;
            Ok((answer.status == 200).then_some(Ok(())))
        });
        if let Err(end) = seen.await? {
            bail!(end);
        }
        let handler = self.process(Role::Handler)?;
        until("the handler has partitions", Duration::from_secs(60), async || {
            Ok((handler.metric("jangbu_partitions_owned").await? > 0.0).then_some(()))
        })
        .await
    }

    /// The last lines of every log.
    pub fn tails(&self) -> String {
        let tail =
            |(role, process): (&Role, &Process)| format!("-- {role:?}\n{}", process.log_tail());
        self.running.iter().map(tail).collect::<Vec<_>>().join("\n")
    }

    /// Ends every process in order, the api first so that nobody is left waiting; one that does not
    /// end in order keeps none of the others.
    ///
    /// # Errors
    /// Names all that did not end with success.
    pub async fn stop(mut self) -> Result<()> {
        let mut faults = vec![];
        for role in Role::ALL.into_iter().rev() {
            if let Some(process) = self.running.remove(&role)
                && let Err(error) = process.stop().await
            {
                faults.push(format!("{error:#}"));
            }
        }
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(())
    }
}

fn begin(
    mut settings: Settings,
    role: Role,
    name: &str,
    fault: Option<&str>,
    metrics: Option<String>,
) -> Result<Process> {
    settings.extend(metrics.map(|at| ("JANGBU_METRICS".to_owned(), at)));
    if let Some(fault) = fault {
        settings.insert("JANGBU_FAULT".to_owned(), fault.to_owned());
    }
    Process::start(role.binary(), name, &settings)
}

/// A port that nobody listens on now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
