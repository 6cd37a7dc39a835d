//! Being called back instead of waiting in a queue: who may, and what follows the key.

use super::*;
use crate::model::destination::{Prompt, TargetKind};

fn calls_back() -> Plan {
    let config = json!({ "call_back": { "key": "1", "prompt": { "file": "noted.wav" } } });
    plan(&json!({ "settings": { "country": "DE" }, "destinations": { id("queue"): { "config": config } } }))
}

fn routed_as(call: &Call<'_>) -> Routed {
    route(&tenant(), &calls_back(), call, found("3000").as_ref(), &mut Trace::off())
}

/// What is called if a caller with this number presses the key.
fn number(caller: Option<&str>, shown: Option<&str>, withheld: bool) -> Option<String> {
    let caller = caller.map(name);
    let call = Call {
        caller: caller.as_ref(),
        caller_number: shown,
        withheld,
        ..Call::dialling("3000", MONDAY.parse().unwrap())
    };
    let routed = routed_as(&call);
    assert!(routed.varies_by_caller && routed.varies_by_number, "another caller gets another answer");
    let Route::Queue { call_back, .. } = routed.route else { panic!("{:?}", routed.route) };
    call_back.map(|by_key| by_key.number.to_string())
}

#[test]
fn who_shows_a_whole_number_or_has_an_extension_can_be_called_back() {
    for (shown, wanted) in [
        (Some("+4915112345678"), Some("+4915112345678")),
        (Some("004915112345678"), Some("+4915112345678")),
        (Some("015112345678"), Some("+4915112345678")),
        // What is no number of the telephone network could be anything of the tenant's: a code, a colleague, 112.
        (Some("1000"), None),
        (Some("112"), None),
        (Some("*72+4915112345678"), None),
        (Some("anonymous"), None),
        (None, None),
    ] {
        assert_eq!(number(None, shown, false).as_deref(), wanted, "{shown:?}");
        assert_eq!(number(None, shown, true), None, "{shown:?} is withheld");
    }
    assert_eq!(number(Some("1000"), Some("1000"), false).as_deref(), Some("1000"));
    assert_eq!(number(Some("1000"), Some("1000"), true), None);
}

#[test]
fn a_key_ends_the_waiting_only_for_those_who_can_be_called_back() {
    let actions = |withheld| {
        let call =
            Call { caller_number: Some("+4915112345678"), withheld, ..Call::dialling("3000", MONDAY.parse().unwrap()) };
        let run = routed_as(&call).route.actions(&tenant(), Hops::default());
        run.iter().map(|action| format!("{} {}", action.application, action.data)).collect::<Vec<_>>()
    };
    let (queue, own) = (uuid("queue").simple(), actions(false));
    assert!(own.contains(&"set cc_exit_keys=1".to_owned()), "{own:?}");
    assert!(own.contains(&"set dialplane_call_back=+4915112345678".to_owned()), "{own:?}");
    assert_eq!(own.last().unwrap(), &format!("transfer {queue}~left XML acme.test"));
    // Also what a queue before has left there.
    let withheld = actions(true);
    assert!(withheld.contains(&"unset cc_exit_keys".to_owned()), "{withheld:?}");
    assert!(!withheld.iter().any(|action| action.contains("~left")), "{withheld:?}");
}

#[test]
fn whoever_left_a_queue_by_the_key_is_noted_and_everybody_else_goes_on() {
    let id = uuid("queue").simple().to_string();
    let noted = crate::text::DialNumber::parse("+4915112345678").unwrap();
    let left = |left, call_back| {
        let call = Call { left: Some(left), call_back, ..Call::dialling(&id, MONDAY.parse().unwrap()) };
        routed_as(&call)
    };
    let by_key = left(Left::ByKey, Some(&noted));
    assert_eq!(by_key.keep, Keep::Never, "each is noted");
    let prompt = Some(Prompt::File(crate::text::SoundFile::parse("noted.wav").unwrap()));
    assert_eq!(by_key.route, Route::CallBack { queue: uuid("queue"), number: noted.clone(), prompt });
    let then = Some(uuid("box").simple().to_string());
    assert_eq!(left(Left::Otherwise, Some(&noted)).route, Route::Left { then: then.clone() });
    assert_eq!(left(Left::ByKey, None).route, Route::Left { then });
}

#[test]
fn what_is_wrong_with_a_call_back_is_named() {
    let check = |call_back: Value| {
        let config = json!({ "call_back": call_back });
        let read = Config::read(TargetKind::Queue, &config).and_then(|config| config.check());
        read.map_err(|error| format!("{error:?}"))
    };
    assert!(check(json!({ "key": "#" })).is_ok());
    for (wrong, field) in [
        (json!({ "key": "12" }), "key"),
        (json!({ "key": "w" }), "key"),
        (json!({}), "key"),
        (json!({ "key": "1", "attempts": 0 }), "attempts"),
        (json!({ "key": "1", "attempts": 11 }), "attempts"),
        (json!({ "key": "1", "retry_seconds": 1 }), "retry_seconds"),
        (json!({ "key": "1", "keep_hours": 0 }), "keep_hours"),
        (json!({ "key": "1", "show": "030" }), "show"),
    ] {
        let error = check(wrong.clone()).unwrap_err();
        assert!(error.contains(field), "{wrong}: {error}");
    }
}
