//! How a listener is reached: the host of its URL, and what a switch needs to believe its certificate.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::extensions::GeneralName;

/// The address in a URL. Nobody can be reached at 0.0.0.0 by somebody who checks a certificate: there, a name of the certificate stands, or
/// else this machine's own address.
#[must_use]
pub fn authority(listener: SocketAddr, certificate: Option<&Path>) -> String {
    if !listener.ip().is_unspecified() {
        return listener.to_string();
    }
    if let Some(name) = certificate.and_then(first_name) {
        return format!("{name}:{}", listener.port());
    }
    let here = match listener.ip() {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(here, listener.port()).to_string()
}

/// The first name or address for which a certificate is valid, as a URL has it. A name with `*` stands for others.
fn first_name(certificate: &Path) -> Option<String> {
    let chain = CertificateDer::pem_slice_iter(&fs::read(certificate).ok()?).next()?.ok()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain).ok()?;
    let names = parsed.subject_alternative_name().ok()??.value.general_names.iter();
    let mut names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) if !name.contains('*') => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| format!("[{}]", Ipv6Addr::from(bytes))),
            _ => None,
        },
        _ => None,
    });
    names.next()
}

/// The parameters with which a switch checks who answers at this URL (`do_config` and `xml_url_fetch` in mod_xml_curl.c): both the certificate
/// and its name, which it does not by itself. `certificate`: the listener's own.
#[must_use]
pub fn checks(url: &str, certificate: Option<&Path>, shows_own: bool) -> Vec<(&'static str, String)> {
    if !url.starts_with("https://") {
        return Vec::new();
    }
    let mut checks = vec![("enable-cacert-check", "true".to_owned()), ("enable-ssl-verifyhost", "true".to_owned())];
    if let Some(certificate) = certificate {
        // A path that also works from another folder.
        let path = certificate.canonicalize().unwrap_or_else(|_| certificate.to_owned());
        checks.push(("ssl-cacert-file", path.display().to_string()));
    }
    if shows_own {
        checks.extend([("ssl-cert-path", "SWITCH.crt".to_owned()), ("ssl-key-path", "SWITCH.key".to_owned())]);
    }
    checks
}

/// A `<binding>` of xml_curl.conf.xml for a switch.
#[must_use]
pub fn binding(url: &str, name: &str, token: &str, checks: &[(&'static str, String)]) -> String {
    let checks = checks
        .iter()
        .fold(String::new(), |text, (name, value)| format!("{text}    <param name=\"{name}\" value=\"{value}\"/>\n"));
    format!(
        "  <binding name=\"dialplane\">
    <param name=\"gateway-url\" value=\"{url}\" bindings=\"directory|dialplan|configuration|languages|chatplan\"/>
    <param name=\"gateway-credentials\" value=\"{name}:{token}\"/>
    <param name=\"auth-scheme\" value=\"basic\"/>
    <param name=\"timeout\" value=\"5\"/>
{checks}  </binding>
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_named_by_its_certificate() {
        let folder = std::env::temp_dir().join(format!("dialplane-names-{}", uuid::Uuid::now_v7().simple()));
        fs::create_dir(&folder).unwrap();
        let file = |names: &[&str]| {
            let made =
                rcgen::generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            let path = folder.join(format!("{}.crt", names.len()));
            fs::write(&path, made.unwrap().cert.pem()).unwrap();
            path
        };
        let (one, two) = (file(&["pbx.example.com"]), file(&["*.example.com", "192.0.2.7"]));
        for (listener, certificate, host) in [
            ("0.0.0.0:8080", Some(&one), "pbx.example.com:8080"),
            ("[::]:8080", Some(&two), "192.0.2.7:8080"),
            ("192.0.2.1:8080", Some(&one), "192.0.2.1:8080"),
            ("0.0.0.0:8080", None, "127.0.0.1:8080"),
            ("[::]:8080", None, "[::1]:8080"),
            ("[2001:db8::1]:8080", None, "[2001:db8::1]:8080"),
        ] {
            let path = certificate.map(std::path::PathBuf::as_path);
            assert_eq!(authority(listener.parse().unwrap(), path), host, "{listener}");
        }
        assert_eq!(authority("0.0.0.0:1".parse().unwrap(), Some(&folder.join("missing"))), "127.0.0.1:1");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_binding_to_an_https_url_checks_the_certificate_and_its_name() {
        assert!(checks("http://127.0.0.1:8080", None, false).is_empty());
        let text = binding("https://pbx.test/fs/xml", "fs1", "T", &checks("https://pbx.test", None, false));
        assert!(
            text.contains("\"enable-cacert-check\" value=\"true\"") && text.contains("enable-ssl-verifyhost"),
            "{text}"
        );
        assert!(!text.contains("ssl-cacert-file") && !text.contains("ssl-cert-path"), "{text}");
        let own = checks("https://pbx.test", Some(Path::new("/nowhere/tls.crt")), true);
        let names = own.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let wanted =
            ["enable-cacert-check", "enable-ssl-verifyhost", "ssl-cacert-file", "ssl-cert-path", "ssl-key-path"];
        assert_eq!(names, wanted);
    }
}
