//! What a record says about its leg: whose it was, whether it was answered, and for how long.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::record::{Unreadable, Variables};
use crate::{model::channel, telephony::carriers::health};

/// In seconds. A record of a longer call is not believed.
pub const LONGEST: i64 = 31 * 24 * 3600;

/// How many seconds a switch's clock may be ahead of this one, or be set forward while a call goes on.
const AHEAD: i64 = 300;

/// A leg that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leg {
    /// Over a carrier.
    Carried(Carried),
    /// Any other leg.
    Other(Over),
}

/// What a leg's end says about the outbound call that it may have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// Nobody outside took that call.
    pub unanswered: bool,
    /// The leg that this one was connected with last (`SWITCH_LAST_BRIDGE_VARIABLE` in switch_types.h). If this one was transferred away, the
    /// other goes on.
    pub partner: Option<Uuid>,
}

/// A leg over a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    pub carrier: Uuid,
    /// The call that it was made for, and the number that was called.
    pub call: Option<Uuid>,
    pub callee: Option<String>,
    pub answered: bool,
    /// When, by the switch's clock.
    pub answered_at: Option<DateTime<Utc>>,
    /// Whether the carrier failed, as opposed to the called party's answer.
    pub failed: bool,
    pub seconds: i64,
    pub over: Over,
}

impl Leg {
    /// Reads a leg from its record, which came at `received`. Missing values are errors, never taken for an unanswered call.
    pub fn read(record: &Variables, received: DateTime<Utc>) -> Result<Self, Unreadable> {
        let answered = whole(record, "answer_epoch")?;
        // A switch counts billed seconds from the answer, and without one there are none (`switch_channel_set_timestamps` in
        // switch_channel.c). Such a leg must neither be free nor give back what was reserved for its call.
        if answered == Some(0) && whole(record, "billsec").is_ok_and(|billed| billed.is_some_and(|billed| billed > 0)) {
            return Err(Unreadable::Contradiction("answer_epoch"));
        }
        let cause = record.get("hangup_cause");
        let connected = record.get("originate_disposition").is_none_or(|outcome| outcome == "SUCCESS");
        let partner = record.get("last_bridge_to").and_then(|leg| leg.parse().ok());
        let Some(carrier) = id(record, channel::CARRIER)? else {
            if answered.is_none() && cause.is_none() {
                return Err(Unreadable::Missing("hangup_cause"));
            }
            let bridged = whole(record, "bridge_epoch")?.unwrap_or(1) > 0;
            let unanswered = answered.unwrap_or_default() == 0 || !bridged || !connected;
            return Ok(Self::Other(Over { unanswered, partner }));
        };
        let answered_at = answered.ok_or(Unreadable::Missing("answer_epoch"))?;
        let seconds = seconds(record, answered_at, received)?;
        let answered = answered_at > 0;
        Ok(Self::Carried(Carried {
            carrier,
            call: id(record, channel::CALL)?,
            callee: record.get(channel::CALLEE).map(ToOwned::to_owned),
            answered,
            answered_at: DateTime::from_timestamp(answered_at, 0).filter(|_| answered),
            failed: !answered && cause.is_some_and(health::is_trouble),
            seconds,
            // It made a call if somebody transferred it.
            over: Over { unanswered: !connected, partner },
        }))
    }
}

impl Carried {
    /// Whether it lasted longer than there was time for, as the service knows without the switch's clock: its call was admitted at
    /// `admitted`, and its record received at `received`.
    #[must_use]
    pub fn is_too_long(&self, admitted: DateTime<Utc>, received: DateTime<Utc>) -> bool {
        self.seconds > (received - admitted).num_seconds().saturating_add(AHEAD)
    }
}

