//! Import and export of static FreeSWITCH files.

use std::os::unix::fs::PermissionsExt as _;

use std::path::Path;

use dialplane::switch::import::Wish;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::Stage;

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Typical files: variables, includes, comments with dashes, a directive that would run something.
fn files(folder: &Path) {
    write(
        folder,
        "freeswitch.xml",
        "<?xml version=\"1.0\"?>\n<document type=\"freeswitch/xml\">\n<X-PRE-PROCESS cmd=\"include\" data=\"vars.xml\"/>\n<section name=\"directory\"><X-PRE-PROCESS cmd=\"include\" data=\"directory/*.xml\"/></section>\n<section name=\"dialplan\"><X-PRE-PROCESS cmd=\"include\" data=\"dialplan/*.xml\"/></section>\n</document>",
    );
    write(
        folder,
        "vars.xml",
        "<include>\n<!-- a -- b -->\n<X-PRE-PROCESS cmd=\"set\" data=\"default_password=1234\"/>\n<X-PRE-PROCESS cmd=\"exec-set\" data=\"x=touch dialplane-was-run\"/>\n<X-PRE-PROCESS cmd=\"include\" data=\"../../../etc/*\"/>\n</include>",
    );
    let user = |id: &str, params: &str, variables: &str| {
        format!("<user id=\"{id}\"><params>{params}</params><variables>{variables}</variables></user>")
    };
    let users = [
        user(
            "71",
            "<param name=\"password\" value=\"$${default_password}\"/>",
            "<variable name=\"effective_caller_id_name\" value=\"Ada\"/><variable name=\"accountcode\" value=\"71\"/>",
        ),
        user(
            "72",
            "<param name=\"password\" value=\"a-long-password\"/><param name=\"vm-password\" value=\"4711\"/><param name=\"vm-mailto\" value=\"bob@acme.test\"/>",
            "",
        ),
        user("reception", "", ""),
    ];
    write(
        folder,
        "directory/default.xml",
        &format!(
            "<include><domain name=\"$${{domain}}\"><groups><group name=\"default\"><users>{}</users></group><group name=\"sales\"><users><user id=\"71\" type=\"pointer\"/><user id=\"72\" type=\"pointer\"/></users></group></groups></domain></include>",
            users.concat()
        ),
    );
    let extension = |name: &str, expression: &str, actions: &str| {
        format!(
            "<extension name=\"{name}\"><condition field=\"destination_number\" expression=\"{expression}\">{actions}</condition></extension>"
        )
    };
    let dialplan = [
        extension(
            "short",
            "^8(\\d\\d)$",
            "<action application=\"answer\"/><action application=\"transfer\" data=\"$1 XML default\"/>",
        ),
        extension("evil", "^666$", "<action application=\"system\" data=\"id\"/>"),
        extension("park", "^5900$", "<action application=\"info\"/>"),
    ];
    write(
        folder,
        "dialplan/default.xml",
        &format!(
            "<include><context name=\"default\">{}</context><context name=\"public\">{}</context></include>",
            dialplan.concat(),
            extension("did", "^1$", "<action application=\"answer\"/>")
        ),
    );
}

#[actix_web::test]
async fn files_are_imported_as_far_as_possible_and_the_rest_is_reported() {
    let stage = Stage::new().await;
    let folder = std::env::temp_dir().join(format!("dialplane-import-{}", Uuid::now_v7().simple()));
    files(&folder);
    let files = dialplane::switch::import::read(&folder).unwrap();
    assert_eq!(files.refused.len(), 2, "{:?}", files.refused);
    let domain = files.choose(None, "acme.test").unwrap();
    let wish = |keep_xml| Wish { domain: &domain, keep_xml };
    assert!(!Path::new("dialplane-was-run").exists() && !folder.join("dialplane-was-run").exists());
    let author = dialplane::node::changes::Author { name: "test".into(), source: None, within: None };
    let mut change = stage.node.app.changes.begin(author).await.unwrap();
    let report =
        dialplane::switch::import::import(&mut change, stage.tenant, &files, wish(true), |_, _| ()).await.unwrap();
    change.commit().await.unwrap();
    let names =
        |lines: &[dialplane::switch::import::Line]| lines.iter().map(|line| line.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&report.taken), ["71", "72", "sales", "default/short", "default/park"], "{report:?}");
    assert_eq!(names(&report.left), ["reception", "default/evil", "public/did"], "{report:?}");
    let made = &report.made[0];
    assert_eq!((report.made.len(), made.number.as_str()), (1, "71"));
    assert!(
        made.sip_password.as_ref().unwrap().len() >= 12 && made.voicemail_pin.is_some(),
        "1234 is nobody's password"
    );
    // It is in force: the group rings both, and the entry leads on.
    let group = stage.calls("sales", Uuid::new_v4()).await;
    assert!(group.contains("user/71@acme.test,user/72@acme.test"), "{group}");
    let led = stage.calls("872", Uuid::new_v4()).await;
    assert!(led.contains("data=\"72 XML acme.test\"") && led.contains("name=\"park\""), "{led}");
    // In a second import, everything exists already, and nothing is created twice.
    let author = dialplane::node::changes::Author { name: "test".into(), source: None, within: None };
    let mut change = stage.node.app.changes.begin(author).await.unwrap();
    let again =
        dialplane::switch::import::import(&mut change, stage.tenant, &files, wish(false), |_, _| ()).await.unwrap();
    assert!(again.left.iter().any(|line| line.name == "72" && line.note.contains("already in use")), "{again:?}");
    drop(change);
    std::fs::remove_dir_all(&folder).unwrap();
    stage.stop().await;
}

