//! The switch listener over TLS: a client without a certificate of the right authority can't send a request.

use std::{net::SocketAddr, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    forms,
    harness::{Database, Node},
};

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Makes one fetch over TLS. `Err` if the handshake or anything after it failed.
async fn fetch(
    address: SocketAddr,
    authority: &Authority,
    own: Option<(String, String)>,
    login: &str,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TcpStream::connect(address).await?;
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let body = forms::sign_in("1000", "acme.test", "acme.test");
    let basic = STANDARD.encode(login);
    let head = format!(
        "POST /fs/xml HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[actix_web::test]
async fn only_switches_with_a_certificate_of_the_authority_may_ask() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let database = Database::new().await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.sign("127.0.0.1");
    let node = Node::with(&database, |settings| {
        let folder = settings.data_dir.clone();
        settings.switch_tls_certificate = Some(write(&folder, "server.pem", &certificate));
        settings.switch_tls_key = Some(write(&folder, "server.key", &key));
        settings.switch_tls_client_ca = Some(write(&folder, "authority.pem", &ours.pem));
    })
    .await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, serde_json::json!({ "number": "1000" })).await;
    let (address, login) = (node.app.switch_address, format!("{}:{}", node.switch.0, node.switch.1));

    let answer = fetch(address, &ours, Some(ours.sign("fs1")), &login).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("a1-hash"), "{answer}");
    let refused = fetch(address, &ours, Some(ours.sign("fs1")), "fs1:wrong").await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 401"), "a certificate is no token: {refused}");
    for (what, own) in [("no certificate", None), ("another authority's", Some(theirs.sign("fs1")))] {
        let refused = fetch(address, &ours, own, &login).await;
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
    // The switch also checks the server's certificate.
    assert!(fetch(address, &theirs, Some(ours.sign("fs1")), &login).await.is_err(), "not the server it trusts");
    // Without TLS there is no answer.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"POST /fs/xml HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let mut told = Vec::new();
    let _ = plain.read_to_end(&mut told).await;
    assert!(!String::from_utf8_lossy(&told).contains("HTTP/1.1"), "{told:?}");
    node.stop().await;
}
