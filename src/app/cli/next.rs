//! Tells a person what to do with a secret that was just printed and won't be shown again.

use crate::{
    app::{reached, settings::Settings},
    switch::fetch::exchange::XML_PATH,
};

/// What to say if no switch believes the URL; empty otherwise.
pub fn unnamed(settings: &Settings) -> &'static str {
    if settings.switch_url_is_missing() {
        "
The listener's certificate names no host, so no switch believes the URL above. Set switch_url to a name that it is valid for.
"
    } else {
        ""
    }
}

/// Where a switch's token goes in its configuration.
pub fn switch(settings: &Settings, name: &str, token: &str) {
    let url = settings.switch_url(settings.switch_listen);
    let checks = settings.switch_checks(&url);
    let binding = reached::binding(&format!("{url}{XML_PATH}"), name, token, &checks);
    println!(
        "
The token is shown only this once. Put it into the switch's autoload_configs/xml_curl.conf.xml, inside <bindings>:

{binding}{unnamed}
or use all of freeswitch-conf/ and set dialplane_url and dialplane_credentials in its site.xml{and_file}. Then restart the switch, and
check it with `dialplane doctor --switch-conf DIR`.",
        unnamed = unnamed(settings),
        and_file = if checks.is_empty() { "" } else { ", and dialplane_ca_file" },
    );
    if let Some((_, file)) = checks.iter().find(|(name, _)| *name == "ssl-cacert-file") {
        println!("\nIf the switch is on another machine, copy {file} there.");
    }
}

/// The same for a switch of a platform that is elsewhere: only that one knows what the switch's configuration needs.
pub fn switch_elsewhere(place: &str, id: &str, name: &str, token: &str) {
    println!(
        "
The token is shown only this once. The switch's credentials are {name}:{token}: put them into dialplane_credentials in the site.xml of
freeswitch-conf/, or as gateway-credentials into its autoload_configs/xml_curl.conf.xml. The other lines are at

  {place}/platform/switches/{id}/setup

which shows a light as soon as the switch has asked for the first time. `dialplane doctor --switch-conf DIR` beside the switch checks what you
wrote."
    );
}

/// How to use an API key in a request.
pub fn key(url: &str, token: &str) {
    println!(
        "\nThe key is shown only this once. A request with it:\n\n  curl -H 'X-API-Key: {token}' {url}/v1/tenants"
    );
}

/// Where to use an administrator's password.
pub fn admin(settings: &Settings) {
    println!(
        "\nThe password is shown only this once. Sign in at {}/sign-in and change it there.",
        settings.public_url()
    );
}

/// What to set in a phone.
pub fn extension(domain: &str, username: &str) {
    println!(
        "\nThe passwords are shown only this once. Set in the phone: SIP user {username}, domain {domain}, and sip_password as its password; the server is your switch."
    );
}
