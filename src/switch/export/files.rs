//! The stock configuration, without the parts that fetch from Dialplane.

const STOCK: &[(&str, &str)] = &[
    ("freeswitch.xml", include_str!("../../../freeswitch-conf/freeswitch.xml")),
    ("site.xml", include_str!("../../../freeswitch-conf/site.xml")),
    ("hardening.xml", include_str!("../../../freeswitch-conf/hardening.xml")),
    ("languages/en.xml", include_str!("../../../freeswitch-conf/languages/en.xml")),
    ("autoload_configs/modules.conf.xml", include_str!("../../../freeswitch-conf/autoload_configs/modules.conf.xml")),
    ("autoload_configs/small.xml", include_str!("../../../freeswitch-conf/autoload_configs/small.xml")),
    ("autoload_configs/switch.conf.xml", include_str!("../../../freeswitch-conf/autoload_configs/switch.conf.xml")),
    (
        "autoload_configs/voicemail.conf.xml",
        include_str!("../../../freeswitch-conf/autoload_configs/voicemail.conf.xml"),
    ),
    (
        "autoload_configs/timezones.conf.xml",
        include_str!("../../../freeswitch-conf/autoload_configs/timezones.conf.xml"),
    ),
    ("autoload_configs/zz_forget.xml", include_str!("../../../freeswitch-conf/autoload_configs/zz_forget.xml")),
];

/// Each file's path and text.
pub fn stock() -> Vec<(String, String)> {
    STOCK.iter().map(|(path, text)| ((*path).to_owned(), adapted(path, text))).collect()
}

fn adapted(path: &str, text: &str) -> String {
    match path {
        // Users and dialplan come from files instead.
        "freeswitch.xml" => ["directory", "dialplan"].into_iter().fold(text.to_owned(), |text, section| {
            let begin = format!("<section name=\"{section}\">\n");
            text.replace(&begin, &format!("{begin}<X-PRE-PROCESS cmd=\"include\" data=\"{section}/*.xml\"/>\n"))
        }),
        // No fetches, and no call records.
        "autoload_configs/modules.conf.xml" => {
            let asks = |line: &&str| !line.contains("\"mod_xml_curl\"") && !line.contains("\"mod_json_cdr\"");
            text.lines().filter(asks).flat_map(|line| [line, "\n"]).collect()
        }
        "site.xml" => {
            let asks = |line: &&str| !line.contains("data=\"dialplane_");
            text.lines().filter(asks).flat_map(|line| [line, "\n"]).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_asks_dialplane() {
        let files = stock();
        let text = |name: &str| files.iter().find(|(path, _)| path == name).map(|(_, text)| text.clone()).unwrap();
        assert!(!text("autoload_configs/modules.conf.xml").contains("mod_xml_curl"));
        assert!(
            text("freeswitch.xml").contains("data=\"directory/*.xml\"")
                && text("freeswitch.xml").contains("data=\"dialplan/*.xml\"")
        );
        assert!(!text("site.xml").contains("cmd=\"set\" data=\"dialplane_"));
    }
}
