//! Who sends a request: the token in whatever form its protocol carries it.
//!
//! A SOC sends events and sees its own; an operator of the centre sends none and sees everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khien_detections::{Actor, Reach};
use khien_identity::{Bearer, Identity, Operator};
use khien_ingest::quota::{Exceeded, Meter, Quota};
use khien_lake::Scope;
use khien_sources::{Soc, Sources};
use sha2::{Digest, Sha256};

use super::State;
use super::error::Refused;
use crate::system::now_ms;
use crate::tls::{Fingerprint, Peer};

/// Looks tokens up.
pub(crate) struct Authenticator {
    pub(crate) sources: Sources,
    pub(crate) identity: Identity,
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Soc(Arc<Soc>),
    Operator(Arc<Operator>),
}

impl Caller {
    /// The rows it may see.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Soc(soc) => Scope::Organisations(vec![soc.name.clone()]),
            Self::Operator(_) => Scope::All,
        }
    }

    /// Who it is for those who decide what it may do.
    pub(crate) fn actor(&self) -> Actor {
        let (name, reach) = match self {
            Self::Soc(soc) => (soc.name.clone(), Reach::Organisation(soc.name.clone())),
            Self::Operator(operator) => (operator.name.clone(), Reach::All),
        };
        Actor { name, reach, now_ms: now_ms() }
    }
}

/// How long a look-up is believed: a revoked token works no longer than this.
const BELIEVED: Duration = Duration::from_secs(1);

/// Most credentials of a kind that are remembered; wrong ones are not.
const REMEMBERED: usize = 10_000;

/// Longest token that is looked at.
const TOKEN_BYTES: usize = 512;

/// Whose credentials are, by their SHA-256, as of when they were looked up.
struct Known<T>(Mutex<HashMap<[u8; 32], (Instant, T)>>);

impl<T: Clone> Known<T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Whose it is, when that was looked up lately.
    fn get(&self, credential: &[u8; 32]) -> Option<T> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(credential).filter(|(since, _)| since.elapsed() < BELIEVED).map(|(_, whose)| whose.clone())
    }

    /// Remembers what a look-up gave.
    fn set(&self, credential: [u8; 32], whose: Option<&T>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&credential);
        if let Some(whose) = whose {
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(credential, (Instant::now(), whose.clone()));
        }
    }
}

/// Who may send, and how much they have sent.
pub(crate) struct Senders {
    authenticator: Authenticator,
    tokens: Known<Caller>,
    certificates: Known<Arc<Soc>>,
    meters: Mutex<HashMap<String, Meter>>,
}

impl Senders {
    pub(crate) fn new(authenticator: Authenticator) -> Self {
        Self { authenticator, tokens: Known::new(), certificates: Known::new(), meters: Mutex::default() }
    }

    /// The SOC that sends a request.
    pub(crate) async fn of(&self, headers: &HeaderMap, certificate: Option<Fingerprint>) -> Result<Arc<Soc>, Refused> {
        match self.caller(headers, certificate).await? {
            Caller::Soc(soc) => Ok(soc),
            Caller::Operator(_) => {
                let message = "this is the token of an operator; events are sent with the token of a SOC";
                Err(Refused::new(StatusCode::FORBIDDEN, "not_a_soc", message))
            }
        }
    }

