//! `jangbu replay`: versions of projections, filled from the log beside the one that is read, made
//! the active one, and dropped.

use std::io::{Write, stdout};

use anyhow::{Context as _, bail, ensure};
use projections::{AnyProjection, Error, Pool, Version, known, named, version};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    config::{Config, Flag, Given, Usage},
    screen::{Align, table},
    standing::{self, Log, Standing},
};

mod compare;
mod copy;
mod course;
mod fill;
mod index;
mod meet;

pub use compare::COMPARE;
pub(crate) use compare::{beside, told};
pub(crate) use index::beside as indexes_beside;

const PROJECTION: Flag = Flag {
    name: "projection",
    value: Some("NAME"),
    meaning: "Its name, such as products, or search; or as a word.",
};
const VERSION: Flag = Flag { name: "version", value: Some("N"), meaning: "The version." };

const THROTTLE: Flag = Flag {
    name: "throttle",
    value: Some("N"),
    meaning: "Records in a second, at most, for each process that fills it; more than are written.",
};

const PARTITIONS: Flag = Flag {
    name: "partitions",
    value: Some("0,2,4"),
    meaning: "Fill only these, whoever fills the others; with --follow, until those are level, too.",
};

/// What is further behind than so many seconds is not swapped in.
const LATE: f64 = 10.0;

const PRODUCTS: Flag = Flag {
    name: "products",
    value: Some("N"),
    meaning: "The version of products of which a version of search is made; default the active one.",
};
const DIRECTORY: Flag =
    Flag { name: "directory", value: Some("N"), meaning: "The same of directory." };

/// What `jangbu replay start` takes.
pub const START: Usage = Usage {
    about: "jangbu replay start PROJECTION: fills a version of it from the log, beside the others.\n\n\
            It is level when it has what the log held a moment ago. From then on projectors of the \
            same build feed it as well, and processes of a build that cannot read the active one \
            read this one. Started again it goes on where it was; several share the partitions. For \
            yet another version, drop this one first.\n\n\
            A version of the search index is filled from the rows of products and directory. Indexers \
            follow the log for it from the beginning, so it is level soon after it is full. It takes \
            neither --follow nor --partitions nor --from-snapshot.",
    settings: &["mysql_connections", "search_shards", "search_replicas"],
    flags: &[
        PROJECTION,
        THROTTLE,
        Flag {
            name: "follow",
            value: None,
            meaning: "Go on feeding it when it is level, until asked to stop.",
        },
        PARTITIONS,
        Flag {
            name: "from-snapshot",
            value: None,
            meaning: "Begin with a copy of the active one, which must be of this build's shape.",
        },
        Flag {
            name: "json",
            value: None,
            meaning: "Each second a line of JSON for each partition, or for the index, and a last one.",
        },
        PRODUCTS,
        DIRECTORY,
    ],
};

/// What `jangbu replay status` takes.
pub const STATUS: Usage = Usage {
    about: "jangbu replay status: which versions of projections there are, and how far they are.",
    settings: &[],
    flags: &[Flag { name: "json", value: None, meaning: "A line of JSON for each version." }],
};

/// What `jangbu replay swap` takes.
pub const SWAP: Usage = Usage {
    about: "jangbu replay swap PROJECTION --version N: makes a version the active one, once it has \
            what that one shows. The way back is the same.",
    settings: &[],
    flags: &[PROJECTION, VERSION],
};

/// What `jangbu replay rollback` takes.
pub const ROLLBACK: Usage = Usage {
    about: "jangbu replay rollback PROJECTION: makes the earlier version that is kept the active one \
            again. Where several are kept, swap takes the one that is meant.",
    settings: &[],
    flags: &[PROJECTION],
};

/// What `jangbu replay drop` takes.
pub const DROP: Usage = Usage {
    about: "jangbu replay drop PROJECTION --version N: drops a version that is not active.\n\n\
            Handlers go on with the version that they began with: start those again first that have \
            not been since the swap. One that a version of the search index is made of is kept.",
    settings: &[],
    flags: &[PROJECTION, VERSION],
};

