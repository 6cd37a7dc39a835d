//! Imports of typical static files: several domains, separate contexts, errors in single files.

use std::path::{Path, PathBuf};

use dialplane::{
    node::changes::Author,
    switch::import::{self, Configuration, Line, Report, Wish},
};
use uuid::Uuid;

use crate::stage::Stage;

/// A folder of files that is deleted when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, String)]) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-import-{}", Uuid::now_v7().simple()));
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn read(&self) -> Configuration {
        import::read(&self.0).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn user(id: &str, password: &str, more: &str) -> String {
    format!("<user id=\"{id}\"><params><param name=\"password\" value=\"{password}\"/></params>{more}</user>")
}

fn domain(name: &str, users: &[String]) -> String {
    format!(
        "<include><domain name=\"{name}\"><groups><group name=\"default\"><users>{}</users></group></groups></domain></include>",
        users.concat()
    )
}

fn extension(name: &str, expression: &str, actions: &str) -> String {
    format!(
        "<extension name=\"{name}\"><condition field=\"destination_number\" expression=\"{expression}\">{actions}</condition></extension>"
    )
}

fn context(name: &str, extensions: &[String]) -> String {
    format!("<include><context name=\"{name}\">{}</context></include>", extensions.concat())
}

fn transfer(to: &str) -> String {
    format!("<action application=\"transfer\" data=\"{to}\"/>")
}

async fn imported(stage: &Stage, files: &Configuration, domain: &str, keep_xml: bool) -> Report {
    let author = Author { name: "test".into(), source: None, within: None };
    let mut change = stage.node.app.changes.begin(author).await.unwrap();
    let wish = Wish { domain, keep_xml };
    let report = import::import(&mut change, stage.tenant, files, wish, |_, _| ()).await.unwrap();
    change.commit().await.unwrap();
    report
}

fn names(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.name.as_str()).collect()
}

fn note<'a>(lines: &'a [Line], name: &str) -> &'a str {
    let found = lines.iter().find(|line| line.name == name);
    found.map_or_else(|| panic!("nothing is said of {name}: {lines:?}"), |line| &line.note)
}

#[actix_web::test]
async fn one_domain_of_several_becomes_the_tenant_and_the_others_are_reported() {
    let stage = Stage::new().await;
    let people = |first: &str| [user(first, "a-long-password-1", ""), user("72", "a-long-password-2", "")];
    let folder = Folder::new(&[
        ("directory/one.xml", domain("one.example", &people("71"))),
        ("directory/two.xml", domain("two.example", &people("73"))),
        ("dialplan/none.xml", context("default", &[])),
    ]);
    let files = folder.read();
    let unclear = files.choose(None, "acme.test").unwrap_err().to_string();
    assert!(
        unclear.contains("one.example (2 users), two.example (2 users)") && unclear.contains("--domain"),
        "{unclear}"
    );
    assert_eq!(files.choose(None, "two.example").unwrap(), "two.example", "the tenant's own name");
    assert!(files.choose(Some("three.example"), "").unwrap_err().to_string().contains("only one.example"));
    let report = imported(&stage, &files, "two.example", false).await;
    assert_eq!(names(&report.taken), ["73", "72"], "{report:?}");
    assert!(note(&report.left, "one.example").contains("2 users"), "{report:?}");
    // To a switch, a domain is the same in whatever case.
    let folder = Folder::new(&[
        ("directory/one.xml", domain("One.example", &people("74"))),
        ("directory/two.xml", domain("two.EXAMPLE", &[user("75", "a-long-password-1", "")])),
        ("directory/three.xml", domain("ONE.EXAMPLE", &[user("76", "a-long-password-3", "")])),
    ]);
    let files = folder.read();
    let unclear = files.choose(None, "acme.test").unwrap_err().to_string();
    assert!(unclear.contains("One.example (3 users), two.EXAMPLE (1 user)"), "{unclear}");
    assert_eq!(files.choose(Some("one.example"), "").unwrap(), "One.example");
    assert_eq!(files.choose(None, "two.example").unwrap(), "two.EXAMPLE");
    let report = imported(&stage, &files, "One.example", false).await;
    assert_eq!(names(&report.taken), ["74", "76"], "{report:?}");
    stage.stop().await;
}

