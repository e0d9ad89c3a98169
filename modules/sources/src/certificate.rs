//! Client certificates.

use khien_base::message::Message;
use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;

use crate::reasons;

/// What is kept of a certificate.
pub(crate) struct Certificate {
    /// SHA-256 of it in DER.
    pub(crate) fingerprint: [u8; 32],
    /// Whom it names.
    pub(crate) subject: String,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires_ms: i64,
}

/// Longest subject that is kept.
const SUBJECT_BYTES: usize = 512;

impl Certificate {
    /// Reads a file with one certificate as PEM.
    pub(crate) fn read(text: &[u8], now_ms: i64) -> Result<Self, Message> {
        let mut found = None;
        for block in Pem::iter_from_buffer(text) {
            let block = block.map_err(|_| reasons::no_certificate())?;
            match block.label.as_str() {
                "CERTIFICATE" if found.is_some() => return Err(reasons::several_certificates()),
                "CERTIFICATE" => found = Some(block),
                label if label.contains("PRIVATE KEY") => return Err(reasons::has_key()),
                _ => {}
            }
        }
        let block = found.ok_or_else(reasons::no_certificate)?;
        let parsed = block.parse_x509().map_err(|_| reasons::no_certificate())?;
        let expires_ms = parsed.validity().not_after.timestamp().saturating_mul(1_000);
        if expires_ms <= now_ms {
            return Err(reasons::certificate_over());
        }
        if parsed.is_ca() && parsed.subject() != parsed.issuer() {
            // One that signed itself may say so of itself without meaning it.
            return Err(reasons::certificate_of_ca());
        }
        let mut subject = parsed.subject().to_string();
        subject.truncate(subject.floor_char_boundary(SUBJECT_BYTES));
        Ok(Self { fingerprint: Sha256::digest(&block.contents).into(), subject, expires_ms })
    }
}
