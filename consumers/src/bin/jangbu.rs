//! The operator's tool.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use consumers::{
    admin,
    config::{Config, Given, Usage},
    records, status, telemetry, verify,
};

struct Command {
    words: &'static [&'static str],
    usage: &'static Usage,
    /// Whether all is well.
    run: fn(&Config, &Given) -> anyhow::Result<bool>,
}

const COMMANDS: &[Command] = &[
    Command {
        words: &["topics", "apply"],
        usage: &admin::USAGE,
        run: |config, given| wait(admin::run(config, given)),
    },
    Command {
        words: &["migrate"],
        usage: &admin::migrate::USAGE,
        run: |config, given| wait(admin::migrate::run(config, given)),
    },
    Command { words: &["status"], usage: &status::USAGE, run: status::run },
    Command { words: &["tail"], usage: &records::USAGE, run: records::run },
    Command { words: &["verify"], usage: &verify::USAGE, run: verify::run },
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(stderr(), "jangbu: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let mut arguments = std::env::args().skip(1).peekable();
    let mut words = vec![];
    while let Some(word) = arguments.next_if(|argument| !argument.starts_with('-')) {
        words.push(word);
    }
    let Some(command) = COMMANDS.iter().find(|command| command.words == words) else {
        overview()?;
        return Ok(words.is_empty());
    };
    let (config, given) = Config::load_with(command.usage, arguments)?;
    telemetry::log(&config)?;
    (command.run)(&config, &given)
}

fn wait(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn overview() -> std::io::Result<()> {
    writeln!(stdout(), "Commands, each with --help:")?;
    COMMANDS.iter().try_for_each(|command| writeln!(stdout(), "  {}", command.usage.about))
}
