//! The operator's tool.

use std::{
    io::{Write, stderr, stdout},
    pin::Pin,
    process::ExitCode,
};

use consumers::{
    admin,
    config::{Config, Given, Usage},
    telemetry,
};

type Running<'c> = Pin<Box<dyn Future<Output = anyhow::Result<bool>> + 'c>>;

struct Command {
    words: &'static [&'static str],
    usage: &'static Usage,
    run: for<'c> fn(&'c Config, &'c Given) -> Running<'c>,
}

const COMMANDS: &[Command] = &[
    Command {
        words: &["topics", "apply"],
        usage: &admin::USAGE,
        run: |config, given| Box::pin(admin::run(config, given)),
    },
    Command {
        words: &["migrate"],
        usage: &admin::migrate::USAGE,
        run: |config, given| Box::pin(admin::migrate::run(config, given)),
    },
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on((command.run)(&config, &given))
}

fn overview() -> std::io::Result<()> {
    writeln!(stdout(), "Commands, each with --help:")?;
    COMMANDS.iter().try_for_each(|command| writeln!(stdout(), "  {}", command.usage.about))
}
