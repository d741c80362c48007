//! A secured stream of bytes to a relay: TLS 1.3 with X25519MLKEM768 to a pinned key, or loopback.

use crate::limits;
use crate::relay_url::{RelayUrl, Security, literal};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A stream of bytes, whatever lies below.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to a relay. Nothing is sent to a machine that does not hold the pinned key.
///
/// # Errors
/// It cannot be reached in time, or is not the pinned one.
pub(crate) async fn connect(url: &RelayUrl) -> io::Result<Box<dyn Stream>> {
    let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
    timeout(limits::CONNECT, connect_now(url))
        .await
        .map_err(|_| timed_out())?
}

async fn connect_now(url: &RelayUrl) -> io::Result<Box<dyn Stream>> {
    let tcp = match literal(url.host()) {
        Some(address) => TcpStream::connect(SocketAddr::new(address, url.port())).await?,
        None => TcpStream::connect((url.host(), url.port())).await?,
    };
    tcp.set_nodelay(true)?;
    match url.security() {
        Security::Loopback => Ok(Box::new(tcp)),
        Security::Pinned(pin) => {
            let name = ServerName::try_from(url.host().to_owned())
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config(pin)?));
            Ok(Box::new(connector.connect(name, tcp).await?))
        }
    }
}

fn config(pin: [u8; 32]) -> io::Result<ClientConfig> {
    let provider = Arc::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    });
    let verifier = Arc::new(PinnedKey {
        pin,
        provider: Arc::clone(&provider),
    });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Accepts the certificate whose key has the pinned hash, and no other. Names, dates and issuers say nothing
/// that the pin does not.
#[derive(Debug)]
struct PinnedKey {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = rustls::server::ParsedCertificate::try_from(end_entity)?;
        // SECURITY: the pin is all that tells the relay from an impostor; `another_key_is_refused` notices.
        if keys::sha256(&[certificate.subject_public_key_info().as_ref()]) != self.pin {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use rustls::ServerConfig;
    use rustls::crypto::SupportedKxGroup;
    use tokio::net::TcpListener;

    /// A server with a key of its own; returns its address with the pin.
    async fn server(groups: Vec<&'static dyn SupportedKxGroup>) -> (String, [u8; 32]) {
        let made = rcgen::generate_simple_self_signed(vec!["relay.example".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate).unwrap();
        let pin = keys::sha256(&[parsed.subject_public_key_info().as_ref()]);
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = CryptoProvider {
            kx_groups: groups,
            ..aws_lc_rs::default_provider()
        };
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"x").await;
                    }
                });
            }
        });
        (format!("https://127.0.0.1:{port}"), pin)
    }

    fn url(address: &str, pin: [u8; 32]) -> RelayUrl {
        let pin = data_encoding::BASE64URL_NOPAD.encode(&pin);
        RelayUrl::parse(&format!("{address}#sha256={pin}")).unwrap()
    }

    #[tokio::test]
    async fn the_pinned_key_is_accepted_whatever_the_name() {
        let (address, pin) = server(vec![aws_lc_rs::kx_group::X25519MLKEM768]).await;
        assert!(connect(&url(&address, pin)).await.is_ok());
    }

    #[tokio::test]
    async fn another_key_is_refused() {
        let (address, mut pin) = server(vec![aws_lc_rs::kx_group::X25519MLKEM768]).await;
        pin[31] ^= 1;
        let error = connect(&url(&address, pin)).await.err().unwrap();
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        assert!(
            matches!(inner, Some(rustls::Error::InvalidCertificate(_))),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_classical_key_exchange_is_refused() {
        let (address, pin) = server(vec![aws_lc_rs::kx_group::X25519]).await;
        assert!(connect(&url(&address, pin)).await.is_err());
    }
}
