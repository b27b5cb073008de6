//! `jangbu status`: who reads what, how far behind, and what is wrong, on one screen.

use std::{
    fmt,
    io::{Write, stdout},
};

use schemas::DEAD_LETTERS;
use serde::Serialize;

use crate::{
    config::{Config, Flag, Given, Usage},
    screen::{Align, table},
    standing::{At, Observer, Standing},
};

/// What `jangbu status` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu status: who reads what, how far behind, and what is wrong.",
    flags: &[
        Flag { name: "partitions", value: None, meaning: "A row for each partition." },
        Flag { name: "json", value: None, meaning: "As JSON." },
    ],
};

/// Behind for longer than this is a problem.
const LATE: f64 = 10.0;

/// The state of a running system.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The handler, the projections, and the search index.
    pub readers: Vec<Standing>,
    /// Brands whose name has not reached all search documents.
    pub fan_outs: u64,
    /// Topic, partition and records held back, of each open transaction.
    pub open_transactions: Vec<(&'static str, i32, i64)>,
    /// What somebody should look at.
    pub problems: Vec<String>,
}

/// Looks once.
///
/// # Errors
/// When a server does not answer.
pub fn look(observer: &Observer) -> anyhow::Result<Status> {
    let readers = observer.standings()?;
    let mut problems: Vec<String> = readers.iter().flat_map(problems_of).collect();
    let mut dead = 0;
    for partition in 0..DEAD_LETTERS.partitions {
        let bounds = observer.tail.bounds(DEAD_LETTERS.name, partition)?;
        dead += i64::from(observer.unread(DEAD_LETTERS.name, partition, bounds)?.is_some());
    }
    if dead > 0 {
        problems.push(format!("dead letters in {dead} partitions of {}", DEAD_LETTERS.name));
    }
    let fan_outs = observer.fan_outs()?;
    Ok(Status { readers, fan_outs, open_transactions: observer.open_transactions()?, problems })
}

/// Runs the command.
///
/// # Errors
/// When a server does not answer.
pub fn run(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let status = look(&Observer::open(config)?)?;
    if given.has("json") {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&status)?)?;
    } else if given.has("partitions") {
        write!(stdout(), "{}", status.by_partition())?;
    } else {
        write!(stdout(), "{status}")?;
    }
    Ok(true)
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
    fn by_partition(&self) -> String {
        let head = [
            ("READER", Align::Left),
            ("PARTITION", Align::Right),
            ("NEXT", Align::Right),
            ("END", Align::Right),
            ("BEHIND", Align::Right),
            ("LAG s", Align::Right),
            ("OWNER", Align::Left),
        ];
        let row = |reader: &Standing, at: &At| {
            let owner = reader.owners.iter().find(|o| o.partitions.contains(&at.partition));
            vec![
                called(reader),
                at.partition.to_string(),
                at.next.to_string(),
                at.end.to_string(),
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
            ("NEXT", Align::Right),
            ("END", Align::Right),
            ("BEHIND", Align::Right),
            ("LAG s", Align::Right),
            ("OWNERS (partitions)", Align::Left),
        ];
        let row = |reader: &Standing| {
            let sum = |of: fn(&At) -> i64| reader.partitions.iter().map(of).sum::<i64>();
            let owners = reader.owners.iter();
            let owners =
                owners.map(|o| format!("{}@{} ({})", o.client, o.host, o.partitions.len()));
            vec![
                called(reader),
                sum(|at| at.next).to_string(),
                sum(|at| at.end).to_string(),
                reader.behind().to_string(),
                format!("{:.1}", reader.seconds()),
                owners.collect::<Vec<_>>().join(" "),
            ]
        };
        let rows: Vec<_> = self.readers.iter().map(row).collect();
        f.write_str(&table(&head, &rows))?;
        f.write_str(&self.rest())
    }
}

fn called(reader: &Standing) -> String {
    reader.version.map_or(reader.name.to_owned(), |version| format!("{} v{version}", reader.name))
}
