//! The page of performance: its table and its pictures, from what was measured. What stands around
//! them is written by hand.

use std::{collections::BTreeMap, fmt::Write, fs};

use anyhow::{Context, Result};
use tests::stack::root;

use crate::{
    chart::{Group, draw},
    figures::Spread,
    report::{Asked, Line, Report, Results, number},
};

const PAGE: &str = "docs/performance.md";
const PICTURES: &str = "docs/performance";
/// What stands between these is made.
const BEGIN: &str = "<!-- made by `make performance` -->\n";
const END: &str = "<!-- until here -->";
/// How much more a product may cost where there are most of them.
const MORE: f64 = 1.15;
/// How far apart the sizes must be for that to be said.
const TENFOLD: u64 = 10;
/// Of what may not cost more.
const KEPT: [&str; 4] = ["rows/s", "documents/s", "price changes/s", "bytes per product"];

/// Writes it.
pub(crate) fn make(results: &Results) -> Result<()> {
    let page = root().join(PAGE);
    let text = fs::read_to_string(&page)?;
    let (before, rest) = text.split_once(BEGIN).context("where does it begin?")?;
    let (_, after) = rest.split_once(END).context("where does it end?")?;
    fs::create_dir_all(root().join(PICTURES))?;
    let mut made = format!("\nMeasured on {}.\n", results.machine);
    let sizes = sizes(results);
    let usual = || results.cases.iter().filter(|(case, _)| !case.starts_with("growth "));
    asked(usual(), &mut made)?;
    growth(&sizes, &mut made)?;
    rest_of(usual(), &mut made)?;
    fs::write(&page, format!("{before}{BEGIN}{made}{END}{after}"))?;
    Ok(())
}

/// What was asked for, as a table and as pictures.
fn asked<'r>(
    cases: impl Iterator<Item = (&'r String, &'r Report)>,
    made: &mut String,
) -> Result<()> {
    let heading = "| what | measured: median (min - max) | raw limit | ratio | asked | |\n\
                   |---|---|---|---|---|---|";
    writeln!(made, "\n{heading}")?;
    let (mut rates, mut latencies) = (vec![], vec![]);
    for (_, report) in cases {
        for line in report.lines.iter().filter(|line| line.asked.is_some()) {
            writeln!(made, "| {}: {} |", line.title, row(line))?;
            let groups = if line.what.ends_with(" ms") { &mut latencies } else { &mut rates };
            groups.extend(group(line));
        }
    }
    picture(made, "rates", "Rates: longer is better", &rates)?;
    picture(made, "latencies", "Latencies: shorter is better", &latencies)
}

fn row(line: &Line) -> String {
    let told = |spread: Option<Spread>| spread.map_or(String::new(), |s| s.to_string());
    let ratio = line.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
    let asked = line.asked.map_or(String::new(), |asked| asked.to_string());
    let met = match line.met {
        Some(true) => "met",
        Some(false) => "**not met**",
        None => "",
    };
    let (ours, limit) = (told(line.ours), told(line.limit));
    format!("{} | {} | {} | {ratio} | {asked} | {met}", line.what, ours.trim(), limit.trim())
}

fn group(line: &Line) -> Option<Group> {
    let ours = line.ours?;
    let other = if line.what.ends_with(" ms") { "without it" } else { "raw limit" };
    let limit = line.limit.map(|limit| (other.to_owned(), limit));
    let asked = line.asked?;
    let mark = match asked {
        Asked::RatioAtLeast(times) | Asked::RatioBelow(times) => line.limit?.median * times,
        Asked::AtLeast(value) | Asked::AtMost(value) => value,
    };
    // What is asked to be none has no picture.
    let mark = (mark > 0.0).then(|| (mark, asked.to_string()))?;
    let bars = [("measured".to_owned(), ours)].into_iter().chain(limit).collect();
    Some(Group { what: format!("{}: {}", line.title, line.what), bars, mark: Some(mark) })
}

