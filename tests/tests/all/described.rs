//! Whether the descriptions are true: the examples of docs/api.md, and whatever a generator makes
//! of the OpenAPI document, against the running API.

use std::{
    fs,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Role, samples, stack::root};

use crate::world::World;

/// A bounded run, the same each time as far as the machine is as fast. One worker: more of them meet
/// a fault of CPython 3.11 in its parser, seen in one run of two.
const HOW: [&str; 13] = [
    "--phases",
    "examples,coverage,fuzzing",
    "--max-examples",
    "10",
    "--max-time",
    "75",
    "--seed",
    "1",
    "--workers",
    "1",
    "--continue-on-failure",
    "--generation-database",
    "none",
];

/// Stands between the answers of two blocks.
const MARK: &str = "-- block";

/// Runs the page's shell blocks in one shell, and compares the statuses with the comments.
pub(crate) async fn the_page_of_examples_is_true(world: &mut World) -> Result<()> {
    let page = fs::read_to_string(root().join("docs/api.md"))?;
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let script = blocks.join(&format!("echo '{MARK}'\n"));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env("API", world.fleet.base());
    let output = shell.output().context("bash does not start")?;
    let printed = all_of(&output);
    ensure!(output.status.success(), "{printed}");
    let mut answers = printed.split(MARK);
    let mut calls = 0;
    for block in blocks {
        let expected: Vec<&str> = block.lines().filter_map(expected_status).collect();
        let answer = answers.next().unwrap_or_default();
        let status = |line: &str| line.strip_prefix("HTTP/1.1 ").map(|rest| rest[..3].to_owned());
        let got: Vec<String> = answer.lines().filter_map(status).collect();
        let got: Vec<&String> = got.iter().filter(|status| *status != "503").collect();
        ensure!(got == expected, "{block}expects {expected:?}, and got {got:?}: {answer}");
        calls += expected.len();
    }
    ensure!(calls > 10, "only {calls} calls were seen");
    Ok(())
}

/// The status in a comment that ends a call.
fn expected_status(line: &str) -> Option<&str> {
    let (_, comment) = line.rsplit_once("# ")?;
    comment.bytes().all(|c| c.is_ascii_digit()).then_some(comment).filter(|text| text.len() == 3)
}

/// Schemathesis sends what the document allows and what it does not, and looks whether every
/// answer is one that the document describes: no 5xx, no undeclared status, kind or shape.
pub(crate) async fn every_answer_is_as_described(world: &mut World) -> Result<()> {
    let (product, _) = world.client.register(&samples::vacuum()).await?;
    let body = json!({"name": "한샘"});
    let brand = world.client.post("/brands", &body).send().await?.expect(201)?.text("/id")?;
    let partner = world.client.post("/partners", &body).send().await?.expect(201)?.text("/id")?;
    let mut schemathesis = Command::new(root().join(".venv/bin/schemathesis"));
    schemathesis.args(["--no-color", "--config-file"]).arg(root().join("tests/schemathesis.toml"));
    schemathesis.args(["run", &format!("{}/openapi.json", world.fleet.base())]);
    schemathesis.args(HOW).current_dir(tests::process::logs()?);
    schemathesis.envs([
        ("JANGBU_TEST_PRODUCT", product),
        ("JANGBU_TEST_BRAND", brand),
        ("JANGBU_TEST_PARTNER", partner),
    ]);
    let output = schemathesis.output().context("schemathesis is missing: run `make test`")?;
    let printed = all_of(&output);
    ensure!(output.status.success(), "{printed}");
    let cases = printed.lines().find(|line| line.contains(" generated, ")).unwrap_or_default();
    println!("{}", cases.trim());
    let count: usize = cases.trim().split(' ').next().unwrap_or_default().parse()?;
    ensure!(count > 100, "only {count} cases were tried: {printed}");
    Ok(())
}

pub(crate) async fn a_key_that_asks_too_often_is_told_so(world: &mut World) -> Result<()> {
    world.fleet.start_with(Role::Api, &[("JANGBU_RATE_LIMIT", "2")])?;
    world.fleet.mend().await?;
    let mut refused = None;
    for _ in 0..20 {
        let answer = world.client.get("/products").send().await?;
        ensure!(answer.header("ratelimit-policy")? == "\"key\";q=2;w=1", "{answer:?}");
        refused = refused.or((answer.status == 429).then_some(answer));
    }
    let refused = refused.context("twenty requests at once passed")?;
    ensure!(refused.text("/code")? == "RATE_LIMITED" && refused.header("retry-after")? == "1");
    ensure!(refused.header("ratelimit")? == "\"key\";r=0;t=1", "{refused:?}");
    let other = world.client.with("other", "other-key").get("/products");
    ensure!(other.send().await?.expect(200)?.header("ratelimit")?.contains("r=1"));
    world.fleet.restart(Role::Api, None)?;
    world.fleet.mend().await?;
    let free = world.client.get("/products").send().await?.expect(200)?;
    ensure!(free.header("ratelimit").is_err(), "{free:?}");
    Ok(())
}

pub(crate) fn the_description_is_openapi() -> Result<()> {
    let mut validator = Command::new(root().join(".venv/bin/openapi-spec-validator"));
    validator.arg(root().join("tests/snapshots/openapi.json"));
    let output = validator.output().context("the validator is missing: run `make test`")?;
    ensure!(output.status.success(), "{}", all_of(&output));
    let api = json!(api::openapi());
    let tags: Vec<&Value> =
        api["tags"].as_array().into_iter().flatten().map(|tag| &tag["name"]).collect();
    let mut faults = vec![];
    for (path, methods) in api["paths"].as_object().context("no paths")? {
        for (method, operation) in methods.as_object().context("no methods")? {
            let wrong = faults_of(operation, &tags).into_iter();
            faults.extend(wrong.map(|fault| format!("{method} {path}: {fault}")));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// What the specification allows, and the house does not.
fn faults_of(operation: &Value, tags: &[&Value]) -> Vec<String> {
    let mut faults = vec![];
    let summary = operation["summary"].as_str().unwrap_or_default();
    if summary.is_empty() || summary.ends_with('.') {
        faults.push("a summary is a few words without a full stop".to_owned());
    }
    let id = operation["operationId"].as_str().unwrap_or_default();
    if id.is_empty() || !id.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') {
        faults.push(format!("the operation's name {id:?} is not in snake case"));
    }
    if !operation["tags"].as_array().is_some_and(|own| own.iter().all(|tag| tags.contains(&tag))) {
        faults.push("it has a tag that is not declared".to_owned());
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["description"].as_str().is_none_or(str::is_empty) {
            faults.push(format!("{} is not described", parameter["name"]));
        }
    }
    let is_open = operation["security"].as_array().is_some_and(|all| all.contains(&json!({})));
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let is_problem = answer.pointer("/content/application~1problem+json/schema").is_some();
        if status.starts_with(['4', '5']) && !is_open && !is_problem {
            faults.push(format!("{status} is no problem document"));
        }
    }
    let told = |status: &str| !operation["responses"][status].is_null();
    if !is_open && !["401", "403", "429", "503"].iter().all(|status| told(status)) {
        faults.push("it does not say what a caller without a key or quota is told".to_owned());
    }
    faults
}

fn all_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    format!("{text}{}", String::from_utf8_lossy(&output.stderr))
}
