//! The house rules, read from the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::stack::root;

/// The chain: each crate may use what stands left of it, and `tests` may use all.
const CHAIN: [&str; 5] = ["domain", "schemas", "projections", "consumers", "api"];

/// What may be linked by which crates only; the tests may talk to everything.
const TECHNOLOGIES: [(&str, &[&str]); 5] = [
    ("apache-avro", &["domain", "schemas"]),
    ("sqlx", &["projections"]),
    ("rdkafka", &["consumers"]),
    ("axum", &["api"]),
    ("tokio", &["projections", "consumers", "api"]),
];

const FILE_LINES: usize = 400;
const FILE_LINES_MEDIAN: usize = 160;
const FUNCTION_LINES: usize = 70;
const FUNCTION_LINES_MEDIAN: usize = 15;

pub(crate) fn crates_use_only_what_stands_left_of_them() -> Result<()> {
    let dependencies = dependencies()?;
    for (at, name) in CHAIN.iter().enumerate() {
        let used = &dependencies[*name];
        let wrong: Vec<_> = CHAIN[at..].iter().filter(|other| used.contains(**other)).collect();
        ensure!(wrong.is_empty() && !used.contains("tests"), "{name} uses {wrong:?}");
    }
    Ok(())
}

pub(crate) fn each_technology_has_one_crate() -> Result<()> {
    for (name, used) in dependencies()?.iter().filter(|(name, _)| *name != "tests") {
        for (technology, allowed) in TECHNOLOGIES {
            let is_used = used.contains(technology);
            ensure!(!is_used || allowed.contains(&name.as_str()), "{name} uses {technology}");
        }
    }
    Ok(())
}

pub(crate) fn files_are_short() -> Result<()> {
    let mut lengths = Vec::new();
    for source in sources()? {
        let length = source.text.lines().filter(|line| !line.trim().is_empty()).count();
        ensure!(length <= FILE_LINES, "{:?} has {length} lines", source.path);
        lengths.push(length);
    }
    let median = median(lengths);
    ensure!(median <= FILE_LINES_MEDIAN, "the median file has {median} lines");
    Ok(())
}

pub(crate) fn a_projection_of_ones_own_is_short() -> Result<()> {
    let text = fs::read_to_string(root().join("consumers/examples/lowest_price.rs"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    ensure!(lines < 80, "it has {lines} lines");
    Ok(())
}

pub(crate) fn functions_are_short() -> Result<()> {
    let mut lengths = Vec::new();
    for source in sources()? {
        for (name, length) in source.functions() {
            ensure!(length <= FUNCTION_LINES, "{name} has {length} lines in {:?}", source.path);
            lengths.push(length);
        }
    }
    ensure!(lengths.len() > 100, "only {} functions were seen", lengths.len());
    let median = median(lengths);
    ensure!(median <= FUNCTION_LINES_MEDIAN, "the median function has {median} lines");
    Ok(())
}

pub(crate) fn nothing_is_left_to_do() -> Result<()> {
    // Taken apart, or this file would be the first to be found.
    let words = [["TO", "DO"], ["FIX", "ME"], ["HA", "CK"]].map(|part| part.concat());
    for source in sources()? {
        for (number, line) in source.text.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(word.as_str()));
            ensure!(found.is_none(), "{:?}:{}: {line}", source.path, number + 1);
        }
    }
    Ok(())
}

pub(crate) fn unsafe_code_has_three_rooms() -> Result<()> {
    let rooms = ["log/native.rs", "log/waits.rs", "faults.rs"];
    let rooms = rooms.map(|room| Path::new("consumers/src").join(room));
    let word = ["un", "safe "].concat();
    for source in sources()? {
        let is_room = rooms.iter().any(|room| source.path.ends_with(room));
        let found = source.code().find(|line| line.contains(&word));
        ensure!(is_room || found.is_none(), "{:?}: {found:?}", source.path);
    }
    Ok(())
}

pub(crate) fn comments_are_few_and_there() -> Result<()> {
    let (mut comments, mut lines) = (0, 0);
    for source in sources()? {
        let opening = source.text.lines().next().unwrap_or_default();
        ensure!(opening.starts_with("//!"), "{:?} does not say what it is", source.path);
        let used = source.text.lines().filter(|line| !line.trim().is_empty());
        lines += used.clone().count();
        comments += used.filter(|line| line.trim_start().starts_with("//")).count();
    }
    let share = 100 * comments / lines;
    ensure!((5..=25).contains(&share), "{share} % of the lines are comments");
    Ok(())
}

pub(crate) fn the_domain_is_pure() -> Result<()> {
    let outside = [
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "SystemTime",
        "Instant",
        "::now",
        "async ",
    ];
    for source in sources()?.iter().filter(|source| source.path.starts_with("domain/src")) {
        for line in source.code() {
            let found = outside.iter().find(|word| line.contains(**word));
            ensure!(found.is_none(), "{:?}: {line}", source.path);
        }
    }
    Ok(())
}

struct Source {
    /// Below the root.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The lines that are no comment.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Each function's name and length, by rustfmt's layout: it ends at the brace that stands as
    /// far right as it began.
    fn functions(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let lines: Vec<&str> = self.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let rest = &lines[at..];
            let is_declaration = |l: &&&str| l.trim_end().ends_with(';') && !l.contains('{');
            let body = rest.iter().position(|line| **line == end);
            if !line.ends_with('}') && !rest.iter().take(1).any(|line| is_declaration(&line)) {
                found.push((name.to_owned(), body.map_or(1, |end| end + 1)));
            }
        }
        found
    }
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    for before in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "extern \"C\" "] {
        words = words.strip_prefix(before).unwrap_or(words);
    }
    words.strip_prefix("fn ").map(|rest| rest.split(['(', '<']).next().unwrap_or(rest))
}

/// Every Rust file of the workspace.
fn sources() -> Result<Vec<Source>> {
    let root = root();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        CHAIN.iter().chain(&["tests"]).map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                let path = path.strip_prefix(&root).unwrap_or(Path::new("")).to_owned();
                found.push(Source { path, text });
            }
        }
    }
    ensure!(found.len() > 20, "only {} sources were found", found.len());
    Ok(found)
}

/// What each crate of the workspace links, tests and build scripts aside.
fn dependencies() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_slice(&command.output()?.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let name_of = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let links = |package: &Value| {
        let all = package["dependencies"].as_array().into_iter().flatten();
        all.filter(|dependency| dependency["kind"].is_null()).map(name_of).collect()
    };
    Ok(packages.iter().map(|package| (name_of(package), links(package))).collect())
}

fn median(mut numbers: Vec<usize>) -> usize {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}
