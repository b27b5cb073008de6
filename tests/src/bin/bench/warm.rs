//! Warming up: until the JVMs have compiled what they will need. A server of a shop has, for weeks;
//! before that, their compilers take a third of a core from everybody for minutes.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::Stack;

use crate::{Run, open_loop::Template};

const ROUND: Duration = Duration::from_secs(20);
/// Without a load: what the compilers could not do under it they do now.
const REST: Duration = Duration::from_secs(2);
/// Of one core, what all compilers together may still take.
const LITTLE: f64 = 0.05;
/// Never longer, since new code may turn up all the time; the report says where this is reached.
const MOST: Duration = Duration::from_secs(480);

/// Repeats what is to be measured, unmeasured; once where the run is small. Returns a note.
///
/// # Errors
/// What `round` fails with, or when a server has no process.
pub(crate) async fn warm_up(
    stack: &Stack,
    run: Run,
    round: impl AsyncFn(Duration) -> Result<()>,
) -> Result<String> {
    let long = run.pick(ROUND, ROUND / 10);
    let begin = Instant::now();
    loop {
        let under = compiling(stack, round(long)).await?;
        let after = compiling(stack, async {
            tokio::time::sleep(REST).await;
            Ok(())
        })
        .await?;
        let share = under.max(after);
        if run.is_small || share < LITTLE || begin.elapsed() > MOST {
            let (took, share) = (begin.elapsed().as_secs(), share * 100.0);
            let note = format!(
                "warmed up for {took} s; the JVMs' compilers then took {share:.0} % of a core"
            );
            println!("{note}");
            return Ok(note);
        }
    }
}

/// Repeats ours and its limit in turn, so many requests at once.
///
/// # Errors
/// As [`warm_up`].
pub(crate) async fn both_sides(
    stack: &Stack,
    run: Run,
    sides: &[Template; 2],
    at_once: usize,
) -> Result<String> {
    let round = async |long: Duration| {
        for side in sides {
            side.flat_out(at_once, long / 2).await?;
        }
        Ok(())
    };
    warm_up(stack, run, round).await
}

/// The share of a core that the compilers take while `something` goes on.
async fn compiling(stack: &Stack, something: impl Future<Output = Result<()>>) -> Result<f64> {
    let (before, began) = (stack.compile_time()?, Instant::now());
    something.await?;
    let spent = stack.compile_time()?.saturating_sub(before);
    Ok(spent.as_secs_f64() / began.elapsed().as_secs_f64())
}
