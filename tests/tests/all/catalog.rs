//! Partners, brands, categories, and what products are made to be with them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, client::Answer, load::history, samples};
use uuid::Uuid;

use crate::world::World;

async fn post(client: &Client, path: &str, body: Value) -> Result<Answer> {
    client.post(path, &body).send().await
}

/// Something that is registered by a number of its own: its id.
async fn numbered(client: &Client, path: &str, name: &str) -> Result<String> {
    let body = json!({"external_id": Uuid::now_v7().to_string(), "name": name});
    post(client, path, body).await?.expect(201)?.text("/id")
}

pub(crate) async fn a_brand_is_renamed_retired_and_its_products_stay(
    world: &mut World,
) -> Result<()> {
    let client = &world.client;
    let brand = numbered(client, "/brands", "한샘").await?;
    let mut product = samples::plain("한샘 의자");
    product["brand_id"] = json!(brand);
    let (id, token) = client.register(&product).await?;
    ensure!(client.see(&format!("/products/{id}"), &token).await?.text("/brand_id")? == brand);

    let path = |change: &str| format!("/brands/{brand}/{change}");
    post(client, &path("rename"), json!({"name": "Hanssem"})).await?.expect(200)?;
    let token = post(client, &path("retire"), json!({})).await?.expect(200)?;
    let token = token.header("consistency-token")?;
    let shown = client.see(&format!("/brands/{brand}"), &token).await?;
    ensure!(shown.text("/name")? == "Hanssem" && shown.text("/state")? == "RETIRED", "{shown:?}");
    ensure!(shown.number("/version")? == 3);

    // Retired, it takes no new product, and a feed may go on to tell of those that it has.
    let assign = |id: &str| format!("/products/{id}/assign-brand");
    let (other, _) = client.register(&samples::plain("다른 의자")).await?;
    let refused = post(client, &assign(&other), json!({"brand_id": brand})).await?.expect(422)?;
    ensure!(refused.text("/code")? == "UNKNOWN_REFERENCE", "{refused:?}");
    ensure!(refused.text("/errors/0/pointer")? == "/brand_id", "{refused:?}");
    let told = post(client, "/products/upsert", json!({"product": product})).await?.expect(200)?;
    ensure!(told.text("/verdict")? == "UNCHANGED", "{told:?}");

    let unknown = json!({"brand_id": Uuid::now_v7()});
    post(client, &assign(&other), unknown).await?.expect(422)?;
    let foreign = client.with("other", "other-key").get(&format!("/brands/{brand}"));
    ensure!(foreign.send().await?.expect(404)?.text("/code")? == "BRAND_NOT_FOUND");
    Ok(())
}

pub(crate) async fn a_partner_is_suspended_and_reinstated(world: &mut World) -> Result<()> {
    let client = &world.client;
    let partner = numbered(client, "/partners", "서울상회").await?;
    let path = |change: &str| format!("/partners/{partner}/{change}");
    let reason = json!({"reason": "unpaid fees"});
    post(client, &path("suspend"), reason.clone()).await?.expect(200)?;
    let again = post(client, &path("suspend"), reason).await?.expect(200)?;
    ensure!(again.text("/verdict")? == "UNCHANGED", "{again:?}");
    let answer = post(client, &path("reinstate"), json!({})).await?.expect(200)?;
    let token = answer.header("consistency-token")?;
    let shown = client.see(&format!("/partners/{partner}"), &token).await?;
    ensure!(shown.text("/state")? == "ACTIVE" && shown.number("/version")? == 3, "{shown:?}");
    let extra = json!({"reason": "meant for another path"});
    post(client, &path("reinstate"), extra).await?.expect(422)?;
    // An id of one kind is none of another.
    let other = post(client, &format!("/brands/{partner}/retire"), json!({})).await?;
    ensure!(other.expect(409)?.text("/code")? == "OTHER_KIND");
    Ok(())
}