#[actix_web::test]
async fn a_tenant_leaves_as_files_that_say_the_same() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let phone =
        stage.node.extension(tenant, json!({ "number": "70", "calls": { "forward_busy": "71" } })).await["id"].clone();
    stage.node.extension(tenant, json!({ "number": "71" })).await;
    let menu = json!({ "name": "Menu", "number": "501", "kind": "ivr", "config": { "greeting": { "text": "Hi" }, "entries": { "1": { "kind": "extension", "id": phone } } } });
    for new in [
        menu,
        json!({ "name": "Room", "number": "502", "kind": "conference", "pin": "471147", "config": {} }),
        json!({ "name": "Other", "number": "503", "kind": "conference", "config": {} }),
    ] {
        let made = stage.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let number = format!("/v1/phone-numbers/{}?tenant_id={tenant}", stage.number);
    stage.node.api("PATCH", &number, json!({ "destination": { "kind": "extension", "id": phone } })).await;
    // The files don't have another tenant's carrier or its password.
    let other = stage.node.tenant("other.test").await;
    for (name, of) in [("theirs", other), ("ours", tenant)] {
        let config = json!({ "host": format!("{name}.carrier.test"), "username": name, "register": true });
        let new = json!({ "name": name, "tenant_id": of, "password": format!("of-{name}"), "config": config });
        let made = stage.node.api("POST", "/v1/carriers", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let folder = std::env::temp_dir().join(format!("dialplane-export-{}", Uuid::now_v7().simple()));
    let mut db = stage.node.app.changes.pool().acquire().await.unwrap();
    let report =
        dialplane::switch::export::export(&mut db, stage.node.app.changes.keyring(), tenant, &folder).await.unwrap();
    drop(db);
    assert_eq!(report.users, 3);
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    let users = read("directory/tenant.xml");
    assert!(
        users.contains("<user id=\"70\" number-alias=\"70\">")
            && users.contains("name=\"a1&#45;hash\"") | users.contains("name=\"a1-hash\""),
        "{users}"
    );
    let dialplan = read("dialplan/tenant.xml");
    for part in [
        "<context name=\"acme.test\">",
        "<context name=\"public\">",
        "71 XML acme.test",
        "70 XML acme.test",
        "493012345678",
        "name=\"emergency\"",
    ] {
        assert!(dialplan.contains(part), "{part}: {dialplan}");
    }
    assert!(read("autoload_configs/ivr.conf.xml").contains("<menu name="));
    let rooms = read("autoload_configs/conference.conf.xml");
    assert_eq!((rooms.matches("<profile name=").count(), rooms.matches("471147").count()), (2, 1), "{rooms}");
    let sofia = read("autoload_configs/sofia.conf.xml").replace("&#45;", "-");
    assert!(sofia.contains("<gateway name=") && sofia.contains("of-ours") && !sofia.contains("theirs"), "{sofia}");
    assert!(!read("autoload_configs/modules.conf.xml").contains("mod_xml_curl"));
    // The files have hashes and passwords, so nobody else may read them, whatever the umask is.
    let mut folders = vec![folder.clone()];
    let mut files = 0;
    while let Some(next) = folders.pop() {
        assert_eq!(std::fs::metadata(&next).unwrap().permissions().mode() & 0o777, 0o700, "{}", next.display());
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            }
        }
    }
    assert!(files > 8, "{files}");
    // Every file is XML.
    for path in [
        "directory/tenant.xml",
        "dialplan/tenant.xml",
        "autoload_configs/ivr.conf.xml",
        "autoload_configs/conference.conf.xml",
        "autoload_configs/sofia.conf.xml",
    ] {
        let text = read(path);
        let mut reader = quick_xml::Reader::from_str(&text);
        while reader.read_event().unwrap_or_else(|error| panic!("{path}: {error}")) != quick_xml::events::Event::Eof {}
    }
    assert_eq!(stage.node.api("GET", &format!("/v1/tenants/{tenant}"), Value::Null).await.status, 200);
    std::fs::remove_dir_all(&folder).unwrap();
    stage.stop().await;
}
