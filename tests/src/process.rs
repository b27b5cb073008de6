//! One of our own processes, as an operating system sees it.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    usage::{memory_peak, processor_time},
    wait::until,
};

/// Settings by the names of their environment variables.
pub type Settings = BTreeMap<String, String>;

/// How long a binary may run that is waited for.
const AT_MOST: Duration = Duration::from_secs(600);
/// How often the memory of one that runs is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What follows the log gives way on a machine that it shares with whoever is waited for.
const FOLLOWERS: [&str; 2] = ["projector", "indexer"];

/// A running binary of this workspace; dropped, it is killed.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    metrics: Option<String>,
}

/// What is asked of a process.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// End in order.
    Terminate,
    /// End now.
    Kill,
    /// Stand still, as a process does that its machine forgot.
    Stop,
    /// Go on.
    Continue,
}

/// The folder of the binaries that were built together with this one.
///
/// # Errors
/// When this executable lies nowhere below a cargo target folder.
pub fn binaries() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let built = |folder: &&Path| folder.join("command-handler").exists();
    let folder = own.ancestors().find(built).context("run `make build` first")?;
    Ok(folder.to_owned())
}

/// Where the logs of this checkout's processes go.
///
/// # Errors
/// When the folder cannot be made.
pub fn logs() -> Result<PathBuf> {
    let folder = binaries()?.join("jangbu-logs");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Where a process of that name writes its log.
///
/// # Errors
/// When the folder cannot be made.
pub fn log_of(name: &str) -> Result<PathBuf> {
    Ok(logs()?.join(format!("{name}.log")))
}

/// Runs a binary to its end, and returns what it printed.
///
/// # Errors
/// When it cannot be run, does not end within ten minutes, or prints something else than text.
pub fn run(binary: &str, arguments: &[&str], settings: &Settings) -> Result<(ExitStatus, String)> {
    let mut command = command(binary, arguments, settings)?;
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (id, (tell, told)) = (child.id(), mpsc::channel());
    thread::spawn(move || tell.send(child.wait_with_output()));
    let in_time = told.recv_timeout(AT_MOST);
    let has_ended = in_time.is_ok();
    if !has_ended {
        send(id, Signal::Kill)?;
    }
    let output = in_time.or_else(|_| told.recv())??;
    let printed = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    ensure!(has_ended, "{binary} {} still ran after {AT_MOST:?}: {printed}", arguments.join(" "));
    Ok((output.status, printed))
}

/// As [`run`], while others go on. Dropped, it is killed.
///
/// # Errors
/// As [`run`].
pub async fn run_beside(
    binary: &str,
    arguments: &[&str],
    settings: &Settings,
) -> Result<(ExitStatus, String)> {
    let mut command = tokio::process::Command::from(command(binary, arguments, settings)?);
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output().await?;
    let printed = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status, printed))
}

/// As [`run_beside`], and with the most memory that it was seen to have, in bytes.
///
/// # Errors
/// As [`run`].
pub async fn run_weighed(
    binary: &str,
    arguments: &[&str],
    settings: &Settings,
) -> Result<(ExitStatus, String, u64)> {
    let mut command = tokio::process::Command::from(command(binary, arguments, settings)?);
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn()?;
    let (pid, mut most) = (child.id().context("it has ended already")?, 0);
    let mut ending = pin!(child.wait_with_output());
    let output = loop {
        match tokio::time::timeout(LOOK, &mut ending).await {
            Ok(output) => break output?,
            // It may have ended meanwhile.
            Err(_) => most = most.max(memory_peak(pid).unwrap_or_default()),
        }
    };
    let printed = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status, printed, most))
}

/// Runs a binary to its end, and lets it talk to whoever watches. Dropped, it is killed.
///
/// # Errors
/// When it cannot be run, or does not end with success.
pub async fn watch(binary: &str, arguments: &[&str], settings: &Settings) -> Result<()> {
    let mut command = tokio::process::Command::from(command(binary, arguments, settings)?);
    let status = command.kill_on_drop(true).stdin(Stdio::null()).status().await?;
    ensure!(status.success(), "{binary} {} ended with {status}", arguments.join(" "));
    Ok(())
}

/// Ends what an interrupted run left behind: our processes, those of `names`, that talk to the same
/// Kafka.
///
/// # Errors
/// When /proc cannot be read.
pub fn end_leftovers(names: &[&str], settings: &Settings) -> Result<()> {
    let folder = binaries()?;
    // A stack may have several addresses of the same brokers, one for each who asks.
    let kafka = settings.iter().filter(|(key, _)| key.ends_with("_KAFKA"));
    let marks: Vec<_> = kafka.map(|(_, address)| format!("JANGBU_KAFKA={address}")).collect();
    ensure!(!marks.is_empty(), "no JANGBU_KAFKA");
    let is_ours = |executable: &Path| {
        let name = executable.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // So Linux marks what was built anew meanwhile.
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        executable.starts_with(&folder) && names.contains(&name)
    };
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(executable) = fs::read_link(path.join("exe")) else { continue };
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        let is_mark = |pair: &[u8]| marks.iter().any(|mark| mark.as_bytes() == pair);
        let is_on_it = environment.split(|byte| *byte == 0).any(is_mark);
        let pid = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if let Some(pid) = pid
            && is_on_it
            && is_ours(&executable)
        {
            send(pid, Signal::Kill)?;
        }
    }
    Ok(())
}

