//! The extractor for axum.

use axum_core::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use crate::session::Session;

/// Needs [`SessionLayer`](crate::SessionLayer) on the router; without it the answer is a 500.
impl<T: Send + Sync> FromRequestParts<T> for Session {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self, Self::Rejection> {
        const MISSING: &str = "the session layer is missing: add SessionLayer to the router";
        parts.extensions.get::<Self>().cloned().ok_or((StatusCode::INTERNAL_SERVER_ERROR, MISSING))
    }
}
