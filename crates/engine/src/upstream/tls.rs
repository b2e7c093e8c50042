//! TLS to an upstream: which roots are trusted, which certificate we show.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

/// What an operator says about TLS to one deployment: PEM texts, already read from their files.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Additional or only roots, PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// True: trust `ca_bundle` alone; false: beside the system's roots.
    pub ca_replaces_system: bool,
    /// Client certificate chain, PEM.
    pub client_certificate: Option<Vec<u8>>,
    /// Its private key, PEM.
    pub client_key: Option<Vec<u8>>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca_bundle", &self.ca_bundle.is_some())
            .field("ca_replaces_system", &self.ca_replaces_system)
            .field("client_certificate", &self.client_certificate.is_some())
            .finish_non_exhaustive()
    }
}

/// A checked TLS setting and its fingerprint. Equal fingerprints may share connections, others never.
#[derive(Clone)]
pub struct TlsIdentity {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) fingerprint: [u8; 16],
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity")
    }
}

/// Identities by their settings, so that the system's roots are read once and not once per deployment.
#[derive(Debug, Default)]
pub(crate) struct TlsIdentities {
    made: HashMap<[u8; 16], TlsIdentity>,
}

impl TlsIdentities {
    /// The identity of these settings, made where there is none.
    pub(crate) fn identity(&mut self, settings: &TlsSettings) -> Result<TlsIdentity, TlsError> {
        match self.made.entry(fingerprint(settings)) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(empty) => Ok(empty.insert(TlsIdentity::build(settings)?).clone()),
        }
    }
}

/// Why a TLS setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds nothing usable.
    #[error("{what}: no usable PEM block found; expected {expected}")]
    Pem {
        /// Which setting.
        what: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A certificate without key, or a key without certificate.
    #[error("client_certificate and client_key belong together: give both or none")]
    HalfIdentity,
    /// rustls refused.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

impl TlsIdentity {
    /// Checks the PEM texts and builds the client configuration.
    ///
    /// # Errors
    /// Where a PEM text holds nothing usable or key and certificate do not fit.
    pub fn build(settings: &TlsSettings) -> Result<Self, TlsError> {
        use rustls_platform_verifier::BuilderVerifierExt;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let extra = settings.ca_bundle.as_deref().map(certificates).transpose()?;
        let builder = match (extra, settings.ca_replaces_system) {
            (Some(roots), true) => {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store.add(root)?;
                }
                builder.with_root_certificates(store)
            }
            (Some(roots), false) => {
                let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            (None, _) => builder.with_platform_verifier()?,
        };
        let mut config = match (&settings.client_certificate, &settings.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| TlsError::Pem { what: "client_key", expected: "a PRIVATE KEY block" })?;
                builder.with_client_auth_cert(certificates(chain)?, key)?
            }
            _ => return Err(TlsError::HalfIdentity),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), fingerprint: fingerprint(settings) })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let list: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    if list.is_empty() {
        return Err(TlsError::Pem {
            what: "ca_bundle or client_certificate",
            expected: "CERTIFICATE blocks",
        });
    }
    Ok(list)
}

fn fingerprint(settings: &TlsSettings) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in [&settings.ca_bundle, &settings.client_certificate, &settings.client_key] {
        let bytes = part.as_deref().unwrap_or_default();
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hasher.update(&[u8::from(settings.ca_replaces_system)]);
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}
