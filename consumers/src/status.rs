//! `jangbu status`: who reads what, how far behind, and what is wrong, on one screen.

use std::{
    fmt,
    io::{Write, stdout},
};

use projections::search::{Following, Search};
use schemas::{CATALOG, DEAD_LETTERS};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::{
    config::{Config, Flag, Given, Usage},
    dead_letters,
    screen::{Align, table},
    standing::{self, At, Log, Standing},
};

/// What `jangbu status` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu status: who reads what, how far behind, and what is wrong. Ends with 1 where \
            something is.",
    settings: &[],
    flags: &[
        Flag { name: "partitions", value: None, meaning: "A row for each partition." },
        Flag { name: "json", value: None, meaning: "As JSON." },
    ],
};

/// Behind for longer than this is a problem.
const LATE: f64 = 10.0;

/// The state of a running system, as far as its servers answer.
#[derive(Debug, Default, Serialize)]
pub struct Status {
    /// The handler, the projections, and the search index.
    pub readers: Vec<Standing>,
    /// Brands whose name has not reached all search documents.
    pub fan_outs: u64,
    /// How far those brands have come, the oldest ones where they are many.
    pub following: Vec<Following>,
    /// Topic, partition and records held back, of each open transaction.
    pub open_transactions: Vec<(&'static str, i32, i64)>,
    /// What somebody should look at.
    pub problems: Vec<String>,
}

/// Looks once. What cannot be seen, because a server does not answer, is among the problems.
///
/// # Errors
/// When the settings cannot be used.
pub fn look(config: &Config) -> anyhow::Result<Status> {
    let (runtime, log, mut status) = (Runtime::new()?, Log::of(config)?, Status::default());
    let search = Search::new(&config.opensearch)?;
    let kafka = status.heard("Kafka does not answer", log.answers());
    let mysql = runtime.block_on(standing::read_models(config));
    let mysql = status.heard("MySQL does not answer", mysql);
    let live = runtime.block_on(search.live()).map_err(Into::into);
    let live = status.heard("OpenSearch does not answer", live);
    if kafka.is_none() {
        return Ok(status);
    }
    let handlers = log.handlers();
    let mut readers = status.heard("handler", handlers).unwrap_or_default();
    if let Some((db, tables)) = &mysql {
        let projections = runtime.block_on(standing::projections(db, tables));
        readers.extend(status.heard("projections", projections).into_iter().flatten());
        if let Some(Some(version)) = live {
            let index = runtime.block_on(standing::index(db, version));
            readers.extend(status.heard("search", index));
            let fan_outs = runtime.block_on(projections::search::fan_outs_left(db, version));
            status.fan_outs = status.heard("fan-outs", fan_outs.map_err(Into::into)).unwrap_or(0);
            let open = runtime.block_on(projections::search::following(db, tables, version));
            let open = status.heard("fan-outs", open.map_err(Into::into));
            status.following = open.unwrap_or_default();
        }
    }
    for reader in &readers {
        let standing = status.heard(reader.name, log.standing(reader));
        status.readers.extend(standing);
    }
    let problems: Vec<String> = status.readers.iter().flat_map(problems_of).collect();
    status.problems.extend(problems);
    status.look_aside(&log);
    Ok(status)
}

/// Runs the command; whether nothing is wrong.
///
/// # Errors
/// When the settings cannot be used.
pub fn run(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let status = look(config)?;
    if given.has("json") {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&status)?)?;
    } else if given.has("partitions") {
        write!(stdout(), "{}", status.by_partition())?;
    } else {
        write!(stdout(), "{status}")?;
    }
    Ok(status.problems.is_empty())
}

