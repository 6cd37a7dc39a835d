//! Tells a person what to do with a secret that was just printed and won't be shown again.

use crate::{app::settings::Settings, switch::fetch::exchange::XML_PATH};

/// Where a switch's token goes in its configuration.
pub fn switch(settings: &Settings, name: &str, token: &str) {
    let url = settings.switch_url(settings.switch_listen);
    println!(
        "
The token is shown only this once. Put it into the switch's autoload_configs/xml_curl.conf.xml, inside <bindings>:

  <binding name=\"dialplane\">
    <param name=\"gateway-url\" value=\"{url}{XML_PATH}\" bindings=\"directory|dialplan|configuration|languages|chatplan\"/>
    <param name=\"gateway-credentials\" value=\"{name}:{token}\"/>
    <param name=\"auth-scheme\" value=\"basic\"/>
    <param name=\"timeout\" value=\"5\"/>
  </binding>

or use all of freeswitch-conf/ and set dialplane_url and dialplane_credentials in its site.xml. Then restart the switch, and
check it with `dialplane doctor --switch-conf DIR`."
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
