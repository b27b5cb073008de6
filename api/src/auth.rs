//! Who asks: a bearer key belongs to one mall, and opens nothing else.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts, RawPathParams},
    http::{HeaderMap, header, request::Parts},
};
use domain::MallId;
use sha2::{Digest, Sha256};

use crate::problem::ApiError;

/// The caller of a request under `/v1/{mall}`, whose key is the mall's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The mall of the path and of the key.
    pub mall: MallId,
    /// The key's name, as logs and events may show it; never the key.
    pub actor: String,
}

/// The keys, as their digests.
#[derive(Clone, Default)]
pub(crate) struct Keys(Arc<Vec<(MallId, [u8; 32])>>);

impl Keys {
    /// Each key with the mall that it opens.
    pub(crate) fn new<'k>(keys: impl Iterator<Item = (&'k str, &'k MallId)>) -> Self {
        Self(Arc::new(keys.map(|(key, mall)| (mall.clone(), digest(key))).collect()))
    }

    /// The mall that `key` opens. Every digest is compared whole, so that the time tells nothing.
    fn mall_of(&self, key: &str) -> Option<&MallId> {
        let given = digest(key);
        let differs =
            |known: &[u8; 32]| known.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        self.0.iter().fold(None, |found, (mall, known)| match differs(known) {
            0 => Some(mall),
            _ => found,
        })
    }

    fn admit(&self, headers: &HeaderMap, mall: &str) -> Result<Caller, ApiError> {
        let key = bearer(headers).ok_or(ApiError::Unauthenticated)?;
        let own = self.mall_of(key).ok_or(ApiError::Unauthenticated)?;
        if own.as_str() != mall {
            return Err(ApiError::Forbidden);
        }
        Ok(Caller { mall: own.clone(), actor: format!("key:{own}") })
    }
}

/// What is kept of a key.
pub(crate) fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The key that a request came with.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Keys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await?;
        let mall = params.iter().find(|(name, _)| *name == "mall").map_or("", |(_, mall)| mall);
        Keys::from_ref(state).admit(&parts.headers, mall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(authorization: Option<&str>, mall: &str) -> Result<Caller, u16> {
        let (demo, other) = ("demo".parse().unwrap(), "other".parse().unwrap());
        let keys = Keys::new([("demo-key", &demo), ("k2", &other)].into_iter());
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        keys.admit(&headers, mall).map_err(|error| match error {
            ApiError::Unauthenticated => 401,
            ApiError::Forbidden => 403,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_key_opens_its_own_mall_and_is_named_without_itself() {
        let caller = admit(Some("bearer demo-key"), "demo").unwrap();
        assert_eq!((caller.mall.as_str(), caller.actor.as_str()), ("demo", "key:demo"));
    }

    #[test]
    fn another_mall_and_none_look_alike() {
        for mall in ["other", "nowhere", "../demo", ""] {
            assert_eq!(admit(Some("Bearer demo-key"), mall), Err(403), "{mall}");
        }
    }

    #[test]
    fn without_a_known_key_nothing_is_said() {
        for given in [None, Some(""), Some("demo-key"), Some("Bearer "), Some("Bearer demo-keys")] {
            assert_eq!(admit(given, "demo"), Err(401), "{given:?}");
        }
    }
}
