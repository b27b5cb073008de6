//! Named points of the path at which a test may kill or stop the process.
//!
//! `JANGBU_FAULT=name[:nth][:kill|stop]`: at the nth passage (the first, if left out) of the point
//! `name`, the process sends itself SIGKILL, or SIGSTOP with `stop`.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, bail};

static ARMED: OnceLock<Fault> = OnceLock::new();

#[derive(Debug)]
struct Fault {
    point: String,
    nth: u64,
    signal: i32,
    passages: AtomicU64,
}

/// Reads `JANGBU_FAULT`; without it every [`point`] does nothing.
///
/// # Errors
/// When the variable is set but malformed: a fault test must not pass for a typo.
pub fn arm() -> anyhow::Result<()> {
    if let Ok(text) = std::env::var("JANGBU_FAULT") {
        let fault = Fault::read(&text).with_context(|| format!("JANGBU_FAULT={text}"))?;
        tracing::warn!(point = fault.point, nth = fault.nth, signal = fault.signal, "fault armed");
        let _ = ARMED.set(fault);
    }
    Ok(())
}

/// A point of the path; the process may end or stop here if a test asked for it.
pub fn point(name: &str) {
    if let Some(fault) = ARMED.get() {
        fault.pass(name);
    }
}

impl Fault {
    fn read(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(':');
        let point = parts.next().unwrap_or_default().to_owned();
        let mut fault = Self { point, nth: 1, signal: libc::SIGKILL, passages: AtomicU64::new(0) };
        for part in parts {
            match part {
                "kill" => fault.signal = libc::SIGKILL,
                "stop" => fault.signal = libc::SIGSTOP,
                nth => fault.nth = nth.parse().context("must be name[:nth][:kill|stop]")?,
            }
        }
        if fault.point.is_empty() || fault.nth == 0 {
            bail!("must be name[:nth][:kill|stop], nth from 1");
        }
        Ok(fault)
    }

    fn pass(&self, name: &str) {
        if self.point == name && self.passages.fetch_add(1, Ordering::Relaxed) + 1 == self.nth {
            strike(self.signal);
        }
    }
}

#[allow(unsafe_code)]
fn strike(signal: i32) {
    // SAFETY: both calls take plain integers and touch no memory of ours; neither signal can be
    // caught, so no handler runs.
    unsafe { libc::kill(libc::getpid(), signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_in_any_order() {
        let fault = Fault::read("handler.before_commit:3:stop").unwrap();
        let read = (fault.point.as_str(), fault.nth, fault.signal);
        assert_eq!(read, ("handler.before_commit", 3, libc::SIGSTOP));
        assert_eq!(Fault::read("a").unwrap().nth, 1);
        for bad in ["", "a:0", "a:b", ":2"] {
            assert!(Fault::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_its_own_point_counts() {
        let fault = Fault::read("a:2").unwrap();
        fault.pass("b");
        fault.pass("a");
        assert_eq!(fault.passages.load(Ordering::Relaxed), 1);
    }
}
