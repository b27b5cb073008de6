//! What a storefront never learns of a mall, and what the names of categories find.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Answer, Client, samples};
use uuid::Uuid;

use crate::{
    storefront::{category, ids, new, post, storefront},
    world::World,
};

/// Two products, in two categories of which the second is retired; the brand of the second product
/// is retired, and so is a SKU of the first.
struct Leftovers {
    partner: String,
    brands: [String; 2],
    categories: [String; 2],
    products: [String; 2],
    /// Of the last change.
    token: String,
}

impl Leftovers {
    async fn of(client: &Client) -> Result<Self> {
        let partner = new(client, "/partners").await?;
        let brands = [new(client, "/brands").await?, new(client, "/brands").await?];
        let above = category(client, None).await?;
        let below = [category(client, Some(&above)).await?, category(client, Some(&above)).await?];
        let mut products = [String::new(), String::new()];
        for (id, brand) in products.iter_mut().zip(&brands) {
            let mut product = samples::vacuum();
            product["partner_id"] = json!(partner);
            product["approval"] = json!("FINISHED");
            product["category_ids"] = json!(below);
            product["brand_id"] = json!(brand);
            let registered = client.register(&product).await?;
            let shown = client.see(&format!("/products/{}", registered.0), &registered.1).await?;
            *id = registered.0;
            let black = json!({"sku_id": shown.text("/skus/1/id")?});
            post(client, &format!("/products/{id}/retire-sku"), black).await?.expect(200)?;
        }
        post(client, &format!("/brands/{}/retire", brands[1]), json!({})).await?.expect(200)?;
        let gone = json!({"category_id": below[1]});
        let retired = post(client, "/categories/retire", gone).await?.expect(200)?;
        let token = retired.header("consistency-token")?;
        Ok(Self { partner, brands, categories: below, products, token })
    }
}

/// The items of all pages, one after the other.
async fn all(client: &Client, path: &str, token: &str) -> Result<Vec<Value>> {
    let (mut items, mut after) = (vec![], String::new());
    loop {
        let page = client.see(&format!("{path}?limit=100{after}"), token).await?;
        items.extend(page.body["items"].as_array().context("no items")?.iter().cloned());
        match page.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(items),
        }
    }
}

fn has(items: &[Value], id: &str) -> bool {
    items.iter().any(|item| item["id"] == id)
}

pub(crate) async fn what_is_retired_is_not_listed(world: &mut World) -> Result<()> {
    let (client, front) = (&world.client, storefront(world));
    let Leftovers { partner, brands, categories, products, token } = Leftovers::of(client).await?;
    for (path, [kept, gone]) in [("/brands", &brands), ("/categories", &categories)] {
        let (seen, known) = (all(&front, path, &token).await?, all(client, path, &token).await?);
        ensure!(has(&seen, kept) && !has(&seen, gone), "{path}: a storefront sees {seen:?}");
        ensure!(has(&known, kept) && has(&known, gone), "{path}: a merchant sees {known:?}");
        let told = |item: &Value| item["external_id"].is_null() && item["state"] == "ACTIVE";
        ensure!(seen.iter().all(told), "{path}: {seen:?}");
    }
    for (path, kept, gone) in [
        ("/brands/ID", &brands[0], Some(&brands[1])),
        ("/categories/ID/products", &categories[0], Some(&categories[1])),
        ("/search?category_id=ID", &categories[0], Some(&categories[1])),
        ("/partners/ID", &partner, None),
    ] {
        let seen = front.get(&path.replace("ID", kept)).seeing(&token).send().await?.expect(200)?;
        ensure!(seen.body["external_id"].is_null(), "{path}: {seen:?}");
        if let Some(gone) = gone {
            let path = path.replace("ID", gone);
            client.see(&path, &token).await?;
            let refused = front.get(&path).seeing(&token).send().await?;
            ensure!([400, 404].contains(&refused.status), "{path}: {refused:?}");
        }
    }
    // A brand that is retired chooses nothing, as one does that nobody knows.
    let nobody = Uuid::now_v7().to_string();
    for (path, items) in [("/products", "items"), ("/search", "hits")] {
        for (id, [mine, theirs]) in [(&brands[0], [1, 1]), (&brands[1], [1, 0]), (&nobody, [0, 0])]
        {
            let path = format!("{path}?brand_id={id}");
            let known = ids(&client.see(&path, &token).await?, items)?;
            let seen = ids(&front.see(&path, &token).await?, items)?;
            ensure!([known.len(), seen.len()] == [mine, theirs], "{path}: {known:?}, {seen:?}");
        }
    }
    let both = format!("/search?brand_id={}", brands.join(","));
    ensure!(ids(&front.see(&both, &token).await?, "hits")? == products[..1]);
    let why = json!({"reason": "unpaid fees"});
    let answer = post(client, &format!("/partners/{partner}/suspend"), why).await?.expect(200)?;
    let token = answer.header("consistency-token")?;
    client.see(&format!("/partners/{partner}"), &token).await?;
    let suspended = front.get(&format!("/partners/{partner}")).seeing(&token).send().await?;
    suspended.expect(404).map(drop)
}

