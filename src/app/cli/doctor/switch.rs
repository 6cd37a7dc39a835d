//! Checks a switch's configuration: whether its mod_xml_curl asks the right node, safely, with valid credentials.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use uuid::Uuid;

use super::{Report, Seen, of_this_database};
use crate::switch::fetch::exchange::NODE_HEADER;

/// A `<binding>` of xml_curl.conf.xml.
#[derive(Default)]
struct Binding {
    name: String,
    sections: String,
    params: HashMap<String, String>,
    /// The fields it sends (`enable-post-var`). None: it sends all of them (`do_config` in mod_xml_curl.c).
    sent: Vec<String>,
}

impl Binding {
    fn is_for(&self, section: &str) -> bool {
        self.sections.split('|').any(|bound| bound.trim() == section)
    }

    fn sends(&self, field: &str) -> bool {
        self.sent.is_empty() || self.sent.iter().any(|sent| sent == field)
    }
}

/// What a header's variable begins with (`SOFIA_SIP_HEADER_PREFIX` in mod_sofia.h).
const HEADER: &str = "variable_sip_h_";

/// The sections that Dialplane answers for.
const NEEDED: [&str; 2] = ["directory", "dialplan"];

/// `nodes`: the nodes that run on the database. `headers`: those in which carriers send the number that was called.
pub fn check(conf: &Path, nodes: Option<&[Uuid]>, headers: &[String], report: &mut Report) {
    let variables = variables(conf);
    let file = conf.join("autoload_configs/xml_curl.conf.xml");
    let bindings = match fs::read_to_string(&file) {
        Ok(text) => bindings(&expand(&text, &variables)),
        Err(error) => {
            report.add("xml_curl.conf.xml", Err(format!("{} can't be read: {error}", file.display())));
            return;
        }
    };
    let bindings = match bindings {
        Ok(bindings) => bindings,
        Err(problem) => {
            report.add("xml_curl.conf.xml", Err(problem));
            return;
        }
    };
    for section in NEEDED {
        let bound = bindings.iter().find(|binding| binding.is_for(section));
        if let Some(binding) = bound {
            report
                .add(format!("binding {}: fields of {section}", binding.name), sends_enough(binding, section, headers));
        }
        let seen = bound.map(|binding| format!("fetched by the binding {}", binding.name));
        report.add(
            format!("binding of {section}"),
            seen.ok_or_else(|| format!("no binding fetches {section} from Dialplane")),
        );
    }
    let mut knocked = Vec::new();
    for binding in &bindings {
        report.add(format!("binding {}: timeout", binding.name), timeout(binding));
        report.add(format!("binding {}: TLS", binding.name), tls(binding));
        let url = binding.params.get("gateway-url").cloned().unwrap_or_default();
        let credentials = binding.params.get("gateway-credentials").cloned().unwrap_or_default();
        if !knocked.contains(&(url.clone(), credentials.clone())) {
            report.add(format!("binding {}: fetch", binding.name), fetches(&url, &credentials, nodes));
            knocked.push((url, credentials));
        }
    }
    report.add("static users", no_static_users(conf));
    report.add("SIP profiles", no_blind_trust(conf, &variables));
    report.add("switch.conf.xml", no_api_in_data(conf, &variables));
    report.add("time zones of the switch", knows_zones(conf));
    report.add("folder of certificates", has_whole_path(conf, &variables));
}

/// Does it send the fields that this version reads? Those are what the shipped file names.
fn sends_enough(binding: &Binding, section: &str, headers: &[String]) -> Seen {
    let shipped = include_str!("../../../../freeswitch-conf/autoload_configs/xml_curl.conf.xml");
    let needed = bindings(shipped)?.into_iter().filter(|binding| binding.is_for(section)).flat_map(|known| known.sent);
    let needed = needed.filter(|field| !field.starts_with(HEADER));
    let missing = needed.filter(|field| !binding.sends(field)).collect::<Vec<_>>();
    if !missing.is_empty() {
        return Err(format!(
            "it doesn't send {}: take its lines enable-post-var from freeswitch-conf/autoload_configs/xml_curl.conf.xml of this version",
            missing.join(", ")
        ));
    }
    let is_sent = |header: &&String| {
        binding.sent.iter().filter_map(|sent| sent.strip_prefix(HEADER)).any(|sent| sent.eq_ignore_ascii_case(header))
    };
    let unsent = |header: &&String| section == "dialplan" && !binding.sent.is_empty() && !is_sent(header);
    if let Some(header) = headers.iter().find(unsent) {
        return Err(format!(
            "carriers write the number called in {header}, which it doesn't send: add <param name=\"enable-post-var\" \
             value=\"{HEADER}{header}\"/> and the same with {header}-1, in the letters in which the carrier sends it"
        ));
    }
    Ok("all that is read".into())
}

