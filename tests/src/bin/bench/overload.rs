//! One mall asks for half of what can be done, then for ten times as much as can be, and another
//! one for little: what becomes of each.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::Fleet;

use crate::{
    Run,
    commands::reprices,
    figures::{Figures, Latencies, memory},
    open_loop::{Answer, Plan, Template, accepted, float},
    report::{Asked, Report},
};

const QUIET_RATE: u32 = 20;
const TIMES: f64 = 10.0;
const ORDINARY: f64 = 0.5;
/// How much slower another mall may become in the flood, beside what it is at an ordinary load.
const ASKED: f64 = 2.0;
const PHASE: Duration = Duration::from_secs(20);
const PRODUCTS: usize = 100;
const AT_ONCE: usize = 64;
const WARM_UP: Duration = Duration::from_secs(30);
const CLOSED: Duration = Duration::from_secs(8);
/// Answers in a row that are as fast as before, for it to be over.
const RECOVERED: usize = 20;
/// More connections than requests of a mall can wait, so that some are refused. What was due while
/// all of them waited for an answer is not sent: how much was is told.
const CONNECTIONS: [usize; 2] = [32, 700];

/// Figures of all repeats.
#[derive(Default)]
struct Told {
    sustainable: Figures,
    offered: Figures,
    accepted: Figures,
    flood: [Figures; 2],
    /// The same from when they were sent.
    answered: [Figures; 2],
    /// p50 and p99 of the other mall at an ordinary load, before and after its flood.
    ordinary: [[Figures; 2]; 2],
    /// p50 and p99 of the quiet mall, each alone, beside ordinary load, in the flood, and after it.
    quiet: [[Figures; 4]; 2],
    recovered: Figures,
    quiet_refused: Figures,
    codes: BTreeMap<String, Figures>,
}

pub(crate) async fn measure(fleet: &mut Fleet, run: Run) -> Result<Report> {
    let quiet = reprices(fleet, "other", PRODUCTS).await?;
    let flood = reprices(fleet, "demo", PRODUCTS).await?;
    let (mut told, before) = (Told::default(), memory(fleet)?);
    for repeat in 0..=run.repeats {
        let rate = flood.flat_out(AT_ONCE, CLOSED).await?.rate;
        // The first turn warms up, with a flood too: it goes through code that nothing else did,
        // which the servers would compile while it is measured.
        if repeat == 0 {
            flood.run(of_other(rate, TIMES, WARM_UP)).await?;
            continue;
        }
        told.sustainable.add(rate);
        one(&quiet, &flood, rate, &mut told).await?;
    }
    let mut report = Report::default();
    told.tell(run, &mut report);
    report.note(format!("before, {before}"));
    report.note(memory(fleet)?);
    Ok(report)
}

