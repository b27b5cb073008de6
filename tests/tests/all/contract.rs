//! What others rely on: the committed description of the API, and what the registry refuses.

use std::{collections::BTreeSet, fs, io::ErrorKind, process::Command};

use anyhow::{Result, ensure};
use reqwest::Client;
use schemas::CATALOG;
use serde_json::{Value, json};
use tests::stack::root;

use crate::world::World;

/// `make openapi` rewrites it; the difference is what a reviewer looks at.
pub(crate) fn the_api_is_described_as_committed() -> Result<()> {
    let path = root().join("tests/snapshots/openapi.json");
    let described = serde_json::to_string_pretty(&api::openapi())? + "\n";
    if std::env::var_os("JANGBU_REWRITE").is_some() {
        fs::create_dir_all(root().join("tests/snapshots"))?;
        fs::write(&path, &described)?;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    ensure!(committed == described, "the API has changed: run `make openapi`");
    Ok(())
}

/// `make errors` rewrites it.
pub(crate) fn the_error_codes_are_listed_as_committed() -> Result<()> {
    let path = root().join("docs/errors.md");
    if std::env::var_os("JANGBU_REWRITE").is_some() {
        fs::write(&path, api::errors())?;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    ensure!(committed == api::errors(), "the error codes have changed: run `make errors`");
    Ok(())
}

pub(crate) async fn the_api_describes_itself(world: &mut World) -> Result<()> {
    let client = &world.client;
    let served = client.open("/openapi.json").send().await?.expect(200)?;
    ensure!(served.body == json!(api::openapi()), "another API is served than described");
    ensure!(served.text("/openapi")?.starts_with("3.1"));
    let topics = client.open("/asyncapi.json").send().await?.expect(200)?;
    ensure!(
        topics.text("/asyncapi")? == "3.0.0" && topics.header("content-type")?.contains("json")
    );
    let page = client.open("/docs").send().await?.expect(200)?;
    ensure!(page.header("content-type")?.starts_with("text/html"));
    // The address that a problem gives as its type is on the page.
    let refused = client.get("/nowhere").send().await?.expect(404)?;
    let (path, anchor) = refused.text("/type")?.split_once('#').map_or_else(
        || (String::new(), String::new()),
        |(path, anchor)| (path.to_owned(), anchor.to_owned()),
    );
    let page = reqwest::get(format!("{}{path}", world.fleet.base())).await?.text().await?;
    ensure!(page.contains(&format!("id=\"{anchor}\"")), "{path} does not name {anchor}");
    everything_is_on_the_page()?;
    ensure!(client.open("/health/live").send().await?.status == 200);
    client.open("/metrics").send().await?.expect(200).map(drop)
}

/// The script of `/docs` shows every operation and every schema. Without Node it is not run.
fn everything_is_on_the_page() -> Result<()> {
    let mut node = Command::new("node");
    let files = ["tests/data/docs_page.mjs", "api/src/docs.html", "tests/snapshots/openapi.json"];
    let output = match node.args(files.map(|file| root().join(file))).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: no node to run the script of /docs");
            return Ok(());
        }
        output => output?,
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    let shown: BTreeSet<&str> = printed.lines().collect();
    let api = json!(api::openapi());
    let methods =
        api["paths"].as_object().into_iter().flatten().filter_map(|(_, of)| of.as_object());
    let operations = methods.flatten().filter_map(|(_, of)| of["operationId"].as_str());
    let schemas = api["components"]["schemas"].as_object().into_iter().flatten();
    let missing: Vec<&str> = operations
        .chain(schemas.map(|(name, _)| name.as_str()))
        .filter(|id| !shown.contains(id))
        .collect();
    ensure!(output.status.success() && missing.is_empty(), "{missing:?} {output:?}");
    Ok(())
}

pub(crate) async fn the_registry_refuses_what_would_break_a_reader(
    world: &mut World,
) -> Result<()> {
    let registry = world.stack.address("JANGBU_REGISTRY")?;
    for schema in (CATALOG.events.records)() {
        let subject = format!("{}-{}", CATALOG.events.name, schemas::full_name(&schema));
        let address = format!("{registry}/subjects/{subject}/versions");
        let (mut more, mut fewer) = (json!(schema), json!(schema));
        fields(&mut more).push(json!({"name": "unheard_of", "type": "string"}));
        ensure!(register(&address, &more).await? == 409, "{subject} with a field more");
        fields(&mut fewer).retain(|field| field.get("default").is_some());
        let all_optional = fewer == json!(schema);
        ensure!(all_optional || register(&address, &fewer).await? == 409, "{subject} with less");
    }
    Ok(())
}

pub(crate) async fn applying_topics_again_changes_nothing(world: &mut World) -> Result<()> {
    let (status, printed) = world.fleet.jangbu(&["topics", "apply", "--dry-run"])?;
    ensure!(status.success() && !printed.contains("create"), "{printed}");
    let (status, printed) = world.fleet.jangbu(&["topics", "apply", "--yes"])?;
    ensure!(status.success(), "{printed}");
    let (status, printed) = world.fleet.jangbu(&["migrate"])?;
    ensure!(status.success(), "{printed}");
    Ok(())
}

fn fields(schema: &mut Value) -> &mut Vec<Value> {
    schema["fields"].as_array_mut().expect("a record has fields")
}

async fn register(address: &str, schema: &Value) -> Result<u16> {
    let body = json!({"schema": schema.to_string(), "schemaType": "AVRO"});
    Ok(Client::new().post(address).json(&body).send().await?.status().as_u16())
}
