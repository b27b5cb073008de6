//! Many commands in one request, files of them, and kills in the middle.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use domain::{BrandId, ProductId};
use serde_json::{Value, json};
use tests::{Client, Load, Role, process, samples, stack::root, until};
use uuid::Uuid;

use crate::{verify, world::World};

const PATIENCE: Duration = Duration::from_secs(120);
const NDJSON: &str = "application/x-ndjson";

/// Sends lines, and returns the answers in the order of the lines.
async fn stream(client: &Client, lines: &[String]) -> Result<Vec<Value>> {
    let request = client.request(reqwest::Method::POST, "/commands");
    let mut answers = request.body(NDJSON, lines.join("\n").into_bytes()).lines().await?;
    answers.sort_by_key(|answer| answer["line"].as_u64());
    Ok(answers)
}

fn status(answer: &Value) -> (u64, &str) {
    let told = answer["code"].as_str().or(answer["verdict"].as_str());
    (answer["status"].as_u64().unwrap_or_default(), told.unwrap_or_default())
}

fn upsert(key: &str, product: &Value) -> Value {
    json!({"command": "upsert_product", "key": key, "data": {"product": product}})
}

pub(crate) async fn each_line_is_answered_as_its_own_endpoint_would(
    world: &mut World,
) -> Result<()> {
    let (client, mall) = (&world.client, "demo".parse()?);
    let (product, key) = (samples::vacuum(), Uuid::now_v7().to_string());
    let number = product["external_id"].as_str().context("no number")?.to_owned();
    let id = ProductId::of(&mall, None, &number);
    let mut other = product.clone();
    other["name"] = json!("another name under the key");
    let (mut of_brand, mut of_none) = (samples::plain("의자"), samples::plain("책상"));
    let brand = Uuid::now_v7().to_string();
    of_brand["brand_id"] = json!(BrandId::of(&mall, &brand));
    of_none["brand_id"] = json!(Uuid::now_v7());
    let sized = |version: i64, name: &str| json!({"command": name, "id": id, "expected_version": version, "data": {}});
    let lines = [
        upsert(&key, &product).to_string(),
        "{\"command\": ".to_owned(),
        json!({"command": "fly", "data": {}}).to_string(),
        json!({"command": "reprice_product", "extra": 1, "data": {"list_price": 5}}).to_string(),
        String::new(),
        upsert(&key, &product).to_string(),
        upsert(&key, &other).to_string(),
        sized(1, "hide_product").to_string(),
        sized(1, "display_product").to_string(),
        json!({"command": "hide_product", "id": Uuid::now_v7(), "data": {}}).to_string(),
        upsert("none", &of_none).to_string(),
        json!({"command": "register_brand", "data": {"external_id": brand, "name": "새"}})
            .to_string(),
        upsert(&brand, &of_brand).to_string(),
    ];
    let answers = stream(client, &lines).await?;
    let told: Vec<_> = answers.iter().map(status).collect();
    let expected = [
        (200, "ACCEPTED"),
        (400, "MALFORMED_JSON"),
        (422, "INVALID_BODY"),
        (422, "INVALID_BODY"),
        (200, "ACCEPTED"),
        (422, "KEY_REUSED"),
        (200, "ACCEPTED"),
        (412, "VERSION_CONFLICT"),
        (404, "PRODUCT_NOT_FOUND"),
        (422, "UNKNOWN_REFERENCE"),
        (201, "ACCEPTED"),
        (200, "ACCEPTED"),
    ];
    ensure!(told == expected, "{answers:#?}");
    ensure!(answers[0]["id"] == json!(id) && answers[0]["version"] == 1, "{:?}", answers[0]);
    ensure!(answers[4]["command_id"] == answers[0]["command_id"], "{:?}", answers[4]);
    ensure!(answers[3]["errors"].as_array().is_some_and(|errors| errors.len() == 2));
    ensure!(answers[9]["errors"][0]["pointer"] == "/data/product/brand_id", "{:?}", answers[9]);

    // Once the read model knows, a keyed line is answered without the log.
    until("the first line is known", PATIENCE, async || {
        let again = stream(client, &lines[..1]).await?;
        ensure!(again[0]["command_id"] == answers[0]["command_id"], "{again:?}");
        Ok((again[0]["repeated"] == true).then_some(()))
    })
    .await
}

