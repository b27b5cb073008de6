//! Kafka, the registry, MySQL and OpenSearch, through the project's own launcher.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::{Signal, send},
    usage::{compile_time, memory_peak, processor_time},
};

/// A running stack of servers.
pub struct Stack {
    name: String,
    /// The addresses, as the settings that the processes take.
    pub addresses: BTreeMap<String, String>,
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Stack {
    /// Starts what is not running of the stack `name`, and waits until all of it answers.
    ///
    /// # Errors
    /// When a server does not come up; its log's tail has been printed then.
    pub fn up(name: &str) -> Result<Self> {
        let mut stack = Self { name: name.to_owned(), addresses: BTreeMap::new() };
        stack.mend()?;
        Ok(stack)
    }

    /// A stack as it was last left, running or not; without addresses where it never ran.
    pub fn found(name: &str) -> Self {
        let mut stack = Self { name: name.to_owned(), addresses: BTreeMap::new() };
        if stack.read_addresses().is_err() {
            stack.addresses.clear();
        }
        stack
    }

    fn read_addresses(&mut self) -> Result<()> {
        let printed =
            self.command(&["env"]).stderr(Stdio::null()).stdout(Stdio::piped()).output()?;
        let text = String::from_utf8(printed.stdout)?;
        let pair = |line: &str| {
            let (key, value) = line.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        self.addresses = text.lines().filter_map(pair).collect();
        Ok(())
    }

    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        let kafka = self.addresses.get("JANGBU_KAFKA");
        let one = kafka.and_then(|brokers| brokers.split(',').next());
        one.is_some_and(|address| TcpStream::connect(address).is_ok())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One address, such as `JANGBU_KAFKA`.
    ///
    /// # Errors
    /// When the launcher did not name it.
    pub fn address(&self, key: &str) -> Result<&str> {
        self.addresses.get(key).map(String::as_str).with_context(|| format!("no {key}"))
    }

    /// Stops one server in order.
    ///
    /// # Errors
    /// When the launcher fails.
    pub fn stop(&self, server: &str) -> Result<()> {
        self.ask(&["stop", server])
    }

    /// kill -9 of one server, which stays away until it is started.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&self, server: &str) -> Result<()> {
        self.ask(&["kill", server])
    }

    /// Where its data, logs and sockets are.
    pub fn folder(&self) -> PathBuf {
        root().join(".stack").join(&self.name)
    }

    /// Starts one server and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&self, server: &str) -> Result<()> {
        self.ask(&["start", server])
    }

    /// Starts several servers together, and waits until each answers.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub fn start_all(&self, servers: &[&str]) -> Result<()> {
        self.ask(&[&["start"], servers].concat())
    }

    /// Starts whatever of the stack is not running.
    ///
    /// # Errors
    /// When a server does not come up.
    pub fn mend(&mut self) -> Result<()> {
        self.ask(&["up"])?;
        self.read_addresses()
    }

    /// Stops everything and deletes the data.
    ///
    /// # Errors
    /// When the launcher fails.
    pub fn clean(&self) -> Result<()> {
        self.ask(&["clean"])
    }

    /// Stops everything and keeps the data.
    ///
    /// # Errors
    /// When the launcher fails.
    pub fn down(&self) -> Result<()> {
        self.ask(&["down"])
    }

    /// Processor time of each server so far.
    ///
    /// # Errors
    /// When a server has no process.
    pub fn processor_times(&self) -> Result<BTreeMap<String, Duration>> {
        self.of_each(processor_time)
    }

    /// What the compilers of the servers that have any have spent so far.
    ///
    /// # Errors
    /// When such a server has no process.
    pub fn compile_time(&self) -> Result<Duration> {
        let of = |server| compile_time(self.pid(server)?);
        Ok(of("kafka")? + of("opensearch")?)
    }

    /// The most memory that each server has had resident, in bytes.
    ///
    /// # Errors
    /// When a server has no process.
    pub fn memory_peaks(&self) -> Result<BTreeMap<String, u64>> {
        self.of_each(memory_peak)
    }

    fn of_each<T>(&self, look: impl Fn(u32) -> Result<T>) -> Result<BTreeMap<String, T>> {
        let servers = ["kafka", "mysql", "opensearch"];
        let of = |server: &str| Ok((server.to_owned(), look(self.pid(server)?)?));
        servers.into_iter().map(of).collect()
    }

    /// Sends a signal to a server's process.
    ///
    /// # Errors
    /// When it has none.
    pub fn signal(&self, server: &str, signal: Signal) -> Result<()> {
        send(self.pid(server)?, signal)
    }

    fn pid(&self, server: &str) -> Result<u32> {
        let file = self.folder().join(format!("{server}.pid"));
        Ok(fs::read_to_string(file)?.trim().parse()?)
    }

    fn ask(&self, arguments: &[&str]) -> Result<()> {
        let status = self.command(arguments).status()?;
        ensure!(status.success(), "stack.py --name {} {} failed", self.name, arguments.join(" "));
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command.arg("deploy/local/stack.py").args(["--name", &self.name]).args(arguments);
        command.current_dir(root()).stdin(Stdio::null());
        command
    }
}