/// The seconds from answer to end. The switch computes `billsec` from these two times (`switch_channel_set_timestamps` in
/// switch_channel.c), so the times count, and `billsec` only where they are missing. Both times are whole seconds: a call that was answered
/// lasted one second at least, or else it would cost nothing. No call ends after its record was received.
fn seconds(record: &Variables, answered: i64, received: DateTime<Utc>) -> Result<i64, Unreadable> {
    let (billed, ended) = (whole(record, "billsec"), whole(record, "end_epoch")?.filter(|at| *at > 0));
    if answered == 0 {
        return Ok(0);
    }
    if let Some(ended) = ended {
        let lasted = ended - answered;
        return if (0..=LONGEST).contains(&lasted) && ended <= received.timestamp() + AHEAD {
            Ok(lasted.max(1))
        } else {
            Err(Unreadable::Contradiction("end_epoch"))
        };
    }
    let billed = billed?.ok_or(Unreadable::Missing("billsec"))?;
    let most = (received.timestamp() + AHEAD - answered).min(LONGEST);
    if billed > most { Err(Unreadable::Contradiction("billsec")) } else { Ok(billed.max(1)) }
}

/// A whole number of seconds. Systems other than the switch may write decimals.
fn whole(record: &Variables, name: &'static str) -> Result<Option<i64>, Unreadable> {
    let Some(text) = record.get(name) else { return Ok(None) };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = decimals.bytes().all(|b| b.is_ascii_digit());
    let number = whole.parse::<i64>().ok().filter(|number| is_number && (0..=1 << 40).contains(number));
    number.map(Some).ok_or(Unreadable::BadValue(name))
}