/// A registration earlier in the stream brings in what is absent, and does not hide that it is
/// there and retired.
pub(crate) async fn a_line_cannot_use_what_is_retired(world: &mut World) -> Result<()> {
    let client = &world.client;
    let number = Uuid::now_v7().to_string();
    let brand = json!({"external_id": number, "name": number});
    let id = client.post("/brands", &brand).send().await?.expect(201)?.text("/id")?;
    let retired = client.post(&format!("/brands/{id}/retire"), &json!({})).send().await?;
    let token = retired.expect(200)?.header("consistency-token")?;
    client.see(&format!("/brands/{id}"), &token).await?;
    let mut product = samples::plain("의자");
    product["brand_id"] = json!(id);
    let again = json!({"command": "register_brand", "key": number, "data": brand});
    let lines = [again.to_string(), upsert("retired", &product).to_string()];
    let answers = stream(client, &lines).await?;
    let told: Vec<_> = answers.iter().map(status).collect();
    ensure!(told == [(409, "BRAND_ALREADY_REGISTERED"), (422, "UNKNOWN_REFERENCE")], "{answers:?}");
    let why = answers[1]["errors"][0]["detail"].as_str().unwrap_or_default();
    ensure!(why.ends_with("is RETIRED"), "{answers:?}");
    Ok(())
}

pub(crate) async fn a_stream_is_bounded_and_need_not_be_waited_for(
    world: &mut World,
) -> Result<()> {
    let client = &world.client;
    let post = || client.request(reqwest::Method::POST, "/commands");
    let json = post().body("application/json", b"{}".to_vec()).send().await?.expect(415)?;
    ensure!(json.text("/code")? == "UNSUPPORTED_MEDIA_TYPE");
    let long = post().body(NDJSON, b"{}\n".repeat(10_001)).send().await?.expect(413)?;
    ensure!(long.text("/code")? == "TOO_MANY_LINES", "{long:?}");
    let nobody = client.with("demo", "no-key").request(reqwest::Method::POST, "/commands");
    nobody.body(NDJSON, vec![]).send().await?.expect(401)?;

    let line = upsert(&Uuid::now_v7().to_string(), &samples::plain("걸상")).to_string();
    let request = post().header("prefer", "respond-async").body(NDJSON, line.into_bytes());
    let answers = request.lines().await?;
    ensure!(status(&answers[0]) == (202, "PENDING"), "{answers:?}");
    let location = answers[0]["location"].as_str().context("no location")?;
    let path = location.strip_prefix("/v1/demo").context("another mall")?.to_owned();
    ensure!(path.contains("?at=bulk."), "{path}");
    until("it is decided", PATIENCE, async || {
        let answer = client.get(&path).send().await?;
        Ok((answer.status == 200 && answer.text("/verdict")? == "ACCEPTED").then_some(()))
    })
    .await
}

pub(crate) async fn a_file_sent_again_adds_nothing(world: &mut World) -> Result<()> {
    let mark = Uuid::now_v7().simple().to_string();
    let file = scratch(&format!("{mark}.csv"));
    let text = fs::read_to_string(root().join("tests/data/shopify.csv"))?;
    fs::write(&file, text.replace("MARK", &mark))?;
    let (ended, told) = import(world, &file)?;
    // Two brands, two categories and three products; a price that is none, and a second shirt.
    ensure!(
        !ended.success() && told.contains(": 7 accepted") && told.contains("2 refused"),
        "{told}"
    );
    // A column that was left out is told once, with how many rows had it.
    let left_out = "prices to compare with (1 rows), stock (2 rows), tags (1 rows)";
    ensure!(told.contains(left_out), "{told}");
    let refused = fs::read_to_string(format!("{}.refused.ndjson", file.display()))?;
    let refused: Vec<Value> =
        refused.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(refused[0]["code"] == "INVALID_PRICE" && refused[0]["line"] == 9, "{refused:?}");
    ensure!(refused[1]["code"] == "DUPLICATE_HANDLE" && refused[1]["line"] == 11, "{refused:?}");
    verify::finds_nothing(world).await?;

    let shirt = ProductId::of(&"demo".parse()?, None, &format!("{mark}-linen-shirt"));
    let shown = world.client.get(&format!("/products/{shirt}")).send().await?.expect(200)?;
    ensure!(shown.text("/description")?.contains("Gets better\nwith every wash & wear."));
    ensure!(shown.number("/list_price/minor")? == 4900, "{shown:?}");
    ensure!(
        shown.text("/skus/2/code")? == "LS-L-SAND" && shown.text("/skus/1/code")? == "Large/White"
    );
    ensure!(shown.body["images"].as_array().is_some_and(|images| images.len() == 4), "{shown:?}");

    let before = events(world)?;
    let (_, told) = import(world, &file)?;
    ensure!(told.contains(": 0 accepted") && told.contains("7 were decided before"), "{told}");
    ensure!(events(world)? == before, "events were added");
    // As if it had been seen anew: other keys, so all is decided, and nothing has changed.
    fs::File::options().append(true).open(&file)?.set_modified(std::time::SystemTime::now())?;
    let (_, told) = import(world, &file)?;
    ensure!(told.contains(": 0 accepted, 3 changed nothing"), "{told}");
    ensure!(events(world)? == before, "events were added");
    Ok(())
}

