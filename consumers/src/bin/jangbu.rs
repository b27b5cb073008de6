//! The operator's tool.

use std::process::ExitCode;

use consumers::{
    admin, dead_letters, generate, import, past, records, status,
    tool::{self, Command},
    verify,
};

const SYSTEM: &[Command] = &[
    Command::of(&["topics", "apply"], &admin::USAGE, |config, given| {
        wait(admin::run(config, given))
    }),
    Command::of(&["migrate"], &admin::migrate::USAGE, |config, given| {
        wait(admin::migrate::run(config, given))
    }),
    Command::of(&["status"], &status::USAGE, status::run),
    Command::of(&["tail"], &records::USAGE, records::run),
    Command::of(&["verify"], &verify::USAGE, verify::run),
];

const PRODUCT: &[Command] = &[
    Command::of(&["at"], &past::AT, past::at).about("product"),
    Command::of(&["diff"], &past::DIFF, past::diff).about("product"),
];

const DEAD_LETTERS: &[Command] = &[
    Command::of(&["dead-letters", "list"], &dead_letters::LIST, dead_letters::list),
    Command::of(&["dead-letters", "show"], &dead_letters::SHOW, dead_letters::show).about("at"),
    Command::of(&["dead-letters", "resend"], &dead_letters::RESEND, dead_letters::resend)
        .about("at"),
    Command::of(&["dead-letters", "drop"], &dead_letters::DROP, dead_letters::drop_letter)
        .about("at"),
];

const FILES: &[Command] = &[
    Command::alone(&["import"], &import::USAGE, import::run).about("file"),
    Command::alone(&["generate"], &generate::USAGE, generate::run),
];

fn main() -> ExitCode {
    tool::run("jangbu", &[SYSTEM, PRODUCT, tool::REPLAY, DEAD_LETTERS, FILES])
}

fn wait(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
