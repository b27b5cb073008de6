//! The search index filled anew beside the live one: `jangbu replay start search`, against `_bulk`
//! of the same documents.

use anyhow::Result;
use tests::{Fleet, Stack};

use crate::{
    Run,
    documents::Bodies,
    figures::Figures,
    replayed::{fill, rate, register, with},
    report::{Asked, Report},
};

const PRODUCTS: i64 = 100_000;
/// Of raw `_bulk`.
const ASKED: f64 = 0.8;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let products = run.pick(PRODUCTS, 10_000);
    register(stack, fleet, products).await?;
    read_models(fleet).await?;
    let (mut ours, mut limit, mut bodies) = (Figures::default(), Figures::default(), None);
    let mut report = Report::default();
    for repeat in 0..=run.repeats {
        let filled = fill(fleet, &["search"]).await?;
        let bodies = match &mut bodies {
            Some(bodies) => bodies,
            none => none.insert(Bodies::of(stack, &filled.version, products).await?),
        };
        with(fleet, "drop", "search", &filled.version).await?;
        let written = bodies.write().await?;
        // The first turn warms up.
        if repeat > 0 {
            ours.add(rate(products, filled.took)?);
            limit.add(written);
            report.notes = vec![format!("jangbu replay: at most {} MiB", filled.memory >> 20)];
        }
    }
    report.head(&format!("an index of {products} products filled, beside raw _bulk"));
    report.line("documents/s, refresh included", &ours, &limit).asked(Asked::RatioAtLeast(ASKED));
    Ok(report)
}

/// Fills what documents are made of, and makes it the active one.
pub(crate) async fn read_models(fleet: &Fleet) -> Result<()> {
    for name in ["products", "directory"] {
        let filled = fill(fleet, &[name]).await?;
        with(fleet, "swap", name, &filled.version).await?;
    }
    Ok(())
}