fn problems_of(reader: &Standing) -> Vec<String> {
    let name = reader.name;
    let mut problems = vec![];
    let is_owned = |at: &&At| reader.owners.iter().any(|o| o.partitions.contains(&at.partition));
    let orphans: Vec<i32> =
        reader.partitions.iter().filter(|at| !is_owned(at)).map(|at| at.partition).collect();
    if reader.owners.is_empty() {
        problems.push(format!("{name}: nobody reads it"));
    } else if !orphans.is_empty() {
        problems.push(format!("{name}: nobody owns partitions {orphans:?}"));
    }
    for at in &reader.partitions {
        if at.beyond {
            problems.push(format!("{name} {}: stands beyond the end of its log", at.partition));
        }
        if at.seconds > LATE {
            problems.push(format!("{name} {}: {:.0} s behind", at.partition, at.seconds));
        }
    }
    problems
}

impl Status {
    /// An answer; what went wrong instead is a problem.
    fn heard<T>(&mut self, of: &str, answer: anyhow::Result<T>) -> Option<T> {
        answer.map_err(|error| self.problems.push(format!("{of}: {error:#}"))).ok()
    }

    /// What lies in the log beside what is read.
    fn look_aside(&mut self, log: &Log) {
        let open = self.heard("open transactions", log.open_transactions());
        self.open_transactions = open.unwrap_or_default();
        let dead = self.heard(DEAD_LETTERS.name, dead_letters::open(&log.tail)).unwrap_or_default();
        if dead > 0 {
            let problem = format!("{dead} dead letters; `jangbu dead-letters list` shows them");
            self.problems.push(problem);
        }
    }

    fn by_partition(&self) -> String {
        let head = [
            ("READER", Align::Left),
            ("PARTITION", Align::Right),
            ("RECORDS BEHIND", Align::Right),
            ("LAG s", Align::Right),
            ("OWNER", Align::Left),
        ];
        let row = |reader: &Standing, at: &At| {
            let owner = reader.owners.iter().find(|o| o.partitions.contains(&at.partition));
            vec![
                called(reader),
                at.partition.to_string(),
                at.behind.to_string(),
                format!("{:.1}", at.seconds),
                owner.map_or("-".to_owned(), |owner| format!("{}@{}", owner.client, owner.host)),
            ]
        };
        let rows = self.readers.iter().flat_map(|r| r.partitions.iter().map(move |at| row(r, at)));
        table(&head, &rows.collect::<Vec<_>>()) + &self.rest()
    }

    fn rest(&self) -> String {
        let mut text = String::new();
        for (topic, partition, held) in &self.open_transactions {
            text += &format!("open transaction: {topic} {partition}, {held} records\n");
        }
        if self.fan_outs > 0 {
            text += &format!("fan-outs: {} brands on their way to the search\n", self.fan_outs);
        }
        text.extend(self.following.iter().map(line));
        if self.problems.is_empty() {
            return text + "no problems\n";
        }
        text += "problems\n";
        self.problems.iter().fold(text, |text, problem| text + "  " + problem + "\n")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            ("READER", Align::Left),
            ("RECORDS BEHIND", Align::Right),
            ("LAG s", Align::Right),
            ("OWNERS: name-pid@host (partitions)", Align::Left),
        ];
        let row = |reader: &Standing| {
            let owners = reader.owners.iter();
            let owners =
                owners.map(|o| format!("{}@{} ({})", o.client, o.host, o.partitions.len()));
            vec![
                called(reader),
                reader.behind().to_string(),
                format!("{:.1}", reader.seconds()),
                owners.collect::<Vec<_>>().join(" "),
            ]
        };
        let rows: Vec<_> = self.readers.iter().map(row).collect();
        if !rows.is_empty() {
            f.write_str(&table(&head, &rows))?;
        }
        f.write_str(&self.rest())
    }
}

/// Which brand, and how far it has come.
fn line(of: &Following) -> String {
    let Following { brand_id, mall, name, partition, since, done, products } = of;
    let (name, topic) = (name.as_deref().unwrap_or("without a name"), CATALOG.events.name);
    let from = format!("{topic} {partition}.{since}");
    format!("  {name} ({brand_id} of {mall}): {done} of {products} products, since {from}\n")
}

fn called(reader: &Standing) -> String {
    reader.version.map_or(reader.name.to_owned(), |version| format!("{} v{version}", reader.name))
}
