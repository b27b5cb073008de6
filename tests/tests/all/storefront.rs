//! What a storefront sees of a mall, page by page, and what a merchant does.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Client, client::Answer, samples};
use uuid::Uuid;

use crate::world::World;

pub(crate) async fn post(client: &Client, path: &str, body: Value) -> Result<Answer> {
    client.post(path, &body).send().await
}

/// A brand, partner or category under a name of its own: its id.
pub(crate) async fn new(client: &Client, path: &str) -> Result<String> {
    let mark = Uuid::now_v7().to_string();
    let body = json!({"external_id": mark, "name": mark});
    post(client, path, body).await?.expect(201)?.text("/id")
}

pub(crate) async fn category(client: &Client, parent: Option<&str>) -> Result<String> {
    let id = Uuid::now_v7().to_string();
    let body = json!({"category_id": id, "parent_id": parent, "name": id});
    post(client, "/categories", body).await?.expect(200)?;
    Ok(id)
}

pub(crate) fn storefront(world: &World) -> Client {
    world.client.with("demo", "demo-shop-key")
}

/// The ids of a page, in order.
pub(crate) fn ids(answer: &Answer, items: &str) -> Result<Vec<String>> {
    let items = answer.body[items].as_array().with_context(|| format!("{answer:?}"))?;
    Ok(items.iter().filter_map(|item| Some(item["id"].as_str()?.to_owned())).collect())
}

pub(crate) async fn a_buyer_sees_what_is_on_sale(world: &mut World) -> Result<()> {
    let (client, front) = (&world.client, storefront(world));
    let brand = new(client, "/brands").await?;
    let mut register = vec![];
    for (change, seen) in [
        (json!({}), true),
        (json!({"displayed": false}), false),
        (json!({"sale_state": "STOP"}), false),
        (json!({"approval": "APPROVAL_READY", "sale_state": "READY"}), false),
        (json!({"sale_period": {"starts_at": "2999-01-01T00:00:00Z"}}), false),
        (json!({"sale_period": {"ends_at": "2001-01-01T00:00:00Z"}}), false),
        (json!({"sale_period": {"starts_at": "2001-01-01T00:00:00Z"}}), true),
    ] {
        let mut product = samples::plain("법랑 냄비");
        product["brand_id"] = json!(brand);
        for (field, value) in change.as_object().into_iter().flatten() {
            product[field] = value.clone();
        }
        let (id, token) = client.register(&product).await?;
        client.find("법랑", &token).await?;
        ensure!(client.see(&format!("/products/{id}"), &token).await?.text("/id")? == id);
        let shown = front.get(&format!("/products/{id}")).send().await?;
        ensure!(shown.status == if seen { 200 } else { 404 }, "{product} {shown:?}");
        register.push((id, seen));
    }
    let all: Vec<String> = register.iter().map(|(id, _)| id.clone()).collect();
    let (seen, hidden): (Vec<_>, Vec<_>) = register.into_iter().partition(|(_, seen)| *seen);
    let only = |of: Vec<(String, bool)>| of.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let (seen, hidden) = (only(seen), only(hidden));

    let listing = format!("/products?brand_id={brand}");
    ensure!(ids(&front.get(&listing).send().await?.expect(200)?, "items")? == seen);
    ensure!(ids(&client.get(&listing).send().await?.expect(200)?, "items")? == all);
    let found = front.get(&format!("/search?q=법랑&brand_id={brand}")).send().await?.expect(200)?;
    let found: BTreeSet<String> = ids(&found, "hits")?.into_iter().collect();
    ensure!(found == seen.iter().cloned().collect(), "{found:?}");
    let found =
        client.get(&format!("/search?q=법랑&brand_id={brand}")).send().await?.expect(200)?;
    ensure!(found.number("/total")? == 7, "{found:?}");

    // Many at once, in the order asked; what is not to be seen is named.
    let asked: Vec<&str> = all.iter().rev().map(String::as_str).collect();
    let many =
        front.get(&format!("/products?ids={}", asked.join(","))).send().await?.expect(200)?;
    ensure!(ids(&many, "items")? == seen.iter().rev().cloned().collect::<Vec<_>>(), "{many:?}");
    let missing = many.body["missing"].as_array().into_iter().flatten();
    let missing: Vec<&str> = missing.filter_map(Value::as_str).collect();
    ensure!(missing == hidden.iter().rev().collect::<Vec<_>>(), "{many:?}");

    for path in [&format!("/products/{}/history", all[0]), "/partners", "/synonyms"] {
        let refused = front.get(path).send().await?.expect(403)?;
        ensure!(refused.text("/code")? == "STOREFRONT_KEY", "{refused:?}");
    }
    let refused = post(&front, "/products", samples::vacuum()).await?.expect(403)?;
    ensure!(refused.text("/code")? == "STOREFRONT_KEY", "{refused:?}");
    front.get(&format!("/brands/{brand}")).send().await?.expect(200)?;
    front.get("/categories").send().await?.expect(200).map(drop)
}

