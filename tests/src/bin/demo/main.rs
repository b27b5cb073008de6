//! Shows the whole at work: servers, processes, 20,000 imported products, and what a
//! storefront sees of them. Again it is quick and changes nothing. `demo run` only starts everything.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod show;

use std::{
    env,
    fs::File,
    io::{IsTerminal, stdin},
    net::TcpListener,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tests::{Fleet, Role, Stack, process, wait::until};
use tokio::signal::unix::{SignalKind, signal};

const STACK: &str = "dev";
const PORT: u16 = 8080;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let port = port()?;
    let _lock = only_one()?;
    let mut stack = Stack::found(STACK);
    if !stack.addresses.is_empty() {
        Fleet::end_leftovers(&stack.addresses)?;
    }
    until_free(port).await?;
    let was_up = stack.is_up();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut fleet = None;
    let outcome = tokio::select! {
        outcome = start_and_stay(&mut stack, &mut fleet, port) => outcome,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    };
    println!("\nstopping");
    let outcome = match fleet {
        Some(fleet) => both(outcome, fleet.stop().await),
        None => outcome,
    };
    if was_up {
        println!("the servers stay up as they were: `make down` ends them");
        return outcome;
    }
    both(outcome, stack.down())
}

async fn start_and_stay(stack: &mut Stack, fleet: &mut Option<Fleet>, port: u16) -> Result<()> {
    stack.mend()?;
    let fleet = fleet.insert(Fleet::start(&stack.addresses, Some(port)).await?);
    stay(fleet, stack).await
}

/// Shows what there is to see and stays, unless nobody sits there; what ends meanwhile is started
/// again.
async fn stay(fleet: &mut Fleet, stack: &Stack) -> Result<()> {
    let (client, settings) = (fleet.client()?, fleet.settings().clone());
    let addresses = addresses(fleet, stack)?;
    let shown = async {
        if env::args().nth(1).as_deref() != Some("run") {
            show::show(client, &settings).await?;
        }
        println!("{addresses}");
        let stays = stdin().is_terminal() && env::var_os("DEMO_EXIT").is_none();
        if stays {
            println!("\nCtrl-C ends it.");
            std::future::pending::<()>().await;
        }
        println!("\nNobody sits at a terminal, or DEMO_EXIT is set: it ends here.");
        Ok(())
    };
    tokio::select! {
        outcome = shown => outcome,
        outcome = fleet.watch(|text| println!("{text}")) => outcome,
    }
}

fn port() -> Result<u16> {
    let Ok(offset) = env::var("JANGBU_PORT_OFFSET") else { return Ok(PORT) };
    let port = offset.parse().ok().and_then(|offset: u16| PORT.checked_add(offset));
    port.with_context(|| format!("JANGBU_PORT_OFFSET is {offset:?}, and no offset of a port"))
}

/// Two demos would end each other's processes. The lock ends with its process, however that ends.
fn only_one() -> Result<File> {
    let file = File::create(process::logs()?.join("demo.lock"))?;
    ensure!(file.try_lock().is_ok(), "a demo of this checkout runs already: end it first");
    Ok(file)
}

/// What was just killed may hold the port a moment longer.
async fn until_free(port: u16) -> Result<()> {
    let free = until("", Duration::from_secs(2), async || {
        Ok(TcpListener::bind(("127.0.0.1", port)).ok().map(drop))
    });
    if free.await.is_err() {
        bail!("port {port} is taken: end what listens there, or set JANGBU_PORT_OFFSET");
    }
    Ok(())
}

fn both(one: Result<()>, other: Result<()>) -> Result<()> {
    match (one, other) {
        (Err(one), Err(other)) => bail!("{one:#}; and when it was stopped: {other:#}"),
        (one, other) => one.and(other),
    }
}

fn addresses(fleet: &Fleet, stack: &Stack) -> Result<String> {
    let base = fleet.base();
    let mut lines = vec![
        format!("\n{:<14} {base}/docs  (key: demo-key)", "API"),
        format!("{:<14} {base}/openapi.json", ""),
        format!("{:<14} {base}/v1/demo/search?q=청소기", ""),
        format!("{:<14} {base}/metrics", "metrics"),
    ];
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Api) {
        let at = fleet.metrics(role).unwrap_or_default();
        lines.push(format!("{:<14} {at}  ({})", "", role.binary()));
    }
    for (name, key) in [
        ("Kafka", "JANGBU_KAFKA"),
        ("registry", "JANGBU_REGISTRY"),
        ("MySQL", "JANGBU_MYSQL"),
        ("OpenSearch", "JANGBU_OPENSEARCH"),
    ] {
        lines.push(format!("{name:<14} {}", stack.address(key)?));
    }
    lines.push(format!("{:<14} {}", "logs", process::logs()?.display()));
    let env = "export $(python3 deploy/local/stack.py env | xargs)";
    lines.push(format!("{:<14} {env}", "jangbu"));
    lines.push(format!("{:<14} {}", "", "target/debug/jangbu status"));
    Ok(lines.join("\n"))
}
