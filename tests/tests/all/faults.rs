//! The short set of the fault laboratory; `make faults` tries the whole list.

use anyhow::{Context as _, Result, ensure};
use tests::lab::{FAULTS, Lab, Row};

use crate::{verify, world::World};

/// Another seed is another run of the same faults.
const SEED: u64 = 20_261_123;

pub(crate) async fn a_short_set_loses_and_doubles_nothing(world: &mut World) -> Result<()> {
    let mut rows = vec![];
    for fault in FAULTS.iter().filter(|fault| fault.short > 0) {
        let World { stack, fleet, .. } = world;
        let mut lab = Lab { stack, fleet, seed: SEED, writers: 16, between: 200 };
        let row = lab.run(fault, fault.short, |_| {}).await.context(fault.name)?;
        ensure!(row.is_clean(), "{}: {:?}", row.fault, row.judged);
        rows.push(row);
    }
    println!("{}", Row::table(&rows));
    verify::finds_nothing(world).await
}