pub(crate) async fn a_suspended_partner_is_gone_at_once_and_back(world: &mut World) -> Result<()> {
    let (client, front) = (&world.client, storefront(world));
    let (partner, brand) = (new(client, "/partners").await?, new(client, "/brands").await?);
    let mut product = samples::plain("놋그릇");
    product["partner_id"] = json!(partner);
    product["brand_id"] = json!(brand);
    let (id, token) = client.register(&product).await?;
    let number = product["external_id"].as_str().context("no number")?;
    let by_number = format!("/products?external_ids={number}");
    let of_partner = client.see(&format!("{by_number}&partner_id={partner}"), &token).await?;
    ensure!(of_partner.text("/items/0/id")? == id, "{of_partner:?}");
    let of_mall = client.see(&by_number, &token).await?;
    ensure!(of_mall.body["items"] == json!([]), "a number belongs to its seller: {of_mall:?}");
    for change in ["request-approval", "approve"] {
        post(client, &format!("/products/{id}/{change}"), json!({})).await?;
    }
    let on_sale = json!({"sale_state": "ONSALE"});
    let path = format!("/products/{id}/change-sale-state");
    let mut token = post(client, &path, on_sale).await?.expect(200)?.header("consistency-token")?;
    for (change, body, is_seen) in [
        (None, Value::Null, true),
        (Some("suspend"), json!({"reason": "unpaid fees"}), false),
        (Some("reinstate"), json!({}), true),
    ] {
        if let Some(change) = change {
            let answer = post(client, &format!("/partners/{partner}/{change}"), body).await?;
            token = answer.expect(200)?.header("consistency-token")?;
        }
        let expected: &[String] = if is_seen { std::slice::from_ref(&id) } else { &[] };
        let listed = front.see(&format!("/products?brand_id={brand}"), &token).await?;
        ensure!(ids(&listed, "items")? == expected, "{change:?}: {listed:?}");
        let found = front.see(&format!("/search?brand_id={brand}"), &token).await?;
        ensure!(ids(&found, "hits")? == expected, "{change:?}: {found:?}");
        let shown = front.get(&format!("/products/{id}")).seeing(&token).send().await?;
        ensure!(shown.status == if is_seen { 200 } else { 404 }, "{shown:?}");
        client.see(&format!("/products/{id}"), &token).await?;
    }
    Ok(())
}

pub(crate) async fn pages_and_counts_are_whole(world: &mut World) -> Result<()> {
    let client = &world.client;
    let brands = [new(client, "/brands").await?, new(client, "/brands").await?];
    let above = category(client, None).await?;
    let below = [category(client, Some(&above)).await?, category(client, Some(&above)).await?];
    let (mut all, mut tokens) = (BTreeSet::new(), vec![]);
    for number in 0..24 {
        let mut product = samples::plain(&format!("찻잔 {number}"));
        product["brand_id"] = json!(brands[usize::from(number % 3 == 0)]);
        product["category_ids"] = json!([below[usize::from(number % 4 == 0)]]);
        // Some have the same price, and a page ends among them.
        product["list_price"] = samples::krw(1_000 + 500 * (i64::from(number) / 5));
        let (id, token) = client.register(&product).await?;
        all.insert(id);
        tokens.push(token);
    }
    for token in &tokens {
        client.find("찻잔", token).await?;
    }
    let of_brands = format!("/search?brand_id={}&q=찻잔", brands.join(","));
    for (path, items, expected) in [
        (format!("/products?brand_id={}", brands[0]), "items", 16),
        (format!("/categories/{above}/products?sort=price"), "hits", 24),
        (format!("/categories/{}/products", below[1]), "hits", 6),
        (of_brands.clone(), "hits", 24),
        (format!("{of_brands}&sort=-price&price_from=1500&price_to=2000"), "hits", 10),
    ] {
        let seen = pages(client, &path, items).await?;
        let different: BTreeSet<&String> = seen.iter().collect();
        ensure!((seen.len(), different.len()) == (expected, expected), "{path}: {seen:?}");
        ensure!(different.iter().all(|id| all.contains(*id)), "{path}: another product");
    }
    let counts = format!("/search?category_id={above}&brand_id={}", brands[0]);
    let counts = format!("{counts}&facets=brand,category,price,sale_state&limit=1");
    let counted = client.get(&counts).send().await?.expect(200)?;
    ensure!(counted.number("/total")? == 16, "{counted:?}");
    // What is chosen of a facet narrows the others.
    let facets = &counted.body["facets"];
    let count = |list: &str, id: &str| {
        let entries = facets[list].as_array().into_iter().flatten();
        entries.filter(|entry| entry["id"] == id).find_map(|entry| entry["count"].as_i64())
    };
    ensure!([count("brands", &brands[0]), count("brands", &brands[1])] == [Some(16), Some(8)]);
    ensure!(
        [count("categories", &below[0]), count("categories", &below[1])] == [Some(12), Some(4)]
    );
    ensure!(facets["brands"][0]["name"].as_str().is_some_and(|name| name.len() == 36), "{facets}");
    ensure!(facets["sale_states"] == json!([{"sale_state": "ONSALE", "count": 16}]), "{facets}");
    let prices = facets["prices"].as_array().into_iter().flatten();
    let prices = prices.filter_map(|range| range["count"].as_i64()).sum::<i64>();
    ensure!(prices == 16, "{facets}");
    Ok(())
}