#[actix_web::test]
async fn contexts_stay_apart_and_a_call_goes_where_it_went_before() {
    let stage = Stage::new().await;
    let inside = "<variables><variable name=\"user_context\" value=\"internal\"/></variables>";
    let other = "<variables><variable name=\"user_context\" value=\"lobby\"/></variables>";
    let users = [
        user("1001", "a-long-password-1", inside),
        user("1002", "a-long-password-2", inside),
        user("1003", "a-long-password-3", other),
    ];
    let folder = Folder::new(&[
        ("directory/one.xml", domain("one.example", &users)),
        ("dialplan/a.xml", context("from_carrier", &[extension("all", "^(\\d+)$", &transfer("1000 XML internal"))])),
        (
            "dialplan/b.xml",
            context(
                "internal",
                &[
                    extension("short", "^8(\\d\\d\\d\\d)$", &transfer("$1 XML ${context}")),
                    extension(
                        "phones",
                        "^(10\\d\\d)$",
                        "<action application=\"bridge\" data=\"user/$1@${domain_name}\"/>",
                    ),
                    extension("menu", "^5000$", &transfer("1 XML features")),
                    extension(
                        "wait",
                        "^5001$",
                        &format!("<action application=\"info\"/>{}", transfer("1001 XML internal")),
                    ),
                    extension("late", "^(\\d{4})$", &transfer("1001 XML internal")),
                    extension("rest", "^(.*)$", "<action application=\"info\"/>"),
                ],
            ),
        ),
        ("dialplan/c.xml", context("features", &[extension("one", "^1$", "<action application=\"answer\"/>")])),
        ("dialplan/d.xml", context("lobby", &[extension("desk", "^9$", &transfer("1001 XML internal"))])),
    ]);
    let report = imported(&stage, &folder.read(), "one.example", true).await;
    assert_eq!(report.context, "internal");
    let entries = report.taken.iter().filter(|line| line.kind == "dialplan").collect::<Vec<_>>();
    assert_eq!(
        entries.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(),
        ["internal/short", "internal/phones", "internal/wait"],
        "{report:?}"
    );
    assert!(entries[2].note.starts_with("as XML: runs \"info\""), "{report:?}");
    assert!(note(&report.left, "internal/menu").contains("leads to the context features"), "{report:?}");
    assert!(note(&report.left, "from_carrier/all").contains("no phone gets to from_carrier"), "{report:?}");
    assert!(note(&report.left, "features/one").contains("by internal/menu"), "{report:?}");
    assert!(note(&report.left, "lobby/desk").contains("only the users 1003 dial in lobby"), "{report:?}");
    assert!(note(&report.taken, "1003").contains("dialled in the context lobby"), "{report:?}");
    assert!(note(&report.left, "internal/late").contains("1001, which internal/phones took"), "{report:?}");
    // An entry that would take other extensions' calls is left out; as XML, also one that would take feature codes or emergency numbers.
    assert!(note(&report.left, "internal/rest").contains("would no longer work"), "{report:?}");
    let dial =
        |number: &str| report.dials.iter().find(|dial| dial.dialled == number).unwrap_or_else(|| panic!("{report:?}"));
    assert_eq!(dial("1002").before, "internal/phones: bridge user/1002@${domain_name}");
    assert!(dial("1002").after.starts_with("extension"), "{:?}", dial("1002"));
    assert_eq!(dial("5001").after, "entry wait (XML)");
    assert!((8..=10).contains(&report.dials.len()), "{:?}", report.dials);
    // On the node as well, a phone that dials 1002 gets 1002 directly, and not in a loop.
    let call = stage.calls("1002", Uuid::new_v4()).await;
    assert!(call.contains("user/1002@acme.test") && !call.contains("1002 XML"), "{call}");
    let wait = stage.calls("5001", Uuid::new_v4()).await;
    // Without a context, the call stays in the caller's own (switch_ivr_session_transfer in switch_ivr.c).
    assert!(wait.contains("application=\"transfer\" data=\"1001\""), "{wait}");
    let voicemail = stage.calls("*97", Uuid::new_v4()).await;
    assert!(!voicemail.contains("name=\"rest\""), "{voicemail}");
    stage.stop().await;
}

