//! The faults that are tried.

use anyhow::Result;

use super::{
    Scene, brokers, clock, mysql, poison, processes, servers,
    wire::{self, Wire},
};

/// A fault, and how often it is brought upon the system.
pub struct Fault {
    /// What it is, as the table shows it.
    pub name: &'static str,
    /// How often in the short set, which the tests run.
    pub short: u32,
    /// How often in the whole list.
    pub whole: u32,
    kind: Kind,
}

/// What is done.
enum Kind {
    Kill,
    KillTogether,
    KillAtPoints,
    Terminate,
    Freeze,
    Crowd,
    ClockJumps,
    KillServer(&'static str),
    FreezeServer(&'static str),
    RestartServer(&'static str),
    WithoutRegistry,
    SearchIsFull,
    SearchIsBusy,
    ReadOnly,
    Deadlocks,
    LockTimeouts,
    NoConnections,
    SessionsEnd,
    FullDisk,
    Unreadable,
    TooLarge,
    Disturb(Wire, &'static str),
    DisturbOne,
    Isolate,
    LoseACommit,
    KillEachBroker,
    RollingRestart,
    KillTwoBrokers,
}

/// Every fault there is.
pub const FAULTS: &[Fault] = &[
    of("kill -9 of a process, at any time", 2, 26, Kind::Kill),
    of("kill -9 of two to four processes at once", 1, 14, Kind::KillTogether),
    of("kill -9 of each process at a named point", 2, 14, Kind::KillAtPoints),
    of("SIGTERM of a process", 2, 20, Kind::Terminate),
    of("SIGSTOP at a named point, another takes over, SIGCONT", 1, 14, Kind::Freeze),
    of("one to three of each join and leave", 1, 6, Kind::Crowd),
    of("a clock an hour ahead, then an hour back", 1, 8, Kind::ClockJumps),
    of("kill -9 of Kafka", 1, 4, Kind::KillServer("kafka")),
    of("SIGSTOP of Kafka, SIGCONT", 0, 3, Kind::FreezeServer("kafka")),
    of("restart of Kafka", 0, 2, Kind::RestartServer("kafka")),
    of("kill -9 of MySQL", 1, 4, Kind::KillServer("mysql")),
    of("SIGSTOP of MySQL, SIGCONT", 0, 3, Kind::FreezeServer("mysql")),
    of("restart of MySQL", 0, 2, Kind::RestartServer("mysql")),
    of("kill -9 of OpenSearch", 0, 3, Kind::KillServer("opensearch")),
    of("SIGSTOP of OpenSearch, SIGCONT", 0, 2, Kind::FreezeServer("opensearch")),
    of("no registry, while a process starts", 0, 3, Kind::WithoutRegistry),
    of("OpenSearch full, by its watermark", 1, 4, Kind::SearchIsFull),
    of("OpenSearch answers 429", 1, 3, Kind::SearchIsBusy),
    of("MySQL read-only", 1, 4, Kind::ReadOnly),
    of("MySQL deadlocks", 1, 4, Kind::Deadlocks),
    of("MySQL lock time-outs", 0, 3, Kind::LockTimeouts),
    of("MySQL without a free connection", 0, 3, Kind::NoConnections),
    of("every MySQL connection closed", 1, 10, Kind::SessionsEnd),
    of("unreadable commands in both lanes", 1, 5, Kind::Unreadable),
    of("a command of 10 MB", 1, 3, Kind::TooLarge),
    of("network to Kafka slow", 0, 2, Kind::Disturb(Wire::Slow, "kafka")),
    of("network to Kafka half-open", 0, 2, Kind::Disturb(Wire::HalfOpen, "kafka")),
    of("network to Kafka reset", 0, 2, Kind::Disturb(Wire::Reset, "kafka")),
    of("network to Kafka cut", 0, 2, Kind::Disturb(Wire::Cut, "kafka")),
    of("network of one process to one server slow or cut", 0, 9, Kind::DisturbOne),
    of("a handler cut off from Kafka, another takes over, back", 0, 3, Kind::Isolate),
    of("a commit cut off from its answer", 0, 8, Kind::LoseACommit),
    of("network to MySQL slow", 0, 2, Kind::Disturb(Wire::Slow, "mysql")),
    of("network to MySQL half-open", 0, 2, Kind::Disturb(Wire::HalfOpen, "mysql")),
    of("network to MySQL reset", 0, 2, Kind::Disturb(Wire::Reset, "mysql")),
    of("network to MySQL cut", 0, 2, Kind::Disturb(Wire::Cut, "mysql")),
    of("network to OpenSearch half-open", 0, 2, Kind::Disturb(Wire::HalfOpen, "opensearch")),
    of("network to OpenSearch slow to close", 0, 2, Kind::Disturb(Wire::SlowClose, "opensearch")),
    of("network to OpenSearch cut", 0, 2, Kind::Disturb(Wire::Cut, "opensearch")),
    of("network to the registry cut", 0, 2, Kind::Disturb(Wire::Cut, "registry")),
    of("full disk under MySQL", 0, 3, Kind::FullDisk),
    of("kill -9 of each of three brokers in turn", 0, 3, Kind::KillEachBroker),
    of("rolling restart of three brokers", 0, 2, Kind::RollingRestart),
    of("kill -9 of two of three brokers", 0, 3, Kind::KillTwoBrokers),
];

const fn of(name: &'static str, short: u32, whole: u32, kind: Kind) -> Fault {
    Fault { name, short, whole, kind }
}

impl Fault {
    /// The stack that has what it needs: brokers of which one may fail, a small disk, or proxies.
    pub fn stack(&self) -> &'static str {
        match self.kind {
            Kind::KillEachBroker | Kind::RollingRestart | Kind::KillTwoBrokers => "cluster",
            Kind::FullDisk => "small-disk",
            _ => "faults",
        }
    }
}

/// Brings a fault upon the system once; answers how many blows that were.
pub(super) async fn strike(fault: &Fault, scene: Scene<'_>) -> Result<u32> {
    match fault.kind {
        Kind::Kill => processes::kill(scene).await,
        Kind::KillTogether => processes::kill_together(scene).await,
        Kind::KillAtPoints => processes::kill_at_points(scene).await,
        Kind::Terminate => processes::terminate(scene).await,
        Kind::Freeze => processes::freeze(scene).await,
        Kind::Crowd => processes::crowd(scene).await,
        Kind::ClockJumps => clock::jump(scene).await,
        Kind::KillServer(server) => servers::kill(scene, server).await,
        Kind::FreezeServer(server) => servers::freeze(scene, server).await,
        Kind::RestartServer(server) => servers::restart(scene, server).await,
        Kind::WithoutRegistry => servers::without_registry(scene).await,
        Kind::SearchIsFull => servers::search_is_full(scene).await,
        Kind::SearchIsBusy => servers::search_is_busy(scene).await,
        Kind::ReadOnly => mysql::read_only(scene).await,
        Kind::Deadlocks => mysql::deadlocks(scene).await,
        Kind::LockTimeouts => mysql::lock_timeouts(scene).await,
        Kind::NoConnections => mysql::no_connections(scene).await,
        Kind::FullDisk => mysql::full_disk(scene).await,
        Kind::SessionsEnd => mysql::sessions_end(scene).await,
        Kind::Unreadable => poison::unreadable(scene).await,
        Kind::TooLarge => poison::too_large(scene).await,
        Kind::Disturb(wire, server) => wire::disturb(scene, wire, server).await,
        Kind::DisturbOne => wire::disturb_one(scene).await,
        Kind::Isolate => wire::isolate(scene).await,
        Kind::LoseACommit => wire::lose_a_commit(scene).await,
        Kind::KillEachBroker => brokers::kill_each(scene).await,
        Kind::RollingRestart => brokers::rolling_restart(scene).await,
        Kind::KillTwoBrokers => brokers::kill_two(scene).await,
    }
}
