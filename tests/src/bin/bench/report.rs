//! What a case found, as people read it and as the page is made of it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use tests::{process::binaries, stack::root};

use crate::figures::{Figures, Pair, Spread};

/// What was found on this machine, by case, in whichever run.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: String,
    pub(crate) cases: BTreeMap<String, Report>,
}

/// What one run of a case found.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) at: String,
    pub(crate) commit: String,
    pub(crate) repeats: usize,
    pub(crate) lines: Vec<Line>,
    pub(crate) notes: Vec<String>,
    #[serde(skip)]
    title: String,
}

/// One thing that was measured.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) ours: Option<Spread>,
    pub(crate) limit: Option<Spread>,
    pub(crate) ratio: Option<f64>,
    pub(crate) asked: Option<Asked>,
    pub(crate) met: Option<bool>,
}

/// What a line has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    RatioAtLeast(f64),
    RatioBelow(f64),
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    /// What follows belongs to this.
    pub(crate) fn head(&mut self, title: &str) {
        title.clone_into(&mut self.title);
    }

    /// Ours beside the limit.
    pub(crate) fn line(&mut self, what: &str, ours: &Figures, limit: &Figures) -> &mut Line {
        self.add(what, ours.spread(), limit.spread())
    }

    /// What has no limit of its own.
    pub(crate) fn alone(&mut self, what: &str, ours: &Figures) -> &mut Line {
        self.add(what, ours.spread(), None)
    }

    /// The p50 and the p99 of ours beside those of the limit.
    pub(crate) fn pair(&mut self, what: &str, ours: &Pair, limit: Option<&Pair>) -> [usize; 2] {
        let begin = self.lines.len();
        for (at, share) in ["p50", "p99"].iter().enumerate() {
            let limit = limit.and_then(|limit| limit.0[at].spread());
            self.add(&format!("{what}, {share} ms"), ours.0[at].spread(), limit);
        }
        [begin, begin + 1]
    }

    /// What the line of that place has to be.
    pub(crate) fn ask(&mut self, at: usize, asked: Asked) {
        self.lines[at].asked(asked);
    }

    fn add(&mut self, what: &str, ours: Option<Spread>, limit: Option<Spread>) -> &mut Line {
        let (title, what) = (self.title.clone(), what.to_owned());
        let ratio = ours.zip(limit).map(|(ours, limit)| ours.median / limit.median);
        let ratio = ratio.filter(|ratio| ratio.is_finite());
        let line = Line { title, what, ours, limit, ratio, asked: None, met: None };
        let at = self.lines.len();
        self.lines.push(line);
        &mut self.lines[at]
    }

    /// Few figures of little say whether it can be measured, and no more.
    pub(crate) fn ask_nothing(&mut self) {
        for line in &mut self.lines {
            (line.asked, line.met) = (None, None);
        }
    }

    /// What is said of it in words.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// When it was, of which source, and how often each thing was measured where it did not say so.
    pub(crate) fn stamp(&mut self, repeats: usize) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        self.at = Timestamp(i64::try_from(now.as_millis())?).to_string()[..16].replace('T', " ");
        let git = |words: &[&str]| -> Result<String> {
            let printed = Command::new("git").args(words).current_dir(root()).output()?;
            Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
        };
        let changed = git(&["status", "--porcelain", "--untracked-files=no", "*.rs"])?;
        let mark = if changed.is_empty() { "" } else { ", changed" };
        self.commit = git(&["rev-parse", "--short", "HEAD"])? + mark;
        if self.repeats == 0 {
            self.repeats = repeats;
        }
        Ok(())
    }
}

