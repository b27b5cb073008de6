//! What every request passes on its way in and out: its names, its limits, its measure.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::HttpBody as _,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use consumers::telemetry;
use metrics::{counter, gauge, histogram};
use tokio::{sync::Semaphore, time::sleep};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use crate::{
    headers::{Call, REQUEST_ID, TRACEPARENT},
    problem::{ApiError, TooMuch},
    quota::Quotas,
    reads::Reads,
    unread::Unread,
};

/// How many requests may be under way at once.
const MOST: usize = 4096;
/// How long a refusal is kept back. Whoever asks again at once, whatever `Retry-After` says, would
/// take from all others the processor time that refusing takes; so it costs a connection its time.
const KEPT_BACK: Duration = Duration::from_millis(100);
/// How many refusals are kept back at once; what comes beyond them is refused at once.
const MOST_KEPT_BACK: usize = MOST;
/// How long a request may take. Beyond what it may ask to wait for, a read needs the read models
/// and a command its body and the log's acknowledgement, each with a limit of its own; so this one
/// is met where a server hangs.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// For reads.
    pub(crate) read: Duration,
    /// For commands.
    pub(crate) command: Duration,
}

/// Wraps every route, and the answers for paths and methods that there are not.
pub(crate) fn wrap(router: Router, patience: Patience, quotas: Quotas, reads: Reads) -> Router {
    let (under_way, refusals) = (UnderWay::default(), Refusals::new());
    let edge = Edge { patience, quotas, reads, under_way, refusals };
    router
        .fallback(async || ApiError::RouteNotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(edge, pass))
}

#[derive(Clone)]
struct Edge {
    patience: Patience,
    quotas: Quotas,
    reads: Reads,
    under_way: UnderWay,
    refusals: Refusals,
}

/// Requests under way.
#[derive(Clone, Default)]
struct UnderWay(Arc<AtomicUsize>);

/// One of them; it is counted until dropped, also where its caller went away.
struct Place(Arc<AtomicUsize>);

impl UnderWay {
    fn enter(&self) -> Option<Place> {
        let place = Place(self.0.clone());
        gauge!(telemetry::HTTP_IN_FLIGHT).increment(1.0);
        (self.0.fetch_add(1, Ordering::Relaxed) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        gauge!(telemetry::HTTP_IN_FLIGHT).decrement(1.0);
    }
}

/// Room for the refusals that are kept back.
#[derive(Clone)]
struct Refusals(Arc<Semaphore>);

impl Refusals {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_KEPT_BACK)))
    }

    /// Keeps an answer back that refuses because too much is asked for.
    async fn keep_back(&self, why: Option<TooMuch>) {
        if why.is_some()
            && let Ok(_room) = self.0.try_acquire()
        {
            sleep(KEPT_BACK).await;
        }
    }
}

fn too_much(answer: &Response) -> Option<TooMuch> {
    answer.extensions().get().copied()
}

async fn pass(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let call = Call::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(call);
    let quota = edge.quotas.spend(request.headers(), begun);
    let mut response = match edge.under_way.enter() {
        _ if quota.is_some_and(|left| !left.allowed) => refuse(request).await,
        None => {
            drop(request);
            ApiError::Overloaded.into_response()
        }
        Some(_place) => {
            let trace = call.trace.trace_id();
            let span = tracing::info_span!("request", request_id = %call.correlation, trace);
            let reads = request.method().is_safe();
            let patience = if reads { edge.patience.read } else { edge.patience.command };
            let answer = answer(&edge.reads, request, next);
            let answer = tokio::time::timeout(patience, answer).instrument(span);
            answer.await.unwrap_or_else(|_| ApiError::TimedOut.into_response())
        }
    };
    name(&mut response, call);
    if let Some(left) = quota {
        left.tell(response.headers_mut());
    }
    measure(&method, route.as_ref(), response.status().as_u16(), begun);
    edge.refusals.keep_back(too_much(&response)).await;
    response
}

async fn refuse(request: Request) -> Response {
    let (_, unread) = Unread::watch(request);
    unread.forget().await;
    ApiError::RateLimited.into_response()
}

/// Most requests have no body, or are read to its end; the others are rid of it here.
async fn answer(reads: &Reads, request: Request, next: Next) -> Response {
    let _read = match request.method().is_safe().then(|| reads.enter(request.headers())) {
        Some(Err(refused)) => return refused.into_response(),
        Some(Ok(read)) => read,
        None => None,
    };
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (request, unread) = Unread::watch(request);
    let response = next.run(request).await;
    unread.forget().await;
    response
}