pub(crate) async fn kills_in_the_middle_of_an_import_lose_and_double_nothing(
    world: &mut World,
) -> Result<()> {
    let file = scratch("generated.ndjson");
    let seed = Uuid::now_v7().as_u128().to_string();
    let seed = &seed[seed.len() - 12..];
    let path = file.to_str().context("a path")?;
    let arguments = ["generate", "--products", "3000", "--seed", seed, "--out", path];
    let (made, told) = process::run("jangbu", &arguments, &process::Settings::new())?;
    ensure!(made.success(), "{told}");
    let mut load = Load::start(&world.client, 4, 1);
    load.until_decided(50, PATIENCE).await?;

    // The importer dies first, then twice the handler while another one goes on.
    let base = world.fleet.base().to_owned();
    let mut first = start_import(&base, &file)?;
    let handler = world.fleet.process(Role::Handler)?;
    let before = handler.metric("jangbu_commands_total").await?;
    until("a third is decided", PATIENCE, async || {
        Ok((handler.metric("jangbu_commands_total").await? > before + 1000.0).then_some(()))
    })
    .await?;
    first.kill()?;
    first.wait()?;
    world.fleet.restart(Role::Handler, Some("handler.before_commit:9:kill"))?;
    let second = thread::spawn({
        let (base, file) = (base.clone(), file.clone());
        move || start_import(&base, &file)?.wait_with_output().context("the import")
    });
    for next in [Some("handler.after_commit:6:kill"), None] {
        world.fleet.process(Role::Handler)?.until_ended(PATIENCE).await?;
        world.fleet.restart(Role::Handler, next)?;
    }
    load.until_decided(50, PATIENCE).await?;
    let output = second.join().map_err(|_| anyhow::anyhow!("the import panicked"))??;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && told.contains(" 0 refused"), "{told}");
    let report = load.finish().await?;
    report.check(&world.client).await?;
    verify::finds_nothing(world).await?;

    let before = events(world)?;
    let (ended, told) = import(world, &file)?;
    ensure!(ended.success() && told.contains(": 0 accepted, 0 changed nothing"), "{told}");
    ensure!(events(world)? == before, "events were added");
    println!("{told}");
    Ok(())
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("jangbu-{}-{name}", std::process::id()))
}

fn import(world: &World, file: &Path) -> Result<(ExitStatus, String)> {
    import_with(world, file, &["--key", "demo-key"])
}

/// Imports a file; answers how that ended and what was told.
pub(crate) fn import_with(
    world: &World,
    file: &Path,
    arguments: &[&str],
) -> Result<(ExitStatus, String)> {
    let output = importer(world.fleet.base(), file, arguments)?.wait_with_output()?;
    let told = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status, told))
}

fn start_import(api: &str, file: &Path) -> Result<Child> {
    importer(api, file, &["--key", "demo-key"])
}

fn importer(api: &str, file: &Path, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(process::binaries()?.join("jangbu"));
    command.arg("import").arg(file).args(["--api", api]).args(arguments);
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// How far the log of events reaches: the sum over its partitions.
fn events(world: &World) -> Result<i64> {
    let (_, told) = world.fleet.jangbu(&["status", "--json"])?;
    let status: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    let readers = status["readers"].as_array().context("no readers")?;
    let products = readers.iter().find(|reader| reader["name"] == "products");
    let partitions = products.and_then(|p| p["partitions"].as_array()).context("no products")?;
    Ok(partitions.iter().filter_map(|at| at["end"].as_i64()).sum())
}
