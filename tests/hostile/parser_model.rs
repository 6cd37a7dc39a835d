//! The model must have every known property of FreeSWITCH's parser.

use crate::model::{Command, Element, Reading, Switch, text};

fn read(document: impl AsRef<[u8]>) -> Reading {
    Switch::new().read(document.as_ref())
}

fn value(document: &str) -> String {
    read(document).tree().attribute("value").unwrap()
}

fn command(name: &str, argument: &str) -> Vec<Command> {
    vec![Command { name: name.into(), argument: argument.into() }]
}

// === What a fetched document can do to a switch ===

#[test]
fn a_global_variable_in_a_fetched_document_is_expanded() {
    let reading = read("<param value=\"secret $${default_password}!\"/>\n");
    assert_eq!(reading.expanded, ["default_password"]);
    assert_eq!(reading.tree().attribute("value").unwrap(), "secret 4711!");
    assert_eq!(value("<param value=\"a$${nobody}b\"/>"), "ab", "one that is not set leaves nothing");
    assert_eq!(value("<param value=\"a$${open b\"/>"), "a$${open b", "one that is not closed stays");
    assert_eq!(value("<param value=\"a${domain}b\"/>"), "a${domain}b");
}

#[test]
fn a_preprocessor_element_in_a_fetched_document_runs_its_command() {
    for name in ["exec", "exec-set", "stun-set", "env-set", "set", "include"] {
        for element in ["X-PRE-PROCESS", "x-pre-process"] {
            let reading = read(format!("<a>\n<{element} cmd=\"{name}\" data=\"x=rm -rf /\"/>\n</a>\n"));
            assert_eq!(reading.commands, command(name, "x=rm -rf /"));
            assert_eq!(text(&reading.text), "<a>\n</a>\n");
        }
    }
}

#[test]
fn a_preprocessor_comment_runs_its_command() {
    for name in ["exec", "exec-set", "stun-set", "set", "include"] {
        let reading = read(format!("<a>x<!--#{name} \"y=id\"-->z</a>\n"));
        assert_eq!(reading.commands, command(name, "y=id"));
        assert_eq!(text(&reading.text), "<a>xz</a>\n");
    }
}

#[test]
fn a_variable_that_a_document_sets_is_expanded_below() {
    let mut switch = Switch::new();
    let reading = switch.read(b"<a>\n<X-PRE-PROCESS cmd=\"set\" data=\"evil = 1\"/>\n<b value=\"$${evil}\"/>\n</a>\n");
    assert_eq!(reading.tree().child("b").unwrap().attribute("value").unwrap(), "1");
    assert_eq!(switch.variable("evil").unwrap(), "1");
}

#[test]
fn cdata_protects_nothing() {
    let reading = read("<a><![CDATA[$${default_password}\n<X-PRE-PROCESS cmd=\"exec\" data=\"id\"/>\n]]></a>\n");
    assert_eq!(reading.commands, command("exec", "id"));
    assert_eq!(text(&reading.tree().text), "4711\n");
}

#[test]
fn a_prolog_takes_its_line_with_it() {
    let document = "<document type=\"freeswitch/xml\">\n</document>\n";
    let same_line = read(format!("<?xml version=\"1.0\"?>{document}"));
    assert!(same_line.tree.is_err());
    assert_eq!(text(&same_line.text), "</document>\n");
    let own_line = read(format!("<?xml version=\"1.0\"?>\n{document}"));
    assert_eq!(own_line.tree().name(), "document");
    assert_eq!(own_line.dropped.len(), 1);
    assert!(read(document).is_untouched());
}

#[test]
fn some_words_take_their_line_with_them() {
    for word in ["<include>", "</include>", "<?"] {
        let reading = read(format!("<a>\n<b value='{word}'/>\n</a>\n"));
        assert!(reading.tree().children.is_empty(), "{word}");
    }
    for word in ["x-pre-process", "X-PRE-PROCESS", "aX-Pre-Processb"] {
        let reading = read(format!("<a>\n<b value=\"{word}\"/>\n</a>\n"));
        assert!(reading.tree().children.is_empty(), "{word}");
        assert_eq!(reading.dropped.len(), 1);
        assert!(reading.commands.is_empty(), "acted on behind a '<' only");
    }
    assert_eq!(value("<a value=\"X&#45;PRE&#45;PROCESS\"/>"), "X-PRE-PROCESS");
}

