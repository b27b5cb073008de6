//! Filling a version of the index from the rows of the read models.

use std::{
    io::{Write, stdout},
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use projections::{
    Error, Pool, Tables, Version,
    search::{self, Claimed, IndexVersion, Layout, PROJECTION, Search, Source, Written},
    version,
};
use schemas::CATALOG;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::Mutex, task::JoinSet};

use super::{super::LATE, open};
use crate::{
    config::{Config, Given},
    faults, indexer,
    screen::Progress,
    shutdown::{Shutdown, shutdown_signal},
    standing::{self, Log},
};

/// Products whose documents are written as of one moment.
const PIECE: u32 = 1000;
/// So many read, make documents and send them at once.
const WRITERS: u32 = 4;
/// A writer holds the lock of its piece, and reads beside it.
pub(super) const CONNECTIONS: u32 = 2 * WRITERS + 2;
const LOOK: Duration = Duration::from_millis(250);
/// How often machines are told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a writer pauses after a failure.
const AGAIN: Duration = Duration::from_millis(500);
/// When one that has nothing to write first looks whether others have written what they began.
const LOOK_AT_OTHERS: Duration = Duration::from_millis(50);
/// Failures in a row after which it is given up.
const PATIENCE: u32 = 20;

/// Fills a version; whether that came to its end before a stop was asked for.
pub(in super::super) fn start(config: &Config, given: &Given) -> anyhow::Result<bool> {
    faults::arm()?;
    let shutdown = shutdown_signal()?;
    let throttle = given.value(super::super::THROTTLE.name).map(str::parse::<NonZeroU32>);
    let throttle = throttle.transpose().context("--throttle: a number above 0")?;
    let (runtime, db, search) = open(config)?;
    let log = Log::of(config)?;
    let Some((known, source)) = runtime.block_on(begin(config, given, &db, &search, &log))? else {
        return Ok(true);
    };
    let (number, tables) = (known.version, source.tables());
    let teller = Teller { version: number, machines: given.has("json") };
    teller.say(&format!("filling version {number}"))?;
    let began = Instant::now();
    let pace = throttle.map(|throttle| Pace { throttle, next: Mutex::new(began) });
    let filling = Arc::new(Filling { db, search, version: number, tables, pace });
    if !filling.fill(&runtime, &known, &teller, &shutdown)? {
        teller.say("stopped; started again it goes on where it was")?;
        teller.tell(json!({ "result": "stopped" }))?;
        return Ok(false);
    }
    runtime.block_on(async {
        let live = filling.search.live().await?;
        let layout = layout(config, &filling.search, live).await?;
        anyhow::Ok(filling.search.open(number, layout).await?)
    })?;
    runtime.block_on(search::complete(&filling.db, number))?;
    let written = runtime.block_on(filling.known())?.written;
    let (new, seconds) = (written - known.written, began.elapsed().as_secs_f64());
    let rate = rate(new, began);
    teller
        .say(&format!("version {number} is full: {new} documents in {seconds:.1} s, {rate}/s"))?;
    teller.tell(json!({ "written": written, "of_about": written, "rate": rate, "full": true }))?;
    let result = filling.until_level(&runtime, &log, &teller, &shutdown)?;
    teller.tell(json!({ "result": result, "written": written, "seconds": seconds }))?;
    // It is full in any case.
    Ok(true)
}

/// Tells people in words, or machines in JSON.
struct Teller {
    version: i32,
    machines: bool,
}

impl Teller {
    fn say(&self, text: &str) -> anyhow::Result<()> {
        if !self.machines {
            writeln!(stdout(), "{PROJECTION}: {text}")?;
        }
        Ok(())
    }

    fn tell(&self, mut told: Value) -> anyhow::Result<()> {
        if self.machines {
            told["projection"] = PROJECTION.into();
            told["version"] = self.version.into();
            writeln!(stdout(), "{told}")?;
        }
        Ok(())
    }
}

