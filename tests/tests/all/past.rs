//! What a product was at a time before now, and what each event changed of it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::samples;

use crate::world::World;

pub(crate) async fn a_product_is_shown_as_it_was(world: &mut World) -> Result<()> {
    let client = &world.client;
    let (id, _) = client.register(&samples::vacuum()).await?;
    let repriced = client.post(&format!("/products/{id}/reprice"), &samples::reprice(77_000));
    let token = repriced.send().await?.expect(200)?.header("consistency-token")?;
    let told = client.see(&format!("/products/{id}/history?changes=true"), &token).await?;
    let time = |version: usize| told.text(&format!("/items/{}/at", version - 1));
    let (first, second) = (time(1)?, time(2)?);
    ensure!(first < second, "{told:?}");
    ensure!(told.text("/items/1/actor")? == "key:demo", "{told:?}");

    let path = |at: &str| format!("/products/{id}?as_of={at}");
    let before = client.get(&path(&first)).send().await?.expect(200)?;
    let price = before.number("/list_price/minor")?;
    ensure!(price != 77_000 && before.number("/version")? == 1, "{before:?}");
    ensure!(before.header("etag")? == "\"1\"", "{before:?}");
    let after = client.get(&path(&second)).send().await?.expect(200)?;
    let now = client.see(&format!("/products/{id}"), &token).await?;
    ensure!(after.body == now.body, "{after:?} is not {now:?}");
    client.get(&path("2001-01-01T00:00:00Z")).send().await?.expect(404)?;
    client.get(&path("yesterday")).send().await?.expect(400)?;
    let shop = client.with("demo", "demo-shop-key");
    shop.get(&path(&second)).send().await?.expect(403)?;

    let changed = |version: usize, field: &str| {
        let changes = told.body["items"][version - 1]["changes"].as_array();
        let found = changes.into_iter().flatten().find(|change| change["field"] == field);
        found.cloned().with_context(|| format!("{field} in {told:?}"))
    };
    ensure!(changed(1, "name")?["from"] == Value::Null);
    let expected =
        json!({"field": "list_price", "from": samples::krw(price), "to": samples::krw(77_000)});
    ensure!(changed(2, "list_price")? == expected, "{told:?}");
    let of_second = told.body["items"][1]["changes"].as_array().context("no changes")?;
    ensure!(of_second.len() == 1, "{told:?}");

    let rest = client.get(&format!("/products/{id}/history?changes=true&after=1")).send().await?;
    ensure!(rest.body["items"] == json!([told.body["items"][1]]), "{rest:?}");
    let plain = client.get(&format!("/products/{id}/history")).send().await?.expect(200)?;
    ensure!(plain.body["items"][1].get("changes").is_none(), "{plain:?}");
    let other = client.with("other", "other-key");
    other.get(&path(&second)).send().await?.expect(404)?;

    let asked = ["--mall", "demo"];
    let (_, printed) =
        world.fleet.jangbu(&[&["at", &id, "--time", &first], &asked[..]].concat())?;
    let shown: Value = serde_json::from_str(&printed)?;
    ensure!(shown == before.body, "{printed}");
    let (_, printed) =
        world.fleet.jangbu(&[&["diff", &id, "--since", &first], &asked[..]].concat())?;
    ensure!(printed.contains("list_price") && printed.contains("77000"), "{printed}");
    ensure!(printed.lines().count() == 2, "{printed}");
    let of_another = ["diff", &id, "--since", &first, "--mall", "other"];
    let (status, printed) = world.fleet.jangbu(&of_another)?;
    ensure!(!status.success() && printed.contains("no such product"), "{printed}");
    Ok(())
}
