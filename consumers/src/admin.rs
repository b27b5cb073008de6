//! Topics, schemas and start offsets, made at deploy and never at run time.
//!
//! What is there is compared with what this build needs; the difference is shown, then applied.

use std::{
    fmt::{self, Write as _},
    io::{IsTerminal, Write, stderr, stdin, stdout},
};

use anyhow::bail;

use crate::{
    config::{Config, Flag, Given, Usage},
    log::Kafka,
};

pub mod migrate;
mod schemas;
mod starts;
mod topics;

pub(crate) use topics::kept_for;

/// What `jangbu topics apply` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu topics apply: makes topics, schemas and start offsets as this build needs them.",
    settings: &["replication"],
    flags: &[
        Flag { name: "dry-run", value: None, meaning: "Only show what would change." },
        Flag { name: "yes", value: None, meaning: "Do not ask before changing anything." },
    ],
};

/// Whether differences are applied or only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Report only.
    DryRun,
    /// Report and apply; nothing is applied while anything is refused.
    Apply,
}

/// One difference between what is there and what this build needs.
#[derive(Clone, Debug)]
pub enum Change {
    /// A topic is missing.
    CreateTopic {
        /// Its name.
        topic: &'static str,
        /// How many partitions it gets, for ever.
        partitions: i32,
        /// Its settings.
        settings: Vec<(&'static str, String)>,
    },
    /// Settings of a topic differ.
    Configure {
        /// Its name.
        topic: &'static str,
        /// Name, present value and new value of each that differs.
        settings: Vec<(&'static str, String, String)>,
    },
    /// The registry checks less than it should.
    Compatibility {
        /// What it checks now.
        present: String,
    },
    /// A schema is not registered.
    Register {
        /// Its subject.
        subject: String,
        /// How many versions the subject has.
        versions: usize,
    },
    /// A group has not been told where to start.
    Start {
        /// The group.
        group: String,
        /// The topic that it will subscribe to.
        topic: &'static str,
        /// The partitions without an offset.
        partitions: Vec<i32>,
    },
}

/// What was found, and whether it was applied.
#[derive(Debug, Default)]
pub struct Report {
    /// What differs, in the order of application.
    pub changes: Vec<Change>,
    /// What differs and cannot be mended by this tool.
    pub refusals: Vec<String>,
    /// What will hurt one day, and only an operator can mend.
    pub warnings: Vec<String>,
}

/// Compares, and in [`Mode::Apply`] applies.
///
/// # Errors
/// When a server does not answer, or refuses a change.
pub async fn apply(config: &Config, mode: Mode) -> anyhow::Result<Report> {
    let report = compare(config).await?;
    if mode == Mode::Apply && report.refusals.is_empty() {
        carry_out(config, &report).await?;
    }
    Ok(report)
}

/// Runs the command: shows the differences, asks, applies. Returns whether all is well.
///
/// # Errors
/// When a server does not answer, or refuses a change.
pub async fn run(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let report = compare(config).await?;
    write!(stdout(), "{report}")?;
    if !report.refusals.is_empty() {
        return Ok(false);
    }
    if report.changes.is_empty() || given.has("dry-run") || !confirmed(given)? {
        return Ok(true);
    }
    carry_out(config, &report).await?;
    writeln!(stdout(), "done")?;
    Ok(true)
}

async fn compare(config: &Config) -> anyhow::Result<Report> {
    let (kafka, mut report) = (kafka(config), Report::default());
    topics::compare(&kafka, config.replication, &mut report).await?;
    schemas::compare(&config.registry, &mut report).await?;
    starts::compare(&kafka, &mut report)?;
    Ok(report)
}

async fn carry_out(config: &Config, report: &Report) -> anyhow::Result<()> {
    let kafka = kafka(config);
    for change in &report.changes {
        match change {
            Change::CreateTopic { .. } | Change::Configure { .. } => {
                topics::carry_out(&kafka, config.replication, change).await?;
            }
            Change::Compatibility { .. } | Change::Register { .. } => {
                schemas::carry_out(&config.registry, change).await?;
            }
            Change::Start { group, topic, partitions } => {
                starts::commit(&kafka, group, topic, partitions)?;
            }
        }
        tracing::debug!(%change, "applied");
    }
    Ok(())
}

fn kafka(config: &Config) -> Kafka {
    Kafka::of("tool", &config.kafka)
}

fn confirmed(given: &Given) -> anyhow::Result<bool> {
    if given.has("yes") {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        bail!("nobody to ask: give --yes to apply, or --dry-run to look");
    }
    write!(stderr(), "apply? [y/N] ")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))?;
        if self.changes.is_empty() && self.refusals.is_empty() {
            return writeln!(f, "nothing to change");
        }
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))?;
        self.refusals.iter().try_for_each(|refusal| writeln!(f, "refused: {refusal}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTopic { topic, partitions, settings } => {
                let mut list = String::new();
                for (name, value) in settings {
                    write!(list, " {name}={value}")?;
                }
                write!(f, "+ topic {topic}, {partitions} partitions,{list}")
            }
            Self::Configure { topic, settings } => {
                write!(f, "~ topic {topic}:")?;
                settings.iter().try_for_each(|(name, old, new)| write!(f, " {name} {old} -> {new}"))
            }
            Self::Compatibility { present } => {
                write!(f, "~ registry: compatibility {present:?} -> {}", schemas::COMPATIBILITY)
            }
            Self::Register { subject, versions: 0, .. } => write!(f, "+ schema {subject}"),
            Self::Register { subject, versions, .. } => {
                write!(f, "~ schema {subject}: version {}", versions + 1)
            }
            Self::Start { group, topic, partitions } => {
                write!(f, "+ start of {group} on {topic} at 0, partitions {partitions:?}")
            }
        }
    }
}
