//! Whatever a tenant chooses, a switch reads our answers as they were meant, and nothing else happens.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use dialplane::{
    model::destination::Target,
    node::changes::{Author, Change},
    people::onboarding,
    telephony::{
        extensions::{self, CreatedExtension},
        groups, numbers,
    },
    text::{ExtensionNumber, GroupName},
};
use md5::{Digest as _, Md5};
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use crate::{
    forms,
    harness::{Answer, Database, Node},
    model::{Element, Switch, text},
    second_reader,
    values::{self, Wanted, WantedTenant},
};

/// Headers that others wrote don't go on.
const OWN_HEADERS: &str = "set sip_copy_custom_headers=false";

/// XC:120, `response-max-bytes`.
const LARGEST: usize = 1024 * 1024;

#[test]
fn what_a_tenant_chose_arrives_as_it_was_meant() {
    let system = actix_web::rt::System::new();
    let node = system.block_on(async { Node::start(&Database::new().await).await });
    let (cases, generated) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let config = Config { cases: 80, max_shrink_iters: 200, ..Config::with_source_file(file!()) };
    let result = TestRunner::new(config).run(&values::tenants(), |wanted| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        generated.fetch_add(2 + wanted.extensions.iter().map(Wanted::count).sum::<usize>(), Ordering::Relaxed);
        system.block_on(async { Tenant::create(&node, wanted, case).await.check().await });
        Ok(())
    });
    system.block_on(node.stop());
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let generated = generated.into_inner();
    assert!(generated >= 2_000, "{generated} texts are too few to prove anything");
}

/// A tenant, with the values that it was created with.
struct Tenant<'n> {
    node: &'n Node,
    id: Uuid,
    domain: String,
    group: String,
    group_number: String,
    extensions: Vec<(Wanted, CreatedExtension)>,
    /// Phone numbers: one for each extension, and the last for the group.
    numbers: Vec<String>,
}

impl<'n> Tenant<'n> {
    async fn create(node: &'n Node, wanted: WantedTenant, case: usize) -> Self {
        let domain = format!("t{case}.{}", wanted.domain);
        let author = Author { name: "test".into(), source: None, within: None };
        let mut change = node.app.changes.begin(author).await.unwrap();
        let new = onboarding::NewTenancy::plain(Some("A tenant".parse().unwrap()), domain.parse().unwrap());
        let id = onboarding::create("", &mut change, new, None).await.unwrap().tenant.id;
        let mut tenant = Self {
            node,
            id,
            domain,
            group: wanted.group.to_string(),
            group_number: "3000".into(),
            extensions: Vec::new(),
            numbers: Vec::new(),
        };
        for wanted in wanted.extensions {
            let created = extensions::create(&mut change, id, wanted.new_extension()).await.unwrap();
            tenant.extensions.push((wanted, created));
        }
        let group = groups::NewGroup {
            name: GroupName::parse(wanted.group.as_str()).unwrap(),
            number: Some(ExtensionNumber::parse(&tenant.group_number).unwrap()),
            ring_seconds: Some(33),
            members: tenant.extensions.iter().map(|(_, created)| created.extension.id).collect(),
            strategy: dialplane::routing::Strategy::All,
            confirm: false,
            follow_forwards: false,
            pickup: false,
            otherwise: None,
        };
        let group = groups::create(&mut change, id, group).await.unwrap().id;
        for place in 0..tenant.extensions.len() {
            let destination = Target::extension(tenant.extensions[place].1.extension.id);
            tenant.number(&mut change, case, destination).await;
        }
        tenant.number(&mut change, case, Target::group(group)).await;
        change.commit().await.unwrap();
        tenant
    }

    async fn number(&mut self, change: &mut Change, case: usize, destination: Target) {
        let number = format!("+49{case:06}{:02}", self.numbers.len());
        let new = numbers::NewNumber::leading(&number.parse().unwrap(), Some(destination));
        numbers::create(change, self.id, new).await.unwrap();
        self.numbers.push(number);
    }

    async fn check(&self) {
        for (place, (wanted, created)) in self.extensions.iter().enumerate() {
            self.check_sign_in(wanted, created).await;
            self.check_profile(wanted, created).await;
            self.check_calls(wanted, &self.numbers[place]).await;
        }
        self.check_many().await;
        self.check_nobody().await;
        for (wanted, _) in &self.extensions {
            self.check_pin(wanted).await;
        }
    }

