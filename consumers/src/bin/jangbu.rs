//! The operator's tool.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use consumers::{
    admin,
    config::{Config, Given, Usage},
    generate, import, records, status, telemetry, verify,
};

struct Command {
    words: &'static [&'static str],
    usage: &'static Usage,
    run: Run,
}

/// What a command needs; it tells whether all is well.
#[derive(Clone, Copy)]
enum Run {
    /// The servers, so all settings.
    System(fn(&Config, &Given) -> anyhow::Result<bool>),
    /// Its flags only.
    Alone(fn(&Given) -> anyhow::Result<bool>),
    /// Its flags and a file, which may follow its words.
    File(fn(&Given) -> anyhow::Result<bool>),
}

const COMMANDS: &[Command] = &[
    Command {
        words: &["topics", "apply"],
        usage: &admin::USAGE,
        run: Run::System(|config, given| wait(admin::run(config, given))),
    },
    Command {
        words: &["migrate"],
        usage: &admin::migrate::USAGE,
        run: Run::System(|config, given| wait(admin::migrate::run(config, given))),
    },
    Command { words: &["status"], usage: &status::USAGE, run: Run::System(status::run) },
    Command { words: &["tail"], usage: &records::USAGE, run: Run::System(records::run) },
    Command { words: &["verify"], usage: &verify::USAGE, run: Run::System(verify::run) },
    Command { words: &["import"], usage: &import::USAGE, run: Run::File(import::run) },
    Command { words: &["generate"], usage: &generate::USAGE, run: Run::Alone(generate::run) },
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
    let mut file = None;
    let command = COMMANDS.iter().find(|command| match (command.run, words.as_slice()) {
        (Run::File(_), [first, operand]) if command.words == [first] => {
            file = Some(format!("--file={operand}"));
            true
        }
        _ => command.words == words,
    });
    let Some(command) = command else {
        overview()?;
        return Ok(words.is_empty());
    };
    let arguments = file.into_iter().chain(arguments);
    match command.run {
        Run::System(run) => {
            let (config, given) = Config::load_with(command.usage, arguments)?;
            telemetry::log(&config)?;
            run(&config, &given)
        }
        Run::Alone(run) | Run::File(run) => run(&Config::flags(command.usage, arguments)?),
    }
}

fn wait(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn overview() -> std::io::Result<()> {
    writeln!(stdout(), "Commands, each with --help:")?;
    COMMANDS.iter().try_for_each(|command| writeln!(stdout(), "  {}", command.usage.about))
}
