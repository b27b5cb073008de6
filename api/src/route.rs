//! What commands to something that exists have in common: the request says which aggregate, and its
//! body is the wish.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use domain::{CategoriesId, SynonymsId};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};
use uuid::Uuid;

use crate::{
    auth::{Caller, Keys},
    problem::ApiError,
    request::Path,
};

/// The aggregate that the path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InPath {
    /// Which one.
    pub id: Uuid,
}

/// The category tree of the caller's mall.
pub(crate) struct TreeOfMall {
    pub id: Uuid,
}

/// The synonyms of the caller's mall.
pub(crate) struct SynonymsOfMall {
    pub id: Uuid,
}

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((_, id)) = Path::<(String, Uuid)>::from_request_parts(parts, state).await?;
        Ok(Self { id })
    }
}

impl<S> FromRequestParts<S> for TreeOfMall
where
    S: Send + Sync,
    Keys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self { id: CategoriesId::of(&caller.mall).0 })
    }
}

impl<S> FromRequestParts<S> for SynonymsOfMall
where
    S: Send + Sync,
    Keys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self { id: SynonymsId::of(&caller.mall).0 })
    }
}

impl IntoParams for SynonymsOfMall {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![]
    }
}

impl IntoParams for TreeOfMall {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![]
    }
}

/// Declares the route of a command: `name: Wish in Where, "path", "operation", "tag"`.
macro_rules! command_route {
    ($(#[$doc:meta])* $name:ident: $wish:ident in $of:ident, $path:tt, $operation:tt, $tag:tt) => {
        $(#[$doc])*
        #[utoipa::path(
            post,
            path = $path,
            operation_id = $operation,
            tag = $tag,
            params(
                $crate::openapi::InMall,
                $crate::route::$of,
                $crate::headers::CommandHeaders,
                $crate::openapi::CallHeaders,
            ),
            request_body = $wish,
            responses(
                (
                    status = 200,
                    description = "It is so.",
                    body = $crate::submit::Decided,
                    headers(
                        ("ETag" = String, description = "The version, for `If-Match`."),
                        ("Consistency-Token" = String,
                            description = "Send it with a read that must show this."),
                    ),
                ),
                $crate::openapi::Later,
                $crate::openapi::CommandProblems,
            ),
        )]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::Shared>,
            $crate::admission::Arrived { caller, entry }: $crate::admission::Arrived,
            aggregate: $crate::route::$of,
            call: $crate::headers::Call,
            headers: $crate::headers::CommandHeaders,
            $crate::body::Checked(wish): $crate::body::Checked<$wish>,
        ) -> Result<$crate::submit::Answer, $crate::problem::ApiError> {
            let wish = Command::from(wish).into();
            $crate::submit::submit(
                &app,
                entry,
                $crate::submit::Ask { caller, call, headers, aggregate: aggregate.id, wish },
            )
            .await
        }
    };
}

pub(crate) use command_route;
