//! Whose messages come in over syslog, which carries no token.
//!
//! A sender belongs to the SOC that registered its client certificate, or else to the one that registered the smallest
//! network with its address, or else to the one that the listener was started for. Messages of nobody are not taken.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khien_sources::{Network, Soc, Sources, owner_of};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::pipeline::chain;
use crate::system::now_ms;
use crate::tls::Fingerprint;

/// How long a change of networks takes to be seen.
const EVERY: Duration = Duration::from_secs(1);

/// Seconds between two notes that messages are refused.
const NOTED: u64 = 10;

/// See the module text.
#[derive(Clone)]
pub(crate) struct Owners(Arc<Shared>);

struct Shared {
    /// The register; an agent on a site of one SOC has none.
    sources: Option<Sources>,
    networks: Mutex<Arc<Vec<Network>>>,
    /// The SOC that listeners were started for.
    otherwise: Option<Arc<Soc>>,
    /// Messages and streams of nobody.
    refused: AtomicU64,
}

impl Owners {
    /// By the register as it is now.
    pub(crate) async fn new(
        sources: Sources,
        otherwise: Option<Arc<Soc>>,
    ) -> Result<Self, khien_sources::SourcesError> {
        let networks = Mutex::new(Arc::new(sources.networks().await?));
        let sources = Some(sources);
        Ok(Self(Arc::new(Shared { sources, networks, otherwise, refused: AtomicU64::new(0) })))
    }

    /// All messages are of one SOC.
    pub(crate) fn only(soc: Soc) -> Self {
        let otherwise = Some(Arc::new(soc));
        let shared = Shared { sources: None, networks: Mutex::default(), otherwise, refused: AtomicU64::new(0) };
        Self(Arc::new(shared))
    }

    /// The SOC of a sender; `None` for one that is nobody's, which is counted.
    pub(crate) async fn of(&self, address: IpAddr, certificate: Option<&Fingerprint>) -> Option<Arc<Soc>> {
        let (Some(certificate), Some(sources)) = (certificate, &self.0.sources) else {
            return self.of_address(address);
        };
        // Who shows a certificate is believed for it and for nothing else.
        let found = sources.with_certificate(certificate, now_ms()).await;
        let found =
            found.inspect_err(|error| tracing::error!(error = %chain(error), "a certificate cannot be looked up"));
        self.noted(found.ok().flatten().map(Arc::new))
    }

    /// The same for one without a certificate.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<Arc<Soc>> {
        let networks = self.0.networks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let owner = owner_of(&networks, address).cloned().map(Arc::new);
        self.noted(owner.or_else(|| self.0.otherwise.clone()))
    }

    fn noted(&self, owner: Option<Arc<Soc>>) -> Option<Arc<Soc>> {
        if owner.is_none() {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
        owner
    }

    /// How many messages and streams of nobody there were.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Follows the register until it is told to stop.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let Some(sources) = &self.0.sources else { return };
        let (mut noted, mut rounds) = (0, 0);
        loop {
            tokio::select! {
                // An error means that nobody is there any more who could say stop.
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(EVERY) => {}
            }
            match sources.networks().await {
                Ok(networks) => {
                    *self.0.networks.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(networks);
                }
                Err(error) => tracing::warn!(error = %chain(&error), "the networks of SOCs cannot be read"),
            }
            rounds += 1;
            let refused = self.refused();
            if rounds % NOTED == 0 && refused > noted {
                tracing::warn!(count = refused - noted, "syslog messages or streams of nobody were refused");
                noted = refused;
            }
        }
    }
}
