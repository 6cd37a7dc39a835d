//! The bodies of fetches, as a switch writes them.

/// `switch_url_encode` (switch_utils.c), which encodes more than it must.
pub fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The beginning of a fetch about a domain.
fn domain(domain: &str) -> String {
    format!(
        "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value={domain}&Event-Name=REQUEST_PARAMS\
         &Core-UUID=5a5b&FreeSWITCH-Hostname=fs"
    )
}

/// The fetch of a REGISTER whose phone used this realm.
pub fn sign_in(user: &str, at: &str, realm: &str) -> String {
    sign_in_by("REGISTER", user, at, realm)
}

/// The same for any challenged request.
pub fn sign_in_by(method: &str, user: &str, at: &str, realm: &str) -> String {
    let [user_name, host, realm] = [user, at, realm].map(encode);
    let rest = format!(
        "&action=sip_auth&sip_auth_username={user_name}&sip_auth_realm={realm}&sip_to_user={user_name}&sip_to_host={host}\
         &sip_auth_method={method}"
    );
    self::user(user, at, &rest)
}

pub fn user(user: &str, at: &str, rest: &str) -> String {
    format!("{}{rest}&key=id&user={}&domain={}&ip=127.0.0.1", domain(at), encode(user), encode(at))
}

pub fn group_call(group: &str, at: &str) -> String {
    let (group, name) = (encode(group), encode(at));
    format!("{}&group={group}&domain={name}&action=group_call&group_name={group}&domain={name}", domain(at))
}

/// Dial-by-name.
pub fn directory(at: &str) -> String {
    format!("{}&Event-Calling-Function=populate_database&domain={}", domain(at), encode(at))
}

/// A voicemail to one extension, a group or all.
pub fn publish(to: &str, at: &str) -> String {
    format!("{}&purpose=publish-vm&domain={}&{to}", domain(at), encode(at))
}

pub fn call(number: &str, context: &str, rest: &str) -> String {
    format!(
        "hostname=fs&section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS{rest}\
         &Hunt-Context={}&Hunt-Destination-Number={}",
        encode(context),
        encode(number)
    )
}

/// A PIN chosen by phone (mod_voicemail.c, the change-password key of a mailbox's menu).
pub fn change_pin(user: &str, at: &str, pin: &str) -> String {
    let event = "&Event-Name=CUSTOM&Event-Subclass=vm%3A%3Amaintenance&VM-Action=change-password";
    let (who, at_name) = (encode(user), encode(at));
    // An empty header is not sent.
    let pin = if pin.is_empty() { String::new() } else { format!("&VM-User-Password={}", encode(pin)) };
    let rest = format!("{event}{pin}&VM-User={who}&VM-Domain={at_name}&variable_user_name={who}");
    self::user(user, at, &rest).replacen("&Event-Name=REQUEST_PARAMS", "", 1)
}
