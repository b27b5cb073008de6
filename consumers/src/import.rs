//! `jangbu import`: a file of products or of commands, sent through the bulk lane.
//!
//! Each command has a key that follows from the file alone, so a second run, or one after a kill,
//! meets the first decisions and adds nothing.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use domain::MallId;
use tokio::runtime;

use crate::config::{Flag, Given, Usage};

mod line;
mod ndjson;
mod report;
mod send;
mod shopify;

use line::{Line, Row};
use report::Report;
use send::Sender;

/// What `jangbu import` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu import FILE: sends products or commands; a second run adds nothing.",
    settings: &[],
    flags: &[
        Flag { name: "file", value: Some("FILE"), meaning: "What to send." },
        Flag { name: "format", value: Some("NAME"), meaning: "shopify or ndjson; by extension." },
        Flag { name: "api", value: Some("URL"), meaning: "Default http://127.0.0.1:8080." },
        Flag { name: "mall", value: Some("MALL"), meaning: "Whose; default demo." },
        Flag { name: "key", value: Some("KEY"), meaning: "The mall's key (JANGBU_KEY)." },
        Flag { name: "currency", value: Some("CODE"), meaning: "Of a CSV's prices; default USD." },
        Flag { name: "observed-at", value: Some("TIME"), meaning: "When a CSV was so." },
        Flag { name: "patience", value: Some("SECONDS"), meaning: "Without progress; 600." },
    ],
};

/// What one request holds, at most.
const PIECE_LINES: usize = 4000;
const PIECE_BYTES: usize = 8 << 20;

/// The pause before what was not decided is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the command; false where a row was refused.
///
/// # Errors
/// When the file cannot be read, or the api takes nothing for as long as it was given.
pub fn run(given: &Given) -> anyhow::Result<bool> {
    let file = given.value("file").context("which file? jangbu import FILE")?;
    let mall: MallId = given.value("mall").unwrap_or("demo").parse().context("--mall")?;
    let patience = given.value("patience").map(str::parse).transpose();
    let patience = Duration::from_secs(patience.context("--patience SECONDS")?.unwrap_or(600));
    let rows = open(Path::new(file), given, &mall)?;
    let key = given.value("key").map(str::to_owned).or_else(|| std::env::var("JANGBU_KEY").ok());
    let key = key.context("whose key? give --key or JANGBU_KEY")?;
    let sender = Sender::new(given.value("api").unwrap_or("http://127.0.0.1:8080"), &mall, key)?;
    let length = std::fs::metadata(file)?.len();
    let refused = PathBuf::from(format!("{file}.refused.ndjson"));
    let mut report = Report::begin(refused, length)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(import(rows, &sender, &mut report, patience))?;
    report.end()
}

type Rows = Box<dyn Iterator<Item = anyhow::Result<Row>>>;

fn open(file: &Path, given: &Given, mall: &MallId) -> anyhow::Result<Rows> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let format = given.value("format").or(match extension {
        Some("csv") => Some("shopify"),
        Some("ndjson" | "jsonl") => Some("ndjson"),
        _ => None,
    });
    match format {
        Some("shopify") => Ok(Box::new(shopify::Shopify::open(file, given, mall.clone())?)),
        Some("ndjson") => Ok(Box::new(ndjson::open(file)?)),
        Some(other) => bail!("--format {other}: there are shopify and ndjson"),
        None => bail!("{}: say its --format, shopify or ndjson", file.display()),
    }
}

/// One request after the other, so that commands to one aggregate keep their order. What was not
/// decided goes again, before the rest.
async fn import(
    mut rows: Rows,
    sender: &Sender,
    report: &mut Report,
    patience: Duration,
) -> anyhow::Result<()> {
    let mut open: Vec<Line> = vec![];
    let mut progress = Instant::now();
    loop {
        fill(&mut open, &mut rows, report)?;
        if open.is_empty() {
            return Ok(());
        }
        let sent = open.len();
        let attempt = sender.send(open, report).await;
        let failure = match attempt {
            Ok(rest) => {
                open = rest;
                None
            }
            Err(send::Failed { error, is_final: true, .. }) => return Err(error),
            Err(send::Failed { rest, error, .. }) => {
                open = rest;
                report.wait(&error);
                Some(error)
            }
        };
        if open.len() < sent {
            progress = Instant::now();
        } else if progress.elapsed() > patience {
            let why = failure.unwrap_or_else(|| anyhow::anyhow!("nothing is decided"));
            return Err(why.context("given up; run it again, and it goes on where it is"));
        }
        if !open.is_empty() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn fill(open: &mut Vec<Line>, rows: &mut Rows, report: &mut Report) -> anyhow::Result<()> {
    let mut bytes: usize = open.iter().map(|line| line.text.len()).sum();
    while open.len() < PIECE_LINES && bytes < PIECE_BYTES {
        let Some(row) = rows.next() else { return Ok(()) };
        match row? {
            Row::Line(line) => {
                bytes += line.text.len();
                open.push(line);
            }
            Row::Refused(refused) => report.refuse(&refused)?,
            Row::LeftOut(what) => report.leave_out(what),
        }
    }
    Ok(())
}
