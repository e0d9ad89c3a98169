//! Errors as answers: a stable code, a sentence, and where it helps when to try again.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// Stable, for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// Seconds after which it makes sense to try again.
    pub(crate) retry_after: Option<u64>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after = Some(milliseconds.div_ceil(1_000).max(1));
        self
    }

    /// Adds what the status asks for to an answer in another protocol's form.
    pub(crate) fn mark(&self, mut response: Response) -> Response {
        *response.status_mut() = self.status;
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("Bearer, Basic realm=\"khien\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, schemes);
        }
        response
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        self.mark(axum::Json(body).into_response())
    }
}

/// For addresses that are none.
pub(crate) async fn not_found() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
}