pub(crate) async fn the_category_tree_stays_a_tree(world: &mut World) -> Result<()> {
    let client = &world.client;
    let mark = Uuid::now_v7().simple().to_string();
    let mut ids = vec![];
    for (name, parent) in [("가전", None), ("주방가전", Some(0)), ("밥솥", Some(1))] {
        let id = Uuid::now_v7().to_string();
        let parent_id = parent.map(|at: usize| json!(ids[at]));
        let name = format!("{name} {mark}");
        let body = json!({"category_id": id, "parent_id": parent_id, "name": name});
        post(client, "/categories", body).await?.expect(200)?;
        ids.push(id);
    }
    // Whoever chooses an id may choose one that something else has, in this mall or another.
    let brand = numbered(client, "/brands", "이케아").await?;
    let other = client.with("other", "other-key");
    let body = json!({"category_id": brand, "name": format!("같은 번호 {mark}")});
    post(client, "/categories", body.clone()).await?.expect(200)?;
    post(&other, "/categories", body).await?.expect(200)?;
    let renamed = post(client, &format!("/brands/{brand}/rename"), json!({"name": "IKEA"})).await?;
    let token = renamed.expect(200)?.header("consistency-token")?;
    ensure!(client.see(&format!("/brands/{brand}"), &token).await?.text("/name")? == "IKEA");

    let below_itself = json!({"category_id": ids[0], "parent_id": ids[2]});
    let refused = post(client, "/categories/move", below_itself).await?.expect(409)?;
    ensure!(refused.text("/code")? == "CATEGORY_CYCLE", "{refused:?}");
    let refused = post(client, "/categories/retire", json!({"category_id": ids[1]})).await?;
    ensure!(refused.expect(409)?.text("/code")? == "CATEGORY_HAS_CHILDREN");
    let outwards = json!({"category_id": ids[2], "parent_id": ids[0]});
    let moved = post(client, "/categories/move", outwards).await?.expect(200)?;
    let token = moved.header("consistency-token")?;
    let listed = client.get("/categories?limit=100").seeing(&token).send().await?.expect(200)?;
    let items = listed.body["items"].as_array().context("no items")?;
    let found = items.iter().find(|item| item["id"] == ids[2].as_str());
    let found = found.with_context(|| format!("{} is not among {}", ids[2], items.len()))?;
    ensure!(found["parent_id"] == ids[0].as_str() && found["state"] == "ACTIVE", "{found}");

    let (id, _) = client.register(&samples::plain("압력밥솥")).await?;
    let path = format!("/products/{id}/categorise");
    let answer = post(client, &path, json!({"category_ids": [ids[2]]})).await?.expect(200)?;
    let token = answer.header("consistency-token")?;
    let shown = client.see(&format!("/products/{id}"), &token).await?;
    ensure!(shown.text("/category_ids/0")? == ids[2], "{shown:?}");
    Ok(())
}

pub(crate) async fn what_was_registered_a_moment_ago_can_be_named(world: &mut World) -> Result<()> {
    let client = &world.client;
    for round in 0..30 {
        let mut product = samples::plain("방금 등록한 것");
        product["brand_id"] = json!(numbered(client, "/brands", "새 상표").await?);
        product["partner_id"] = json!(numbered(client, "/partners", "새 상점").await?);
        let category = Uuid::now_v7().to_string();
        let body = json!({"category_id": category, "name": format!("새 분류 {category}")});
        post(client, "/categories", body).await?.expect(200)?;
        product["category_ids"] = json!([category]);
        let answer = post(client, "/products", product.clone()).await?;
        ensure!(answer.status == 201, "{round}: {answer:?}");
        product["brand_id"] = json!(Uuid::now_v7());
        let refused = post(client, "/products", product).await?.expect(422)?;
        ensure!(refused.text("/code")? == "UNKNOWN_REFERENCE", "{refused:?}");
        ensure!(refused.body["errors"].as_array().is_some_and(|all| all.len() == 1), "{refused:?}");
    }
    Ok(())
}

pub(crate) async fn a_command_without_fields_needs_no_body(world: &mut World) -> Result<()> {
    let client = &world.client;
    let brand = numbered(client, "/brands", "접는 상표").await?;
    let bare = |path: String| client.request(Method::POST, &path);
    bare(format!("/brands/{brand}/retire")).send().await?.expect(200)?;
    let refused = bare(format!("/brands/{brand}/rename")).send().await?.expect(422)?;
    ensure!(refused.text("/errors/0/pointer")? == "/name", "{refused:?}");
    Ok(())
}

