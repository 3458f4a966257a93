//! TLS as libpq means it, by rustls: what a certificate has to prove depends on
//! `sslmode` and on whether somebody is trusted.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, InconsistentKeys,
    RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::failure::Failure;
use crate::report::Exit;
use crate::target::{Negotiation, Roots, SslMode, Tls, TlsVersion};

/// What opens TLS for this target. Files are read here, so call it only if TLS may be used.
///
/// # Errors
///
/// A file that cannot be read, or holds something else than it should.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, Failure> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(Verifier::new(tls, &provider)?);
    let versions: Vec<_> =
        [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(version, _)| tls.versions.0 <= *version && *version <= tls.versions.1)
            .map(|(_, version)| version)
            .collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| unusable(&error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let identity = identity(certificates(certificate)?, private_key(key)?).map_err(|error| {
                unusable(&format!("certificate {} and its key: {error}", certificate.display()))
            })?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
    };
    config.enable_sni = tls.sni;
    // One connection a run: there is nothing to resume.
    config.resumption = rustls::client::Resumption::disabled();
    if tls.negotiation == Negotiation::Direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// Our own certificate and its key.
fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsError> {
    let identity = CertifiedKey::new(chain, provider().key_provider.load_private_key(key)?);
    match (identity.keys_match(), public_key(identity.end_entity_cert()?)) {
        (Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)), _) => Ok(identity),
        // One that rustls does not read, such as one of version 1: whether to take it is the server's to say.
        (Err(TlsError::InvalidCertificate(_)), key @ Some(_)) if key == identity.key.public_key() => {
            Ok(identity)
        }
        (Err(TlsError::InvalidCertificate(_)), Some(_)) => Err(InconsistentKeys::KeyMismatch.into()),
        (Err(error), _) => Err(error),
    }
}

/// ring, with P-256 in front: up to version 17, PostgreSQL takes no other curve unless
/// told to, and asks again (a round trip) for a client that guesses wrong.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.kx_groups = vec![ring::kx_group::SECP256R1, ring::kx_group::X25519, ring::kx_group::SECP384R1];
    provider
}

fn unusable(what: &str) -> Failure {
    Failure::new(Exit::Usage, format!("TLS cannot be set up: {what}"))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failure =
        |error: &dyn std::fmt::Display| unusable(&format!("certificate file {}: {error}", file.display()));
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(|error| failure(&error))?;
    if certificates.is_empty() {
        return Err(failure(&"there is no certificate in PEM format in it"));
    }
    Ok(certificates)
}

/// A private key that only its owner, or root, lets others read. Source: PostgreSQL
/// manual, "Client Certificates".
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let failure =
        |error: &dyn std::fmt::Display| unusable(&format!("private key {}: {error}", file.display()));
    let metadata = std::fs::metadata(file).map_err(|error| failure(&error))?;
    if !metadata.is_file() {
        return Err(failure(&"it is not a plain file"));
    }
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & others != 0 {
        return Err(failure(&"others may read it").hint("chmod 600 mends that"));
    }
    let text = std::fs::read(file).map_err(|error| failure(&error))?;
    if String::from_utf8_lossy(&text).contains("ENCRYPTED") {
        return Err(failure(&"it is encrypted, which is not supported").hint(
            "`openssl pkey -in KEY -out PLAIN` writes it without; keep that one readable by its owner alone",
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| failure(&error))
}

/// Checks a server's certificate.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Who may have signed it; without this, everybody.
    trusted: Option<Trusted>,
    /// Whether it must have the name of the host.
    name: bool,
}

