//! How a listener is reached: the host of its URL, and what a switch needs to believe its certificate.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use quick_xml::escape::escape;
use rustls::pki_types::{CertificateDer, DnsName, pem::PemObject as _};
use x509_parser::extensions::GeneralName;

/// The address in a URL. Somebody who checks a certificate believes only the names and addresses in it, and nobody can be reached at 0.0.0.0:
/// a name of the certificate stands for both, or else this machine's own address.
#[must_use]
pub fn authority(listener: SocketAddr, certificate: Option<&Path>) -> String {
    let names = certificate.map(names).unwrap_or_default();
    let is_named = names.iter().any(|name| *name == host(listener.ip()));
    if let Some(name) = names.first().filter(|_| !is_named) {
        return format!("{name}:{}", listener.port());
    }
    let here = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(here, listener.port()).to_string()
}

/// Whether nobody who checks this certificate believes the URL that `authority` makes: it names only others, such as `*.example.com`. Of a
/// certificate that can't be read, nothing is said.
#[must_use]
pub fn is_without_name(certificate: &Path) -> bool {
    read_names(certificate).is_some_and(|names| names.is_empty())
}

/// An address as a URL has it.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The names and addresses for which a certificate is valid, as a URL has them.
fn names(certificate: &Path) -> Vec<String> {
    read_names(certificate).unwrap_or_default()
}

/// Without names and addresses of its own, a certificate is valid for the last of its common names: the switch's curl takes that
/// (`ossl_verifyhost` in curl's openssl.c). A name with `*` stands for others.
fn read_names(certificate: &Path) -> Option<Vec<String>> {
    let chain = CertificateDer::pem_slice_iter(&fs::read(certificate).ok()?).next()?.ok()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain).ok()?;
    let others =
        parsed.subject_alternative_name().ok()?.map(|others| others.value.general_names.as_slice()).unwrap_or_default();
    let mut is_named = false;
    let named = others.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => {
            is_named = true;
            is_host(name).then(|| (*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            is_named = true;
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from).ok();
            four.or_else(|| <[u8; 16]>::try_from(*bytes).map(IpAddr::from).ok()).map(host)
        }
        _ => None,
    });
    let named = named.collect::<Vec<_>>();
    if is_named {
        return Some(named);
    }
    let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).last();
    Some(common.filter(|name| is_host(name)).map(ToOwned::to_owned).into_iter().collect())
}

/// Whether this is the name of a host: no pattern, and no name of a person or a company.
fn is_host(name: &str) -> bool {
    DnsName::try_from(name).is_ok()
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
    let checks = checks.iter().fold(String::new(), |text, (name, value)| {
        format!("{text}    <param name=\"{name}\" value=\"{}\"/>\n", escape(value.as_str()))
    });
    let url = escape(url);
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
        let stars = file(&["*.example.com", "*.example.org", "*.example.net"]);
        // Without a name besides its common one.
        let common = |name: &str| {
            let mut parameters = rcgen::CertificateParams::default();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
            let path = folder.join(format!("{}.crt", name.len()));
            let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            fs::write(&path, made.pem()).unwrap();
            path
        };
        let (old, company) = (common("old.example.com"), common("Acme Telefonie GmbH"));
        assert!(
            is_without_name(&stars) && !is_without_name(&two) && !is_without_name(&old) && is_without_name(&company)
        );
        assert!(!is_without_name(&folder.join("missing")), "nothing is said of what can't be read");
        for (listener, certificate, host) in [
            ("0.0.0.0:8080", Some(&one), "pbx.example.com:8080"),
            ("[::]:8080", Some(&two), "192.0.2.7:8080"),
            ("192.0.2.1:8080", Some(&one), "pbx.example.com:8080"),
            ("192.0.2.7:8080", Some(&two), "192.0.2.7:8080"),
            ("192.0.2.1:8080", None, "192.0.2.1:8080"),
            ("192.0.2.1:8080", Some(&stars), "192.0.2.1:8080"),
            ("0.0.0.0:8080", Some(&stars), "127.0.0.1:8080"),
            ("0.0.0.0:8080", Some(&old), "old.example.com:8080"),
            ("0.0.0.0:8080", Some(&company), "127.0.0.1:8080"),
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
    fn a_binding_is_xml_whatever_its_paths_are_called() {
        let checks = [("ssl-cacert-file", "/etc/R&D \"x\" <1>/c.pem".to_owned())];
        let text = binding("https://pbx.test/fs/xml", "fs1", "T", &checks);
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut values = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Empty(tag) => {
                    let value = tag.try_get_attribute("value").unwrap().unwrap();
                    values.push(quick_xml::escape::unescape(&value.value).unwrap().into_owned());
                }
                _ => {}
            }
        }
        assert!(values.contains(&checks[0].1), "{values:?}");
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
