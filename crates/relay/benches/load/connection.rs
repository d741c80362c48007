//! One WebSocket to a relay, plain or TLS.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use wire::{ClientFrame, Hello, RelayFrame, Reply, Request};

/// Any stream of bytes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where the relay is, and whether to speak TLS to it.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Target {
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// The relay's key is believed: it is the load that counts here.
    pub(crate) fn tls(address: SocketAddr) -> Self {
        let provider = Arc::new(CryptoProvider {
            kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
            ..aws_lc_rs::default_provider()
        });
        let verifier = Believing(Arc::clone(&provider));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let tls = Some(TlsConnector::from(Arc::new(config)));
        Self { address, tls }
    }
}

#[derive(Debug)]
struct Believing(Arc<CryptoProvider>);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection that said hello.
pub(crate) struct Connection {
    socket: WebSocketStream<Box<dyn Stream>>,
    pub(crate) challenge: [u8; 32],
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Self {
        let tcp = TcpStream::connect(target.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(tcp),
            Some(connector) => {
                let name = ServerName::try_from("relay").unwrap();
                Box::new(connector.connect(name, tcp).await.unwrap())
            }
        };
        let (socket, _) = client_async("ws://relay/v1/ws", stream).await.unwrap();
        let mut connection = Self {
            socket,
            challenge: [0; 32],
        };
        match connection.ask(Request::Hello(Hello { version: 1 })).await {
            Reply::Welcome(welcome) => connection.challenge = welcome.challenge,
            other => panic!("no welcome: {other:?}"),
        }
        connection
    }

    /// Asks on a connection on which nothing else is under way.
    pub(crate) async fn ask(&mut self, request: Request) -> Reply {
        self.feed(1, request).await;
        self.flush().await;
        loop {
            let frame = self.next().await;
            if frame.request_id == 1 {
                return frame.reply;
            }
        }
    }

    /// Puts a request into the buffer.
    pub(crate) async fn feed(&mut self, request_id: u64, request: Request) {
        let frame = ClientFrame {
            request_id,
            request,
        };
        let message = Message::Binary(frame.encode().into());
        self.socket.feed(message).await.unwrap();
    }

    pub(crate) async fn flush(&mut self) {
        self.socket.flush().await.unwrap();
    }

    /// Waits for a frame.
    pub(crate) async fn next(&mut self) -> RelayFrame {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return RelayFrame::decode(bytes).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the relay closed: {other:?}"),
            }
        }
    }

    /// A frame that is here already.
    pub(crate) fn try_next(&mut self) -> Option<RelayFrame> {
        self.next().now_or_never()
    }
}