impl Line {
    /// What it has to be.
    pub(crate) fn asked(&mut self, asked: Asked) {
        self.asked = Some(asked);
        self.met = match asked {
            Asked::RatioAtLeast(least) => self.ratio.map(|ratio| ratio >= least),
            Asked::RatioBelow(most) => self.ratio.map(|ratio| ratio < most),
            Asked::AtLeast(least) => self.ours.map(|ours| ours.median >= least),
            Asked::AtMost(most) => self.ours.map(|ours| ours.median <= most),
        };
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(least) => write!(f, "at least {least} x"),
            Self::RatioBelow(most) => write!(f, "below {most} x"),
            Self::AtLeast(least) => write!(f, "at least {}", number(*least)),
            Self::AtMost(most) => write!(f, "at most {}", number(*most)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut title = "";
        for line in &self.lines {
            if line.title != title {
                title = &line.title;
                let (ours, limit) = ("  median  (min - max)", "  raw limit");
                writeln!(f, "\n{title:<42}{ours:<30}{limit:<30}{:>6}", "ratio")?;
            }
            let told = |spread: Option<Spread>| spread.map_or(String::new(), |s| s.to_string());
            let ratio = line.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            write!(
                f,
                "{:<42}{:<30}{:<30}{ratio:>6}",
                line.what,
                told(line.ours),
                told(line.limit)
            )?;
            match (line.asked, line.met) {
                (Some(asked), Some(met)) => {
                    writeln!(f, "  {asked}: {}", if met { "met" } else { "NOT MET" })?;
                }
                _ => writeln!(f)?,
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, min, max] = [self.median, self.min, self.max].map(number);
        f.pad(&format!("{median:>9}  ({min} - {max})"))
    }
}

/// A figure as it is read: with thousands, and no more places than say something.
pub(crate) fn number(figure: f64) -> String {
    let text = match figure.abs() {
        size if size >= 100.0 || figure.fract() == 0.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

impl Results {
    /// Those of former runs; none where there were none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{}", path.display())),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Puts what a case found in the place of what an earlier run of it did.
    pub(crate) fn keep(path: &Path, case: &str, report: Report) -> Result<()> {
        let mut results = Self::read(path)?;
        results.machine = machine()?;
        results.cases.insert(case.to_owned(), report);
        results.write(path)
    }

    /// Puts what was found here in the place of what the page shows of the same cases. Figures of
    /// another machine do not stand beside these.
    pub(crate) fn publish(self) -> Result<Self> {
        let path = root().join(PUBLISHED);
        let shown = Self::read(&path)?;
        let all = shown.with(self);
        all.write(&path)?;
        Ok(all)
    }

    fn with(mut self, found: Self) -> Self {
        if self.machine != found.machine {
            return found;
        }
        for (case, report) in found.cases {
            // What lies about here may be older than what somebody has shown since.
            if self.cases.get(&case).is_none_or(|shown| shown.at <= report.at) {
                self.cases.insert(case, report);
            }
        }
        self
    }

    fn write(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }
}

/// What the page is made of.
const PUBLISHED: &str = "docs/performance/results.json";

/// Where results are kept, beside what was built; those of small runs by themselves.
pub(crate) fn kept(is_small: bool) -> Result<PathBuf> {
    let (built, name) = (binaries()?, if is_small { "small.json" } else { "results.json" });
    Ok(built.parent().context("a target folder")?.join("bench").join(name))
}

/// What everything ran on.
fn machine() -> Result<String> {
    let of = |file: &str, key: &str| -> Result<String> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        Ok(line.split_once(':').map_or("", |(_, value)| value).trim().to_owned())
    };
    let cores = std::thread::available_parallelism()?;
    let memory = of("/proc/meminfo", "MemTotal")?;
    let kilobytes: u64 = memory.split_whitespace().next().context("memory")?.parse()?;
    let processor = of("/proc/cpuinfo", "model name")?;
    let processor =
        if processor.is_empty() { "an unnamed processor".to_owned() } else { processor };
    Ok(format!("{cores} cores of {processor}, {} GiB of memory", kilobytes >> 20))
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_figure_has_thousands_and_few_places() {
        let told = [0.0, 0.5, 12.34, 999.6, 1_234_567.8].map(number);
        assert_eq!(told, ["0", "0.50", "12.3", "1,000", "1,234,568"]);
    }

    #[test]
    fn what_is_found_here_replaces_what_is_shown_of_this_machine() {
        let results = |machine: &str, cases: &[(&str, &str)]| {
            let report = |at: &str| Report { at: at.to_owned(), ..Report::default() };
            let cases = cases.iter().map(|(case, at)| ((*case).to_owned(), report(at))).collect();
            Results { machine: machine.to_owned(), cases }
        };
        let told = |results: Results| -> Vec<String> {
            results
                .cases
                .into_iter()
                .map(|(case, report)| format!("{case} {}", report.at))
                .collect()
        };
        let shown = || results("this", &[("a", "2026-11-02"), ("b", "2026-11-02")]);
        let found = [("a", "2026-11-01"), ("b", "2026-11-03"), ("c", "2026-11-03")];
        let both = told(shown().with(results("this", &found)));
        assert_eq!(both, ["a 2026-11-02", "b 2026-11-03", "c 2026-11-03"]);
        let other = told(shown().with(results("another", &[("c", "2026-11-03")])));
        assert_eq!(other, ["c 2026-11-03"]);
    }

    #[test]
    fn what_is_asked_is_met_or_not_and_unknown_without_a_figure() {
        let mut report = Report::default();
        let of = |values: &[f64]| {
            let mut figures = Figures::default();
            values.iter().for_each(|value| figures.add(*value));
            figures
        };
        let (ours, limit) = (of(&[5.0, 7.0, 6.0]), of(&[10.0]));
        report.line("rate", &ours, &limit).asked(Asked::RatioAtLeast(0.6));
        report.line("rate", &ours, &limit).asked(Asked::RatioAtLeast(0.7));
        report.alone("p99 ms", &ours).asked(Asked::AtMost(6.0));
        report.alone("p99 ms", &of(&[f64::NAN])).asked(Asked::AtMost(6.0));
        let met: Vec<_> = report.lines.iter().map(|line| line.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(true), None]);
    }
}
