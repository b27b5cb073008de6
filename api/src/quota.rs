//! How many requests a key may send: a bucket of tokens for each, refilled as time passes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::http::{HeaderMap, HeaderValue};

use crate::auth::{bearer, digest};

/// The quota of each key; no key has one where none is set.
#[derive(Clone, Default)]
pub(crate) struct Quotas {
    /// Requests in a second, which is also how many may come at once.
    per_second: u32,
    buckets: Arc<HashMap<[u8; 32], Mutex<Bucket>>>,
}

/// What is left of a key's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    per_second: u32,
    requests: u32,
    /// Whether this request may pass.
    pub allowed: bool,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Quotas {
    /// The same quota for each of `keys`; 0 is none.
    pub(crate) fn new<'k>(per_second: u32, keys: impl Iterator<Item = &'k str>) -> Self {
        if per_second == 0 {
            return Self::default();
        }
        let full = || Mutex::new(Bucket { tokens: f64::from(per_second), at: Instant::now() });
        let buckets = keys.map(|key| (digest(key), full())).collect();
        Self { per_second, buckets: Arc::new(buckets) }
    }

    /// Counts a request that arrived at `now`. Nothing is counted for a key that is nobody's: it
    /// is refused anyway, and strangers are without number.
    pub(crate) fn spend(&self, headers: &HeaderMap, now: Instant) -> Option<Left> {
        if self.per_second == 0 {
            return None;
        }
        let bucket = self.buckets.get(&digest(bearer(headers)?))?;
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = f64::from(self.per_second);
        let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() * rate;
        bucket.tokens = (bucket.tokens + refilled).min(rate);
        bucket.at = bucket.at.max(now);
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a u32")]
        let requests = bucket.tokens as u32;
        Some(Left { per_second: self.per_second, requests, allowed })
    }
}

impl Left {
    /// Tells the caller, as draft-ietf-httpapi-ratelimit-headers-10 writes it: within a second all
    /// of the quota is there again.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let Self { per_second, requests, .. } = self;
        for (name, value) in [
            ("ratelimit-policy", format!("\"key\";q={per_second};w=1")),
            ("ratelimit", format!("\"key\";r={requests};t=1")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(key: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
        headers
    }

    #[test]
    fn a_key_may_spend_its_quota_and_gets_it_back() {
        let quotas = Quotas::new(3, ["a", "b"].into_iter());
        let begin = Instant::now();
        let spend = |key, millis| {
            let left = quotas.spend(&of(key), begin + Duration::from_millis(millis)).unwrap();
            (left.allowed, left.requests)
        };
        assert_eq!([0, 0, 0].map(|at| spend("a", at)), [(true, 2), (true, 1), (true, 0)]);
        assert_eq!(spend("a", 0), (false, 0));
        assert_eq!(spend("b", 0), (true, 2));
        assert_eq!(spend("a", 400), (true, 0));
        assert_eq!(spend("a", 5_000), (true, 2));
    }

    #[test]
    fn nothing_is_counted_without_a_quota_or_for_nobody() {
        assert_eq!(Quotas::default().spend(&of("a"), Instant::now()), None);
        let quotas = Quotas::new(1, ["a"].into_iter());
        assert_eq!(quotas.spend(&of("b"), Instant::now()), None);
        assert_eq!(quotas.spend(&HeaderMap::new(), Instant::now()), None);
    }

    #[test]
    fn an_answer_says_what_is_left() {
        let mut headers = HeaderMap::new();
        Left { per_second: 100, requests: 7, allowed: true }.tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"key\";q=100;w=1");
        assert_eq!(headers["ratelimit"], "\"key\";r=7;t=1");
    }
}