/// Without a timeout, one fetch that hangs freezes a SIP profile (`xml_url_fetch` in mod_xml_curl.c sets none).
fn timeout(binding: &Binding) -> Seen {
    match binding.params.get("timeout").map(|value| value.parse::<u32>()) {
        Some(Ok(seconds @ 1..=30)) => Ok(format!("{seconds} s")),
        Some(_) => Err("timeout must be between 1 and 30 seconds".into()),
        None => Err("there is none, so a fetch that hangs would freeze a SIP profile: set timeout to 5".into()),
    }
}

/// mod_xml_curl checks a server's certificate only when told to.
fn tls(binding: &Binding) -> Seen {
    let url = binding.params.get("gateway-url").map_or("", String::as_str);
    let is_true = |name: &str| binding.params.get(name).is_some_and(|value| value == "true");
    if url.starts_with("http://127.") || url.starts_with("http://localhost") || url.starts_with("http://[::1]") {
        return Ok("not needed on this machine".into());
    }
    if !url.starts_with("https://") {
        return Err("the token and every secret cross the network unencrypted: use https".into());
    }
    if is_true("enable-cacert-check") && is_true("enable-ssl-verifyhost") {
        Ok("the server's certificate is checked".into())
    } else {
        Err("the server's certificate is not checked: set enable-cacert-check and enable-ssl-verifyhost to true".into())
    }
}

/// Fetches with the switch's credentials, and reports what the switch would get.
fn fetches(url: &str, credentials: &str, nodes: Option<&[Uuid]>) -> Seen {
    let form = "section=configuration&tag_name=configuration&key_name=name&key_value=dialplane-doctor.conf";
    let (name, token) = credentials.split_once(':').ok_or("gateway-credentials must be NAME:TOKEN")?;
    match post(url, Some((name, token)), form)?.status().as_u16() {
        200 => {
            of_this_database(url, knocks(url)?, nodes)?;
            Ok(format!("{url} accepts the credentials of {name}"))
        }
        401 => Err(format!(
            "{url} refuses the credentials of {name}: make a new token with `dialplane switch update {name} new_token=true`"
        )),
        status => Err(format!("{url} answers {status}")),
    }
}

/// Asks without credentials: a switch listener answers 401 with its node's id.
pub fn knocks(url: &str) -> Result<Option<Uuid>, String> {
    let answer = post(url, None, "section=none")?;
    match answer.status().as_u16() {
        401 => Ok(answer.headers().get(NODE_HEADER).and_then(|id| id.to_str().ok()?.parse().ok())),
        status => Err(format!("{url} answers {status}: something else listens there")),
    }
}

fn post(url: &str, login: Option<(&str, &str)>, form: &str) -> Result<ureq::http::Response<ureq::Body>, String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.post(url).header("Content-Type", "application/x-www-form-urlencoded");
    if let Some((name, token)) = login {
        request = request.header("Authorization", format!("Basic {}", STANDARD.encode(format!("{name}:{token}"))));
    }
    match request.send(form) {
        Ok(response) => Ok(response),
        Err(error) => Err(format!("{url} does not answer: {error}")),
    }
}

/// When a fetch fails, the switch falls back to its static files. These must not have users, such as 1000 with password 1234
/// in the vanilla configuration.
fn no_static_users(conf: &Path) -> Seen {
    let mut found = Vec::new();
    files(&conf.join("directory"), &mut found);
    let users = found.iter().filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("<user ")));
    let users = users.map(|file| file.display().to_string()).collect::<Vec<_>>();
    if users.is_empty() {
        Ok("none, so a failed fetch refuses".into())
    } else {
        Err(format!("when a fetch fails, the switch falls back to the users in {}: remove them", users.join(", ")))
    }
}

/// A client that is let in without authentication can claim to be any user: Dialplane believes what the switch says it has
/// authenticated.
fn no_blind_trust(conf: &Path, variables: &HashMap<String, String>) -> Seen {
    let mut found = Vec::new();
    files(&conf.join("sip_profiles"), &mut found);
    found.push(conf.join("autoload_configs/sofia.conf.xml"));
    for file in found {
        let params = params(&expand(&fs::read_to_string(&file).unwrap_or_default(), variables));
        for name in ["accept-blind-auth", "accept-blind-reg"] {
            if params.iter().any(|(param, value)| param == name && is_on(value)) {
                return Err(format!(
                    "{} has {name}, which lets anybody in without a password: remove it",
                    file.display()
                ));
            }
        }
    }
    Ok("nobody is let in without a password".into())
}

/// A name such as `${system …}` must stay text (`switch_channel_expand_variables_check` in switch_channel.c).
fn no_api_in_data(conf: &Path, variables: &HashMap<String, String>) -> Seen {
    let file = conf.join("autoload_configs/switch.conf.xml");
    let params = params(&expand(&fs::read_to_string(&file).unwrap_or_default(), variables));
    match params.iter().find(|(name, _)| name == "api-expansion") {
        Some((_, value)) if !is_on(value) => Ok("api-expansion is off".into()),
        _ => Err("values in data can call the switch's API: set api-expansion to false".into()),
    }
}

