//! `jangbu at` and `jangbu diff`: what a product was, and what became of it since.

use std::io::{Write, stdout};

use anyhow::{Context as _, ensure};
use domain::{MallId, ProductId, Timestamp};
use projections::products::{self, ProductRow};
use tokio::runtime::Runtime;

use crate::{
    config::{Config, Flag, Given, Usage},
    screen::{Align, table},
    standing::read_models,
};

const PRODUCT: Flag =
    Flag { name: "product", value: Some("ID"), meaning: "The product; or as a word." };
const MALL: Flag = Flag { name: "mall", value: Some("MALL"), meaning: "The mall that sells it." };

const NONE: &str = "there was no such product in this mall";

/// What `jangbu at` takes.
pub const AT: Usage = Usage {
    about: "jangbu at PRODUCT --mall MALL --time TIME: a product as it was then, as JSON.\n\n\
            By the times at which its events were decided, as far as the history is filled.",
    settings: &[],
    flags: &[
        PRODUCT,
        MALL,
        Flag { name: "time", value: Some("TIME"), meaning: "Such as 2026-01-31T09:00:00Z." },
    ],
};

/// What `jangbu diff` takes.
pub const DIFF: Usage = Usage {
    about: "jangbu diff PRODUCT --mall MALL --since TIME: which of its fields have changed since.",
    settings: &[],
    flags: &[
        PRODUCT,
        MALL,
        Flag { name: "since", value: Some("TIME"), meaning: "Such as 2026-01-31T09:00:00Z." },
        Flag { name: "until", value: Some("TIME"), meaning: "Until then, and not until now." },
    ],
};

/// Shows a product as it was; there may have been none.
///
/// # Errors
/// When MySQL does not answer.
pub fn at(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let [product] = states(config, given, [time(given, "time")?.context("--time TIME")?])?;
    let Some(product) = product else {
        writeln!(stdout(), "{NONE}")?;
        return Ok(false);
    };
    writeln!(stdout(), "{}", serde_json::to_string_pretty(&product)?)?;
    Ok(true)
}

/// Shows the fields of a product that differ between two times.
///
/// # Errors
/// When MySQL does not answer.
pub fn diff(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let since = time(given, "since")?.context("--since TIME")?;
    let until = time(given, "until")?.unwrap_or(Timestamp(i64::MAX));
    ensure!(since <= until, "--until is before --since");
    let [before, after] = states(config, given, [since, until])?;
    if after.is_none() {
        writeln!(stdout(), "{NONE}")?;
        return Ok(false);
    }
    let changes = products::changes(before.as_ref(), after.as_ref());
    let head = [("FIELD", Align::Left), ("FROM", Align::Left), ("TO", Align::Left)];
    let row = |change: &products::FieldChange| {
        vec![change.field.clone(), change.from.to_string(), change.to.to_string()]
    };
    write!(stdout(), "{}", table(&head, &changes.iter().map(row).collect::<Vec<_>>()))?;
    Ok(true)
}

/// The product as it was at each of the times.
fn states<const N: usize>(
    config: &Config,
    given: &Given,
    times: [Timestamp; N],
) -> anyhow::Result<[Option<ProductRow>; N]> {
    let id: ProductId = given.value("product").context("which product?")?.parse()?;
    let mall: MallId = given.value("mall").context("--mall NAME")?.parse()?;
    Runtime::new()?.block_on(async {
        let (db, tables) = read_models(config).await.context("mysql")?;
        let mut states = [const { None }; N];
        for (state, at) in states.iter_mut().zip(times) {
            *state = products::as_of(&db, &tables, &mall, id, at).await?;
        }
        Ok(states)
    })
}

fn time(given: &Given, flag: &str) -> anyhow::Result<Option<Timestamp>> {
    let time = given.value(flag).map(str::parse).transpose();
    time.with_context(|| format!("--{flag} TIME"))
}