/// The version to fill, and what it is made of; none where it is full. One that was begun goes on,
/// else the next one is made.
async fn begin(
    config: &Config,
    given: &Given,
    db: &Pool,
    search: &Search,
    log: &Log,
) -> anyhow::Result<Option<(IndexVersion, Source)>> {
    let _alone = search::alone(db).await?;
    let live = search.live().await?;
    let is_beside = |known: &IndexVersion| known.ours && Some(known.version) != live;
    let mut begun = search::versions(db).await?.into_iter().rfind(is_beside);
    if begun.is_none() {
        let topic_id = log.topic_ids(&[CATALOG.events.name])?.concat();
        let source = Source::of(made_of(given, &version::all(db).await?, db).await?, &topic_id);
        let mut number = search::next_number(db).await?;
        // Where a backup was restored there may be indices that MySQL knows nothing of.
        while search.source(number).await?.is_some() {
            number += 1;
        }
        search.create_bare(number, &source, layout(config, search, live).await?).await?;
        // That of whoever made it.
        let source = search.source(number).await?.unwrap_or(source);
        search::begin(db, number, &source).await?;
        begun = search::versions(db).await?.into_iter().find(|known| known.version == number);
    }
    let known = begun.context("the version that was begun is gone")?;
    let number = known.version;
    let source = search.source(number).await?;
    let source = source.with_context(|| format!("the index of {PROJECTION} {number} is gone"))?;
    for (name, is) in [("products", source.products), ("directory", source.directory)] {
        let asked = asked(given, name)?.unwrap_or(is);
        ensure!(asked == is, "{PROJECTION} {number} is made of {name} {is}: drop it first");
    }
    if known.ready {
        let teller = Teller { version: number, machines: given.has("json") };
        teller.say(&format!("version {number} is full; for yet another one drop it first"))?;
        teller.tell(json!({ "result": "already_full" }))?;
        return Ok(None);
    }
    Ok(Some((known, source)))
}

/// As many shards and copies as it is told, and else as the live one has: whoever starts this need not
/// know what the indexers were told.
async fn layout(config: &Config, search: &Search, live: Option<i32>) -> anyhow::Result<Layout> {
    let (told, unsaid) = (indexer::layout(config), Layout::default());
    let Some(live) = live else { return Ok(told) };
    let of_live = search.layout(live).await?;
    let of = |told: u32, unsaid: u32, live: u32| if told == unsaid { live } else { told };
    Ok(Layout {
        shards: of(told.shards, unsaid.shards, of_live.shards),
        replicas: of(told.replicas, unsaid.replicas, of_live.replicas),
        ..told
    })
}

/// The versions of products and directory: those that were asked for, else the active ones.
async fn made_of(given: &Given, known: &[Version], db: &Pool) -> anyhow::Result<(i32, i32)> {
    let tables = Tables::active(db).await?;
    let of = |name: &str| -> anyhow::Result<i32> {
        let version = asked(given, name)?.unwrap_or_else(|| tables.version(name));
        let mut of_it = known.iter().filter(|known| known.projection == name);
        let is_level = of_it.any(|known| known.version == version && known.ours && known.ready);
        ensure!(is_level, Error::NotReady(format!("{name} {version}")));
        Ok(version)
    };
    Ok((of("products")?, of("directory")?))
}

fn asked(given: &Given, name: &str) -> anyhow::Result<Option<i32>> {
    given.value(name).map(str::parse).transpose().with_context(|| format!("--{name} N"))
}

/// How many pieces there are still to be written, about.
pub(super) fn pieces_left(version: &IndexVersion) -> u64 {
    version.products.saturating_sub(version.written).div_ceil(PIECE.into()).max(version.pieces)
}

/// A version on its way.
struct Filling {
    db: Pool,
    search: Search,
    version: i32,
    tables: Tables,
    pace: Option<Pace>,
}

/// Keeps the writers of a process to so many products in a second.
struct Pace {
    throttle: NonZeroU32,
    /// When the next piece may be begun.
    next: Mutex<Instant>,
}

