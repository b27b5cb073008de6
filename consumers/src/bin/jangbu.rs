//! The operator's tool.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use consumers::{
    admin,
    config::{Config, Given, Usage},
    dead_letters, generate, import, past, records, replay, status, telemetry, verify,
};

struct Command {
    words: &'static [&'static str],
    usage: &'static Usage,
    /// The flag that a word behind the command's own stands for.
    operand: Option<&'static str>,
    run: Run,
}

/// What a command needs; it tells whether all is well.
#[derive(Clone, Copy)]
enum Run {
    /// The servers, so all settings.
    System(fn(&Config, &Given) -> anyhow::Result<bool>),
    /// Its flags only.
    Alone(fn(&Given) -> anyhow::Result<bool>),
}

type System = fn(&Config, &Given) -> anyhow::Result<bool>;

const fn of(words: &'static [&'static str], usage: &'static Usage, run: System) -> Command {
    Command { words, usage, operand: None, run: Run::System(run) }
}

/// A command about one dead letter.
const fn letter(words: &'static [&'static str], usage: &'static Usage, run: System) -> Command {
    Command { words, usage, operand: Some("at"), run: Run::System(run) }
}

/// A command about the versions of one projection.
const fn versions(words: &'static [&'static str], usage: &'static Usage, run: System) -> Command {
    Command { words, usage, operand: Some("projection"), run: Run::System(run) }
}

/// A command about one product.
const fn product(words: &'static [&'static str], usage: &'static Usage, run: System) -> Command {
    Command { words, usage, operand: Some("product"), run: Run::System(run) }
}

const COMMANDS: &[Command] = &[
    of(&["topics", "apply"], &admin::USAGE, |config, given| wait(admin::run(config, given))),
    of(&["migrate"], &admin::migrate::USAGE, |config, given| {
        wait(admin::migrate::run(config, given))
    }),
    of(&["status"], &status::USAGE, status::run),
    of(&["tail"], &records::USAGE, records::run),
    of(&["verify"], &verify::USAGE, verify::run),
    product(&["at"], &past::AT, past::at),
    product(&["diff"], &past::DIFF, past::diff),
    versions(&["replay", "start"], &replay::START, replay::start),
    of(&["replay", "status"], &replay::STATUS, replay::status),
    versions(&["replay", "compare"], &replay::COMPARE, replay::compare),
    versions(&["replay", "swap"], &replay::SWAP, replay::swap),
    versions(&["replay", "drop"], &replay::DROP, replay::drop_version),
    of(&["dead-letters", "list"], &dead_letters::LIST, dead_letters::list),
    letter(&["dead-letters", "show"], &dead_letters::SHOW, dead_letters::show),
    letter(&["dead-letters", "resend"], &dead_letters::RESEND, dead_letters::resend),
    letter(&["dead-letters", "drop"], &dead_letters::DROP, dead_letters::drop_letter),
    Command {
        words: &["import"],
        usage: &import::USAGE,
        operand: Some("file"),
        run: Run::Alone(import::run),
    },
    Command {
        words: &["generate"],
        usage: &generate::USAGE,
        operand: None,
        run: Run::Alone(generate::run),
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
    let mut operand = None;
    let command = COMMANDS.iter().find(|command| match (command.operand, words.split_last()) {
        (Some(flag), Some((word, own))) if own == command.words => {
            operand = Some(format!("--{flag}={word}"));
            true
        }
        _ => command.words == words,
    });
    let Some(command) = command else {
        overview()?;
        return Ok(words.is_empty());
    };
    let arguments = operand.into_iter().chain(arguments);
    match command.run {
        Run::System(run) => {
            let (config, given) = Config::load_with(command.usage, arguments)?;
            telemetry::log(&config)?;
            run(&config, &given)
        }
        Run::Alone(run) => run(&Config::flags(command.usage, arguments)?),
    }
}

fn wait(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn overview() -> std::io::Result<()> {
    writeln!(stdout(), "Commands, each with --help:")?;
    let first = |about: &'static str| about.split("\n\n").next().unwrap_or(about);
    COMMANDS.iter().try_for_each(|command| writeln!(stdout(), "  {}", first(command.usage.about)))
}
