//! TLS: what the server shows, and whom it believes.
//!
//! A client may show a certificate. The handshake makes sure that it has the key; whose it is, the register of SOCs says by
//! its fingerprint, so that no certificate authority is needed and one that was revoked there gets in nowhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use axum::serve::Listener;
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio_rustls::server::TlsStream;

use crate::pipeline::chain;
use crate::serve::ServeError;
use crate::watched;

/// SHA-256 of a certificate in DER.
pub(crate) type Fingerprint = [u8; 32];

/// How long a client may take to say hello.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at once.
const HANDSHAKES: usize = 512;

/// The certificate that the server shows, with its key.
pub(crate) struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    shown: Mutex<Arc<CertifiedKey>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a certificate chain and its key, both as PEM.
    pub(crate) fn open((certificate, key): (PathBuf, PathBuf)) -> Result<Arc<Self>, ServeError> {
        let shown = Mutex::new(Arc::new(read(&certificate, &key)?));
        Ok(Arc::new(Self { certificate, key, shown }))
    }

    /// Reads them again when they change, until it is told to stop. Connections that are there already stay.
    pub(crate) async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let paths = vec![self.certificate.clone(), self.key.clone()];
        let read = move || match read(&self.certificate, &self.key) {
            Ok(shown) => {
                *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
                tracing::info!("the certificate of the server was read again");
            }
            // One of the two files may be written after the other.
            Err(error) => tracing::error!(error = %chain(&error), "the certificate of the server stays as it was"),
        };
        watched::each_change(paths, stop, read).await;
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, ServeError> {
    let failed = |path: &Path, reason: String| ServeError::Certificate { path: path.to_owned(), reason };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| failed(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, private, &provider).map_err(|error| failed(certificate, error.to_string()))
}

/// What greets TLS clients that speak one of `protocols`, most wanted first; none when that is not talked about.
pub(crate) fn acceptor(identity: Option<&Arc<Identity>>, protocols: &[&[u8]]) -> Result<TlsAcceptor, ServeError> {
    let identity = identity.ok_or(ServeError::NoCertificate)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Possession(provider.clone()));
    let mut config = ServerConfig::builder_with_provider(provider)
        // Version 1.2 too: rsyslog as Debian 12 has it speaks nothing newer.
        .with_safe_default_protocol_versions()
        .map_err(|error| ServeError::Certificate { path: identity.certificate.clone(), reason: error.to_string() })?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity.clone());
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Believes that a client has the key of its certificate, and nothing else of it.
#[derive(Debug)]
struct Possession(Arc<CryptoProvider>);

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // Whose it is, and whether it has ended or was revoked, is looked up with every request.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate that a client has shown.
pub(crate) fn certificate(stream: &TlsStream<TcpStream>) -> Option<Fingerprint> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    Some(Sha256::digest(shown).into())
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The certificate it has shown.
    pub(crate) certificate: Option<Fingerprint>,
}

/// Accepts connections with TLS. Handshakes go on beside each other, so that one that takes its time delays no other.
pub(crate) struct TlsListener {
    address: SocketAddr,
    greeted: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
    _work: JoinSet<()>,
}

impl TlsListener {
    pub(crate) fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (greets, greeted) = mpsc::channel(HANDSHAKES);
        let mut work = JoinSet::new();
        work.spawn(greet(listener, acceptor, greets));
        Ok(Self { address, greeted, _work: work })
    }
}

async fn greet(mut listener: TcpListener, acceptor: TlsAcceptor, greets: mpsc::Sender<(TlsStream<TcpStream>, Peer)>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    let mut under_way = JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        // Never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (stream, address) = Listener::accept(&mut listener).await;
        let (acceptor, greets) = (acceptor.clone(), greets.clone());
        under_way.spawn(async move {
            let _permit = permit;
            match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let peer = Peer { address, certificate: certificate(&stream) };
                    // Nobody takes it when the server is ending.
                    greets.send((stream, peer)).await.ok();
                }
                Ok(Err(error)) => tracing::debug!(peer = %address, %error, "TLS was refused"),
                Err(_) => tracing::debug!(peer = %address, "a TLS client said nothing"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.greeted.recv().await {
                Some(greeted) => return greeted,
                // Whoever greets has ended; there is nothing to wait for but the end of the server.
                None => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer { address: self.address, certificate: None })
    }
}
