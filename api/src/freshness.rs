//! How old an answer may be: reads that wait for a write, and the lag that each answer tells.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use consumers::{log::Ends, shutdown::Shutdown};
use domain::{ProductId, Timestamp};
use projections::{Checkpoint, Pool, Tables, checkpoint, search, search::Search};
use schemas::{CATALOG, partition_of};

use crate::{app::App, headers::single, problem::ApiError};

/// Names the write that an answer must show.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
/// Tells how many seconds of the log an answer may lack.
pub(crate) const PROJECTION_LAG: HeaderName = HeaderName::from_static("projection-lag");

/// How often the lag is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often whoever waits for a read model looks at its checkpoint.
pub(crate) const ASK: Duration = Duration::from_millis(10);

/// The position of a write in the log: `catalog.events.<partition>.<offset>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    partition: i32,
    offset: i64,
}

impl Token {
    /// The token of an event; none where its position is not known.
    pub(crate) fn of(partition: i32, offset: i64) -> Option<Self> {
        (offset >= 0).then_some(Self { partition, offset })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", CATALOG.events.name, self.partition, self.offset)
    }
}

impl FromStr for Token {
    type Err = ApiError;
    fn from_str(text: &str) -> Result<Self, ApiError> {
        let position =
            text.strip_prefix(CATALOG.events.name).and_then(|rest| rest.strip_prefix('.'));
        let (partition, offset) = position.and_then(position_of).ok_or(ApiError::InvalidToken)?;
        if partition >= CATALOG.events.partitions {
            return Err(ApiError::InvalidToken);
        }
        Ok(Self { partition, offset })
    }
}

/// Reads `<partition>.<offset>`, neither of them negative.
pub(crate) fn position_of(text: &str) -> Option<(i32, i64)> {
    let (partition, offset) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if !digits(partition) || !digits(offset) {
        return None;
    }
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// The token that a read came with.
#[derive(Clone, Copy)]
pub(crate) struct Wanted(pub Option<Token>);

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let text = single(&parts.headers, &CONSISTENCY_TOKEN, "Consistency-Token")?;
        Ok(Self(text.map(str::parse).transpose()?))
    }
}

/// The live tables, once they show the write that the request wants to see.
pub(crate) async fn live(
    app: &App,
    projection: &'static str,
    wanted: Wanted,
) -> Result<Tables, ApiError> {
    live_in(app, &[projection], wanted).await
}

/// The live tables, once each of `projections` shows the write that the request wants to see.
pub(crate) async fn live_in(
    app: &App,
    projections: &[&'static str],
    wanted: Wanted,
) -> Result<Tables, ApiError> {
    let tables = Tables::active(&app.db).await?;
    for projection in projections {
        reached(app, projection, tables.version(projection), wanted).await?;
    }
    Ok(tables)
}

/// Waits, bounded, until a version of a projection shows the write of `token`.
pub(crate) async fn reached(
    app: &App,
    projection: &'static str,
    version: i32,
    Wanted(token): Wanted,
) -> Result<(), ApiError> {
    let Some(token) = token else { return Ok(()) };
    let asked = std::time::Instant::now();
    let deadline = tokio::time::Instant::now() + app.read_wait;
    loop {
        let applied = app.checkpoints.of(&app.db, (projection, version), token.partition).await?;
        let next = applied.next(CATALOG.events.name);
        if next > token.offset && !follows_still(app, projection, version, token).await? {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(ASK).await;
    }
    // An end that was seen after the request is newer than any token given out before it.
    let (topic, partition) = (CATALOG.events.name, token.partition);
    let fresh = app.ends.seen(topic, partition).is_some_and(|seen| seen > asked);
    match app.ends.end(topic, partition) {
        Some(end) if fresh && token.offset >= end => Err(ApiError::InvalidToken),
        _ => Err(ApiError::NotYetVisible),
    }
}

/// Whether documents are still to follow a brand's name of before the token.
async fn follows_still(
    app: &App,
    projection: &str,
    version: i32,
    Token { partition, offset }: Token,
) -> Result<bool, projections::Error> {
    Ok(projection == search::PROJECTION
        && search::lags(&app.db, version, partition, offset).await?)
}

/// An answer with the lag of the read model that it was read from.
pub(crate) struct Lagging<T>(pub Option<f64>, pub T);

impl<T: IntoResponse> IntoResponse for Lagging<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Some(lag) = self.0
            && let Ok(value) = HeaderValue::try_from(format!("{lag:.3}"))
        {
            response.headers_mut().insert(PROJECTION_LAG, value);
        }
        response
    }
}