    async fn check_sign_in(&self, wanted: &Wanted, created: &CreatedExtension) {
        let user = wanted.username.as_str();
        let hash = |realm: &str| {
            let hash = Md5::digest(format!("{user}:{realm}:{}", wanted.secret.reveal()));
            dialplane::text::keyring::hex(&hash)
        };
        let a1 = |realm| pairs(&[("a1-hash", &hash(realm)), ("allow-empty-password", "false")]);
        for realm in [self.domain.as_str(), "Other \"realm\" <!$${domain}"] {
            let mut expected = a1(realm);
            let (name, value) = match wanted.registrations {
                1 => ("sip-allow-multiple-registrations", "false".into()),
                limit => ("max-registrations-per-extension", limit.to_string()),
            };
            expected.insert(name.into(), value);
            let all = self.variables(wanted, created);
            let of_registrations = all.clone().into_iter().filter(|(name, _)| name.starts_with("sip-")).collect();
            let mut of_calls = all;
            let name = Some(wanted.display_name.in_dial_string()).filter(|name| !name.is_empty());
            let name = name.unwrap_or_else(|| wanted.number.clone());
            of_calls.extend(pairs(&[
                ("execute_on_answer_14", &format!("set_profile_var caller_id_name={name}")),
                ("execute_on_answer_15", &format!("set_profile_var caller_id_number={}", wanted.number)),
                ("dialplane_made_by", &format!("{user}@{}", self.domain)),
                ("execute_on_pre_bridge", "transfer_vars:dialplane_made_by"),
                ("inherit_codec", "true"),
            ]));
            for (method, variables) in [("REGISTER", of_registrations), ("INVITE", of_calls)] {
                let tree = self.read(&forms::sign_in_by(method, user, &self.domain, realm)).await;
                let found = self.user(&tree, user);
                assert_eq!(map(found.pairs("params", "param")), expected);
                assert_eq!(map(found.pairs("variables", "variable")), variables);
                assert_eq!(found.attribute("number-alias").unwrap(), wanted.number);
            }
        }
        let tree = self.read(&forms::user(user, &self.domain, "&action=jsonrpc-authenticate")).await;
        let mut expected = a1(self.domain.as_str());
        expected.extend(pairs(&[
            ("verto-context", &self.domain),
            ("verto-dialplan", "XML"),
            ("jsonrpc-allowed-methods", "verto"),
        ]));
        assert_eq!(map(self.user(&tree, user).pairs("params", "param")), expected);
        let tree = self.read(&forms::user(user, &self.domain, "&action=reverse-auth-lookup")).await;
        let expected = pairs(&[
            ("allow-empty-password", "false"),
            ("reverse-auth-user", user),
            ("reverse-auth-pass", wanted.secret.reveal()),
        ]);
        assert_eq!(map(self.user(&tree, user).pairs("params", "param")), expected);
    }

