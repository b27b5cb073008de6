//! What the laboratory prints at the end.

use std::{fmt::Write, time::Duration};

use crate::load::Judged;

/// What came of one fault.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The fault.
    pub fault: String,
    /// How many blows that were.
    pub faults: u32,
    /// Commands that were answered with their decision.
    pub commands: u64,
    /// How often a command had to be sent again.
    pub sent_again: u64,
    /// What is wrong with them.
    pub judged: Judged,
    /// The longest time that a partition decided nothing.
    pub stall: Duration,
    /// How long all of it took.
    pub took: Duration,
}

impl Row {
    /// An empty one.
    pub(super) fn of(fault: &str) -> Self {
        Self { fault: fault.to_owned(), ..Self::default() }
    }

    fn add(&mut self, other: &Self) {
        self.faults += other.faults;
        self.commands += other.commands;
        self.sent_again += other.sent_again;
        self.judged.add(other.judged.clone());
        self.stall = self.stall.max(other.stall);
        self.took += other.took;
    }

    /// All rows as a table, with their sum.
    pub fn table(rows: &[Self]) -> String {
        let mut sum = Self::of("**all**");
        rows.iter().for_each(|row| sum.add(row));
        let mut text = String::from(
            "| fault | blows | commands acknowledged | sent again | lost | doubled | out of order \
             | longest stall, s | took, s |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in rows.iter().chain([&sum]) {
            let Judged { lost, doubled, disordered, .. } = row.judged;
            let (stall, took) = (row.stall.as_secs_f64(), row.took.as_secs());
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {lost} | {doubled} | {disordered} | {stall:.1} | {took} |",
                row.fault, row.faults, row.commands, row.sent_again
            );
        }
        text
    }
}