impl Process {
    /// Starts `binary`; `name` tells it apart in logs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(binary: &str, name: &str, settings: &Settings) -> Result<Self> {
        Self::start_with(binary, &[], name, settings)
    }

    /// As [`Process::start`], with arguments.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_with(
        binary: &str,
        arguments: &[&str],
        name: &str,
        settings: &Settings,
    ) -> Result<Self> {
        let log = log_of(name)?;
        let file = File::options().create(true).append(true).open(&log)?;
        let mut command = if FOLLOWERS.contains(&binary) {
            let path = binaries()?.join(binary);
            let path = path.to_str().context("a path that is text")?;
            clean(Command::new("nice"), &[&["-n", "10", path], arguments].concat(), settings)
        } else {
            command(binary, arguments, settings)?
        };
        command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null());
        // A Ctrl-C is for whoever started it, who then ends it in order.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {binary}"))?;
        let metrics = settings.get("JANGBU_METRICS").map(|at| format!("http://{at}/metrics"));
        Ok(Self { name: name.to_owned(), child, log, metrics })
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves its metrics.
    pub fn metrics_address(&self) -> Option<&str> {
        self.metrics.as_deref()
    }

    /// The sum of a metric over its labels, 0 where it was never set.
    ///
    /// # Errors
    /// When the process does not answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        self.metric_of(name, "").await
    }

    /// As [`Process::metric`], over those with a label such as `reason="deadlock"`.
    ///
    /// # Errors
    /// When the process does not answer.
    pub async fn metric_of(&self, name: &str, label: &str) -> Result<f64> {
        Ok(self.values(name, label).await?.into_iter().sum())
    }

    /// The highest value of a metric, 0 where it was never set.
    ///
    /// # Errors
    /// When the process does not answer.
    pub async fn highest(&self, name: &str) -> Result<f64> {
        Ok(self.values(name, "").await?.into_iter().fold(0.0, f64::max))
    }

    async fn values(&self, name: &str, label: &str) -> Result<Vec<f64>> {
        let address = self.metrics.as_deref().context("it serves no metrics")?;
        let text = reqwest::get(address).await?.error_for_status()?.text().await?;
        let of_it =
            |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(label);
        let value =
            |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        Ok(text.lines().filter(of_it).filter_map(value).collect())
    }

    /// Its number, and where its log is.
    pub fn place(&self) -> String {
        format!("process {}, log {}", self.pid(), self.log.display())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid(), signal)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When the deadline passes.
    pub async fn until_ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        until(&what, within, async || self.ended()).await
    }

    /// Waits until a signal has made it stand still.
    ///
    /// # Errors
    /// When the deadline passes.
    pub async fn until_stopped(&self, within: Duration) -> Result<()> {
        let what = format!("{} stands still", self.name);
        let status = format!("/proc/{}/status", self.pid());
        let stands = async || Ok(fs::read_to_string(&status)?.contains("State:\tT").then_some(()));
        until(&what, within, stands).await
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end in time, or not with success.
    pub async fn stop(mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.signal(Signal::Terminate)?;
        }
        let status = self.until_ended(Duration::from_secs(20)).await?;
        ensure!(status.success(), "{} ended with {status} ({})", self.name, self.place());
        Ok(())
    }

    /// Processor time so far, of all its threads.
    ///
    /// # Errors
    /// When it has ended.
    pub fn processor_time(&self) -> Result<Duration> {
        processor_time(self.pid())
    }

    /// The most memory that it has had resident, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory_peak(&self) -> Result<u64> {
        memory_peak(self.pid())
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(binary: &str, arguments: &[&str], settings: &Settings) -> Result<Command> {
    Ok(clean(Command::new(binaries()?.join(binary)), arguments, settings))
}

fn clean(mut command: Command, arguments: &[&str], settings: &Settings) -> Command {
    for (variable, _) in env::vars().filter(|(name, _)| name.starts_with("JANGBU_")) {
        command.env_remove(variable);
    }
    command.args(arguments).envs(settings);
    command
}

/// Sends a signal to a process that is ours.
pub(crate) fn send(pid: u32, signal: Signal) -> Result<()> {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Kill => "KILL",
        Signal::Stop => "STOP",
        Signal::Continue => "CONT",
    };
    let kill = format!("kill -{name} {pid}");
    if !Command::new("sh").args(["-c", &kill]).status()?.success() {
        bail!("{kill} failed: it has ended already");
    }
    Ok(())
}
