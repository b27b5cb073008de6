//! How far long work has come that has parts: a bar for each of them.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _, stderr},
    time::Instant,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::progress::NOW_AND_THEN;

/// How far a part is.
pub(crate) struct Bar {
    /// Its number.
    pub(crate) part: i32,
    /// What is done, of what there is.
    pub(crate) done: (u64, u64),
    /// What is said behind it.
    pub(crate) said: String,
}

/// A bar for each part on a terminal, else a line about the whole now and then.
pub(crate) struct Bars {
    screen: Option<MultiProgress>,
    bars: BTreeMap<i32, ProgressBar>,
    told: Instant,
}

impl Bars {
    /// Shows nothing yet.
    pub(crate) fn begin() -> Self {
        let screen = stderr().is_terminal().then(MultiProgress::new);
        Self { screen, bars: BTreeMap::new(), told: Instant::now() }
    }

    /// Shows how far the parts are; `whole` says it of all of them.
    ///
    /// # Errors
    /// When the pattern of a bar is refused.
    pub(crate) fn show(
        &mut self,
        parts: &[Bar],
        whole: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        if let Some(screen) = &self.screen {
            let style = ProgressStyle::with_template("{prefix:>3} {bar:30} {percent:>3} %  {msg}")?;
            for Bar { part, done: (done, all), said } in parts {
                let bar = self.bars.entry(*part).or_insert_with(|| {
                    let bar = ProgressBar::new(*all).with_prefix(part.to_string());
                    screen.add(bar.with_style(style.clone()))
                });
                bar.set_length(*all);
                bar.set_position(*done);
                bar.set_message(said.clone());
            }
        } else if self.told.elapsed() > NOW_AND_THEN {
            self.told = Instant::now();
            let sum = |of: fn(&Bar) -> u64| parts.iter().map(of).sum::<u64>();
            let percent = 100 * sum(|part| part.done.0) / sum(|part| part.done.1).max(1);
            let _ = writeln!(stderr(), "{:3} %  {}", percent.min(100), whole());
        }
        Ok(())
    }

    /// Clears the bars away.
    pub(crate) fn end(&mut self) {
        std::mem::take(&mut self.bars).values().for_each(ProgressBar::finish_and_clear);
    }
}
