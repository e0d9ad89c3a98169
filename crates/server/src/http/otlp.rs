//! OpenTelemetry's logs over HTTP (protobuf and JSON) and gRPC.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use khien_ingest::body;
use khien_ingest::body::otlp::{self, OtlpError, Request};
use khien_ingest::journal::Refusal;
use khien_sources::Soc;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};

use super::Shared;
use super::error::Refused;
use super::ingest::{Delivery, Parameters, given_key, source_name, within_quota};
use crate::tls::Peer;

impl From<OtlpError> for Refused {
    fn from(error: OtlpError) -> Self {
        match error {
            OtlpError::Invalid(_) => Self::bad_request("broken_body", error.to_string()),
            OtlpError::TooLarge => Refusal::TooLarge.into(),
        }
    }
}

/// How a body is written.
#[derive(Clone, Copy)]
enum Encoding {
    Protobuf,
    Json,
}

/// `POST /v1/logs`
pub(crate) async fn logs(
    State(state): Shared,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Encoding::Protobuf,
        "application/json" => Encoding::Json,
        _ => {
            let message = "Content-Type is application/x-protobuf or application/json";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message));
        }
    };
    // Who sends it is asked first: a stranger's body is not read.
    let soc = state.senders.of(&headers, peer.certificate).await?;
    let body = state.bodies.read(&headers, body).await?;
    let bytes = body.bytes.clone();
    let request = match encoding {
        Encoding::Protobuf => otlp::from_protobuf(&bytes)?,
        Encoding::Json => otlp::from_json(&bytes)?,
    };
    let source = source_name(parameters.source.as_deref())?;
    let answer = take(
        &state,
        &soc,
        Sent { peer: Some(peer.address.ip()), source, key: given_key(&headers)?, content: &bytes },
        &request,
    )
    .await?;
    Ok(match encoding {
        Encoding::Protobuf => {
            ([(header::CONTENT_TYPE, "application/x-protobuf")], answer.encode_to_vec()).into_response()
        }
        Encoding::Json => axum::Json(answer).into_response(),
    })
}

/// How a request came.
struct Sent<'a> {
    peer: Option<IpAddr>,
    source: &'a str,
    /// The key that its sender gave it.
    key: Option<&'a str>,
    /// What tells it from others otherwise.
    content: &'a [u8],
}

/// Takes the records of a request.
async fn take(
    state: &super::State,
    soc: &Soc,
    Sent { peer, source, key, content }: Sent<'_>,
    request: &Request,
) -> Result<ExportLogsServiceResponse, Refused> {
    let records = otlp::records(request)?;
    let key = Some(body::key(&soc.name, source, key, content));
    within_quota(state, soc, records.spans.len(), records.body.len())?;
    let rejected = records.rejected;
    state.intake.take(Delivery { soc, source, protocol: "otlp", peer, key, records }).await?;
    let partial_success = (rejected > 0).then(|| ExportLogsPartialSuccess {
        rejected_log_records: rejected as i64,
        error_message: "records are too long".to_owned(),
    });
    Ok(ExportLogsServiceResponse { partial_success })
}

/// The same over gRPC.
struct Grpc(Arc<super::State>);

/// Longest message.
const MESSAGE_BYTES: usize = 32 << 20;

/// Where the service is.
pub(crate) const GRPC: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// The service.
pub(crate) fn grpc(state: Arc<super::State>) -> LogsServiceServer<impl LogsService> {
    LogsServiceServer::new(Grpc(state))
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(MESSAGE_BYTES)
}

#[tonic::async_trait]
impl LogsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<Request>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0);
        let (metadata, _, request) = request.into_parts();
        let headers = metadata.into_headers();
        let certificate = peer.and_then(|peer| peer.certificate);
        let soc = self.0.senders.of(&headers, certificate).await.map_err(|refused| status(&refused))?;
        let peer = peer.map(|peer| peer.address.ip());
        let content = request.encode_to_vec();
        let source = headers.get("khien-source").and_then(|value| value.to_str().ok());
        let source = source_name(source).map_err(|refused| status(&refused))?;
        let key = given_key(&headers).map_err(|refused| status(&refused))?;
        let answer = take(&self.0, &soc, Sent { peer, source, key, content: &content }, &request).await;
        answer.map(tonic::Response::new).map_err(|refused| status(&refused))
    }
}

/// An error as gRPC has it. OTLP clients try again after `Unavailable`.
fn status(refused: &Refused) -> Status {
    let code = match refused.status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Code::InvalidArgument,
        _ => Code::Internal,
    };
    Status::new(code, refused.message.clone())
}