/// Fills a version.
///
/// # Errors
/// When a server refuses or does not answer, or the feeding ends by itself.
pub fn start(config: &Config, given: &Given) -> anyhow::Result<bool> {
    if index::is_meant(given) {
        refuse(given, &["follow", "partitions", "from-snapshot"])?;
        return index::start(config, given);
    }
    projection(given)?;
    refuse(given, &[PRODUCTS.name, DIRECTORY.name])?;
    fill::start(config, given)
}

/// That none of `flags` is given, which mean something elsewhere only.
fn refuse(given: &Given, flags: &[&str]) -> anyhow::Result<()> {
    let meant = given.value(PROJECTION.name).unwrap_or_default();
    match flags.iter().find(|flag| given.has(flag)) {
        Some(flag) => bail!("--{flag} means nothing for {meant}"),
        None => Ok(()),
    }
}

/// Compares a version with the active one, or another.
///
/// # Errors
/// When one of them is not there, a server does not answer, or the two never stand at the same place.
pub fn compare(config: &Config, given: &Given) -> anyhow::Result<bool> {
    if index::is_meant(given) {
        refuse(given, &["sample", "malls"])?;
        return index::compare(config, given);
    }
    compare::compare(config, given)
}

/// Shows every version.
///
/// # Errors
/// When a server does not answer.
pub fn status(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let (runtime, db, versions) = open(config)?;
    let log = Log::of(config)?;
    let head = [
        ("PROJECTION", Align::Left),
        ("VERSION", Align::Right),
        ("STATE", Align::Left),
        ("RECORDS BEHIND", Align::Right),
        ("FED BY: name-pid@host (partitions)", Align::Left),
    ];
    let mut all = vec![];
    for version in versions.iter().filter(|version| !version.dropped) {
        let projection = named(version.projection).context("a projection")?;
        let reader = standing::version_of(&db, projection, version.version);
        let standing = log.standing(&runtime.block_on(reader)?)?;
        let Version { ours, ready, active, .. } = *version;
        all.push(Told { state: state(version), active, ready, ours, standing });
    }
    // A team's own tool knows nothing of ours.
    if index::is_ours() {
        all.extend(runtime.block_on(index::told(config, &db, &log))?);
    }
    if given.has("json") {
        all.iter().try_for_each(|told| writeln!(stdout(), "{}", told.json()))?;
    } else {
        let rows: Vec<_> = all.iter().map(Told::row).collect();
        write!(stdout(), "{}", table(&head, &rows))?;
    }
    Ok(true)
}

/// What is told of a version.
struct Told {
    state: String,
    active: bool,
    ready: bool,
    ours: bool,
    standing: Standing,
}

impl Told {
    fn json(&self) -> Value {
        let standing = &self.standing;
        json!({ "projection": standing.name, "version": standing.version, "state": self.state,
            "active": self.active, "ready": self.ready, "of_this_build": self.ours,
            "behind": standing.behind(), "lag_seconds": standing.seconds(),
            "owners": standing.owners, "partitions": standing.partitions })
    }

    fn row(&self) -> Vec<String> {
        let owners = self.standing.owners.iter();
        let owners = owners.map(|o| format!("{}@{} ({})", o.client, o.host, o.partitions.len()));
        let standing = &self.standing;
        vec![
            standing.name.to_string(),
            standing.version.map(|number| number.to_string()).unwrap_or_default(),
            self.state.clone(),
            standing.behind().to_string(),
            owners.collect::<Vec<_>>().join(" "),
        ]
    }
}

fn state(version: &Version) -> String {
    let level = if version.ready { "ready" } else { "filling" };
    let state = if version.active { "active" } else { level };
    if version.copying {
        return "being copied".to_owned();
    }
    if version.ours { state.to_owned() } else { format!("{state}, of another build") }
}

/// Makes a version the active one.
///
/// # Errors
/// When it is not ready, or MySQL refuses or does not answer.
pub fn swap(config: &Config, given: &Given) -> anyhow::Result<bool> {
    if index::is_meant(given) {
        return index::swap(config, number(given)?);
    }
    swap_to(config, projection(given)?, number(given)?)
}

