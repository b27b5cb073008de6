//! The published contract: what all operations share, and the document as it is served.

use std::collections::BTreeMap;

use domain::ProductId;
use serde::Deserialize;
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi,
    openapi::{
        self, Content, Header, Ref, RefOr, Response, ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::Shared,
    bulk, commands, directory, health,
    problem::{Fault, Problem},
    products, search,
    submit::Pending,
};

/// The routes and their description, made together so that they cannot part.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    let of_mall = OpenApiRouter::new()
        .merge(products::router())
        .merge(directory::router())
        .merge(search::router())
        .merge(commands::router())
        .merge(bulk::router());
    OpenApiRouter::with_openapi(Contract::openapi())
        .nest("/v1/{mall}", of_mall)
        .merge(health::router())
}

/// The contract as it is served at `/openapi.json`.
pub fn openapi() -> openapi::OpenApi {
    routes().into_openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "jangbu",
        description = "A commerce backend whose only source of truth is a log. Commands are \
            appended and decided; read models follow within milliseconds. A write answers with a \
            Consistency-Token: send it with a read that must show the write. Where keys have a \
            quota, each answer tells what is left of it in RateLimit and RateLimit-Policy."
    ),
    tags(
        (name = "products", description = "What a mall sells."),
        (name = "partners", description = "Who sells."),
        (name = "brands", description = "Under what names."),
        (name = "categories", description = "The mall's tree of categories."),
        (name = "synonyms", description = "Words that mean the same to a mall's shoppers."),
        (name = "commands", description = "What became of a command."),
        (name = "health", description = "The process itself."),
    ),
    components(schemas(Problem, Fault, Pending)),
    security(("key" = [])),
    modifiers(&Keys),
)]
struct Contract;

struct Keys;

impl Modify for Keys {
    fn modify(&self, api: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key of the mall in the path; it opens no other mall. A merchant's key opens all of it, a \
                storefront's reads what is on sale."))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// The mall that a path begins with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes what the caller's key is compared with")]
pub(crate) struct InMall {
    /// The mall: 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter.
    #[param(example = "demo")]
    mall: String,
}

/// The product that a path names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "describes what the handler reads with the mall")]
pub(crate) struct OfProduct {
    /// The product.
    id: ProductId,
}

/// Headers that any request may have.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes what the edge reads")]
pub(crate) struct CallHeaders {
    /// Names the request in logs and events; returned. A new one where it is no UUID.
    #[param(rename = "X-Request-Id", value_type = String, required = false)]
    request_id: Option<String>,
    /// The trace that the request belongs to (W3C Trace Context).
    #[param(value_type = String, required = false)]
    traceparent: Option<String>,
}

/// Headers that a read may have.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes what freshness reads")]
pub(crate) struct ReadHeaders {
    /// The token of a write that the answer must show; the read waits for it, for a while.
    #[param(
        rename = "Consistency-Token",
        value_type = String,
        required = false,
        example = "catalog.events.3.1201"
    )]
    consistency_token: Option<String>,
}

/// That a command is accepted and not decided yet.
pub(crate) struct Later;

impl IntoResponses for Later {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let header = |text: &str| {
            let mut header = Header::default();
            header.description = Some(text.to_owned());
            header
        };
        let response = ResponseBuilder::new()
            .description("In the log, and not decided yet.")
            .content("application/json", Content::new(Some(Ref::from_schema_name("Pending"))))
            .header("Location", header("Where to ask for the decision."))
            .header("Retry-After", header("Seconds to wait before asking."))
            .build();
        BTreeMap::from([("202".to_owned(), response.into())])
    }
}

/// What may go wrong with a command.
pub(crate) struct CommandProblems;

impl IntoResponses for CommandProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The path, a header or the JSON text is malformed."),
            ("401", "No key, or one that is nobody's."),
            ("403", "The key is not for this mall, or a storefront's."),
            ("404", "There is no such thing in this mall."),
            ("408", "The body did not arrive in time."),
            ("409", "A rule forbids it; `code` says which."),
            ("412", "The version is not the one of If-Match."),
            ("413", "The body is too long."),
            ("415", "The body is not declared as JSON."),
            ("422", "The body has faults, all named in `errors`; or its key was used before."),
            ("429", "The key or its mall sends more than it may; Retry-After says when to go on."),
            ("503", "The log does not answer, or the server is busy; try again."),
        ])
    }
}

/// What may go wrong with a read.
pub(crate) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The path, the query or a header is malformed."),
            ("401", "No key, or one that is nobody's."),
            ("403", "The key is not for this mall, or a storefront's."),
            ("404", "There is no such thing in this mall."),
            ("429", "The key or its mall sends more than it may; Retry-After says when to go on."),
            ("503", "Not visible yet, or the read model does not answer; try again."),
        ])
    }
}

fn problems(list: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let response = |text: &str| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        ResponseBuilder::new()
            .description(text)
            .content("application/problem+json", content)
            .build()
    };
    list.iter().map(|(status, text)| ((*status).to_owned(), response(text).into())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};

    fn visit<'v>(value: &'v Value, see: &mut impl FnMut(&'v str, &'v Value)) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                see(name, value);
                visit(value, see);
            }),
            Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
            _ => {}
        }
    }

    #[test]
    fn whatever_the_contract_names_is_in_it_and_operations_have_names_of_their_own() {
        let api = json!(super::openapi());
        let (mut names, mut operations) = (HashSet::new(), 0);
        visit(&api, &mut |name, value| match (name, value.as_str()) {
            ("$ref", Some(target)) => {
                assert!(api.pointer(target.trim_start_matches('#')).is_some(), "{target}");
            }
            ("operationId", Some(id)) => {
                operations += 1;
                assert!(names.insert(id), "{id} is used twice");
            }
            _ => {}
        });
        assert_eq!(operations, 45);
    }
}
