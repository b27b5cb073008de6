//! Acknowledged price changes over HTTP, beside the bare loop.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{Fleet, Stack, samples};

use crate::{
    Run,
    figures::{Figures, Pair, processor_times, spent},
    open_loop::{Template, float},
    raw::BareLoop,
    report::{Asked, Report},
    warm::both_sides,
};

const PRODUCTS: usize = 500;
/// Requests under way at once.
const AT_ONCE: [usize; 3] = [1, 64, 256];
/// Of the bare loop, which has no transaction.
const ASKED: f64 = 0.5;

/// What one number of connections came to: ours, then the bare loop.
#[derive(Default)]
struct Told {
    rate: [Figures; 2],
    took: [Pair; 2],
    refused: Figures,
}

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let long = run.pick(Duration::from_secs(8), Duration::from_secs(1));
    let ours = reprices(fleet, "demo", run.pick(PRODUCTS, 100)).await?;
    let bare = BareLoop::start(stack.address("JANGBU_KAFKA")?).await?;
    let limit = Template::reprices(&bare.address, "", vec!["/".to_owned()]);
    let sides = [ours, limit];
    let warmed = both_sides(stack, run, &sides, AT_ONCE[1]).await?;
    let (mut told, mut report): ([Told; 3], Report) = Default::default();
    for _ in 0..run.repeats {
        for (told, at_once) in told.iter_mut().zip(AT_ONCE) {
            for (side, template) in sides.iter().enumerate() {
                let before = processor_times(fleet, stack)?;
                let found = template.flat_out(at_once, long).await?;
                told.rate[side].add(found.rate);
                told.took[side].add(&found.latencies);
                if side == 0 {
                    told.refused.add(float(found.refused));
                    let after = processor_times(fleet, stack)?;
                    let spent = spent(&before, &after, found.latencies.count());
                    report.notes = vec![format!("{at_once} at once, {spent}")];
                } else {
                    ensure!(found.refused == 0, "the bare loop refuses");
                }
            }
        }
    }
    report.note(warmed);
    report.head("price changes over HTTP, beside the bare loop");
    for (Told { rate, took, refused }, at_once) in told.iter().zip(AT_ONCE) {
        let line = report.line(&format!("{at_once} at once, commands/s"), &rate[0], &rate[1]);
        if at_once == AT_ONCE[2] {
            line.asked(Asked::RatioAtLeast(ASKED));
        }
        report.pair(&format!("{at_once} at once"), &took[0], Some(&took[1]));
        report.alone(&format!("{at_once} at once, not accepted"), refused);
    }
    Ok(report)
}

/// Changes the prices of new products of the mall, each in turn.
pub(crate) async fn reprices(fleet: &Fleet, mall: &str, products: usize) -> Result<Template> {
    let key = format!("{mall}-key");
    let (client, mut paths) = (fleet.client()?.with(mall, &key), vec![]);
    for number in 0..products {
        let (id, _) = client.register(&samples::plain(&format!("상품 {number}"))).await?;
        paths.push(format!("/v1/{mall}/products/{id}/reprice"));
    }
    Ok(Template::reprices(fleet.base(), &key, paths))
}
