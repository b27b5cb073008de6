//! Bodies that a refusal leaves unread. The server closes a connection on which some of a body is
//! outstanding, and a sender still busy with it may then never see why it was refused: so the rest
//! is read on for a while and forgotten.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
};

/// How much is read on.
const MOST: usize = 32 * 1024 * 1024;
/// How long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that its reader may leave before its end.
#[derive(Clone)]
pub(crate) struct Unread(Arc<Mutex<Shared>>);

struct Shared {
    body: Body,
    /// Whether the sender was told to send: one that waits for `100 Continue` is not to be told so
    /// after the refusal.
    begun: bool,
}

impl Unread {
    /// Keeps hold of the request's body while the request is handled.
    pub(crate) fn watch(request: Request) -> (Request, Self) {
        let (parts, body) = request.into_parts();
        let begun = !parts.headers.contains_key(header::EXPECT);
        let unread = Self(Arc::new(Mutex::new(Shared { body, begun })));
        (Request::from_parts(parts, Body::new(unread.clone())), unread)
    }

    /// Reads what is left of the body.
    pub(crate) async fn forget(mut self) {
        let begun = self.lock().begun;
        if !begun || self.is_end_stream() {
            return;
        }
        let rest = async {
            let mut length = 0;
            while let Some(Ok(frame)) =
                std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await
            {
                length += frame.data_ref().map_or(0, Bytes::len);
                if length > MOST {
                    return;
                }
            }
        };
        // Whoever sends longer than this loses the connection.
        let _ = tokio::time::timeout(PATIENCE, rest).await;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let mut shared = self.lock();
        shared.begun = true;
        Pin::new(&mut shared.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.lock().body.size_hint()
    }
}
