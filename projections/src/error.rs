//! What can go wrong between us and MySQL.

/// Why a read model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MySQL refused, or did not answer.
    #[error("mysql: {0}")]
    Db(sqlx::Error),
    /// The static tables could not be brought up to date.
    #[error("mysql: {0}")]
    Migrate(sqlx::migrate::MigrateError),
    /// MySQL did not answer in the time that was left.
    #[error("mysql did not answer in time")]
    Late,
    /// A stored value is not what this build writes.
    #[error("{column} holds what this build cannot read: {why}")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// The parser's complaint.
        why: String,
    },
    /// There is no version of a projection that this build can read.
    #[error(
        "no version of {0:?} is level with the log and has the shape of this build; \
         on an empty log `jangbu migrate` makes the first one, else `jangbu replay start {0}` does"
    )]
    NotActive(String),
    /// What has not been level with the log may not be read.
    #[error(
        "{0} has not been level with the log, or another build has filled it; \
         `jangbu replay status` shows how far it is"
    )]
    NotReady(String),
    /// The table is of a build that writes it otherwise.
    #[error(
        "{0} was made by a build that writes it otherwise: run that build, or fill another version \
         beside it; on a trial stack, `make clean` begins anew"
    )]
    OtherShape(String),
    /// A copy would go over what was filled from the log.
    #[error("{0} was begun from the log, or has been dropped meanwhile: it is not made a copy")]
    Begun(String),
    /// The active version may not be dropped.
    #[error("{0} is active")]
    Live(String),
    /// A projection that a process cannot be told to know.
    #[error("{0:?} {1}")]
    NotOwn(String, &'static str),
    /// The version of the index is not there to be filled or followed.
    #[error("search {0} was dropped, or never was")]
    NotFilling(i32),
    /// Not the name of a table of ours.
    #[error("{0:?} names no projection's table")]
    NoSuchTable(String),
}

// Not `#[from]`, which would make the cause a source and have it told twice.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error)
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migrate(error)
    }
}

impl Error {
    pub(crate) fn corrupt(column: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { column, why: why.to_string() }
    }

    pub(crate) const DEADLOCK: u16 = 1213;
    const LOCK_WAIT_TIMEOUT: u16 = 1205;

    /// Whether another transaction was in the way: tried again, it may go through.
    pub fn is_lost_race(&self) -> bool {
        matches!(self.number(), Some(Self::DEADLOCK | Self::LOCK_WAIT_TIMEOUT))
    }

    /// Whether MySQL is away, stopping or full: that says nothing about what was to be written, and
    /// may be otherwise at the next try.
    pub fn may_pass(&self) -> bool {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        const TOO_MANY_CONNECTIONS: u16 = 1040;
        const SHUTTING_DOWN: u16 = 1053;
        const TOO_MANY_OF_THIS_USER: u16 = 1203;
        const LIMIT_OF_THIS_USER: u16 = 1226;
        const IDLE_FOR_TOO_LONG: u16 = 4031;
        match self {
            Self::Late => true,
            Self::Db(Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed) => {
                true
            }
            _ => matches!(
                self.number(),
                Some(
                    TOO_MANY_CONNECTIONS
                        | SHUTTING_DOWN
                        | TOO_MANY_OF_THIS_USER
                        | LIMIT_OF_THIS_USER
                        | IDLE_FOR_TOO_LONG
                )
            ),
        }
    }

    /// The server's error number, where the server answered with one.
    pub(crate) fn number(&self) -> Option<u16> {
        let Self::Db(sqlx::Error::Database(error)) = self else { return None };
        error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(|error| error.number())
    }
}