/// Makes the earlier version that is kept the active one again.
///
/// # Errors
/// As [`swap`], and when none or several are kept.
pub fn rollback(config: &Config, given: &Given) -> anyhow::Result<bool> {
    if index::is_meant(given) {
        return index::rollback(config);
    }
    let projection = projection(given)?;
    let (_, _, versions) = open(config)?;
    let of_it = versions.iter().filter(|known| known.projection == projection.name());
    let active = of_it.clone().find(|known| known.active).map_or(0, |known| known.version);
    let kept = of_it.filter(|known| known.ours && known.ready && known.version < active);
    let number = only(projection.name(), kept.map(|known| known.version))?;
    swap_to(config, projection, number)
}

/// The one version that is kept of before the active one.
fn only(name: &str, kept: impl Iterator<Item = i32>) -> anyhow::Result<i32> {
    let kept: Vec<i32> = kept.collect();
    match kept[..] {
        [one] => Ok(one),
        [] => bail!("no earlier version of {name} is kept that this build can read"),
        _ => bail!(
            "several earlier versions of {name} are kept, {kept:?}: `jangbu replay swap` takes one"
        ),
    }
}

fn swap_to(config: &Config, projection: &dyn AnyProjection, number: i32) -> anyhow::Result<bool> {
    let (runtime, db, versions) = open(config)?;
    let mut versions = versions.iter().filter(|known| known.projection == projection.name());
    let active = versions.clone().find(|known| known.active).map(|known| known.version);
    if !versions.any(|known| known.version == number && known.ours && known.ready) {
        return Err(Error::NotReady(format!("{} {number}", projection.name())).into());
    }
    let reader = runtime.block_on(standing::version_of(&db, projection, number))?;
    let log = Log::of(config)?;
    let late = log.standing(&reader)?.seconds();
    ensure!(late <= LATE, "{} {number} is {late:.0} s behind the log", projection.name());
    // An older build does not know that they may be left out.
    runtime.block_on(version::build_keys(&db, projection, number))?;
    if let Some(was) = active.filter(|was| *was != number) {
        runtime.block_on(meet::meet(&db, &log, projection.name(), (was, number)))?;
    }
    let was = runtime.block_on(version::activate(&db, projection, number))?;
    let is_kept = was > 0 && was != number;
    let kept = if is_kept { format!(", {was} is kept") } else { String::new() };
    writeln!(stdout(), "{}: version {number} is active{kept}", projection.name())?;
    Ok(true)
}

/// Drops a version.
///
/// # Errors
/// When it is active, there never was such a one, or MySQL refuses or does not answer.
pub fn drop_version(config: &Config, given: &Given) -> anyhow::Result<bool> {
    if index::is_meant(given) {
        return index::drop_version(config, given);
    }
    let (projection, number) = (projection(given)?, number(given)?);
    let (runtime, db, versions) = open(config)?;
    // What is dropped may have been so by half.
    find(&versions, projection, number)?;
    let made = runtime.block_on(index::made_of(config, &db, projection.name(), number))?;
    if let Some(index) = made {
        bail!("version {index} of the search index is made of {} {number}", projection.name());
    }
    if runtime.block_on(version::let_go(&db, projection, number))? {
        runtime.block_on(async { tokio::time::sleep(version::GRACE).await });
    }
    runtime.block_on(version::discard(&db, projection, number))?;
    writeln!(stdout(), "{}: version {number} is dropped", projection.name())?;
    Ok(true)
}

fn open(config: &Config) -> anyhow::Result<(Runtime, Pool, Vec<Version>)> {
    let runtime = Runtime::new()?;
    let db = runtime.block_on(projections::connect(&config.mysql, 2)).context("mysql")?;
    let versions = runtime.block_on(version::all(&db)).context("mysql")?;
    Ok((runtime, db, versions))
}

/// The version of that number, which may be dropped.
fn find<'v>(
    versions: &'v [Version],
    projection: &dyn AnyProjection,
    number: i32,
) -> anyhow::Result<&'v Version> {
    let name = projection.name();
    let it = |known: &&Version| known.projection == name && known.version == number;
    versions.iter().find(it).with_context(|| format!("there is no version {number} of {name}"))
}

fn projection(given: &Given) -> anyhow::Result<&'static dyn AnyProjection> {
    let name = given.value(PROJECTION.name).context("which projection?")?;
    let known = || known().iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
    named(name).with_context(|| format!("{name:?} is not a projection: there are {}", known()))
}

fn number(given: &Given) -> anyhow::Result<i32> {
    given.value(VERSION.name).context("which version? --version N")?.parse().context("--version")
}
