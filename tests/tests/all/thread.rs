//! One product, from a posted command to a search hit.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{load::history, samples, until};

use crate::world::World;

const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn a_product_goes_all_the_way(world: &mut World) -> Result<()> {
    let client = &world.client;
    let answer = client.post("/products", &samples::vacuum()).send().await?.expect(201)?;
    let (id, token) = (answer.text("/id")?, answer.header("consistency-token")?);
    ensure!(answer.header("etag")? == "\"1\"" && answer.number("/version")? == 1);
    ensure!(answer.header("location")? == format!("/v1/demo/products/{id}"));

    let shown = client.see(&format!("/products/{id}"), &token).await?;
    ensure!(shown.header("etag")? == "\"1\"");
    ensure!(shown.header("projection-lag")?.parse::<f64>()? < 10.0);
    ensure!(shown.text("/name")? == "무선청소기 V12" && shown.number("/version")? == 1);
    ensure!(shown.number("/list_price/minor")? == 199_000);

    // 무선청소기 is one word to whoever typed it; a shopper types a part of it.
    let found = client.find("청소기", &token).await?;
    ensure!(found.body.to_string().contains(&id), "{found:?}");

    let told = history(client, &id).await?;
    ensure!(told == [(1, answer.text("/command_id")?.parse()?)], "{told:?}");

    let status = format!("/commands/{}", answer.text("/command_id")?);
    let decided = client.get(&status).send().await?.expect(200)?;
    ensure!(decided.text("/verdict")? == "ACCEPTED" && decided.number("/version")? == 1);
    Ok(())
}

pub(crate) async fn a_change_may_name_the_version_it_means(world: &mut World) -> Result<()> {
    let client = &world.client;
    let (id, _) = client.register(&samples::vacuum()).await?;
    let path = format!("/products/{id}/reprice");
    let reprice = |won| client.post(&path, &samples::reprice(won));

    let answer = reprice(5_000).header("if-match", "\"1\"").send().await?.expect(200)?;
    ensure!(answer.header("etag")? == "\"2\"");
    let late = reprice(6_000).header("if-match", "\"1\"").send().await?.expect(412)?;
    ensure!(late.text("/code")? == "VERSION_CONFLICT");
    reprice(6_000).header("if-match", "two").send().await?.expect(400)?;

    let unchanged = reprice(5_000).send().await?.expect(200)?;
    ensure!(unchanged.text("/verdict")? == "UNCHANGED" && unchanged.number("/version")? == 2);
    let token = unchanged.header("consistency-token")?;
    let shown = client.see(&format!("/products/{id}"), &token).await?;
    ensure!(shown.number("/list_price/minor")? == 5_000);
    Ok(())
}

pub(crate) async fn a_refusal_says_what_to_mend(world: &mut World) -> Result<()> {
    let client = &world.client;
    let (id, _) = client.register(&samples::vacuum()).await?;
    let euro = json!({"list_price": {"minor": 1, "currency": "EUR"}});
    let path = format!("/products/{id}/reprice");
    let refused = client.post(&path, &euro).key("euro").send().await?.expect(409)?;
    ensure!(refused.text("/code")? == "CURRENCY_MISMATCH");
    ensure!(refused.text("/detail")? == "the price is in EUR, the product is sold in KRW");
    let again = client.post(&path, &euro).key("euro").send().await?.expect(409)?;
    ensure!(again.body == refused.body, "{again:?}");
    let command = format!("/commands/{}", refused.text("/command_id")?);
    let status = until("the refusal is recorded", SOON, async || {
        let answer = client.get(&command).send().await?;
        Ok((answer.status == 200).then_some(answer))
    });
    ensure!(status.await?.text("/code")? == "CURRENCY_MISMATCH");
    ensure!(history(client, &id).await?.len() == 1, "a refusal leaves no event");
    Ok(())
}