/// How far each projection lags behind the log, looked at in the background so that no answer
/// waits for it.
#[derive(Clone, Default)]
pub(crate) struct Lags(Arc<Mutex<HashMap<(&'static str, i32), Lag>>>);

#[derive(Clone, Copy)]
struct Lag {
    /// When the projection was last seen at the end of the log.
    caught_up: Timestamp,
    seconds: f64,
}

impl Lags {
    /// The lag of one product's row.
    pub(crate) fn of_product(&self, projection: &'static str, product: ProductId) -> Option<f64> {
        let partition = partition_of(&product.to_string(), CATALOG.events.partitions);
        self.lock().get(&(projection, partition)).map(|lag| lag.seconds)
    }

    /// The largest lag of any row.
    pub(crate) fn of(&self, projection: &'static str) -> Option<f64> {
        let all = self.lock();
        let own = all.iter().filter(|((name, _), _)| *name == projection);
        own.map(|(_, lag)| lag.seconds).reduce(f64::max)
    }

    /// Looks again and again until the shutdown.
    pub(crate) async fn watch(self, db: Pool, search: Search, ends: Ends, shutdown: Shutdown) {
        let mut index = 1;
        for turn in 0_u64.. {
            if turn.is_multiple_of(4)
                && let Ok(Some(live)) = search.live().await
                && live != index
            {
                // What is known of one version says nothing of another.
                self.lock().retain(|(name, _), _| *name != search::PROJECTION);
                index = live;
            }
            if let Err(error) = self.look(&db, &ends, index).await {
                tracing::debug!(%error, "the lag is not known");
            }
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&self, db: &Pool, ends: &Ends, index: i32) -> Result<(), projections::Error> {
        let tables = Tables::active(db).await?;
        let read_models = ["products", "directory", "history", "command_status"];
        let versions = read_models.map(|name| (name, tables.version(name)));
        for (projection, version) in versions.into_iter().chain([(search::PROJECTION, index)]) {
            let checkpoints = checkpoint::read_all(db, projection, version).await?;
            let now = Timestamp(Utc::now().timestamp_millis());
            for partition in 0..CATALOG.events.partitions {
                let checkpoint = checkpoints.get(&partition).cloned().unwrap_or_default();
                let next = checkpoint.next(CATALOG.events.name);
                let behind = ends.behind(CATALOG.events.name, partition, next);
                self.note((projection, partition), behind, &checkpoint, now);
            }
        }
        Ok(())
    }

    /// A projection that is behind lacks at most what came after the newest record it has, and
    /// nothing from before it was last at the end.
    fn note(
        &self,
        of: (&'static str, i32),
        behind: Option<i64>,
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) {
        let mut all = self.lock();
        let before = all.get(&of).map_or(Timestamp(0), |lag| lag.caught_up);
        let lag = match behind {
            None => return,
            Some(..=0) => Lag { caught_up: now, seconds: 0.0 },
            Some(_) => {
                let since = before.max(checkpoint.appended);
                // Of a log of which nothing was read yet nobody knows how old it is.
                if since == Timestamp(0) {
                    return;
                }
                let millis = u32::try_from((now.0 - since.0).max(0)).unwrap_or(u32::MAX);
                Lag { caught_up: before, seconds: f64::from(millis) / 1000.0 }
            }
        };
        all.insert(of, lag);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(&'static str, i32), Lag>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_it_was_written() {
        let token = Token::of(3, 1201).unwrap();
        assert_eq!(token.to_string(), "catalog.events.3.1201");
        assert_eq!("catalog.events.3.1201".parse::<Token>().unwrap(), token);
        assert_eq!(Token::of(3, -1), None);
    }

    #[test]
    fn a_token_of_something_else_is_refused() {
        for bad in [
            "",
            "catalog.events",
            "catalog.events.3",
            "catalog.events.3.",
            "catalog.events.-1.2",
            "catalog.events.3.-2",
            "catalog.events.6.2",
            "catalog.events.3.+2",
            "catalog.events.3.2.1",
            "catalog.decisions.3.2",
            "catalog.events.3.99999999999999999999",
        ] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_lag_is_counted_from_when_nothing_was_missing() {
        let lags = Lags::default();
        let product = ProductId(uuid::Uuid::nil());
        let at = ("products", partition_of(&product.to_string(), CATALOG.events.partitions));
        let old = Checkpoint { appended: Timestamp(1_000), ..Checkpoint::default() };
        let lag = |behind, now| {
            lags.note(at, behind, &old, Timestamp(now));
            lags.of_product("products", product)
        };
        assert_eq!(lag(None, 3_000), None);
        lags.note(at, Some(5), &Checkpoint::default(), Timestamp(3_000));
        assert_eq!(lags.of_product("products", product), None);
        assert_eq!(lag(Some(5), 3_500), Some(2.5));
        assert_eq!(lag(Some(0), 60_000), Some(0.0));
        // An event after an hour of silence is late by the moment since, not by the hour.
        assert_eq!(lag(Some(1), 60_250), Some(0.25));
        assert_eq!(lags.of("products"), Some(0.25));
        assert_eq!(lags.of("search"), None);
    }
}
