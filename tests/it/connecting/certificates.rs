//! Certificates made for the tests.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// A certificate and its private key, in PEM.
pub(super) struct Signed {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// An authority that signs.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(super) certificate: String,
}

/// What a certificate says.
fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority::of(params)
    }

    /// One whose time is over.
    pub(super) fn expired(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        Authority::of(params)
    }

    /// One that may sign nobody, and does.
    pub(super) fn false_one(name: &str) -> Authority {
        let mut params = params(name, &[name]);
        params.is_ca = IsCa::ExplicitNoCa;
        Authority::of(params)
    }

    fn of(params: CertificateParams) -> Authority {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Authority { params, key, certificate }
    }

    pub(super) fn key(&self) -> String {
        self.key.serialize_pem()
    }

    pub(super) fn sign(&self, common_name: &str, names: &[&str]) -> Signed {
        self.sign_params(&params(common_name, names))
    }

    /// One whose time is over.
    pub(super) fn sign_expired(&self, common_name: &str, names: &[&str]) -> Signed {
        let mut params = params(common_name, names);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign_params(&params)
    }

    fn sign_params(&self, params: &CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }
}

/// One that signed itself and may sign others, as `openssl req -x509` makes it.
pub(super) fn self_signed(common_name: &str) -> Signed {
    let mut params = params(common_name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Signed { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// The same, its time over.
pub(super) fn self_signed_expired(common_name: &str) -> Signed {
    let mut params = params(common_name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let key = KeyPair::generate().unwrap();
    Signed { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// One that signed itself, for the use of clients.
pub(super) fn self_signed_client(common_name: &str) -> Signed {
    let mut params = params(common_name, &[common_name]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    Signed { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}