pub(crate) async fn a_revision_reaches_the_search(world: &mut World) -> Result<()> {
    let client = &world.client;
    let (id, _) = client.register(&samples::plain("오래된 이름")).await?;
    let body = json!({"name": "전동드라이버 Pro", "description": "Cordless screwdriver"});
    let answer = client.post(&format!("/products/{id}/revise"), &body).send().await?.expect(200)?;
    let token = answer.header("consistency-token")?;
    for words in ["드라이버", "screwdrivers"] {
        let found = client.find(words, &token).await?;
        let hit = |hit: &&Value| hit["id"] == id.as_str();
        let hits = found.body["hits"].as_array().context("no hits")?;
        let hit = hits.iter().find(hit).with_context(|| format!("{words} finds {hits:?}"))?;
        ensure!(hit["version"] == 2, "{hit}");
    }
    Ok(())
}

pub(crate) async fn who_does_not_wait_is_told_where_to_ask(world: &mut World) -> Result<()> {
    let client = &world.client;
    let request = client.post("/products", &samples::plain("나중에")).key("later");
    let answer = request.header("prefer", "respond-async").send().await?.expect(202)?;
    answer.header("retry-after")?;
    let location = answer.header("location")?;
    let decided = until("the command is decided", SOON, async || {
        let answer = client.get(location.trim_start_matches("/v1/demo")).send().await?;
        ensure!([200, 202].contains(&answer.status), "{answer:?}");
        Ok((answer.status == 200).then_some(answer))
    });
    ensure!(decided.await?.text("/verdict")? == "ACCEPTED");
    let unknown = "/commands/0190d5a2-7e1c-7cc0-9b3e-0c8f3f4f9a10";
    client.get(unknown).send().await?.expect(404)?;
    client.get(&format!("{unknown}?at=0.99999999")).send().await?.expect(404)?;
    // Another command stands there.
    let (_, at) = location.split_once('?').context("no position")?;
    until("what was never there is known to be nowhere", SOON, async || {
        let answer = client.get(&format!("{unknown}?{at}")).send().await?;
        ensure!([202, 404].contains(&answer.status), "{answer:?}");
        Ok((answer.status == 404).then_some(()))
    })
    .await
}

pub(crate) async fn a_mall_never_sees_another(world: &mut World) -> Result<()> {
    let client = &world.client;
    let (id, token) = client.register(&samples::vacuum()).await?;
    let path = format!("/products/{id}");
    client.see(&path, &token).await?;
    let other = client.with("other", "other-key");
    for hidden in [path.clone(), format!("{path}/history")] {
        other.get(&hidden).send().await?.expect(404)?;
    }
    let reprice = other.post(&format!("{path}/reprice"), &samples::reprice(1));
    ensure!(reprice.send().await?.expect(404)?.text("/code")? == "PRODUCT_NOT_FOUND");
    let found = other.find("청소기", &token).await?;
    ensure!(!found.body.to_string().contains(&id), "{found:?}");
    for stranger in [client.with("other", "demo-key"), client.with("nowhere", "demo-key")] {
        ensure!(stranger.get(&path).send().await?.expect(403)?.text("/code")? == "FORBIDDEN");
    }
    ensure!(client.with("demo", "guess").get(&path).send().await?.status == 401);
    Ok(())
}

pub(crate) async fn pages_show_each_product_once(world: &mut World) -> Result<()> {
    let client = &world.client.with("other", "other-key");
    let (mut registered, mut token) = (BTreeSet::new(), String::new());
    for number in 0..25 {
        let (id, of_it) = client.register(&samples::plain(&format!("상품 {number}"))).await?;
        client.see(&format!("/products/{id}"), &of_it).await?;
        (_, token) = (registered.insert(id), of_it);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/products?limit=10{after}");
        let page = client.see(&path, &token).await?;
        let items = page.body["items"].as_array().context("no items")?;
        seen.extend(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)));
        let Some(next) = page.body["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    ensure!(distinct.len() == seen.len(), "a page repeats a product");
    ensure!(registered.is_subset(&distinct), "a product is on no page");
    Ok(())
}