fn id(record: &Variables, name: &'static str) -> Result<Option<Uuid>, Unreadable> {
    record.get(name).map(|text| text.parse().map_err(|_| Unreadable::BadValue(name))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARRIER: &str = "00000000-0000-0000-0000-000000000007";

    fn carried(pairs: &[(&'static str, &str)]) -> Result<Carried, Unreadable> {
        let record = json(&[&[(channel::CARRIER, CARRIER)], pairs].concat());
        match Leg::read(&record, "2026-11-26T00:00:00Z".parse().unwrap())? {
            Leg::Carried(leg) => Ok(leg),
            Leg::Other(_) => unreachable!("it has a carrier"),
        }
    }

    fn json(pairs: &[(&'static str, &str)]) -> Variables {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), serde_json::json!(value))).collect();
        let body = serde_json::json!({ "variables": serde_json::Value::Object(pairs) });
        super::super::record::read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_busy_called_party_is_no_failure_of_the_carrier() {
        let leg = |cause, answer| {
            carried(&[("hangup_cause", cause), ("answer_epoch", answer), ("end_epoch", "1790000061")]).unwrap()
        };
        assert!(leg("NORMAL_TEMPORARY_FAILURE", "0").failed);
        assert!(leg("PROGRESS_TIMEOUT", "0").failed);
        assert!(!leg("USER_BUSY", "0").failed && !leg("CALL_REJECTED", "0").failed);
        let answered = leg("NORMAL_CLEARING", "1790000000");
        assert!(answered.answered && !answered.failed && answered.seconds == 61);
    }

    #[test]
    fn the_seconds_of_a_call_are_those_between_its_own_times() {
        let seconds =
            |pairs: &[(&'static str, &str)]| carried(pairs).map(|leg| leg.seconds).map_err(|error| error.to_string());
        let times = [("answer_epoch", "1790000000"), ("end_epoch", "1790000059")];
        for billed in ["59", "59.0", "0", "99999999999", "-1", "abc", ""] {
            assert_eq!(seconds(&[&times[..], &[("billsec", billed)]].concat()), Ok(59), "{billed}");
        }
        assert_eq!(seconds(&times), Ok(59));
        // Answered and hung up at once: the first increment is charged.
        assert_eq!(seconds(&[("answer_epoch", "1790000000"), ("end_epoch", "1790000000")]), Ok(1));
        assert_eq!(seconds(&[("answer_epoch", "1790000000"), ("billsec", "0")]), Ok(1));
        assert_eq!(seconds(&[("answer_epoch", "0"), ("end_epoch", "1790000000")]), Ok(0));
        assert_eq!(seconds(&[("answer_epoch", "0"), ("end_epoch", "1790000000"), ("billsec", "0")]), Ok(0));
        assert_eq!(
            seconds(&[("answer_epoch", "1795651140"), ("end_epoch", "1795651500")]),
            Ok(360),
            "its clock is ahead"
        );
        assert_eq!(seconds(&[("answer_epoch", "1790000000"), ("billsec", "59")]), Ok(59));
        for (pairs, code) in [
            (&[("answer_epoch", "1790000000")][..], "missing: billsec"),
            (&[("billsec", "59")], "missing: answer_epoch"),
            (&[("answer_epoch", "yes"), ("billsec", "59")], "bad_value: answer_epoch"),
            (&[("answer_epoch", "-5"), ("billsec", "59")], "bad_value: answer_epoch"),
            (&[("answer_epoch", "1790000000"), ("billsec", "")], "missing: billsec"),
            (&[("answer_epoch", "1790000000"), ("billsec", "99999999999")], "contradiction: billsec"),
            (&[("answer_epoch", "1795650000"), ("billsec", "9000")], "contradiction: billsec"),
            (&[("answer_epoch", "1790000000"), ("end_epoch", "1789999999")], "contradiction: end_epoch"),
            (&[("answer_epoch", "1"), ("end_epoch", "1790000000")], "contradiction: end_epoch"),
            // The record was received at 1795651200.
            (
                &[("answer_epoch", "1795651140"), ("end_epoch", "1795651501"), ("billsec", "59")],
                "contradiction: end_epoch",
            ),
            (&[("answer_epoch", "1797000000"), ("end_epoch", "1798000000")], "contradiction: end_epoch"),
            (&[("answer_epoch", "1797000000"), ("billsec", "1")], "contradiction: billsec"),
            (&[("answer_epoch", "0"), ("end_epoch", "1790000059"), ("billsec", "59")], "contradiction: answer_epoch"),
        ] {
            let refused = seconds(pairs).unwrap_err();
            let (code, field) = code.split_once(": ").unwrap();
            assert!(refused.starts_with(&format!("{code}: ")) && refused.contains(field), "{pairs:?}: {refused}");
        }
    }

    #[test]
    fn a_leg_lasts_no_longer_than_from_its_calls_admission_to_its_record() {
        let leg = carried(&[("answer_epoch", "1790000000"), ("end_epoch", "1790000400")]).unwrap();
        let received = "2026-11-26T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let after = |seconds| leg.is_too_long(received - chrono::Duration::seconds(seconds), received);
        assert!(after(1) && after(99) && !after(100) && !after(3600));
        assert!(
            leg.is_too_long(DateTime::<Utc>::MAX_UTC, received) && !leg.is_too_long(DateTime::<Utc>::MIN_UTC, received)
        );
    }

    #[test]
    fn a_call_was_unanswered_only_if_its_record_says_so() {
        let read = |pairs: &[(&'static str, &str)]| Leg::read(&json(pairs), Utc::now());
        let unanswered =
            |pairs: &[(&'static str, &str)]| matches!(read(pairs), Ok(Leg::Other(Over { unanswered: true, .. })));
        assert!(unanswered(&[("hangup_cause", "NO_ANSWER")]));
        assert!(unanswered(&[("answer_epoch", "0")]));
        let answered = ("answer_epoch", "1790000000");
        assert!(!unanswered(&[answered]));
        assert!(!unanswered(&[answered, ("bridge_epoch", "1790000000"), ("originate_disposition", "SUCCESS")]));
        // An announcement answered, and then nobody.
        assert!(unanswered(&[answered, ("bridge_epoch", "0")]));
        assert!(unanswered(&[answered, ("bridge_epoch", "1790000000"), ("originate_disposition", "USER_BUSY")]));
        assert_eq!(read(&[]), Err(Unreadable::Missing("hangup_cause")));
        assert_eq!(
            read(&[("answer_epoch", "0"), ("billsec", "59")]),
            Err(Unreadable::Contradiction("answer_epoch")),
            "what was reserved is not given back"
        );
        assert!(unanswered(&[("answer_epoch", "0"), ("billsec", "0")]));
        assert_eq!(read(&[("answer_epoch", "x")]), Err(Unreadable::BadValue("answer_epoch")));
        assert_eq!(read(&[(channel::CARRIER, "x")]), Err(Unreadable::BadValue(channel::CARRIER)));
    }
}
