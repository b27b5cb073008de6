//! How far long work has come, on the way.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line tells of it where there is no terminal.
pub(super) const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// A bar over the offsets that are to be read.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    told: Instant,
    all: u64,
    passed: u64,
}

impl Progress {
    /// Begins; `all` offsets are to be passed.
    ///
    /// # Errors
    /// When the bar's pattern is refused.
    pub(crate) fn begin(all: u64) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}, {eta} left")?;
        let bar = stderr().is_terminal().then(|| ProgressBar::new(all).with_style(style));
        Ok(Self { bar, told: Instant::now(), all, passed: 0 })
    }

    /// So many more offsets are passed; `doing` says where.
    pub(crate) fn pass(&mut self, offsets: u64, doing: impl FnOnce() -> String) {
        self.passed += offsets;
        if let Some(bar) = &self.bar {
            bar.set_position(self.passed);
            if self.told.elapsed() > Duration::from_millis(100) {
                self.told = Instant::now();
                bar.set_message(doing());
            }
        } else if self.told.elapsed() > NOW_AND_THEN {
            self.told = Instant::now();
            let percent = 100 * self.passed / self.all.max(1);
            let _ = writeln!(stderr(), "{:3} %  {}", percent.min(100), doing());
        }
    }

    /// Clears the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