impl Filling {
    /// Writes pieces until there are none; whether it came to that.
    fn fill(
        self: &Arc<Self>,
        runtime: &Runtime,
        known: &IndexVersion,
        teller: &Teller,
        shutdown: &Shutdown,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        let left = known.products.saturating_sub(known.written);
        let (mut progress, mut told) = (Progress::begin(left)?, began);
        let filled = runtime.block_on(async {
            let mut writers = JoinSet::new();
            for _ in 0..WRITERS {
                let (filling, shutdown) = (Arc::clone(self), shutdown.clone());
                writers.spawn(async move { filling.write(&shutdown).await });
            }
            let (mut seen, mut written) = (known.written, known.written);
            while let Some(ended) = tokio::select! {
                ended = writers.join_next() => ended.map(Some),
                () = tokio::time::sleep(LOOK) => Some(None),
            } {
                ended.transpose()?.transpose()?;
                match self.known().await {
                    // The writers wait for it, and give up some day.
                    Err(error) if may_pass(&error) => {}
                    now => written = now?.written,
                }
                let new = written - known.written;
                let rate = rate(new, began);
                progress.pass(written - seen, || format!("{new} documents, {rate}/s"));
                seen = written;
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let of_about = known.products.max(written);
                    let seconds_left = (of_about - written).checked_div(rate);
                    teller.tell(json!({
                        "written": written, "of_about": of_about, "rate": rate, "seconds_left": seconds_left,
                    }))?;
                }
            }
            anyhow::Ok(!shutdown.requested())
        });
        progress.end();
        filled
    }

    async fn known(&self) -> anyhow::Result<IndexVersion> {
        let known = search::versions(&self.db).await?;
        let known = known.into_iter().find(|known| known.version == self.version);
        known.ok_or_else(|| Error::NotFilling(self.version).into())
    }

    /// Writes one piece after another. A failure is tried again: what was not noted as done is
    /// written once more, and documents may be.
    async fn write(&self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let (mut failures, mut look) = (0, LOOK_AT_OTHERS);
        while !shutdown.requested() {
            match self.piece(shutdown).await {
                Ok(Some(true)) => (failures, look) = (0, LOOK_AT_OTHERS),
                Ok(Some(false)) => {
                    tokio::time::sleep(look).await;
                    look = (look * 2).min(AGAIN);
                }
                Ok(None) => break,
                Err(error) => {
                    let is_over = matches!(error.downcast_ref(), Some(Error::NotFilling(_)));
                    failures += 1;
                    if is_over || failures >= PATIENCE {
                        return Err(error);
                    }
                    tracing::warn!(failures, error = format!("{error:#}"), "writing a piece");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        Ok(())
    }

    /// Writes a piece; false where others write all that is left, none where nothing is left.
    async fn piece(&self, shutdown: &Shutdown) -> anyhow::Result<Option<bool>> {
        let mut size = PIECE;
        if let Some(pace) = &self.pace {
            size = size.min(pace.throttle.get());
            tokio::select! { () = pace.wait(size) => {}, () = shutdown.wait() => return Ok(None) }
        }
        let piece = match search::claim(&self.db, &self.tables, self.version, size).await? {
            Claimed::Piece(piece) => piece,
            Claimed::Others => return Ok(Some(false)),
            Claimed::Nothing => return Ok(None),
        };
        let documents = piece.documents(&self.db, &self.tables).await?;
        faults::point("replay.before_bulk");
        let bulk = self.search.bulk(self.version, &documents).await?;
        for (versioned, written) in documents.iter().zip(&bulk.written) {
            if let Written::Refused(why) = written {
                let product = versioned.document.id;
                tracing::error!(%product, why, "a document is refused, and left out of the index");
            }
        }
        faults::point("replay.after_bulk");
        piece.done(documents.len()).await?;
        Ok(Some(true))
    }

    /// Waits until those who follow the log for it have read what was appended meanwhile; whether they
    /// have.
    fn until_level(
        &self,
        runtime: &Runtime,
        log: &Log,
        teller: &Teller,
        shutdown: &Shutdown,
    ) -> anyhow::Result<&'static str> {
        let (number, mut told) = (self.version, Instant::now());
        loop {
            let reader = standing::index(&self.db, number);
            let standing = log.standing(&runtime.block_on(reader)?)?;
            let behind = standing.seconds();
            if behind <= LATE {
                teller.say(&format!("version {number} is level with the log"))?;
                return Ok("level");
            } else if standing.owners.is_empty() {
                teller.say(&format!("no indexer follows the log for {number}"))?;
                return Ok("not_followed");
            } else if shutdown.requested() {
                return Ok("stopped");
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                teller.tell(json!({ "full": true, "lag_seconds": behind }))?;
            }
            shutdown.sleep(LOOK);
        }
    }
}

impl Pace {
    async fn wait(&self, products: u32) {
        let mut next = self.next.lock().await;
        let begin = Instant::now().max(*next);
        *next = begin + Duration::from_secs(products.into()) / self.throttle.get();
        drop(next);
        tokio::time::sleep_until(begin.into()).await;
    }
}

/// Whether it is MySQL that is away.
fn may_pass(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(Error::may_pass)
}

/// Documents in a second.
fn rate(documents: u64, began: Instant) -> u64 {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    documents.saturating_mul(1000) / millis
}