#[derive(Debug)]
struct Trusted {
    /// Those who may sign others; none may be among them.
    chains: Option<Arc<WebPkiServerVerifier>>,
    /// The same as they were read: a server may present one of them as its own.
    certificates: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Verifier, Failure> {
        let certificates = match &tls.roots {
            Roots::Unchecked => None,
            Roots::File(file) => Some(certificates(file)?),
            Roots::System => {
                let found = rustls_native_certs::load_native_certs();
                if found.certs.is_empty() {
                    return Err(unusable("this system has no certificates of authorities that it trusts")
                        .hint("install ca-certificates, or set SSL_CERT_FILE"));
                }
                Some(found.certs)
            }
        };
        let trusted = certificates.map(|certificates| {
            let mut roots = RootCertStore::empty();
            let now = UnixTime::now();
            let signers = certificates.iter().filter(|certificate| may_sign(certificate, now));
            roots.add_parsable_certificates(signers.cloned());
            if roots.is_empty() {
                return Ok(Trusted { chains: None, certificates });
            }
            let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| unusable(&error.to_string()))?;
            let chains = Some(chains);
            Ok(Trusted { chains, certificates })
        });
        Ok(Verifier {
            provider: provider.clone(),
            trusted: trusted.transpose()?,
            name: tls.mode == SslMode::VerifyFull,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let named_wrong = |error: &TlsError| {
            matches!(
                error,
                TlsError::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                )
            )
        };
        // The name is looked at last: who is not named right has passed everything else.
        let verified = match &trusted.chains {
            Some(chains) => chains.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let error = match verified {
            Err(error) => error,
            passed => return passed,
        };
        if signed_itself_for_a_server(end_entity)
            && trusted.certificates.contains(&end_entity.clone().into_owned())
        {
            // rustls refuses an authority's certificate from a server, and one that may
            // sign nobody as an authority; here it is both, and trusted to the letter.
            check_validity(end_entity, now)?;
        } else if !named_wrong(&error) {
            return Err(error);
        }
        if !self.name || has_name(end_entity, name) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(if named_wrong(&error) { error } else { CertificateError::NotValidForName.into() })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    // Checked in every mode: channel binding relies on it.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms) {
            // A certificate that rustls does not read, such as one of version 1; nobody
            // asked whether to trust it.
            Err(TlsError::InvalidCertificate(_)) if self.trusted.is_none() => {
                let key = public_key(certificate).ok_or(CertificateError::BadEncoding)?;
                rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
            }
            result => result,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn parsed(certificate: &CertificateDer<'_>) -> Option<Certificate> {
    Certificate::from_der(certificate).ok()
}

fn public_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    parsed(certificate)?.tbs_certificate.subject_public_key_info.to_der().ok().map(Into::into)
}

/// Whether this certificate may sign others, now. webpki takes whatever it is given as a
/// trust anchor for an authority.
fn may_sign(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let Some(parsed) = parsed(certificate) else { return false };
    let said = &parsed.tbs_certificate;
    // Version 1 has no way to say it.
    let authority = match said.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => said.version == x509_cert::Version::V1,
        Err(_) => false,
    };
    let key_usage = match said.get::<KeyUsage>() {
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    authority && key_usage && check_validity(certificate, now).is_ok()
}

/// Whether it names itself as its issuer, and is one that a server may show.
fn signed_itself_for_a_server(certificate: &CertificateDer<'_>) -> bool {
    let Some(certificate) = parsed(certificate) else { return false };
    let certificate = &certificate.tbs_certificate;
    let purpose = match certificate.get::<ExtendedKeyUsage>() {
        Ok(Some((_, usage))) => usage.0.contains(&SERVER_AUTH),
        Ok(None) => true,
        Err(_) => false,
    };
    purpose && certificate.issuer == certificate.subject
}

/// RFC 5280 section 4.2.1.12.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// RFC 5280 appendix A.1.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let validity = parsed(certificate).ok_or(CertificateError::BadEncoding)?.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet);
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// Whether the certificate has this name: among its alternative names, or, if it has none of that
/// kind, as its common name. So libpq looks for it, too, but an IP address is looked for more
/// strictly here: only among addresses, and as the common name only where there is no alternative
/// name of either kind. libpq takes `DNS:127.0.0.1`, and the common name beside a DNS name.
fn has_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Some(certificate) = parsed(certificate) else { return false };
    let host = name.to_str().to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    let alternatives = certificate.tbs_certificate.get::<SubjectAltName>().ok().flatten();
    let (mut same, mut others) = (false, false);
    for alternative in alternatives.map(|(_, names)| names.0).unwrap_or_default() {
        match alternative {
            GeneralName::DnsName(pattern) => {
                others = true;
                same |= address.is_none() && matches(pattern.as_ref(), &host);
            }
            GeneralName::IpAddress(bytes) => {
                others |= address.is_some();
                same |= match address {
                    Some(IpAddr::V4(address)) => bytes.as_bytes() == address.octets(),
                    Some(IpAddr::V6(address)) => bytes.as_bytes() == address.octets(),
                    None => false,
                };
            }
            _ => {}
        }
    }
    if others {
        return same;
    }
    let names = certificate.tbs_certificate.subject.0;
    let mut values = names.iter().flat_map(|name| name.0.iter()).filter(|value| value.oid == COMMON_NAME);
    values.next().is_some_and(|value| {
        let text = String::from_utf8_lossy(value.value.value()).into_owned();
        matches(&text, &host)
    })
}

/// A `*.` at the front stands for one label.
fn matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == domain),
        None => pattern == host,
    }
}