pub(crate) async fn a_feed_sent_again_adds_nothing(world: &mut World) -> Result<()> {
    let client = &world.client;
    let mut product = samples::vacuum();
    // Seen long before it is decided, as after a pause of the feed.
    let feed = |product: &Value, ago| json!({"product": product, "observed_at": before(ago)});
    let old = feed(&product, 60_000);
    let first = post(client, "/products/upsert", old.clone()).await?.expect(200)?;
    let id = first.text("/id")?;
    ensure!(first.text("/verdict")? == "ACCEPTED" && first.number("/version")? == 1, "{first:?}");
    let again = post(client, "/products/upsert", old.clone()).await?.expect(200)?;
    ensure!(again.text("/verdict")? == "UNCHANGED" && again.number("/version")? == 1, "{again:?}");

    product["list_price"] = samples::krw(189_000);
    product["skus"] = json!([{"code": "W", "choices": ["흰색"]}]);
    let newer = feed(&product, 30_000);
    let changed = post(client, "/products/upsert", newer).await?.expect(200)?;
    ensure!(changed.number("/version")? == 3, "{changed:?}");
    let token = changed.header("consistency-token")?;
    let shown = client.see(&format!("/products/{id}"), &token).await?;
    ensure!(shown.number("/list_price/minor")? == 189_000, "{shown:?}");
    let retired: Vec<&Value> = shown.body["skus"].as_array().context("no skus")?.iter().collect();
    ensure!(retired.iter().filter(|sku| sku["retired"] == true).count() == 1, "{retired:?}");
    client.see(&format!("/products/{id}/history"), &token).await?;
    ensure!(history(client, &id).await?.len() == 3);

    let stale = post(client, "/products/upsert", old).await?.expect(409)?;
    ensure!(stale.text("/code")? == "STALE", "{stale:?}");

    // What was changed here since the feed looked is not undone by it.
    post(client, &format!("/products/{id}/reprice"), samples::reprice(150_000))
        .await?
        .expect(200)?;
    product["name"] = json!("무선청소기 V12 리퍼");
    let behind = post(client, "/products/upsert", feed(&product, 10_000)).await?.expect(409)?;
    ensure!(behind.text("/code")? == "STALE", "{behind:?}");

    product["external_id"] = Value::Null;
    let nameless = post(client, "/products/upsert", feed(&product, 0)).await?.expect(422)?;
    ensure!(nameless.text("/errors/0/pointer")? == "/product/external_id", "{nameless:?}");
    Ok(())
}

pub(crate) async fn a_partners_product_is_sold_once_approved(world: &mut World) -> Result<()> {
    let client = &world.client;
    let partner = numbered(client, "/partners", "부산상회").await?;
    let mut product = samples::plain("수제 도마");
    product["partner_id"] = json!(partner);
    product["sale_state"] = json!("READY");
    let (id, _) = client.register(&product).await?;
    let to = |change: &str| format!("/products/{id}/{change}");
    let on_sale = json!({"sale_state": "ONSALE"});
    let early = post(client, &to("change-sale-state"), on_sale.clone()).await?.expect(409)?;
    ensure!(early.text("/code")? == "NOT_APPROVED", "{early:?}");
    for (change, body) in [
        ("request-approval", json!({})),
        ("reject-approval", json!({"reason": "the picture is blurred"})),
        ("request-approval", json!({})),
        ("approve", json!({})),
        ("change-sale-state", on_sale),
    ] {
        post(client, &to(change), body).await?.expect(200).context(change)?;
    }
    let hidden = post(client, &to("hide"), json!({})).await?.expect(200)?;
    let token = hidden.header("consistency-token")?;
    let shown = client.see(&format!("/products/{id}"), &token).await?;
    ensure!(shown.text("/approval")? == "FINISHED", "{shown:?}");
    ensure!(shown.text("/sale_state")? == "ONSALE", "{shown:?}");
    ensure!(shown.body["displayed"] == false && shown.number("/version")? == 7, "{shown:?}");
    Ok(())
}

/// The time of so many milliseconds ago.
fn before(millis: i64) -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!(domain::Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX) - millis))
}