    /// Who sends a request: whose token it has, or when it has none, whose certificate the connection.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        certificate: Option<Fingerprint>,
    ) -> Result<Caller, Refused> {
        if !headers.contains_key(header::AUTHORIZATION)
            && let Some(certificate) = certificate
        {
            return self.with_certificate(&certificate).await?.map(Caller::Soc).ok_or_else(|| {
                let message = "this client certificate is unknown, has ended or was revoked";
                Refused::new(StatusCode::UNAUTHORIZED, "wrong_certificate", message)
            });
        }
        let token = token(headers).ok_or_else(|| {
            Refused::new(StatusCode::UNAUTHORIZED, "no_token", "send a token as `Authorization: Bearer TOKEN`")
        })?;
        self.with_token(&token).await?.ok_or_else(|| {
            Refused::new(StatusCode::UNAUTHORIZED, "wrong_token", "this token is unknown or was revoked")
        })
    }

    /// Whose token this is.
    async fn with_token(&self, token: &str) -> Result<Option<Caller>, Refused> {
        let key = Sha256::digest(token.as_bytes()).into();
        if let Some(caller) = self.tokens.get(&key) {
            return Ok(Some(caller));
        }
        let found = self.look_up(token).await?;
        self.tokens.set(key, found.as_ref());
        Ok(found)
    }

    /// Whose certificate this is.
    pub(crate) async fn with_certificate(&self, certificate: &Fingerprint) -> Result<Option<Arc<Soc>>, Refused> {
        if let Some(soc) = self.certificates.get(certificate) {
            return Ok(Some(soc));
        }
        let found = self.authenticator.sources.with_certificate(certificate, now_ms()).await;
        let found = found.map_err(|error| unavailable(&error))?.map(Arc::new);
        self.certificates.set(*certificate, found.as_ref());
        Ok(found)
    }

    async fn look_up(&self, token: &str) -> Result<Option<Caller>, Refused> {
        let Authenticator { sources, identity } = &self.authenticator;
        match Bearer::of(token) {
            Some(Bearer::Soc) => {
                let soc = sources.authenticate(token, now_ms()).await.map_err(|error| unavailable(&error))?;
                Ok(soc.map(|soc| Caller::Soc(Arc::new(soc))))
            }
            Some(Bearer::Operator) => {
                let operator = identity.authenticate(token).await.map_err(|error| unavailable(&error))?;
                Ok(operator.map(|operator| Caller::Operator(Arc::new(operator))))
            }
            None => Ok(None),
        }
    }

    /// Takes events from the quota of a SOC.
    pub(crate) fn take(&self, soc: &Soc, events: u64, bytes: u64) -> Result<(), Exceeded> {
        let quota = Quota {
            events_per_second: soc.quota.events_per_second,
            bytes_per_second: soc.quota.bytes_per_second,
            events_per_day: soc.quota.events_per_day,
        };
        if quota == Quota::default() {
            return Ok(());
        }
        let now_ms = now_ms();
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters.entry(soc.name.clone()).or_insert_with(|| Meter::new(&quota, now_ms));
        meter.take(&quota, events, bytes, now_ms)
    }
}

fn unavailable(error: &dyn std::error::Error) -> Refused {
    tracing::error!(error = %crate::pipeline::chain(error), "credentials cannot be looked up");
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "state_unavailable", "credentials cannot be looked up")
        .retry_after(1_000)
}

/// Who sends a request, for those who answer it.
pub(crate) struct By(pub(crate) Caller);

impl FromRequestParts<Arc<State>> for By {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Refused> {
        let certificate = parts.extensions.get::<ConnectInfo<Peer>>().and_then(|info| info.0.certificate);
        state.senders.caller(&parts.headers, certificate).await.map(Self)
    }
}

/// The token in the header `Authorization`: `Bearer TOKEN`, `Splunk TOKEN`, `ApiKey TOKEN` (as it is, or in base64 behind
/// an id), or `Basic` with the token as password.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    let behind_colon = || {
        let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        Some(text.split_once(':')?.1.to_owned())
    };
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => rest.to_owned(),
        "apikey" => behind_colon().unwrap_or_else(|| rest.to_owned()),
        "basic" => behind_colon()?,
        _ => return None,
    };
    (!token.is_empty() && token.len() <= TOKEN_BYTES).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        token(&headers)
    }

    #[test]
    fn every_protocol_carries_the_token_its_own_way() {
        let basic = format!("Basic {}", STANDARD.encode("x:t0k"));
        let key = format!("ApiKey {}", STANDARD.encode("id:t0k"));
        for value in ["Bearer t0k", "bearer  t0k ", "Splunk t0k", "ApiKey t0k", &basic, &key] {
            assert_eq!(token_of(value).as_deref(), Some("t0k"), "{value}");
        }
        for value in ["t0k", "Digest t0k", "Bearer ", "Basic !!", &format!("Bearer {}", "x".repeat(513))] {
            assert_eq!(token_of(value), None, "{value}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }
}