    async fn check_profile(&self, wanted: &Wanted, created: &CreatedExtension) {
        let (user, domain) = (wanted.username.as_str(), &self.domain);
        let number = &wanted.number;
        let codecs = match &wanted.codecs {
            Some(codecs) => format!("absolute_codec_string=^^:{}", codecs.to_string().replace(',', ":")),
            None => "media_mix_inbound_outbound_codecs=true,suppress_cng=true".to_owned(),
        };
        let name = Some(wanted.display_name.in_dial_string()).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| number.clone());
        assert!(name.chars().all(|c| c.is_alphanumeric() || " .-_".contains(c)), "{name}");
        let callee = format!(
            "origination_callee_id_name={name},origination_callee_id_number={number},sip_ignore_remote_cid=true"
        );
        let known =
            format!("dialplane_taken_by={user}@{domain},execute_on_pre_bridge=transfer_vars:dialplane_taken_by");
        let dial_string = format!(
            "{{sip_invite_domain={domain},presence_id={number}@{domain},{callee},{known},{codecs}}}sofia/internal/{user}%{domain}"
        );
        let mut expected = mailbox(wanted);
        expected.insert("dial-string".into(), dial_string);
        let names = [Some(user), Some(wanted.number.as_str()), wanted.alias.as_deref()];
        for name in names.into_iter().flatten() {
            let purposes = ["", "&action=user_call", "&action=message-count", "&purpose=publish-vm"];
            for rest in if name == user { &purposes[..] } else { &purposes[..1] } {
                let tree = self.read(&forms::user(name, domain, rest)).await;
                let found = self.user(&tree, name);
                assert_eq!(found.attribute("id").unwrap(), user);
                assert_eq!(map(found.pairs("params", "param")), expected);
                assert_eq!(map(found.pairs("variables", "variable")), self.variables(wanted, created));
            }
        }
        for name in names.into_iter().flatten().skip(1) {
            let form = forms::user(name, domain, "").replace("key=id", "key=number-alias");
            let tree = self.read(&form).await;
            assert_eq!(tree.user(domain, "number-alias", name).unwrap().attribute("id").unwrap(), user);
        }
    }

    fn variables(&self, wanted: &Wanted, created: &CreatedExtension) -> BTreeMap<String, String> {
        let mut variables =
            wanted.variables.values().map(|v| (v.name().to_owned(), v.value().to_owned())).collect::<BTreeMap<_, _>>();
        let name = wanted.caller_name.as_ref().map_or(wanted.display_name.as_str(), |name| name.as_str());
        let number = wanted.caller_number.as_ref().map_or(wanted.number.as_str(), |number| number.as_str());
        variables.extend(pairs(&[
            ("user_context", &self.domain),
            ("effective_caller_id_name", wanted.display_name.as_str()),
            ("effective_caller_id_number", &wanted.number),
            ("outbound_caller_id_name", name),
            ("outbound_caller_id_number", number),
            ("dialplane_tenant", &self.id.to_string()),
            ("dialplane_extension", &created.extension.id.to_string()),
            ("dialplane_number", &wanted.number),
            ("dialplane_name", wanted.display_name.as_str()),
            ("update_ignore_ua", "true"),
            ("sip_copy_custom_headers", "false"),
        ]));
        if wanted.username.as_str() != wanted.number {
            variables.insert("presence_id".into(), format!("{}@{}", wanted.number, self.domain));
        }
        variables.extend(wanted.codecs.iter().map(|codecs| ("absolute_codec_string".into(), codecs.to_string())));
        variables
    }

    async fn check_calls(&self, wanted: &Wanted, phone_number: &str) {
        let (user, domain) = (wanted.username.as_str(), &self.domain);
        let mut ring = ring(25, wanted.voicemail, &format!("user/{user}@{domain}"));
        ring.insert(0, format!("set dialplane_on_behalf={user}"));
        if wanted.voicemail {
            ring.extend(["answer ".into(), "sleep 500".into(), format!("voicemail default {domain} {user}")]);
        }
        let names = [Some(user), Some(wanted.number.as_str()), wanted.alias.as_deref()];
        // A SIP username of digits is not dialled, unless it is the number as well.
        let is_dialled = |name: &&str| names[1..].contains(&Some(name)) || !name.bytes().all(|b| b.is_ascii_digit());
        for name in names.into_iter().flatten().filter(is_dialled) {
            self.check_call(domain, name, "", "extension", &ring).await;
        }
        let marked = [self.outside_marks(), ring].concat();
        self.check_call("public", phone_number, "", "extension", &marked).await;
        let caller = format!("&variable_user_name={}&variable_domain_name={domain}", forms::encode(user));
        let check = [
            format!("set api_on_answer=vm_fsdb_pref_password_set default {domain} {user} -"),
            format!("set voicemail_callback_context={domain}"),
            "answer ".into(),
            "sleep 500".into(),
            format!("voicemail check default {domain} {user}"),
        ];
        let (name, actions) = if wanted.voicemail {
            ("voicemail", &check[..])
        } else {
            ("no_voicemail", &["hangup UNALLOCATED_NUMBER".into()][..])
        };
        self.check_call(domain, "*97", &caller, name, actions).await;
        self.check_call(domain, &format!("*98{}", wanted.number), &caller, name, actions).await;
    }

    /// The variables that a call from outside has before it rings.
    fn outside_marks(&self) -> Vec<String> {
        let left =
            ["user_name", "dialplane_on_behalf", "dialed_user", "dialed_domain"].map(|name| format!("unset {name}"));
        let marks = ["domain_name", "force_transfer_context"].map(|name| format!("set {name}={}", self.domain));
        left.into_iter().chain(marks).chain(["set inherit_codec=true".to_owned()]).collect()
    }

    async fn check_call(&self, context: &str, number: &str, rest: &str, name: &str, actions: &[String]) {
        let tree = self.read(&forms::call(number, context, rest)).await;
        let found = tree.down(&["section", "context"]).unwrap();
        assert_eq!(found.attribute("name").unwrap(), context);
        let [extension] = &found.children[..] else { panic!("one extension") };
        assert_eq!(extension.attribute("name").unwrap(), name);
        let [condition] = &extension.children[..] else { panic!("one condition") };
        assert!(condition.attributes.is_empty(), "a condition without a field is always true");
        let is_mark = |a: &String| a.starts_with("set dialplane_tenant=") || a == OWN_HEADERS;
        let (marks, told) = condition.children.iter().map(action).partition::<Vec<_>, _>(is_mark);
        assert_eq!(told, actions);
        if name != "unallocated" {
            assert_eq!(marks, [format!("set dialplane_tenant={}", self.id), OWN_HEADERS.to_owned()]);
        }
    }

    async fn check_pin(&self, wanted: &Wanted) {
        let user = wanted.username.as_str();
        for (pin, success) in [("<!$${x}", "false"), (wanted.pin.reveal(), "true")] {
            let tree = self.read(&forms::change_pin(user, &self.domain, pin)).await;
            let found = tree.user(&self.domain, "id", user).unwrap();
            assert_eq!(found.child("result").unwrap().attribute("success").unwrap(), success);
        }
    }

    /// Answers with all extensions: group call, mailboxes, dial-by-name.
    async fn check_many(&self) {
        let (group, domain) = (self.group.as_str(), &self.domain);
        let legs = self.extensions.iter().map(|(wanted, _)| format!("user/{}@{domain}", wanted.username));
        let ring = ring(33, false, &legs.collect::<Vec<_>>().join(","));
        self.check_call(domain, group, "", "group", &ring).await;
        self.check_call(domain, &self.group_number, "", "group", &ring).await;
        let marked = [self.outside_marks(), ring].concat();
        self.check_call("public", self.numbers.last().unwrap(), "", "group", &marked).await;

        let no_password = || pairs(&[("allow-empty-password", "false")]);
        let empty = |_: &Wanted| BTreeMap::new();
        let by_name = |wanted: &Wanted| pairs(&[("directory_full_name", wanted.display_name.as_str())]);
        self.check_users(&forms::group_call(group, domain), group, |_| no_password(), empty).await;
        self.check_users(&forms::directory(domain), "default", |_| no_password(), by_name).await;
        self.check_users(&forms::publish("user=_all_", domain), "default", mailbox, empty).await;
        let named = format!("group={}", forms::encode(group));
        self.check_users(&forms::publish(&named, domain), group, mailbox, empty).await;
    }

    async fn check_users(
        &self,
        form: &str,
        group: &str,
        params: impl Fn(&Wanted) -> BTreeMap<String, String>,
        variables: impl Fn(&Wanted) -> BTreeMap<String, String>,
    ) {
        let tree = self.read(form).await;
        let found = tree.down(&["section", "domain", "groups", "group"]).unwrap();
        assert_eq!(found.attribute("name").unwrap(), group);
        assert_eq!(found.child("users").unwrap().children.len(), self.extensions.len());
        for (wanted, _) in &self.extensions {
            let user = self.user(&tree, wanted.username.as_str());
            assert_eq!(map(user.pairs("params", "param")), params(wanted));
            assert_eq!(map(user.pairs("variables", "variable")), variables(wanted));
        }
    }

    async fn check_nobody(&self) {
        for form in [
            forms::sign_in("nobody", &self.domain, &self.domain),
            forms::user("!nobody", &self.domain, ""),
            forms::user("<!$${domain}", &self.domain, ""),
            forms::group_call("no-such-group", &self.domain),
            forms::publish("group=<!x-pre-process", &self.domain),
        ] {
            let tree = self.read(&form).await;
            assert!(tree.everything().iter().all(|element| element.name() != "user"), "{form}");
            let domain = tree.down(&["section", "domain"]).unwrap();
            assert_eq!(domain.attribute("name").unwrap(), self.domain);
        }
        let nowhere = ["hangup UNALLOCATED_NUMBER".into()];
        self.check_call(&self.domain, "$${system id}", "", "unallocated", &nowhere).await;
        self.check_call("public", "+15550000000", "", "unallocated", &nowhere).await;
        let form =
            format!("section=chatplan&tag_name=&key_name=&key_value=&Event-Name=MESSAGE&context={}", self.domain);
        let context = self.read(&form).await;
        let context = context.down(&["section", "context"]).unwrap();
        assert_eq!((context.attribute("name").unwrap(), context.children.len()), (self.domain.clone(), 0));
    }

    /// Waits until the node is fresh: a node that is detached for a moment says so, and that is not tested here.
    async fn read(&self, form: &str) -> Element {
        let mut answer = self.node.fetch(form).await;
        for _ in 0..20 {
            if answer.status != 503 {
                break;
            }
            answer = self.node.fetch(form).await;
        }
        taken_as_meant(form, &answer)
    }

    /// The user that the switch finds. Exactly one has the name.
    fn user<'t>(&self, tree: &'t Element, name: &str) -> &'t Element {
        let user = tree.user(&self.domain, "id", name).unwrap_or_else(|| panic!("no {name}"));
        assert!(
            user.child("params").is_some() && user.bytes_of("type").is_none() && user.bytes_of("cacheable").is_none()
        );
        user
    }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Each name must occur once, since a switch would take the first of two.
