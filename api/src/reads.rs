//! How many reads may be under way: they share a few connections to the read models, for which
//! nobody is to stand behind all that another mall asks for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::HeaderMap;
use domain::MallId;

use crate::{
    auth::{bearer, digest},
    problem::ApiError,
};

/// Reads under way for each connection: enough that it never rests.
const FOR_EACH_CONNECTION: u32 = 16;

/// The reads under way, by mall.
#[derive(Clone)]
pub(crate) struct Reads(Arc<Shared>);

struct Shared {
    most: usize,
    malls: HashMap<[u8; 32], MallId>,
    under_way: Mutex<HashMap<MallId, usize>>,
}

/// One of them, counted until dropped.
pub(crate) struct Read {
    reads: Reads,
    mall: MallId,
}

impl Reads {
    /// `connections` to the read models for the malls of `keys`.
    pub(crate) fn new<'k>(
        connections: u32,
        keys: impl Iterator<Item = (&'k str, &'k MallId)>,
    ) -> Self {
        let most = connections.saturating_mul(FOR_EACH_CONNECTION);
        Self(Arc::new(Shared {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            malls: keys.map(|(key, mall)| (digest(key), mall.clone())).collect(),
            under_way: Mutex::default(),
        }))
    }

    /// A place for a read; none is needed for a key that is nobody's, which is refused anyway. A
    /// mall that has less than its share need not wait for what others have beyond theirs.
    pub(crate) fn enter(&self, headers: &HeaderMap) -> Result<Option<Read>, ApiError> {
        let mall = bearer(headers).and_then(|key| self.0.malls.get(&digest(key)));
        let Some(mall) = mall else { return Ok(None) };
        let mut under_way = self.lock();
        let in_all: usize = under_way.values().sum();
        let own = under_way.get(mall).copied().unwrap_or(0);
        let malls = under_way.len() + usize::from(own == 0);
        if in_all >= self.0.most && own >= (self.0.most / malls).max(1) {
            return Err(if malls == 1 { ApiError::Overloaded } else { ApiError::OverShare });
        }
        under_way.insert(mall.clone(), own + 1);
        Ok(Some(Read { reads: self.clone(), mall: mall.clone() }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MallId, usize>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        let mut under_way = self.reads.lock();
        match under_way.get_mut(&self.mall) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(under_way.remove(&self.mall)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mall_that_reads_little_is_never_refused_for_one_that_reads_much() {
        let (busy, other) = ("busy".parse().unwrap(), "other".parse().unwrap());
        let reads = Reads::new(1, [("b", &busy), ("o", &other)].into_iter());
        let enter = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
            reads.enter(&headers)
        };
        let mut flood: Vec<_> = (0..16).map(|_| enter("b").unwrap()).collect();
        assert!(matches!(enter("b"), Err(ApiError::Overloaded)));
        let others: Vec<_> = (0..8).map(|_| enter("o").unwrap()).collect();
        for key in ["b", "o"] {
            assert!(matches!(enter(key), Err(ApiError::OverShare)), "{key}");
        }
        assert!(enter("nobody").unwrap().is_none());
        flood.truncate(7);
        assert!(enter("b").is_ok());
        drop((flood, others));
        assert!(reads.lock().is_empty());
    }
}
