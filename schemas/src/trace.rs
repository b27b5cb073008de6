//! W3C Trace Context, level 1: who called whom, from HTTP through Kafka to the projections.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The value of a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl Traceparent {
    /// The beginning of a trace. `seed` must be random or unique.
    pub fn start(seed: Uuid) -> Self {
        let (high, low) = seed.as_u64_pair();
        Self { trace_id: seed.as_u128(), parent_id: (high ^ low) | 1, flags: 1 }
    }

    /// The same trace, one step on; `step` tells the steps of one parent apart.
    pub fn child(self, step: u64) -> Self {
        let mixed = (self.parent_id ^ step.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { parent_id: mixed | 1, ..self }
    }

    /// The id of the whole trace, as 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl FromStr for Traceparent {
    type Err = TraceparentError;
    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        let hex = |s: &str| s.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, parent, flags, ..] = parts[..] else { return Err(TraceparentError) };
        let lengths = (version.len(), trace.len(), parent.len(), flags.len());
        let later_version = version != "00";
        if lengths != (2, 32, 16, 2)
            || ![version, trace, parent, flags].iter().all(|part| hex(part))
            || version == "ff"
            || (parts.len() > 4 && !later_version)
        {
            return Err(TraceparentError);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| TraceparentError)?;
        let parent_id = u64::from_str_radix(parent, 16).map_err(|_| TraceparentError)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| TraceparentError)?;
        if trace_id == 0 || parent_id == 0 {
            return Err(TraceparentError);
        }
        Ok(Self { trace_id, parent_id, flags })
    }
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct TraceparentError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_reads_as_it_was_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<Traceparent>().map(|t| t.to_string()).as_deref(), Ok(text));
        assert_eq!(
            text.parse::<Traceparent>().map(|t| t.child(1).trace_id()).as_deref(),
            Ok("4bf92f3577b34da6a3ce929d0e0e4736")
        );
    }

    #[test]
    fn a_malformed_traceparent_is_refused() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<Traceparent>(), Err(TraceparentError), "{bad}");
        }
    }
}