#[actix_web::test]
async fn an_entry_takes_no_call_that_another_extension_took_before_it() {
    let stage = Stage::new().await;
    let folder = Folder::new(&[
        ("directory/one.xml", domain("one.example", &[user("1001", "a-long-password-1", "")])),
        (
            "dialplan/a.xml",
            context(
                "default",
                &[
                    extension("phones", "^(10\\d\\d)$", "<action application=\"bridge\" data=\"{x=y}user/$1\"/>"),
                    extension("operator", "^(\\d+)$", &transfer("1001 XML default")),
                ],
            ),
        ),
    ]);
    let report = imported(&stage, &folder.read(), "one.example", false).await;
    assert!(note(&report.left, "default/operator").contains("1001, which default/phones took"), "{report:?}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_fault_in_one_file_is_named_with_its_line_and_costs_no_other_file() {
    let stage = Stage::new().await;
    let good = extension("good", "^81$", "<action application=\"answer\"/>");
    let folder = Folder::new(&[
        (
            "directory/amp.xml",
            domain("one.example", &[user("71", "a & long password", "").replace("></user>", ">\n</user>")]),
        ),
        (
            "directory/twice.xml",
            domain("one.example", &[user("72", "a-long-password", "").replace("<user id", "<user\nid=\"72\" id")]),
        ),
        ("dialplan/a.xml", context("default", std::slice::from_ref(&good))),
        ("dialplan/b.xml", format!("<include>\n{good}\n<extension name=\"a\">\n")),
        (
            "dialplan/c.xml",
            "<include><context name=\"other\">\n<extension name=\"b\"></condition></extension></context></include>"
                .to_owned(),
        ),
        (
            "dialplan/d.xml",
            "<include>\n<context name=\"more\"><extension name='c' broken></extension></context></include>".to_owned(),
        ),
        // One that includes itself, two that include each other, and one that is too large.
        ("dialplan/e.xml", "<include><X-PRE-PROCESS cmd=\"include\" data=\"e.xml\"/></include>".to_owned()),
        ("dialplan/f.xml", "<include><X-PRE-PROCESS cmd=\"include\" data=\"more/g.xml\"/></include>".to_owned()),
        ("dialplan/more/g.xml", "<include><X-PRE-PROCESS cmd=\"include\" data=\"../f.xml\"/></include>".to_owned()),
        ("dialplan/h.xml", " ".repeat((8 << 20) + 1)),
        ("dialplan/i.xml", "not XML at all\n".to_owned()),
        ("dialplan/j.xml", String::new()),
        ("dialplan/k.xml", "<!-- nothing is used of this -->\n".to_owned()),
    ]);
    let files = folder.read();
    let told = files.refused.join("\n");
    for part in [
        "directory/amp.xml:1: <param> has an & in value",
        "directory/twice.xml:2: <user> has id twice",
        "dialplan/b.xml:3: <extension> a has no end tag; it is left out",
        "dialplan/c.xml:2: ",
        "dialplan/d.xml:2: ",
        "dialplan/e.xml includes dialplan/e.xml, which is being read already",
        "dialplan/more/g.xml includes dialplan/more/../f.xml, which is being read already",
        "dialplan/h.xml has more than 8 MiB",
        "dialplan/i.xml has no XML element",
        "dialplan/j.xml has no XML element",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("dialplan/k.xml"), "{told}");
    let report = imported(&stage, &files, "one.example", false).await;
    assert_eq!(names(&report.taken), ["71", "72", "default/good"], "{report:?}");
    assert_eq!(note(&report.left, "good"), "it is in no context", "{report:?}");
    assert_eq!(report.files.len(), files.refused.len());
    stage.stop().await;
}

#[actix_web::test]
async fn no_part_of_a_file_is_lost_silently() {
    let stage = Stage::new().await;
    let cidr = user("71", "a-long-password-1", "").replace("id=\"71\"", "id=\"71\" cidr=\"192.0.2.0/24\" number=\"x\"");
    let inherited = domain("one.example", &[
        cidr,
        user("72", "x-$${nowhere}-long-password", "<variables><variable name=\"room\" value=\"local\"/><variable name=\"hold_music\" value=\"$${nowhere}\"/></variables>"),
        user("73", "$${password}", ""),
        user("74", "$${password}", "<params><param name=\"vm-password\" value=\"74\"/><param name=\"vm-mailto\" value=\"nobody\"/></params>"),
    ])
    .replace("<groups>", "<params><param name=\"vm-mailto\" value=\"all@acme.test\"/></params><groups>");
    let folder = Folder::new(&[
        (
            "freeswitch.xml",
            "<document>\n<!-- <X-PRE-PROCESS cmd=\"set\" data=\"password=from-a-comment-1\"/>\n<X-PRE-PROCESS cmd=\"exec\" data=\"touch x\"/> -->\n<section name=\"directory\"><X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dir*/*.xml\"/></section><section name=\"dialplan\"><X-PRE-PROCESS cmd=\"include\" data=\"dialplan/*.xml\"/><X-PRE-PROCESS cmd=\"include\" data=\"lost.xml\"/></section><section name=\"chatplan\"><context name=\"default\"><extension name=\"chat\"/></context></section></document>".to_owned(),
        ),
        ("directory/one.xml", inherited),
        (
            "dialplan/a.xml",
            format!(
                "<include><context name=\"default\"><condition field=\"x\"/>{}{}{}</context>{}<context name=\"default\">{}</context></include>",
                extension("plain", "^81$", "<action application=\"answer\"/>").replace("<condition ", "<condition number=\"1\" context=\"x\" "),
                extension("kept", "^82$", "<action application=\"info\"/>").replace("<extension ", "<extension number=\"1\" "),
                extension("unset", "^85$", "<action application=\"playback\" data=\"$${nowhere}/x.wav\"/>"),
                extension("stray", "^83$", ""),
                extension("second", "^84$", ""),
            ),
        ),
    ]);
    let files = folder.read();
    let told = files.refused.join("\n");
    for part in [
        "freeswitch.xml:2: a comment sets password",
        "freeswitch.xml:3: a comment has the directive exec",
        "lost.xml was not found",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let report = imported(&stage, &files, "one.example", true).await;
    assert_eq!(names(&report.taken), ["71", "72", "73", "74", "default/plain", "default/kept"], "{report:?}");
    assert_eq!(names(&report.left), ["default/unset", "default/<condition>", "default", "stray"], "{report:?}");
    let unset = note(&report.left, "default/unset");
    assert!(unset.contains("it uses $${nowhere}, which no file sets"), "{unset}");
    assert!(note(&report.taken, "71").contains("without cidr"), "{report:?}");
    let second = note(&report.taken, "72");
    assert!(
        second.contains("uses a variable that no file sets")
            && second.contains("without hold_music, which uses $${nowhere}")
            && second.contains("without room"),
        "{second}"
    );
    assert!(note(&report.taken, "73").contains("other users have the old one too"), "{report:?}");
    let last = note(&report.taken, "74");
    assert!(last.contains("without vm-mailto") && last.contains("a new voicemail PIN was made"), "{last}");
    let made = report
        .made
        .iter()
        .filter(|made| made.sip_password.is_some())
        .map(|made| made.number.as_str())
        .collect::<Vec<_>>();
    assert_eq!(made, ["72", "73", "74"], "{report:?}");
    stage.stop().await;
}

#[test]
fn a_folder_without_a_configuration_is_an_error_that_says_where_to_look() {
    let folder = Folder::new(&[("freeswitch/freeswitch.xml", "<document/>".into()), ("x.conf", String::new())]);
    let said = import::read(&folder.0).err().unwrap().to_string();
    assert!(said.contains("has no FreeSWITCH configuration") && said.contains("/freeswitch"), "{said}");
    let said = import::read(&folder.0.join("freeswitch")).err().unwrap().to_string();
    assert!(said.contains("no users and no dialplan"), "{said}");
    assert!(import::read(Path::new("/nowhere")).is_err());
}
