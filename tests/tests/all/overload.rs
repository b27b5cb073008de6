//! A mall that asks for more than can be done, and another one beside it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail, ensure};
use tests::{Answer, Client, Role, samples, wait::until_true};
use tokio::task::JoinSet;

use crate::{verify, world::World};

const PRODUCTS: usize = 20;
/// More than may be undecided or wait.
const WRITERS: usize = 900;
/// How often each of them asks: all at once, and again at once when refused.
const TIMES: usize = 10;
const QUIET: i64 = 30;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a flood was answered: what was taken, by product, and the codes of what was not.
#[derive(Default)]
struct Flooded {
    taken: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
}

pub(crate) async fn a_flood_is_refused_and_nobody_else(world: &mut World) -> Result<()> {
    // No command may wait for another, so that the least is allowed at once.
    world.fleet.start_with(Role::Api, &[("JANGBU_COMMAND_QUEUE_MS", "0")])?;
    world.fleet.mend().await?;
    let other = world.client.with("other", "other-key");
    let (flooded, quiet) = tokio::try_join!(flood(&world.client), a_few(&other))?;
    println!("taken {:?}, refused {:?}", flooded.taken.values().sum::<usize>(), flooded.refused);
    ensure!(flooded.refused.contains_key("OVER_SHARE"), "{:?}", flooded.refused);
    let known = |code: &String| ["OVER_SHARE", "OVERLOADED"].contains(&code.as_str());
    ensure!(flooded.refused.keys().all(known), "{:?}", flooded.refused);
    until_version(&other, &quiet, QUIET + 1).await?;
    // What was taken was decided, and what was refused was not.
    for (id, taken) in &flooded.taken {
        until_version(&world.client, id, i64::try_from(*taken)? + 1).await?;
    }
    world.fleet.restart(Role::Api, None)?;
    world.fleet.mend().await?;
    verify::finds_nothing(world).await
}

/// Price changes, each another price, by many at once.
async fn flood(client: &Client) -> Result<Flooded> {
    let (mut products, mut writers) = (vec![], JoinSet::new());
    for number in 0..PRODUCTS {
        products.push(client.register(&samples::plain(&format!("홍수 {number}"))).await?.0);
    }
    for writer in 0..WRITERS {
        let (client, id) = (client.clone(), products[writer % PRODUCTS].clone());
        writers.spawn(async move {
            let mut answers = vec![];
            for time in 0..TIMES {
                let won = i64::try_from(writer * TIMES + time)? + 1;
                answers.push(reprice(&client, &id, won).await?);
            }
            anyhow::Ok((id, answers))
        });
    }
    let mut flooded = Flooded::default();
    while let Some(ended) = writers.join_next().await {
        let (id, answers) = ended??;
        for answer in answers {
            flooded.count(&id, &answer)?;
        }
    }
    Ok(flooded)
}

impl Flooded {
    fn count(&mut self, id: &str, answer: &Answer) -> Result<()> {
        let counted = match answer.status {
            200 | 202 => self.taken.entry(id.to_owned()),
            429 | 503 => {
                ensure!(answer.header("retry-after")? == "1", "{answer:?}");
                self.refused.entry(answer.text("/code")?)
            }
            _ => bail!("{answer:?}"),
        };
        *counted.or_default() += 1;
        Ok(())
    }
}

/// Price changes one after the other, all of which are taken; answers the product.
async fn a_few(client: &Client) -> Result<String> {
    let (id, _) = client.register(&samples::plain("조용")).await?;
    for won in 1..=QUIET {
        let answer = reprice(client, &id, won).await?;
        ensure!([200, 202].contains(&answer.status), "{answer:?}");
    }
    Ok(id)
}

async fn reprice(client: &Client, id: &str, won: i64) -> Result<Answer> {
    client.post(&format!("/products/{id}/reprice"), &samples::reprice(won)).send().await
}

/// Waits for the version that so many changes lead to, and expects that it is the last.
async fn until_version(client: &Client, id: &str, version: i64) -> Result<()> {
    let path = format!("/products/{id}");
    until_true("what was taken is decided", PATIENCE, async || {
        let seen = client.get(&path).send().await?.expect(200)?.number("/version")?;
        ensure!(seen <= version, "{id} is at {seen}, but {version} were taken");
        Ok(seen == version)
    })
    .await
}
