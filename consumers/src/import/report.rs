//! How far an import has come, what it refused, and its sum at the end.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, IsTerminal as _, Write as _, stderr, stdout},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::line::{Line, Refused};

/// How often a line tells of progress where there is no terminal.
const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// What became of the lines.
pub(super) struct Report {
    path: PathBuf,
    /// Made when the first row is refused.
    file: Option<BufWriter<File>>,
    /// By bytes of the file: how many commands it holds is known only at its end.
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Instant,
    length: u64,
    end: u64,
    accepted: u64,
    unchanged: u64,
    repeated: u64,
    refused: u64,
    /// Of what rows tell besides, in how many of them.
    left_out: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Begins for a file of `length` bytes; refused rows are to stand in `path`.
    ///
    /// # Errors
    /// When what an earlier run left at `path` cannot be removed.
    pub(super) fn begin(path: PathBuf, length: u64) -> anyhow::Result<Self> {
        if path.exists() {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
        let bar = if stderr().is_terminal() { Some(bar(length)?) } else { None };
        let begun = Instant::now();
        Ok(Self {
            path,
            file: None,
            bar,
            begun,
            told: begun,
            length,
            end: 0,
            accepted: 0,
            unchanged: 0,
            repeated: 0,
            refused: 0,
            left_out: BTreeMap::new(),
        })
    }

    /// A line was decided; `repeated` where that was before.
    pub(super) fn decided(&mut self, line: &Line, verdict: &str, repeated: bool) {
        match verdict {
            _ if repeated => self.repeated += 1,
            "ACCEPTED" => self.accepted += 1,
            _ => self.unchanged += 1,
        }
        self.end = self.end.max(line.end);
        self.tell();
    }

    /// A row was refused.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(super) fn refuse(&mut self, refused: &Refused) -> anyhow::Result<()> {
        if self.file.is_none() {
            let file = File::create(&self.path);
            self.file =
                Some(BufWriter::new(file.with_context(|| self.path.display().to_string())?));
        }
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, refused)?;
            file.write_all(b"\n")?;
        }
        self.refused += 1;
        self.tell();
        Ok(())
    }

    /// A row tells something that no command can.
    pub(super) fn leave_out(&mut self, what: &'static str) {
        *self.left_out.entry(what).or_default() += 1;
    }

    /// Nothing goes on for the moment.
    pub(super) fn wait(&mut self, why: &anyhow::Error) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("waiting: {why:#}"));
        } else if self.told.elapsed() > NOW_AND_THEN {
            self.told = Instant::now();
            let _ = writeln!(stderr(), "waiting: {why:#}");
        }
    }

    fn all(&self) -> u64 {
        self.accepted + self.unchanged + self.repeated + self.refused
    }

    /// Commands a second since the beginning.
    fn rate(&self) -> u64 {
        u64::try_from(u128::from(self.all()) * 1000 / self.begun.elapsed().as_millis().max(1))
            .unwrap_or_default()
    }

    fn tell(&mut self) {
        let text = format!("{} commands, {}/s, {} refused", self.all(), self.rate(), self.refused);
        if let Some(bar) = &self.bar {
            bar.set_position(self.end);
            bar.set_message(text);
        } else if self.told.elapsed() > NOW_AND_THEN {
            self.told = Instant::now();
            let percent = 100 * self.end / self.length.max(1);
            let left = self.begun.elapsed().mul_f64(left(self.end, self.length)).as_secs();
            let _ = writeln!(stderr(), "{percent:3} %  {text}, {left} s left");
        }
    }

    /// Prints the sum; false where a row was refused.
    ///
    /// # Errors
    /// When the refused rows cannot be written down.
    pub(super) fn end(mut self) -> anyhow::Result<bool> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        writeln!(
            stdout(),
            "{} commands in {seconds:.1} s ({}/s): {} accepted, {} changed nothing, {} were decided \
             before, {} refused",
            self.all(),
            self.rate(),
            self.accepted,
            self.unchanged,
            self.repeated,
            self.refused
        )?;
        if self.refused > 0 {
            writeln!(stdout(), "refused rows: {}", self.path.display())?;
        }
        if self.repeated > 0 {
            writeln!(
                stdout(),
                "what was decided before is not done again, whatever happened since; rows of a CSV \
                 are news again by a later --observed-at, or when the file is touched"
            )?;
        }
        if !self.left_out.is_empty() {
            let counted = self.left_out.iter().map(|(what, rows)| format!("{what} ({rows} rows)"));
            let counted = counted.collect::<Vec<_>>().join(", ");
            writeln!(stdout(), "not imported, since products have no place for it: {counted}")?;
        }
        Ok(self.refused == 0)
    }
}

fn bar(length: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}, {eta} left")?;
    Ok(ProgressBar::new(length).with_style(style))
}

/// How much longer the rest takes than what was done.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn left(done: u64, of: u64) -> f64 {
    of.saturating_sub(done) as f64 / done.max(1) as f64
}