pub(crate) async fn a_product_tells_a_buyer_no_more_than_is_sold(world: &mut World) -> Result<()> {
    let (client, front) = (&world.client, storefront(world));
    let Leftovers { partner, brands, categories, products, token } = Leftovers::of(client).await?;
    for (at, brand) in [json!(brands[0]), Value::Null].into_iter().enumerate() {
        let (id, listed) = (&products[at], format!("/items/{at}"));
        let own = client.see(&format!("/products/{id}"), &token).await?;
        ensure!(own.body["skus"].as_array().is_some_and(|skus| skus.len() == 2), "{own:?}");
        ensure!(own.body["external_id"].is_string() && own.body["brand_id"].is_string());
        for (path, pointer) in [
            (format!("/products/{id}"), ""),
            (format!("/products?ids={id}"), "/items/0"),
            (format!("/products?partner_id={partner}"), &listed),
        ] {
            let answer = front.see(&path, &token).await?;
            let seen = answer.body.pointer(pointer).with_context(|| format!("{answer:?}"))?;
            ensure!(seen["id"] == **id && seen["external_id"].is_null(), "{path}: {seen}");
            ensure!(seen["skus"].as_array().is_some_and(|skus| skus.len() == 1), "{path}: {seen}");
            ensure!(seen["options"][0]["values"] == json!(["흰색"]), "{path}: {seen}");
            ensure!(seen["brand_id"] == brand, "{path}: {seen}");
            ensure!(seen["category_ids"] == json!([categories[0]]), "{path}: {seen}");
        }
    }
    let path = format!("/search?q=청소기&category_id={}&facets=brand,category", categories[0]);
    let (own, seen) = (client.see(&path, &token).await?, front.see(&path, &token).await?);
    for answer in [&own, &seen] {
        ensure!(ids(answer, "hits")?.len() == 2, "{answer:?}");
    }
    ensure!(own.body["hits"][0]["score"].is_number(), "{own:?}");
    for hit in seen.body["hits"].as_array().into_iter().flatten() {
        ensure!(hit["score"].is_null() && hit["external_id"].is_null(), "{hit}");
        ensure!(hit["category_ids"] == json!([categories[0]]), "{hit}");
        let is_kept = hit["id"] == products[0];
        ensure!(hit["brand_id"].is_string() == is_kept, "{hit}");
        ensure!(hit["brand_name"].is_string() == is_kept, "{hit}");
    }
    // A facet leaves its own choice out, so it counts other categories too.
    for (facet, [kept, gone]) in [("brands", &brands), ("categories", &categories)] {
        let counts = |answer: &Answer, id: &str| {
            let counts = answer.body["facets"][facet].as_array().into_iter().flatten();
            counts.filter(|count| count["id"] == id).count()
        };
        ensure!([counts(&own, kept), counts(&own, gone)] == [1, 1], "{own:?}");
        ensure!([counts(&seen, kept), counts(&seen, gone)] == [1, 0], "{seen:?}");
    }
    Ok(())
}

pub(crate) async fn a_categorys_name_finds_what_stands_in_it(world: &mut World) -> Result<()> {
    let (client, front) = (&world.client, storefront(world));
    let add = async |parent: Option<&str>, name: &str| {
        let id = Uuid::now_v7().to_string();
        let body = json!({"category_id": id, "parent_id": parent, "name": name});
        post(client, "/categories", body).await?.expect(200)?;
        Ok::<_, anyhow::Error>(id)
    };
    // Names are free below a category of its own, and a brand of its own keeps others' products out.
    let (root, brand) = (category(client, None).await?, new(client, "/brands").await?);
    let above = add(Some(&root), "다기/찻상").await?;
    let pots = add(Some(&above), "백자 주전자").await?;
    let register = async |name: &str, category: &str| {
        let mut product = samples::plain(name);
        product["category_ids"] = json!([category]);
        product["brand_id"] = json!(brand);
        client.register(&product).await
    };
    let (blossom, _) = register("벚꽃 No. 7", &pots).await?;
    let (named, token) = register("은제 주전자", &above).await?;
    client.find("주전자", &token).await?;
    let expect = async |typed: &str, expected: &[&String], token: &str| {
        let path = format!("/search?q={typed}&brand_id={brand}");
        let found = ids(&front.see(&path, token).await?, "hits")?;
        ensure!(found.iter().collect::<Vec<_>>() == expected, "{typed} finds {found:?}");
        Ok(())
    };
    // Its own name weighs more than that of its category.
    expect("주전자", &[&named, &blossom], &token).await?;
    expect("백자주전자", &[&blossom], &token).await?;
    expect("벚꽃+찻상", &[&blossom], &token).await?;
    expect("은제+다기", &[&named], &token).await?;
    expect("은제+벚꽃+다기", &[], &token).await?;
    let renamed = json!({"category_id": pots, "name": "청화 화병"});
    let renamed = post(client, "/categories/rename", renamed).await?.expect(200)?;
    let token = renamed.header("consistency-token")?;
    expect("화병", &[&blossom], &token).await?;
    expect("주전자", &[&named], &token).await?;
    let retired = post(client, "/categories/retire", json!({"category_id": pots})).await?;
    let token = retired.expect(200)?.header("consistency-token")?;
    expect("화병", &[], &token).await
}