fn name(response: &mut Response, call: Call) {
    let mut id = uuid::Uuid::encode_buffer();
    let id: &str = call.correlation.hyphenated().encode_lower(&mut id);
    for (header, value) in [(REQUEST_ID, id), (TRACEPARENT, &call.trace.to_string())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(header, value);
        }
    }
}

/// Measured by route, never by path: the paths of a stranger are without number.
fn measure(method: &Method, route: Option<&MatchedPath>, status: u16, begun: Instant) {
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = known(method);
    let seconds = begun.elapsed().as_secs_f64();
    histogram!(telemetry::HTTP_SECONDS, "route" => route.clone()).record(seconds);
    let status = status.to_string();
    counter!(telemetry::HTTP_REQUESTS, "route" => route, "method" => method, "status" => status)
        .increment(1);
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    ApiError::Internal(anyhow::anyhow!("panicked: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpStream},
        pin::Pin,
        task::{Context, Waker},
    };

    use axum::routing::{get, post};

    use super::*;

    async fn serve() -> SocketAddr {
        let soon = Duration::from_millis(300);
        let router = Router::new()
            .route("/refused", post(async || ApiError::Unauthenticated))
            .route("/panics", get(async || -> &'static str { panic!("a test") }))
            .route("/hangs", get(std::future::pending::<&'static str>));
        let quotas = Quotas::new(2, ["busy"].into_iter());
        let reads = Reads::new(1, std::iter::empty());
        let router = wrap(router, Patience { read: soon, command: soon }, quotas, reads);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        address
    }

    /// Sends the head of a request, then its body, and reads the answer to its end.
    fn exchange(stream: &mut TcpStream, head: &str, body: &[u8]) -> String {
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..length]);
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_leaves_the_connection_usable_whatever_was_sent() {
        let mut stream = TcpStream::connect(serve().await).unwrap();
        for length in [1, 100_000, 3_000_000] {
            let head =
                format!("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            let answer = exchange(&mut stream, &head, &vec![b'x'; length]);
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
        let mut stream = TcpStream::connect(serve().await).unwrap();
        let head = "GET /nowhere HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer busy\r\n\r\n";
        let mut answers = vec![];
        // The third would only pass if half a second went by between two of them.
        while answers.len() < 20 {
            answers.push(exchange(&mut stream, head, b""));
        }
        assert!(answers[0].contains("ratelimit: \"key\";r=1;t=1"), "{}", answers[0]);
        let refused = answers.iter().find(|answer| answer.starts_with("HTTP/1.1 429")).unwrap();
        assert!(refused.contains("\"code\":\"RATE_LIMITED\""), "{refused}");
        for header in ["retry-after: 1", "ratelimit-policy: \"key\";q=2;w=1", "r=0;t=1"] {
            assert!(refused.contains(header), "{header} is not in {refused}");
        }
    }

    #[tokio::test]
    async fn refusals_are_kept_back_as_long_as_there_is_room_and_nothing_else_is() {
        let refusals = Refusals::new();
        let is_kept = |answer: &mut Pin<Box<dyn Future<Output = ()>>>| {
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        };
        let answer = |error: ApiError| -> Pin<Box<dyn Future<Output = ()>>> {
            let (refusals, response) = (refusals.clone(), error.into_response());
            Box::pin(async move { refusals.keep_back(too_much(&response)).await })
        };
        for error in [ApiError::TimedOut, ApiError::Unauthenticated, ApiError::NotYetVisible] {
            assert!(!is_kept(&mut answer(error)));
        }
        let mut kept: Vec<_> = [ApiError::OverShare, ApiError::Overloaded, ApiError::RateLimited]
            .map(answer)
            .into_iter()
            .chain((3..MOST_KEPT_BACK).map(|_| answer(ApiError::OverShare)))
            .collect();
        assert!(kept.iter_mut().all(is_kept));
        assert!(!is_kept(&mut answer(ApiError::OverShare)), "no room");
        // Callers go away.
        kept.truncate(1);
        assert!(is_kept(&mut answer(ApiError::OverShare)));
        let begun = Instant::now();
        kept.remove(0).await;
        assert!(begun.elapsed() >= KEPT_BACK / 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_way_to_fail_ends_in_a_problem() {
        let mut stream = TcpStream::connect(serve().await).unwrap();
        for (what, code) in [
            ("GET /panics", "INTERNAL"),
            ("GET /hangs", "TIMED_OUT"),
            ("GET /nowhere", "ROUTE_NOT_FOUND"),
            ("PUT /panics", "METHOD_NOT_ALLOWED"),
        ] {
            let answer = exchange(&mut stream, &format!("{what} HTTP/1.1\r\nHost: a\r\n\r\n"), b"");
            assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
            assert!(answer.contains("x-request-id: ") && answer.contains("traceparent: 00-"));
        }
    }
}