fn picture(made: &mut String, name: &str, title: &str, groups: &[Group]) -> Result<()> {
    let path = format!("{PICTURES}/{name}.svg");
    if groups.is_empty() {
        return Ok(());
    }
    fs::write(root().join(&path), draw(title, groups))?;
    let below = path.trim_start_matches("docs/");
    writeln!(made, "\n![{title}]({below})")?;
    Ok(())
}

/// What was measured with several numbers of products, the fewest first.
fn sizes(results: &Results) -> BTreeMap<u64, &Report> {
    let of = |(case, report): (&'_ String, _)| {
        Some((case.strip_prefix("growth ")?.parse().ok()?, report))
    };
    results.cases.iter().filter_map(of).collect()
}

fn growth(sizes: &BTreeMap<u64, &Report>, made: &mut String) -> Result<()> {
    let (Some((_, least)), Some((_, most))) = (sizes.first_key_value(), sizes.last_key_value())
    else {
        return Ok(());
    };
    writeln!(made, "\n## From few products to many\n")?;
    let of_size = |size: &u64| number(f64::from(u32::try_from(*size).unwrap_or(u32::MAX)));
    let heads: Vec<String> = sizes.keys().map(of_size).collect();
    writeln!(made, "| products | {} | most beside fewest | asked | |", heads.join(" | "))?;
    writeln!(made, "|---|{}---|---|---|", "---|".repeat(heads.len()))?;
    let of = |report: &Report, what: &str| {
        report.lines.iter().find(|line| line.what == what).and_then(|line| line.ours)
    };
    let mut groups = vec![];
    for line in &least.lines {
        let found: Vec<_> = sizes.values().map(|report| of(report, &line.what)).collect();
        let told = found.iter().map(|spread| spread.map_or(String::new(), |s| s.to_string()));
        let told = told.map(|told| told.trim().to_owned()).collect::<Vec<_>>().join(" | ");
        let ratio =
            of(most, &line.what).zip(line.ours).map(|(most, least)| most.median / least.median);
        let is_kept = KEPT.iter().any(|kept| line.what.contains(kept));
        let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) else { continue };
        let cost = if line.what.contains("/s") { 1.0 / ratio } else { ratio };
        let spans = sizes.keys().next_back().zip(sizes.keys().next());
        let is_asked = spans.is_some_and(|(most, least)| *most >= TENFOLD * *least);
        let (asked, met) = match (is_kept && is_asked, cost <= MORE) {
            (false, _) => ("", ""),
            (true, true) => ("within 15 %", "met"),
            (true, false) => ("within 15 %", "**not met**"),
        };
        writeln!(made, "| {} | {told} | {ratio:.2} | {asked} | {met} |", line.what)?;
        let bars =
            heads.iter().zip(found).filter_map(|(head, spread)| Some((head.clone(), spread?)));
        groups.push(Group { what: line.what.clone(), bars: bars.collect(), mark: None });
    }
    picture(made, "growth", "From few products to many", &groups)?;
    for (size, report) in sizes {
        for note in &report.notes {
            writeln!(made, "\n{} products, {note}", of_size(size))?;
        }
    }
    Ok(())
}

/// Everything that was measured, and what was said of it.
fn rest_of<'r>(
    cases: impl Iterator<Item = (&'r String, &'r Report)>,
    made: &mut String,
) -> Result<()> {
    writeln!(made, "\n## Everything that was measured")?;
    for (case, report) in cases {
        let Report { at, commit, repeats, .. } = report;
        writeln!(made, "\n### `{case}`\n\n{repeats} repeats, {at} UTC, source {commit}.")?;
        let mut title = "";
        for line in &report.lines {
            if line.title != title {
                title = &line.title;
                writeln!(made, "\n| {title} | measured | raw limit | ratio | asked | |")?;
                writeln!(made, "|---|---|---|---|---|---|")?;
            }
            writeln!(made, "| {} |", row(line))?;
        }
        for note in &report.notes {
            writeln!(made, "\n{note}")?;
        }
    }
    writeln!(made)?;
    Ok(())
}