/// What is wrong with a certificate that only authmig cannot check.
pub(super) const VERSION_1: &str = "its certificate is not of X.509 version 3, and cannot be checked";

/// What is wrong with a server's certificate, or with TLS, in words.
pub(super) fn explain(error: &TlsError, host: &str, roots: &Roots) -> (String, Option<&'static str>) {
    let authority = match roots {
        Roots::File(file) => format!("nobody in {}", file.display()),
        Roots::System | Roots::Unchecked => "nobody that this system trusts".to_owned(),
    };
    let version = "make one of version 3, with the name of the host as a subjectAltName";
    match error {
        TlsError::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ("its certificate has expired".to_owned(), None)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ("its certificate is not valid yet".to_owned(), Some("compare the clocks"))
            }
            CertificateError::UnknownIssuer => (
                format!("its certificate is signed by {authority}"),
                Some("sslrootcert names the file with the authority's certificate"),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                format!("its certificate is not for {host}"),
                Some("sslmode=verify-ca does not look at the name"),
            ),
            CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
                (VERSION_1.to_owned(), Some(version))
            }
            CertificateError::Other(other) if other.to_string().contains("UsedAsCa") => {
                ("its certificate is signed by one that may not sign others".to_owned(), None)
            }
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
                "its certificate is an authority's own".to_owned(),
                Some(
                    "the server needs one that is not; if it signed itself, sslrootcert may name the file with it",
                ),
            ),
            other => (format!("its certificate is not accepted: {other}"), None),
        },
        TlsError::AlertReceived(alert) => (format!("it ended TLS with the alert {alert:?}"), None),
        other => (format!("TLS fails: {other}"), None),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn an_address_is_looked_for_among_addresses_or_as_the_only_name() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let address = |text: &str| SanType::IpAddress(text.parse().unwrap());
        for (host, common_name, alternatives, expected) in [
            ("127.0.0.1", "x", vec![address("127.0.0.1")], true),
            ("::1", "x", vec![dns("x"), address("::1")], true),
            ("127.0.0.1", "127.0.0.1", vec![], true),
            ("127.0.0.1", "127.0.0.1", vec![address("127.0.0.2")], false),
            // These two psql would take.
            ("127.0.0.1", "127.0.0.1", vec![dns("localhost")], false),
            ("127.0.0.1", "x", vec![dns("127.0.0.1")], false),
            ("localhost", "x", vec![dns("localhost")], true),
            ("localhost", "localhost", vec![address("127.0.0.1")], true),
            ("localhost", "localhost", vec![dns("x")], false),
        ] {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, common_name);
            params.subject_alt_names.clone_from(&alternatives);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let found = has_name(certificate.der(), &ServerName::try_from(host).unwrap());
            assert_eq!(found, expected, "{host}: {common_name}, {alternatives:?}");
        }
    }
}