/// The ids of all pages of seven, one after the other.
async fn pages(client: &Client, path: &str, items: &str) -> Result<Vec<String>> {
    let join = if path.contains('?') { '&' } else { '?' };
    let (mut seen, mut after) = (vec![], String::new());
    loop {
        let page = client.get(&format!("{path}{join}limit=7{after}")).send().await?.expect(200)?;
        seen.extend(ids(&page, items)?);
        match page.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(seen),
        }
    }
}

pub(crate) async fn a_question_that_cannot_be_answered_says_why(world: &mut World) -> Result<()> {
    let client = &world.client;
    let nobody = Uuid::now_v7();
    for (path, told) in [
        ("/products?sale_state=SOLD".to_owned(), "SOLD"),
        ("/products?displayed=perhaps".to_owned(), "displayed"),
        ("/products?ids=7".to_owned(), "`ids`"),
        (format!("/products?ids={nobody}&limit=3"), "`ids`"),
        ("/products?external_ids=7&displayed=true".to_owned(), "`external_ids`"),
        ("/products?colour=red".to_owned(), "colour"),
        ("/search?q=x&sort=best".to_owned(), "`sort`"),
        ("/search?sort=relevance".to_owned(), "`q`"),
        ("/search?facets=size".to_owned(), "`facets`"),
        ("/search?price_from=2&price_to=1".to_owned(), "`price_from`"),
        ("/search?after=zz".to_owned(), "`after`"),
        (format!("/search?category_id={nobody}"), "`category_id`"),
        ("/search?brand_id=me".to_owned(), "`brand_id`"),
        ("/suggestions?q=%20".to_owned(), "`q`"),
    ] {
        let refused = client.get(&path).send().await?.expect(400)?;
        ensure!(refused.text("/detail")?.contains(told), "{path}: {refused:?}");
    }
    let unknown =
        client.get(&format!("/categories/{nobody}/products")).send().await?.expect(404)?;
    ensure!(unknown.text("/code")? == "CATEGORY_NOT_FOUND", "{unknown:?}");
    Ok(())
}

pub(crate) async fn synonyms_are_known_at_once(world: &mut World) -> Result<()> {
    let client = &world.client.with("other", "other-key");
    let (id, token) = client.register(&samples::plain("가죽 소파")).await?;
    let finds = async |token: &str| {
        let found = client.find("카우치", token).await?;
        Ok::<_, anyhow::Error>(ids(&found, "hits")?.contains(&id))
    };
    ensure!(!finds(&token).await?);
    for (groups, expected) in [(json!([{"words": ["소파", "카우치"]}]), true), (json!([]), false)]
    {
        let answer = post(client, "/synonyms", json!({"groups": groups})).await?.expect(200)?;
        let token = answer.header("consistency-token")?;
        ensure!(finds(&token).await? == expected, "{groups}");
        let shown = client.see("/synonyms", &token).await?;
        ensure!(shown.body["groups"] == groups, "{shown:?}");
    }
    let doubled = json!({"groups": [{"words": ["a", "b"]}, {"words": ["c", "A"]}]});
    let refused = post(client, "/synonyms", doubled).await?.expect(409)?;
    ensure!(refused.text("/code")? == "DUPLICATE_SYNONYM", "{refused:?}");
    Ok(())
}
