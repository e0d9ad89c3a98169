//! Listeners for syslog over UDP, TCP and TLS. Whose messages come in, [`Owners`] says.
//!
//! Syslog has no acknowledgement: a message is durable a moment after it came. A TCP sender is slowed down while the
//! journal is busy; datagrams that come meanwhile are counted and lost, as the protocol has it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use khien_ingest::batch::Span;
use khien_ingest::body::Records;
use khien_ingest::journal::Refusal;
use khien_ingest::syslog::{Messages, Splitter};
use khien_sources::Soc;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::http::{Delivery, Intake};
use crate::owners::Owners;
use crate::tls::{HANDSHAKE, Peer, certificate};

/// Bytes that are read at once from a stream.
const READ_BYTES: usize = 256 << 10;

/// Longest datagram.
const DATAGRAM_BYTES: usize = 64 << 10;

/// Datagrams are collected for so long, or until there are so many.
const COLLECT: Duration = Duration::from_millis(20);
const COLLECTED: usize = 1_024;

/// Streams at once.
const STREAMS: usize = 4_096;

/// Streams on which nothing comes for so long are closed.
const IDLE: Duration = Duration::from_hours(1);

/// Where messages go, and until when.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) intake: Intake,
    pub(crate) owners: Owners,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What events of syslog give as their source.
const SOURCE: &str = "syslog";

impl Sink {
    async fn take(&self, soc: &Soc, peer: IpAddr, records: Records) -> Result<(), Refusal> {
        let delivery = Delivery { soc, source: SOURCE, protocol: "syslog", peer: Some(peer), key: None, records };
        self.intake.take(delivery).await.map(|_| ())
    }

    /// Takes messages as soon as there is room for them.
    async fn take_patiently(&self, soc: &Soc, peer: IpAddr, found: Messages) {
        let records = Records { body: found.body.into(), spans: found.spans, ..Records::default() };
        let mut pause = Duration::from_millis(20);
        loop {
            match self.take(soc, peer, records.clone()).await {
                Err(Refusal::Closed | Refusal::TooLarge) | Ok(()) => return,
                Err(refusal) => {
                    tracing::warn!(%peer, %refusal, "a syslog sender has to wait");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
        }
    }
}

/// Ends when it is told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is there any more who could say stop.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Receives datagrams.
pub(crate) async fn udp(socket: UdpSocket, sink: Sink) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut stop = sink.stop.clone();
    loop {
        let first = tokio::select! {
            first = socket.recv_from(&mut buffer) => first,
            () = stopped(&mut stop) => return,
        };
        let mut group = Datagrams::default();
        match first {
            Ok((len, peer)) => group.add(&buffer[..len], peer, &sink.owners),
            Err(error) => {
                tracing::warn!(%error, "a datagram cannot be received");
                continue;
            }
        }
        let until = Instant::now() + COLLECT;
        while group.count < COLLECTED
            && let Ok(Ok((len, peer))) = timeout_at(until, socket.recv_from(&mut buffer)).await
        {
            group.add(&buffer[..len], peer, &sink.owners);
        }
        group.send(&sink);
    }
}

/// Datagrams that came about the same time.
#[derive(Default)]
struct Datagrams {
    /// By sender, since a batch is of one.
    senders: HashMap<IpAddr, (Arc<Soc>, Records, Vec<u8>)>,
    count: usize,
}

impl Datagrams {
    fn add(&mut self, datagram: &[u8], peer: SocketAddr, owners: &Owners) {
        let text = datagram.trim_ascii_end();
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        if text.is_empty() {
            return;
        }
        let (_, records, body) = match self.senders.entry(peer.ip()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let Some(owner) = owners.of_address(peer.ip()) else { return };
                entry.insert((owner, Records::default(), Vec::new()))
            }
        };
        records.spans.push(Span { start: body.len() as u32, len: text.len() as u32 });
        body.extend_from_slice(text);
        self.count += 1;
    }

    /// Sends them off without waiting for the disk, so that the next ones are received.
    fn send(self, sink: &Sink) {
        for (peer, (owner, records, body)) in self.senders {
            let count = records.spans.len();
            let records = Records { body: Bytes::from(body), ..records };
            let sink = sink.clone();
            tokio::spawn(async move {
                if let Err(refusal) = sink.take(&owner, peer, records).await {
                    tracing::warn!(%refusal, count, "datagrams are lost");
                }
            });
        }
    }
}

/// Accepts streams, with TLS when there is an acceptor.
pub(crate) async fn tcp(listener: TcpListener, tls: Option<TlsAcceptor>, sink: Sink) {
    let room = Arc::new(Semaphore::new(STREAMS));
    let mut streams = JoinSet::new();
    let mut stop = sink.stop.clone();
    loop {
        while streams.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many syslog connections, this one is closed");
            continue;
        };
        let (tls, sink) = (tls.clone(), sink.clone());
        streams.spawn(async move {
            let _permit = permit;
            let Some(tls) = tls else { return messages(stream, Peer { address: peer, certificate: None }, sink).await };
            match timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let certificate = certificate(&stream);
                    messages(stream, Peer { address: peer, certificate }, sink).await;
                }
                Ok(Err(error)) => tracing::warn!(%peer, %error, "TLS was refused"),
                Err(_) => tracing::warn!(%peer, "a TLS client said nothing"),
            }
        });
    }
    while streams.join_next().await.is_some() {}
}

/// Reads a stream to its end.
async fn messages(mut stream: impl AsyncRead + Unpin, from: Peer, sink: Sink) {
    let peer = from.address.ip();
    let owner = async || sink.owners.of(peer, from.certificate.as_ref()).await;
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut stop = sink.stop.clone();
    loop {
        let read = tokio::select! {
            read = timeout(IDLE, stream.read(&mut buffer)) => read,
            () = stopped(&mut stop) => break,
        };
        let found = match read {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(count)) => splitter.read(&buffer[..count]),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a syslog connection broke");
                break;
            }
        };
        if found.rejected > 0 {
            tracing::warn!(%peer, count = found.rejected, "syslog messages are too long and were left out");
        }
        // Each time, since a SOC may lose its right to send.
        let Some(owner) = owner().await else {
            tracing::debug!(%peer, "a syslog stream of nobody is closed");
            return;
        };
        sink.take_patiently(&owner, peer, found).await;
    }
    // The last message of a stream needs no end of its own.
    let last = splitter.end();
    if !last.spans.is_empty()
        && let Some(owner) = owner().await
    {
        sink.take_patiently(&owner, peer, last).await;
    }
}
