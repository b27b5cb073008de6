//! A tool for operators: words that name a command, its flags, and what it does. Ours is `jangbu`;
//! a team with projections of its own makes one for them of [`REPLAY`], [`FEED`] and what it adds.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use projections::{Projections, know_only};

use crate::{
    config::{Config, Given, Usage},
    projector, replay,
    shutdown::{Shutdown, shutdown_signal},
    telemetry,
};

/// A command of a tool.
pub struct Command {
    words: &'static [&'static str],
    usage: &'static Usage,
    /// The flag that a word behind the command's own stands for.
    operand: Option<&'static str>,
    run: Run,
}

/// Does what a command is for; tells whether all is well.
type Done = anyhow::Result<bool>;

/// What a command needs.
#[derive(Clone, Copy)]
enum Run {
    /// The servers, so all settings.
    System(fn(&Config, &Given) -> Done),
    /// The same, and to be told when to end.
    Process(fn(&Config, &Shutdown) -> anyhow::Result<()>),
    /// Its flags only.
    Alone(fn(&Given) -> Done),
}

/// Versions of the projections that the process knows.
pub const REPLAY: &[Command] = &[
    Command::of(&["replay", "start"], &replay::START, replay::start).about("projection"),
    Command::of(&["replay", "status"], &replay::STATUS, replay::status),
    Command::of(&["replay", "compare"], &replay::COMPARE, replay::compare).about("projection"),
    Command::of(&["replay", "swap"], &replay::SWAP, replay::swap).about("projection"),
    Command::of(&["replay", "rollback"], &replay::ROLLBACK, replay::rollback).about("projection"),
    Command::of(&["replay", "drop"], &replay::DROP, replay::drop_version).about("projection"),
];

/// Feeds the projections that the process knows, as the projector does with ours.
pub const FEED: Command = Command {
    words: &["feed"],
    usage: &Usage {
        about: "jangbu feed: keeps each version that has been level with the log so.",
        settings: &["mysql_connections", "metrics"],
        flags: &[],
    },
    operand: None,
    run: Run::Process(projector::feed_known),
};

impl Command {
    /// A command that talks to the servers, by its words.
    pub const fn of(
        words: &'static [&'static str],
        usage: &'static Usage,
        run: fn(&Config, &Given) -> Done,
    ) -> Self {
        Self { words, usage, operand: None, run: Run::System(run) }
    }

    /// A command that needs its flags only.
    pub const fn alone(
        words: &'static [&'static str],
        usage: &'static Usage,
        run: fn(&Given) -> Done,
    ) -> Self {
        Self { words, usage, operand: None, run: Run::Alone(run) }
    }

    /// The same, with a word behind its own that stands for `flag`.
    #[must_use]
    pub const fn about(self, flag: &'static str) -> Self {
        Self { operand: Some(flag), ..self }
    }
}

/// The tool of a team: [`REPLAY`], [`FEED`] and `further` commands, of a process that knows
/// `projections` and none of ours. What it returns is what `main` returns.
pub fn of_own(name: &'static str, projections: Projections, further: &[Command]) -> ExitCode {
    let known = know_only(projections).map_err(Into::into);
    told(name, known.and_then(|()| try_run(name, &[REPLAY, &[FEED], further])))
}

/// Runs the command that this process was called with. What it returns is what `main` returns.
pub fn run(name: &'static str, commands: &[&[Command]]) -> ExitCode {
    told(name, try_run(name, commands))
}

fn told(name: &str, done: Done) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(stderr(), "{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(name: &'static str, commands: &[&[Command]]) -> Done {
    let mut arguments = std::env::args().skip(1).peekable();
    let mut words = vec![];
    while let Some(word) = arguments.next_if(|argument| !argument.starts_with('-')) {
        words.push(word);
    }
    let mut operand = None;
    let mut all = commands.iter().copied().flatten();
    let command = all.find(|command| match (command.operand, words.split_last()) {
        (Some(flag), Some((word, own))) if own == command.words => {
            operand = Some(format!("--{flag}={word}"));
            true
        }
        _ => command.words == words,
    });
    let Some(command) = command else {
        overview(commands)?;
        return Ok(words.is_empty());
    };
    let arguments = operand.into_iter().chain(arguments);
    match command.run {
        Run::System(run) => {
            let (config, given) = Config::load_with(command.usage, arguments)?;
            telemetry::log(&config)?;
            run(&config, &given)
        }
        Run::Process(run) => {
            let (config, _) = Config::load_with(command.usage, arguments)?;
            let shutdown = shutdown_signal()?;
            let _telemetry = telemetry::start(name, &config)?;
            run(&config, &shutdown).map(|()| true)
        }
        Run::Alone(run) => run(&Config::flags(command.usage, arguments)?),
    }
}

fn overview(commands: &[&[Command]]) -> std::io::Result<()> {
    writeln!(stdout(), "Commands, each with --help:")?;
    let first = |about: &'static str| about.split("\n\n").next().unwrap_or(about);
    let mut all = commands.iter().copied().flatten();
    all.try_for_each(|command| writeln!(stdout(), "  {}", first(command.usage.about)))
}
