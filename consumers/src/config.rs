//! What a process is told from outside: flags, over environment, over file.

use std::net::SocketAddr;

mod sources;
mod value;

pub use sources::{ConfigError, Flag, Given, Usage};
pub use value::{Keys, List, Secret};

/// A row of the settings table, from which struct, defaults and `--help` are made.
struct Setting {
    key: &'static str,
    default: Option<&'static str>,
    meaning: &'static str,
}

/// Declares every setting once: its meaning, key, type and, unless it is required, its default.
macro_rules! settings {
    ($($(#[doc = $meaning:literal])+ $key:ident: $kind:ty $(= $default:literal)?;)+) => {
        /// The settings of every process; which ones a process looks at is its own affair.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $meaning])+ pub $key: $kind,)+
        }

        const SETTINGS: &[Setting] = &[$(Setting {
            key: stringify!($key),
            default: settings!(@default $($default)?),
            meaning: concat!($($meaning),+),
        }),+];

        impl Config {
            /// Reads every setting before it gives up, so that all faults are told at once.
            fn read(values: &mut sources::Values) -> Option<Self> {
                $(let $key = values.take(stringify!($key));)+
                Some(Self { $($key: $key?),+ })
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

settings! {
    /// Kafka's bootstrap servers: host:port, several with commas.
    kafka: String;
    /// The schema registry's Confluent API, such as http://127.0.0.1:8081/apis/ccompat/v7.
    registry: String;
    /// The read models: mysql://user:password@host:port/database.
    mysql: Secret;
    /// The search engine's address.
    opensearch: String;
    /// Where the api listens.
    http: SocketAddr = "127.0.0.1:8080";
    /// Where /metrics is served, by processes other than the api; port 0 picks one, empty: nowhere.
    metrics: Option<SocketAddr> = "";
    /// The bearer key of each mall: mall=key, several with commas; in a file, a table.
    keys: Keys = "";
    /// Requests that one key may send to the api in a second; 0: as many as it likes.
    rate_limit: u32 = "0";
    /// Keys of storefronts, which read only what is on sale: mall=key, several with commas.
    storefront_keys: Keys = "";
    /// The partition of outcomes that this api instance reads.
    reply_partition: i32 = "0";
    /// Which log lines are written: level, or target=level, several with commas.
    log: String = "info";
    /// How long the api waits for the outcome of a command, in milliseconds.
    wait_ms: u64 = "5000";
    /// How long commands may wait for others in the log, in milliseconds, before the api lets fewer in.
    command_queue_ms: u64 = "15";
    /// How long the api waits for a read model to reach a consistency token, in milliseconds.
    read_wait_ms: u64 = "2000";
    /// Connections to MySQL per process.
    mysql_connections: u32 = "8";
    /// Commands that the handler decides in one transaction, at most.
    batch_max: usize = "4000";
    /// Bulk commands among them while interactive ones come, at most; fewer where they take long.
    bulk_share: usize = "25";
    /// Milliseconds that an interactive transaction may take: where one in a hundred takes longer, imports rest more.
    bulk_yield_ms: u64 = "15";
    /// Bulk commands in one transaction while no interactive ones come, at most.
    bulk_max: usize = "2000";
    /// Aggregates that the handler keeps in memory.
    cache_max: usize = "100000";
    /// Events not yet in the snapshot that the handler keeps before it pauses.
    tail_max: usize = "200000";
    /// Seconds after which the handler commits its places in both lanes although nothing moved them.
    offsets_every: u64 = "600";
    /// Copies of each topic that `jangbu topics apply` makes.
    replication: i32 = "1";
    /// Primary shards of a search index; fixed once it is made.
    search_shards: u32 = "1";
    /// Copies of each shard of a search index.
    search_replicas: u32 = "0";
    /// The projections that a projector feeds; those with + between them share each transaction.
    projections: List = "products+directory+command_status+snapshot+history";
}

impl Config {
    /// Settings of a process. Answers `--help` itself, and ends the process then.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing, wrong or unknown setting.
    pub fn load(usage: &Usage) -> anyhow::Result<Self> {
        Ok(Self::load_with(usage, std::env::args().skip(1))?.0)
    }

    /// Settings and further flags of a command; `arguments` begin after the command's words.
    /// Answers `--help` itself, and ends the process then.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing, wrong or unknown setting.
    pub fn load_with(
        usage: &Usage,
        arguments: impl Iterator<Item = String>,
    ) -> anyhow::Result<(Self, Given)> {
        let arguments: Vec<String> = arguments.collect();
        help(usage, &arguments)?;
        Ok(Self::merge(usage, &arguments, &|name| std::env::var(name).ok())?)
    }

    /// The flags of a command that needs none of the settings. Answers `--help` as above.
    ///
    /// # Errors
    /// [`ConfigError`] with every unknown flag.
    pub fn flags(usage: &Usage, arguments: impl Iterator<Item = String>) -> anyhow::Result<Given> {
        let arguments: Vec<String> = arguments.collect();
        help(usage, &arguments)?;
        let (values, given) = sources::Values::gather(usage, &arguments, &|_| None);
        if values.faults.is_empty() { Ok(given) } else { Err(ConfigError(values.faults).into()) }
    }

    /// Merges the sources; `environment` looks a variable up.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing, wrong or unknown setting.
    pub fn merge(
        usage: &Usage,
        arguments: &[String],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Given), ConfigError> {
        let (mut values, given) = sources::Values::gather(usage, arguments, environment);
        match Self::read(&mut values) {
            Some(config) if values.faults.is_empty() => Ok((config, given)),
            _ => Err(ConfigError(values.faults)),
        }
    }
}

fn help(usage: &Usage, arguments: &[String]) -> std::io::Result<()> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        std::io::Write::write_all(&mut std::io::stdout(), usage.help().as_bytes())?;
        leave();
    }
    Ok(())
}

/// Nothing has been opened yet that would have to be closed.
#[expect(clippy::disallowed_methods, reason = "--help is answered before main has begun anything")]
fn leave() -> ! {
    std::process::exit(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        about: "A command.",
        settings: &["batch_max"],
        flags: &[Flag { name: "dry-run", value: None, meaning: "Only look." }],
    };

    fn merge(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(Config, Given), String> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let look_up = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Config::merge(&USAGE, &arguments, &look_up).map_err(|error| error.to_string())
    }

    fn file(text: &str) -> String {
        let path = std::env::temp_dir().join(format!("jangbu-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    #[test]
    fn a_flag_goes_over_the_environment_and_that_over_the_file() {
        let path = file(
            "kafka = 'file'\nregistry = 'file'\nopensearch = 'file'\nmysql = 'mysql://u:pw@h/d'\n\
             wait_ms = 7\nprojections = ['a', 'b']\n[keys]\ndemo = 'demo-key'\n",
        );
        let environment = [("JANGBU_CONFIG", path.as_str()), ("JANGBU_REGISTRY", "environment")];
        let flags = ["--opensearch=flag", "--kafka", "flag", "--dry-run"];
        let (config, given) = merge(&flags, &environment).unwrap();
        let taken = (config.kafka.as_str(), config.registry.as_str(), config.wait_ms);
        assert_eq!(taken, ("flag", "environment", 7));
        assert_eq!(*config.projections, ["a", "b"]);
        assert_eq!(config.keys.mall_of("demo-key").map(|mall| mall.as_str()), Some("demo"));
        assert_eq!(config.batch_max, 4000);
        assert!(given.has("dry-run"));
        assert_eq!(&*config.mysql, "mysql://u:pw@h/d");
        let shown = format!("{config:?}");
        assert!(!shown.contains("pw") && !shown.contains("demo-key"), "{shown}");
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_source() {
        let path = file("wait_ms = 'soon'\nkafak = 'x'\n[keys]\nDemo = 'secret'\n");
        let told = merge(&["--config", &path, "--bogus", "--http=here", "stray"], &[]).unwrap_err();
        for part in ["wait_ms", "kafak", "--bogus", "--http", "stray", "--kafka", "keys", &path] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
        assert!(!told.contains("secret"), "{told}");
    }

    #[test]
    fn help_names_the_flags_and_the_settings_that_are_used() {
        let help = USAGE.help();
        for part in ["--kafka", "JANGBU_KAFKA", "--dry-run", "--batch-max", "4000", "--config"] {
            assert!(help.contains(part), "{part} is not in: {help}");
        }
        assert!(!help.contains("--replication"), "{help}");
    }
}