/// A switch looks for wss.pem in `tls-cert-dir` from where it was started, but makes a missing one in its own folder below -certs, because a name
/// that does not begin with `/` is no path to it (`switch_is_file_path` in switch_utils.h, `switch_core_gen_certs` in switch_core_cert.c). Then the profile with
/// `wss-binding` does not start.
fn has_whole_path(conf: &Path, variables: &HashMap<String, String>) -> Seen {
    let mut found = Vec::new();
    files(&conf.join("sip_profiles"), &mut found);
    found.push(conf.join("autoload_configs/sofia.conf.xml"));
    for file in found {
        let params = params(&expand(&fs::read_to_string(&file).unwrap_or_default(), variables));
        let folders = params.into_iter().filter(|(name, _)| name == "tls-cert-dir").map(|(_, folder)| folder);
        // What is still a variable is the folder given by -certs.
        let is_whole = |folder: &String| folder.is_empty() || folder.starts_with('/') || folder.starts_with("$${");
        if let Some(folder) = folders.into_iter().find(|folder| !is_whole(folder)) {
            return Err(format!(
                "{} has tls-cert-dir {folder}, where the switch would not find the certificates that it makes: write a path that begins with /",
                file.display()
            ));
        }
    }
    Ok("a whole path, or the folder given by -certs, which must be a whole path, too".into())
}

/// A switch has no table of zones of its own. It reads this file before it can fetch anything.
fn knows_zones(conf: &Path) -> Seen {
    const ADVICE: &str =
        "take autoload_configs/timezones.conf.xml from freeswitch-conf of this version, and run `reloadxml`";
    let mut found = Vec::new();
    files(&conf.join("autoload_configs"), &mut found);
    let texts = found.iter().filter_map(|file| fs::read_to_string(file).ok());
    let has = texts.filter(|text| text.contains("\"timezones.conf\"")).flat_map(|text| zones(&text));
    let has = has.collect::<HashMap<_, _>>();
    let ours = || crate::text::zone::for_switches();
    let lacking = ours().filter(|(name, _)| !has.contains_key(*name)).count();
    let other = ours().filter(|(name, rule)| has.get(*name).is_some_and(|theirs| theirs != rule)).map(|(name, _)| name);
    let other = other.collect::<Vec<_>>();
    let version = crate::text::zone::version();
    match (lacking, other.first()) {
        (0, None) => Ok(format!("all {} of this version ({version})", has.len())),
        (0, Some(first)) => Err(format!(
            "{} have other rules than in this version ({version}), such as {first}, so voicemail tells wrong times: {ADVICE}",
            other.len()
        )),
        (lacking, _) => Err(format!(
            "timezones.conf.xml lacks {lacking} of this version ({version}): what it lacks, the switch tells in its own zone. So {ADVICE}"
        )),
    }
}

/// Every `<zone name value>` of a file.
fn zones(text: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(text);
    let mut zones = Vec::new();
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "zone" => {
                zones.push((attribute(&tag, "name"), attribute(&tag, "value")));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    zones
}

fn is_on(value: &str) -> bool {
    ["true", "yes", "on", "enabled", "active", "allow", "t", "1"].iter().any(|on| value.eq_ignore_ascii_case(on))
}

/// Every `<param name value>` of a file.
fn params(text: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(text);
    let mut params = Vec::new();
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "param" => {
                params.push((attribute(&tag, "name"), attribute(&tag, "value")));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    params
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Global variables set by `X-PRE-PROCESS` in the directory's own files.
fn variables(conf: &Path) -> HashMap<String, String> {
    let mut variables = HashMap::new();
    for entry in fs::read_dir(conf).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        for line in text.lines().filter(|line| line.contains("X-PRE-PROCESS") && line.contains("cmd=\"set\"")) {
            let data = line.split("data=\"").nth(1).and_then(|rest| rest.split('"').next());
            if let Some((name, value)) = data.and_then(|data| data.split_once('=')) {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    variables
}

fn expand(text: &str, variables: &HashMap<String, String>) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$${{{name}}}"), value))
}

fn bindings(text: &str) -> Result<Vec<Binding>, String> {
    let mut reader = Reader::from_str(text);
    let mut bindings: Vec<Binding> = Vec::new();
    loop {
        match reader.read_event().map_err(|e| format!("it is not well-formed XML: {e}"))? {
            Event::Start(tag) if tag.name().as_ref() == "binding" => {
                bindings.push(Binding { name: attribute(&tag, "name"), ..Binding::default() });
            }
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "param" => {
                let Some(binding) = bindings.last_mut() else { continue };
                if attribute(&tag, "name") == "gateway-url" {
                    binding.sections = attribute(&tag, "bindings");
                }
                match attribute(&tag, "name") {
                    name if name == "enable-post-var" => binding.sent.push(attribute(&tag, "value")),
                    name => _ = binding.params.insert(name, attribute(&tag, "value")),
                }
            }
            Event::Eof => return Ok(bindings),
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> String {
    let value = tag.try_get_attribute(name).ok().flatten();
    let value =
        value.and_then(|value| value.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned));
    value.unwrap_or_default()
}