#[test]
fn an_escaped_start_of_a_comment_becomes_markup_when_written_again() {
    let user = "<user id=\"1\"><variables>\n<variable name=\"a\" value=\"a &lt;!&quot;/&gt;&lt;variable name=&quot;evil&quot; value=&quot;1\"/>\n</variables></user>\n";
    let reading = read(user);
    assert_eq!(reading.tree().pairs("variables", "variable").len(), 1);
    let again = reading.tree().duplicated().unwrap();
    let pairs = again.pairs("variables", "variable");
    assert_eq!(pairs, [("a".into(), "a <!".into()), ("evil".into(), "1".into())]);
}

#[test]
fn a_lookup_takes_the_first_user_that_matches_any_condition() {
    let document = "<document><section name=\"directory\"><domain name=\"Acme.test\"><groups><group name=\"g\"><users>\n\
        <user id=\"1000\" number-alias=\"2000\"/><user id=\"1001\" type=\"pointer\"/><user id=\"1002\"/>\n\
        </users></group></groups></domain></section></document>\n";
    let tree = read(document).tree().clone();
    let found = |key, name| tree.user("acme.test", key, name).and_then(|user| user.attribute("id"));
    assert_eq!(found("id", "1002").as_deref(), Some("1002"));
    assert_eq!(found("id", "2000").as_deref(), Some("1000"), "by number-alias as well");
    assert_eq!(found("number-alias", "1000"), None);
    assert_eq!(found("id", "1001").as_deref(), Some("1001"), "a pointer whose id matches");
    assert_eq!(found("id", "!1000").as_deref(), Some("1000"), "negated: its number-alias is not 1000");
    assert_eq!(found("id", "4711"), None);
    let typed = document.replace("<user id=\"1002\"/>", "<user id=\"1002\" type=\"phone\"/>");
    let tree = read(typed).tree().clone();
    assert_eq!(tree.user("acme.test", "id", "4711").unwrap().attribute("id").unwrap(), "1002", "any name finds a type");
}

// === How a document is read ===

#[test]
fn five_entities_and_numeric_references_are_decoded() {
    assert_eq!(value("<a value=\"&lt;&gt;&quot;&apos;&amp;\"/>"), "<>\"'&");
    assert_eq!(value("<a value=\"&#65;&#x42;&#x1F600;&#xe9;\"/>"), "AB😀é");
    for literal in ["&nbsp;", "&LT;", "&#0;", "&#X41;", "&# 1;", "&#-1;", "&#2147483648;", "&#;", "&lt", "& "] {
        assert_eq!(value(&format!("<a value=\"{literal}\"/>")), literal);
    }
    let longest = read("<a value=\"&#2147483647;\"/>");
    assert_eq!(longest.tree().bytes_of("value").unwrap(), b"\xfd\xbf\xbf\xbf\xbf\xbf");
}

#[test]
fn what_was_decoded_is_not_decoded_again() {
    assert_eq!(value("<a value=\"&amp;#60;&#38;lt;\"/>"), "&#60;&lt;");
}

#[test]
fn a_literal_line_end_in_an_attribute_is_a_space_and_a_reference_is_not() {
    assert_eq!(value("<a value=\"1\n2\t3\r\n4\"/>"), "1 2 3 4");
    assert_eq!(value("<a value=\"1&#10;2&#9;3&#13;4\"/>"), "1\n2\t3\r4");
    let again = read("<a value=\"1&#10;2&#9;3&#13;4\"/>").tree().duplicated().unwrap();
    assert_eq!(again.attribute("value").unwrap(), "1\n2\t3\r4");
}

