//! TLS 1.3 with the relay's certificate, and the pin that goes into its URL.

use crate::config::Config;
use crate::os;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{} cannot be used: {error}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file is not PEM of a certificate or a key.
    #[error("{} is not PEM of a certificate chain or a key", .0.display())]
    Pem(std::path::PathBuf),
    /// The certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[source] rcgen::Error),
    /// Certificate and key do not belong together, or are of no use for TLS 1.3.
    #[error("certificate and key are of no use: {0}")]
    Unusable(#[source] rustls::Error),
}

/// What is needed to accept connections, and the pin: SHA-256 of the certificate's SubjectPublicKeyInfo.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) pin: [u8; 32],
}

/// Takes the operator's certificate, or the self-signed one of the data folder, which is made once.
pub(crate) fn load(config: &Config) -> Result<Tls, TlsError> {
    let (certificate, key) = match &config.tls {
        Some(files) => (files.certificate.clone(), files.key.clone()),
        None => {
            let (certificate, key) = (
                config.data.join("tls-certificate.pem"),
                config.data.join("tls-key.pem"),
            );
            if !certificate.exists() {
                make(&certificate, &key)?;
            }
            (certificate, key)
        }
    };
    let chain = CertificateDer::pem_slice_iter(&read(&certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::Pem(certificate.clone()))?;
    let own = chain.first().ok_or(TlsError::Pem(certificate))?;
    let parsed = ParsedCertificate::try_from(own).map_err(TlsError::Unusable)?;
    let pin = keys::sha256(&[parsed.subject_public_key_info().as_ref()]);
    let secret = PrivateKeyDer::from_pem_slice(&read(&key)?).map_err(|_| TlsError::Pem(key))?;
    let acceptor = TlsAcceptor::from(Arc::new(server(chain, secret)?));
    Ok(Tls { acceptor, pin })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    os::read(path).map_err(|error| TlsError::File {
        path: path.to_owned(),
        error,
    })
}

/// The certificate names nothing of the operator: clients look at its key alone. A key that is there already is
/// kept, because clients have its pin.
fn make(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let pair = if key.exists() {
        let pem = String::from_utf8(read(key)?).map_err(|_| TlsError::Pem(key.to_owned()))?;
        KeyPair::from_pem(&pem).map_err(TlsError::Make)?
    } else {
        let pair = KeyPair::generate().map_err(TlsError::Make)?;
        write(key, &pair.serialize_pem())?;
        pair
    };
    let mut params =
        CertificateParams::new(vec!["letterlock-relay".to_owned()]).map_err(TlsError::Make)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "letterlock-relay");
    let signed = params.self_signed(&pair).map_err(TlsError::Make)?;
    write(certificate, &signed.pem())
}

fn write(path: &Path, pem: &str) -> Result<(), TlsError> {
    os::write_private(path, pem.as_bytes()).map_err(|error| TlsError::File {
        path: path.to_owned(),
        error,
    })
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let provider = CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
        ],
        ..aws_lc_rs::default_provider()
    };
    // SECURITY: nothing older than TLS 1.3; `tls_1_2_is_refused` notices.
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    // Resumption would save little and hold memory for each client.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