fn map(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    let count = pairs.len();
    let map = pairs.into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(map.len(), count);
    map
}

fn mailbox(wanted: &Wanted) -> BTreeMap<String, String> {
    let mut mailbox = pairs(&[
        ("allow-empty-password", "false"),
        ("vm-enabled", if wanted.voicemail { "true" } else { "false" }),
        ("vm-password", wanted.pin.reveal()),
    ]);
    if let Some(email) = &wanted.email {
        mailbox.extend(pairs(&[
            ("vm-mailto", email.as_str()),
            ("vm-email-all-messages", "true"),
            ("vm-attach-file", "true"),
        ]));
    }
    mailbox
}

/// The only one of our arguments with a `%`.
const RINGBACK: &str = "transfer_ringback=%(1000,4000,425)";

fn ring(seconds: u16, then_voicemail: bool, legs: &str) -> Vec<String> {
    vec![
        format!("set call_timeout={seconds}"),
        format!("set {RINGBACK}"),
        "set hangup_after_bridge=true".into(),
        format!("set continue_on_fail={then_voicemail}"),
        format!("bridge {legs}"),
    ]
}

fn action(action: &Element) -> String {
    assert_eq!(action.name(), "action");
    let data = action.attribute("data").unwrap();
    assert!(data == RINGBACK || !data.contains(['$', '{', '\\', '%', '|', '<']), "{data}");
    format!("{} {data}", action.attribute("application").unwrap())
}

/// Reads an answer as FreeSWITCH does, and checks that nothing is lost, expanded or run. Any other parser must see the same, and so
/// must the switch after it has written the answer out and read it again.
pub fn taken_as_meant(form: &str, answer: &Answer) -> Element {
    let shown = format!("{form}\n{}", answer.text());
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml")), "{shown}");
    assert!(answer.body.len() <= LARGEST, "{} bytes are more than a switch takes", answer.body.len());
    let reading = Switch::new().read(&answer.body);
    assert!(reading.is_untouched(), "{reading:?}");
    assert_eq!(text(&reading.text), answer.text());
    let tree = reading.tree();
    assert_eq!(*tree, second_reader::read(&answer.body), "{shown}");
    for element in tree.everything() {
        assert!(element.text.iter().all(u8::is_ascii_whitespace), "{shown}");
    }
    for element in std::iter::once(tree).chain(tree.everything().into_iter().filter(|e| e.name() == "user")) {
        assert_eq!(element.duplicated().as_ref(), Ok(element), "{shown}");
    }
    tree.clone()
}