#[test]
fn two_hyphens_in_a_comment_are_an_error() {
    assert_eq!(read("<a><!-- x -->\n</a>").tree().name(), "a");
    assert_eq!(read("<a><!-- x -- y --></a>").tree.unwrap_err(), "unclosed <!--");
}

#[test]
fn a_preprocessor_comment_reaches_over_lines() {
    let reading = read("<a>\n<b/><!--#exec id\n<c/>\n--><d/>\n</a>\n");
    assert_eq!(reading.tree().children.iter().map(Element::name).collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(reading.commands, command("exec", "id"));
    assert_eq!(reading.dropped.len(), 3);
}

#[test]
fn cdata_is_taken_as_it_stands() {
    assert_eq!(text(&read("<a><![CDATA[<b>&lt;]]></a>").tree().text), "<b>&lt;");
}

#[test]
fn of_two_attributes_with_one_name_the_first_counts() {
    let reading = read("<a value=\"1\" value=\"2\"/>");
    assert_eq!(reading.tree().attribute("value").unwrap(), "1");
    assert_eq!(text(&reading.tree().written()), "<a value=\"1\"></a>\n");
}

#[test]
fn encodings_are_ignored_but_two_bytes_mean_utf_16() {
    assert_eq!(read(b"<a value=\"\xe9\xff\"/>\n").tree().bytes_of("value").unwrap(), b"\xe9\xff");
    assert_eq!(read("\u{feff}<a value=\"1\"/>").tree().name(), "a", "a byte order mark is text before the root");
    for mark in [[0xfe, 0xff], [0xff, 0xfe]] {
        assert_eq!(read(mark).tree.unwrap_err(), "UTF-16 is not modelled");
    }
}

#[test]
fn a_nul_ends_its_line() {
    let reading = read("<a>\n<b/>\0<c/>\n</a>\n");
    assert_eq!(text(&reading.text), "<a>\n<b/></a>\n");
    assert_eq!(reading.dropped.len(), 1);
}

#[test]
fn names_have_a_case_and_looked_up_values_have_none() {
    let tree = read(
        "<document><section name=\"Directory\"><domain name=\"A\"><user ID=\"x\" id=\"Y\"/></domain></section></document>",
    );
    assert!(tree.tree().user("a", "id", "y").is_some());
    assert!(tree.tree().user("a", "id", "x").is_none());
}

#[test]
fn a_dollar_as_a_reference_escapes_the_preprocessor() {
    let reading = read("<a value=\"&#36;&#36;{domain} &#36;${domain}\"/>");
    assert!(reading.is_untouched());
    assert_eq!(reading.tree().attribute("value").unwrap(), "$${domain} $${domain}");
}

#[test]
fn a_line_over_a_mebibyte_is_split_and_loses_a_byte() {
    let long = |length: usize| format!("<a value=\"{}\"/>\n", "x".repeat(length));
    assert!(read(long(1_000_000)).is_untouched());
    let reading = read(long(1024 * 1024));
    assert_eq!(reading.dropped, ["x"]);
    assert_eq!(reading.tree().attribute("value").unwrap().len(), 1024 * 1024 - 1);
}

#[test]
fn text_behind_adjacent_elements_is_written_more_than_once() {
    let again = read("<a><b/><c/>text</a>").tree().duplicated().unwrap();
    assert_eq!(text(&again.text).matches("text").count(), 3);
}

/// Where FreeSWITCH does more than the model, the model refuses the document: our answers must not lead there.
#[test]
fn what_is_not_modelled_is_refused() {
    assert_eq!(read("<!DOCTYPE a [<!ENTITY b \"c\">]>\n<a/>").tree.unwrap_err(), "a DOCTYPE is not modelled");
    assert_eq!(read("$${}<?x?><a/>").tree.unwrap_err(), "a processing instruction is not modelled");
}

#[test]
fn broken_documents_are_errors() {
    for broken in ["", "x", "<a>", "<a></b>", "<a/><b/>", "<a value=\"1/>", "<a", "</a>", "<1/>", "<a><![CDATA[x</a>"] {
        assert!(read(broken).tree.is_err(), "{broken}");
    }
}
