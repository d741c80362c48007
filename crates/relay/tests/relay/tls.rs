//! TLS 1.3 with a post-quantum key exchange, and the pin in the URL.

use crate::support::{House, Peer, Queue, rng, send};
use data_encoding::BASE64URL_NOPAD;
use letterlock_relay::{Config, Relay, TlsFiles};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::RowResult;

/// Believes the key that has the pin, and no other.
#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let key = parsed.subject_public_key_info();
        if BASE64URL_NOPAD.encode(&keys::sha256(&[key.as_ref()])) == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another key".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// What a peer offers.
struct Offer {
    versions: Vec<&'static SupportedProtocolVersion>,
    groups: Vec<&'static dyn SupportedKxGroup>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            versions: vec![&TLS13, &TLS12],
            groups: vec![
                aws_lc_rs::kx_group::X25519MLKEM768,
                aws_lc_rs::kx_group::X25519,
            ],
        }
    }
}

async fn connect(
    address: SocketAddr,
    pin: &str,
    offer: Offer,
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(CryptoProvider {
        kx_groups: offer.groups,
        ..aws_lc_rs::default_provider()
    });
    let verifier = Pinned {
        pin: pin.to_owned(),
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&offer.versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", address.port())).await?;
    let name = ServerName::try_from("relay").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// Listens on every address, which takes TLS.
fn everywhere(config: &mut Config) {
    config.listen = "0.0.0.0:0".parse().unwrap();
    config.public_host = Some("relay.example".to_owned());
}

/// The pin of a URL, which must be the whole of its fragment.
fn pin(house: &House) -> String {
    let (address, pin) = house.url().split_once("#sha256=").unwrap();
    let port = house.address().port();
    assert_eq!(address, format!("https://relay.example:{port}"));
    pin.to_owned()
}

#[tokio::test]
async fn letters_go_over_tls_1_3_with_a_post_quantum_key_exchange() {
    let house = House::with(everywhere).await;
    let stream = connect(house.address(), &pin(&house), Offer::default())
        .await
        .unwrap();
    let session = stream.get_ref().1;
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let version = session.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    let mut peer = Peer::over(Box::new(stream)).await;
    let queue = Queue::create(&mut rng(1), &mut peer).await;
    queue.subscribe(&mut peer).await;
    let accepted = [RowResult::Accepted { seq: 1 }];
    assert_eq!(peer.sent(send(&queue, 1)).await, accepted);
    assert_eq!(peer.delivery().await.seq, 1);
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let house = House::with(everywhere).await;
    let old = Offer {
        versions: vec![&TLS12],
        ..Offer::default()
    };
    let error = connect(house.address(), &pin(&house), old)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn a_key_exchange_of_the_nist_curves_alone_is_refused() {
    let house = House::with(everywhere).await;
    let offer = Offer {
        groups: vec![aws_lc_rs::kx_group::SECP256R1],
        ..Offer::default()
    };
    let connected = connect(house.address(), &pin(&house), offer).await;
    assert!(connected.is_err());
}

#[tokio::test]
async fn another_key_does_not_have_the_pin() {
    let (house, other) = (House::with(everywhere).await, House::with(everywhere).await);
    let connected = connect(house.address(), &pin(&other), Offer::default()).await;
    assert!(connected.is_err());
}

#[tokio::test]
async fn the_pin_stays_also_when_the_certificate_is_lost() {
    let mut house = House::with(everywhere).await;
    let first = pin(&house);
    for lost in [None, Some("tls-certificate.pem")] {
        house.stop().await;
        if let Some(name) = lost {
            std::fs::remove_file(house.data().join(name)).unwrap();
        }
        house.start().await;
        assert_eq!(pin(&house), first, "without {lost:?}");
    }
    let key = std::fs::metadata(house.data().join("tls-key.pem")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn plain_http_gets_no_answer_off_loopback() {
    let house = House::with(everywhere).await;
    let address = ("127.0.0.1", house.address().port());
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n";
    tcp.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _reset = tcp.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
}

/// Writes a certificate for a key, and the key, as an operator would have them.
fn write_files(folder: &Path, certified: &KeyPair, key: &KeyPair) -> TlsFiles {
    let params = CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
    let certificate = params.self_signed(certified).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("chain.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    let files = Config::from_toml(&format!(
        "[tls]\ncertificate = \"{0}/chain.pem\"\nkey = \"{0}/key.pem\"",
        folder.display()
    ));
    files.unwrap().tls.unwrap()
}

#[tokio::test]
async fn the_operators_certificate_is_used_also_on_loopback() {
    let mut house = House::open().await;
    assert!(house.url().starts_with("http://127.0.0.1:"));
    house.stop().await;
    let key = KeyPair::generate().unwrap();
    house.config.tls = Some(write_files(&house.aside(), &key, &key));
    house.config.public_host = Some("relay.example".to_owned());
    house.start().await;
    let stream = connect(house.address(), &pin(&house), Offer::default()).await;
    Peer::over(Box::new(stream.unwrap())).await;
    assert!(!house.data().join("tls-key.pem").exists());
}

#[tokio::test]
async fn certificates_of_no_use_are_said_so() {
    let mut house = House::open().await;
    house.stop().await;
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let start = async |config: &Config| match Relay::start(config.clone()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    house.config.tls = Some(write_files(&house.aside(), &one, &other));
    let error = start(&house.config).await;
    assert!(
        error.contains("certificate and key are of no use"),
        "{error}"
    );
    std::fs::write(house.aside().join("chain.pem"), "not a certificate").unwrap();
    let error = start(&house.config).await;
    assert!(error.contains("chain.pem is not PEM"), "{error}");
    std::fs::remove_file(house.aside().join("key.pem")).unwrap();
    std::fs::remove_file(house.aside().join("chain.pem")).unwrap();
    let error = start(&house.config).await;
    assert!(error.contains("chain.pem cannot be used"), "{error}");
}