async fn one(quiet: &Template, flood: &Template, rate: f64, told: &mut Told) -> Result<()> {
    let of_quiet = Plan { rate: QUIET_RATE.into(), run: PHASE, connections: CONNECTIONS[0] };
    let of_other = |times| of_other(rate, times, PHASE);
    let alone = quiet.run(of_quiet).await?;
    let (beside, before) = tokio::try_join!(quiet.run(of_quiet), flood.run(of_other(ORDINARY)))?;
    let begin = Instant::now();
    let (during, flooded) = tokio::try_join!(quiet.run(of_quiet), flood.run(of_other(TIMES)))?;
    let end = Instant::now();
    let due = f64::from(QUIET_RATE) * PHASE.as_secs_f64();
    ensure!(float(during.len()) >= due, "{} of {due} were sent", during.len());
    let after = quiet.run(of_quiet).await?;
    let ordinary = [before, flood.run(of_other(ORDINARY)).await?];
    told.offered.add(float(flooded.len()) / PHASE.as_secs_f64() / rate);
    let heard = accepted(&flooded)?;
    let mut answered = Latencies::new()?;
    for answer in flooded.iter().filter(|answer| answer.code.is_none()) {
        answered.add(answer.took.saturating_sub(answer.unsent))?;
    }
    // Until the last was answered, which may be after the last was sent.
    let ends = flooded.iter().filter(|answer| answer.code.is_none());
    let end_of_all = ends.map(|answer| answer.due + answer.took).max().unwrap_or(end);
    told.accepted.add(float(heard.count()) / (end_of_all - begin).as_secs_f64());
    for (at, share) in [0.5, 0.99].into_iter().enumerate() {
        told.flood[at].add(heard.at(share));
        told.answered[at].add(answered.at(share));
        for (told, answers) in told.ordinary[at].iter_mut().zip(&ordinary) {
            told.add(accepted(answers)?.at(share));
        }
        for (phase, answers) in [&alone, &beside, &during, &after].into_iter().enumerate() {
            told.quiet[at][phase].add(accepted(answers)?.at(share));
        }
    }
    told.quiet_refused.add(float(during.iter().filter(|answer| answer.code.is_some()).count()));
    for (code, count) in refused(&flooded) {
        told.codes.entry(code).or_default().add(count);
    }
    told.recovered.add(recovered(&after, end, accepted(&alone)?.at(0.99)));
    Ok(())
}

fn of_other(rate: f64, times: f64, run: Duration) -> Plan {
    Plan { rate: rate * times, run, connections: CONNECTIONS[1] }
}

fn refused(answers: &[Answer]) -> BTreeMap<String, f64> {
    let mut codes = BTreeMap::new();
    for code in answers.iter().filter_map(|answer| answer.code.clone()) {
        *codes.entry(code).or_default() += 1.0;
    }
    codes
}

/// Seconds after `end` from which on the quiet mall is answered as before.
fn recovered(answers: &[Answer], end: Instant, p99: f64) -> f64 {
    let fast = |answer: &Answer| answer.code.is_none() && answer.took.as_secs_f64() * 1e3 <= p99;
    let row = answers.windows(RECOVERED).find(|row| row.iter().all(fast));
    row.and_then(|row| row.first())
        .map_or(f64::NAN, |first| first.due.saturating_duration_since(end).as_secs_f64())
}

impl Told {
    fn tell(&mut self, run: Run, report: &mut Report) {
        report.head(&format!(
            "a mall over {} connections, each always asking: due at {TIMES} times what is sustainable",
            CONNECTIONS[1]
        ));
        report.alone("sustainable, 64 at once, 1/s", &self.sustainable);
        report.alone("sent, times that", &self.offered);
        report.alone("accepted, 1/s", &self.accepted);
        for (at, share) in ["p50", "p99"].into_iter().enumerate() {
            let [before, after] = &self.ordinary[at];
            report.alone(&format!("before, at {ORDINARY} times that, {share} ms"), before);
            report.alone(&format!("after, at {ORDINARY} times that, {share} ms"), after);
            report.alone(&format!("accepted, {share} ms"), &self.flood[at]);
            report.alone(&format!("from when it was sent, {share} ms"), &self.answered[at]);
        }
        for (code, counts) in &mut self.codes {
            counts.fill_up(run.repeats);
            report.alone(&format!("answered {code}"), counts);
        }
        report.head(&format!("another mall at {QUIET_RATE}/s, beside the same before"));
        for (share, [single, beside, during, after]) in ["p50", "p99"].into_iter().zip(&self.quiet)
        {
            report.line(&format!("beside ordinary load, {share} ms"), beside, single);
            let in_flood = report.line(&format!("in the flood, {share} ms"), during, beside);
            if share == "p99" {
                in_flood.asked(Asked::RatioBelow(ASKED));
            }
            report.line(&format!("after it, {share} ms"), after, single);
        }
        report.alone("not accepted during", &self.quiet_refused);
        report.alone("as before again, s after", &self.recovered);
    }
}
