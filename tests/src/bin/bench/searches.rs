//! Searches over HTTP with words, filters and counts, beside the same ones sent straight to the
//! search engine: the bodies are those that the api sends, as something in between has seen them.

use std::{env, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use sqlx::MySqlPool;
use tests::{Fleet, Role, Stack};

use crate::{
    Run,
    figures::{Figures, Pair, processor_times, spent},
    imports::{generate, import, until_read},
    open_loop::Template,
    recorder::Recorder,
    report::{Asked, Report},
    warm::both_sides,
    wire::request,
};

const PRODUCTS: &str = "30000";
const QUERIES: usize = 1_500;
const AT_ONCE: usize = 8;
/// Of the engine alone.
const ASKED: f64 = 0.9;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let products = run.pick(PRODUCTS, "2000");
    let file = env::temp_dir().join("jangbu-bench-searches.ndjson");
    generate(&file, products, "7")?;
    import(fleet, &file).await?;
    fs::remove_file(&file)?;
    until_read(fleet).await?;
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    let asked = queries(&db, run.pick(QUERIES, 100)).await?;
    let engine = stack.address("JANGBU_OPENSEARCH")?;
    let (asked, bodies) = recorded(fleet, engine, &asked).await?;
    let sides = [Template::given(fleet.base(), asked), Template::given(engine, bodies.clone())];
    let long = run.pick(Duration::from_secs(10), Duration::from_secs(1));
    let (mut rates, mut took) = <([Figures; 2], [Pair; 2])>::default();
    let mut report = Report::default();
    let warmed = both_sides(stack, run, &sides, AT_ONCE).await?;
    for _ in 0..run.repeats {
        let before = processor_times(fleet, stack)?;
        for (side, template) in sides.iter().enumerate() {
            let found = template.flat_out(AT_ONCE, long).await?;
            ensure!(found.refused == 0, "{} searches were refused", found.refused);
            rates[side].add(found.rate);
            took[side].add(&found.latencies);
            if side == 0 {
                let after = processor_times(fleet, stack)?;
                report.notes = vec![spent(&before, &after, found.latencies.count())];
            }
        }
    }
    report.note(warmed);
    report.head(&format!(
        "{} distinct searches of {products} products with filters and three facets, {AT_ONCE} at once",
        bodies.len()
    ));
    report.line("searches/s", &rates[0], &rates[1]).asked(Asked::RatioAtLeast(ASKED));
    report.pair("a search", &took[0], Some(&took[1]));
    Ok(report)
}

/// Two words of a product's name, prices around its own, and what it is: each of another product.
async fn queries(db: &MySqlPool, count: usize) -> Result<Vec<String>> {
    let names = "SELECT name, list_price_minor FROM products_v1 WHERE sale_state = 'ONSALE' AND \
                 mall = 'demo' ORDER BY id LIMIT ?";
    let names = sqlx::query_as(names).bind(u32::try_from(count)?).fetch_all(db).await?;
    let names: Vec<(String, i64)> = names;
    let search = |(number, (name, price)): (i64, (String, i64))| {
        let words: Vec<&str> = name.split_whitespace().collect();
        let first = words.len().saturating_sub(2);
        // No two are alike.
        let from = (price / 2 + number).min(price);
        query(&words[first..].join(" "), from, price * 2)
    };
    (0..).zip(names).map(search).collect()
}

/// The path of a search.
pub(crate) fn query(words: &str, from: i64, to: i64) -> Result<String> {
    let (from, to) = (from.to_string(), to.to_string());
    let pairs = [
        ("q", words),
        ("price_from", &from),
        ("price_to", &to),
        ("sale_state", "ONSALE"),
        ("facets", "brand,category,price"),
    ];
    let url = Url::parse_with_params("http://api/v1/demo/search", &pairs)?;
    Ok(format!("{}?{}", url.path(), url.query().context("a query")?))
}

/// The same searches as requests to the api, and as those that it sends for them.
async fn recorded(
    fleet: &mut Fleet,
    engine: &str,
    paths: &[String],
) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>)> {
    let recorder = Recorder::start(engine).await?;
    fleet.start_with(Role::Api, &[("JANGBU_OPENSEARCH", &recorder.address)])?;
    fleet.mend().await?;
    let api = fleet.base().trim_start_matches("http://").to_owned();
    let host = engine.trim_start_matches("http://").trim_end_matches('/');
    let (http, mut ours, mut straight) = (reqwest::Client::new(), vec![], vec![]);
    recorder.take()?;
    for path in paths {
        let asked = http.get(format!("http://{api}{path}")).bearer_auth("demo-key");
        asked.send().await?.error_for_status()?;
        // What nothing matches is searched for twice.
        if let [(to, body)] = &recorder.take()?[..] {
            ours.push(request(&api, &format!("GET {path}"), "demo-key", ""));
            straight.push(request(host, &format!("POST {to}"), "", body));
        }
    }
    ensure!(ours.len() > paths.len() / 2, "only {} searches find something", ours.len());
    fleet.restart(Role::Api, None)?;
    fleet.mend().await?;
    Ok((ours, straight))
}
