//! The commands that act on calls, as the switch's API takes them.
//!
//! Their arguments are split at spaces, and a line break would begin another command (`mod_event_socket.c`). So each part has a type that has
//! neither: UUIDs, numbers that can be dialled, names of phones, domains, and constants.

use std::fmt;

use uuid::Uuid;

use crate::{
    model::{channel, device::Only},
    routing::{self, AFTER, CONSENT, MESSAGE, address, transfers::BACK},
    text::{DeviceId, DialNumber, Dialable, Domain, E164, ExtensionNumber, Keys, SipUsername},
};

/// Where a leg is sent in its tenant's dialplan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Number(Dialable),
    /// The mailbox of an extension.
    Mailbox(SipUsername),
    /// The phone of whoever put the call aside.
    Back(SipUsername),
    /// Where the calls of an extension go that nobody takes.
    After(SipUsername),
    /// A destination, by its id.
    Destination(Uuid),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Mailbox(user) => write!(f, "{user}{MESSAGE}"),
            Self::Back(user) => write!(f, "{user}{BACK}"),
            Self::After(user) => write!(f, "{user}{AFTER}"),
            Self::Destination(id) => write!(f, "{}", id.simple()),
        }
    }
}

/// The file of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording(String);

impl Recording {
    /// A new one in the switch's folder for recordings: of a leg, begun at a time in seconds since 1970.
    #[must_use]
    pub fn new(leg: Uuid, at: i64) -> Self {
        Self(format!("recordings/{leg}-{at}.wav"))
    }

    /// Whether somebody began it during the call, or had the call made with it. Routing names its own by the leg alone, and the leg of a call by
    /// a click is not its own.
    #[must_use]
    pub fn is_by_people(leg: Uuid, file: &str) -> bool {
        let name = file.rsplit('/').next().unwrap_or_default();
        let at = name.strip_prefix(&format!("{leg}-")).and_then(|rest| rest.strip_suffix(".wav"));
        at.is_some_and(|at| !at.is_empty() && at.bytes().all(|b| b.is_ascii_digit()))
    }

    /// One that a switch named. A name that an argument can't hold is left alone.
    #[must_use]
    pub fn heard(file: &str) -> Option<Self> {
        let is_plain = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-'));
        (is_plain && !file.is_empty()).then(|| Self(file.to_owned()))
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is done with a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tape {
    Start,
    Stop,
    /// It goes on with silence, so that its times stay those of the call.
    Mask,
    Unmask,
}

/// How a supervisor takes part in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SupervisionMode)]
pub enum Mode {
    /// Hears both, and is heard by nobody.
    Listen,
    /// Is heard by the agent only.
    Whisper,
    /// Is heard by both.
    Barge,
}

impl Mode {
    fn application(self) -> &'static str {
        match self {
            Self::Listen | Self::Whisper => "eavesdrop",
            Self::Barge => "three_way",
        }
    }
}

/// That a call is recorded from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Whether whom it calls hears a tone first.
    pub consent_tone: bool,
}

/// What a phone does that is called first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// It calls a number as if its keys had been pressed.
    Calls { to: Dialable, shows: Option<E164>, records: Option<Recorded> },
    /// It takes part in the call of a leg.
    Supervises { leg: Uuid, mode: Mode, is_announced: bool },
}

/// Calls a phone, and has it do something once it has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placing {
    /// The UUID of its leg, and so of the call.
    pub leg: Uuid,
    pub user: SipUsername,
    pub number: ExtensionNumber,
    pub domain: Domain,
    /// Whether it has several devices. A leg whose UUID is given beforehand is one: the others would end at once.
    pub has_several: bool,
    pub seconds: u16,
    pub then: Then,
}

/// Calls one device of a phone, which answers by itself because it asked for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BringBack {
    /// The UUID of the new leg.
    pub leg: Uuid,
    pub user: SipUsername,
    pub number: ExtensionNumber,
    pub domain: Domain,
    pub device: DeviceId,
    /// By what the page knows that this is the call it asked for: nobody else knows it.
    pub mark: Uuid,
}

/// For how long a supervisor's phone waits until both sides are told, in seconds. If nobody tells them, the leg ends, and has heard nothing.
const UNANNOUNCED: u16 = 25;
/// For how long both sides hear that, in milliseconds: two tones of 200 with a pause of 100 after each.
const ANNOUNCED: u16 = 700;

/// For how long a page has to answer, in seconds. It does so by itself.
const ANSWERS: u16 = 8;

/// A command that acts on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    HangUp(Uuid),
    Hold(Uuid),
    Resume(Uuid),
    Mute(Uuid),
    Unmute(Uuid),
    /// Sends the leg's partner. The leg itself ends.
    SendPartner(Uuid, Place, Domain),
    Send(Uuid, Place, Domain),
    /// Has the leg call a number outside on behalf of an extension. If nobody takes it there, it goes back into the queue where it waited.
    SendOutside {
        leg: Uuid,
        to: DialNumber,
        payer: SipUsername,
        back: Option<Uuid>,
        domain: Domain,
    },
    /// The leg's phone makes calls for itself from now on, whatever the leg was before, and stays if whom it calls hangs up.
    OnItsOwn(Uuid, SipUsername, Domain),
    /// The leg calls a number, while its partner hears music. If that lasts too long, the partner goes back to the leg's phone.
    Consult {
        leg: Uuid,
        to: Dialable,
        back: SipUsername,
        domain: Domain,
    },
    /// The leg's phone is away. Its leg waits for it, and its partner hears music for this many seconds, and is sent on then.
    Keep {
        leg: Uuid,
        seconds: u16,
        then: Place,
        domain: Domain,
    },
    /// Calls a page that has lost a call and asks for it. It waits there for the call.
    BringBack(BringBack),
    /// It ends again when its partner does.
    EndsWithPartner(Uuid),
    Wait(Uuid),
    Connect(Uuid, Uuid),
    /// The leg joins the conversation of another and its partner.
    Join(Uuid, Uuid),
    Press(Uuid, Keys),
    Record(Uuid, Tape, Recording),
    /// All recordings of a leg, also those that this node has not heard of.
    StopRecording(Uuid),
    /// Stays with the call when it is transferred, with each side in a channel of its own.
    RecordWell(Uuid),
    /// Both sides hear that somebody will listen.
    Announce(Uuid),
    /// A supervisor's leg that waits takes part in the call of another leg, once both sides have heard that.
    TakePart {
        leg: Uuid,
        watched: Uuid,
        mode: Mode,
    },
    /// Both sides hear that they are recorded.
    Consent(Uuid),
    /// A leg without a phone waits in a queue (ID and domain), for somebody with this number who has waited so many seconds there.
    HoldPlace {
        leg: Uuid,
        queue: Uuid,
        domain: Domain,
        number: DialNumber,
        waited: u32,
    },
    /// A phone that has answered calls a number, as if its keys had been pressed.
    CallBack {
        leg: Uuid,
        user: SipUsername,
        domain: Domain,
        to: DialNumber,
        shows: Option<E164>,
    },
    Place(Placing),
}

/// For how long a number outside rings.
const RINGS: u16 = 60;

/// What an agent's phone shows besides the number of whoever is called back.
const CALL_BACK_NAME: &str = "Callback";

/// For how long somebody who was put aside hears music, and then as long a tone now and then.
const ASIDE: u16 = 600;

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HangUp(leg) => write!(f, "uuid_kill {leg} NORMAL_CLEARING"),
            Self::Hold(leg) => write!(f, "uuid_hold {leg}"),
            Self::Resume(leg) => write!(f, "uuid_hold off {leg}"),
            Self::Mute(leg) => write!(f, "uuid_audio {leg} start read mute 1"),
            Self::Unmute(leg) => write!(f, "uuid_audio {leg} stop"),
            Self::SendPartner(leg, to, domain) => write!(f, "uuid_transfer {leg} -bleg {to} XML {domain}"),
            Self::Send(leg, to, domain) => write!(f, "uuid_transfer {leg} {to} XML {domain}"),
            // A call of its own besides, so that whatever ends that does not end this one.
            Self::SendOutside { leg, to, payer, back, domain } => {
                write!(
                    f,
                    "uuid_transfer {leg} 'm:|:set:hangup_after_bridge=true|set:continue_on_fail=true|set:ignore_early_media=true\
                     |set:loopback_no_pre_answer=true|set:transfer_ringback={}|set:call_timeout={RINGS}|bridge:{}",
                    routing::RINGING,
                    routing::on_behalf(payer, to, domain),
                )?;
                if let Some(queue) = back {
                    write!(f, "|transfer:{} XML {domain}", queue.simple())?;
                }
                f.write_str("' inline")
            }
            Self::OnItsOwn(leg, user, domain) => {
                let (made, taken) = (channel::MADE_BY, channel::TAKEN_BY);
                write!(
                    f,
                    "uuid_setvar_multi {leg} {made}={user}@{domain};{taken}=;{}=;{}=;{}=;execute_on_pre_bridge=transfer_vars:{made};park_after_bridge=true",
                    channel::ON_BEHALF,
                    channel::BACK,
                    channel::HOPS,
                )
            }
            // `m:^:` is the separator of inline applications (`inline_dialplan_hunt` in mod_dptools.c), as tones have commas.
            Self::Consult { leg, to, back, domain } => write!(
                f,
                "uuid_dual_transfer {leg} {to}/XML/{domain} 'm:^:set:playback_timeout_sec={ASIDE}^playback:local_stream://default\
                 ^playback:tone_stream://%(100,9900,440);loops=60^transfer:{} XML {domain}/inline'",
                Place::Back(back.clone()),
            ),
            // A file follows the next in `file_string` (mod_dptools.c), here if the first can't be played, and both share the time. The leg itself
            // waits a little longer than its partner, who may come back to it until then.
            Self::Keep { leg, seconds, then, domain } => write!(
                f,
                "uuid_dual_transfer {leg} 'm:^:set:park_timeout={}:NORMAL_CLEARING^park:/inline' \
                 'm:^:set:playback_timeout_sec={seconds}^playback:file_string://local_stream://default!tone_stream://%(100,9900,440);loops=60\
                 ^unset:playback_timeout_sec^unset:{}^set:originate_disposition=NO_ANSWER^transfer:{then} XML {domain}/inline'",
                seconds + ANSWERS,
                channel::TAKEN_BY,
            ),
            Self::BringBack(BringBack { leg, user, number, domain, device, mark }) => write!(
                f,
                "originate {{origination_uuid={leg},originate_timeout={ANSWERS},ignore_early_media=true,user_name={user},domain_name={domain},\
                 user_context={domain},origination_caller_id_number={number},origination_caller_id_name={number},sip_auto_answer=true,\
                 sip_h_X-Dialplane-Call={mark}}}user/{user}{}@{domain} park: inline",
                Only::Again(*device),
            ),
            Self::EndsWithPartner(leg) => write!(f, "uuid_setvar_multi {leg} park_after_bridge=;playback_timeout_sec="),
            Self::Wait(leg) => write!(f, "uuid_transfer {leg} park: inline"),
            Self::Connect(one, other) => write!(f, "uuid_bridge {one} {other}"),
            Self::Join(leg, with) => write!(f, "uuid_transfer {leg} three_way:{with} inline"),
            Self::Press(leg, keys) => write!(f, "uuid_send_dtmf {leg} {keys}"),
            Self::Record(leg, tape, file) => {
                let how = match tape {
                    Tape::Start => "start",
                    Tape::Stop => "stop",
                    Tape::Mask => "mask",
                    Tape::Unmask => "unmask",
                };
                write!(f, "uuid_record {leg} {how} {file}")
            }
            Self::StopRecording(leg) => write!(f, "uuid_record {leg} stop all"),
            Self::RecordWell(leg) => {
                write!(f, "uuid_setvar_multi {leg} RECORD_STEREO=true;recording_follow_transfer=true")
            }
            Self::Announce(leg) => write!(f, "uuid_broadcast {leg} tone_stream://%(200,100,800);loops=2 both"),
            Self::TakePart { leg, watched, mode } => {
                write!(f, "uuid_transfer {leg} 'm:^:sleep:{ANNOUNCED}^{}:{watched}' inline", mode.application())
            }
            Self::Consent(leg) => write!(f, "uuid_broadcast {leg} {CONSENT} both"),
            // The name says to the agent why their phone rings, and is what it shows once they have answered, too: a leg that was
            // originated has no callee's name of its own (`switch_ivr_originate` in switch_ivr_originate.c). Its music is silence, and it
            // ends when the agent leaves it.
            Self::HoldPlace { leg, queue, domain, number, waited } => write!(
                f,
                "originate {{origination_uuid={leg},process_cdr=false,origination_caller_id_number={number},\
                 origination_caller_id_name={CALL_BACK_NAME},effective_caller_id_number={number},\
                 effective_caller_id_name={CALL_BACK_NAME},origination_callee_id_number={number},\
                 origination_callee_id_name={CALL_BACK_NAME},cc_base_score={waited},cc_moh_override=silence_stream://-1,\
                 hangup_after_bridge=true}}null/call-back 'callcenter:{}' inline",
                address(*queue, domain),
            ),
            Self::CallBack { leg, user, domain, to, shows } => {
                let made = channel::MADE_BY;
                write!(
                    f,
                    "uuid_transfer {leg} 'm:^:set:{made}={user}@{domain}^unset:{}^unset:{}^unset:{}^unset:{}^set:{}={to}",
                    channel::TAKEN_BY,
                    channel::ON_BEHALF,
                    channel::BACK,
                    channel::HOPS,
                    channel::PLACES,
                )?;
                if let Some(number) = shows {
                    write!(f, "^set:{}={number}", channel::SHOWS)?;
                }
                write!(
                    f,
                    "^set:hangup_after_bridge=true^set:execute_on_pre_bridge=transfer_vars:{made}^transfer:{to} XML {domain}' inline"
                )
            }
            Self::Place(placing) => placing.fmt(f),
        }
    }
}

/// Variables in braces have only letters, digits and `@._+*#:/=-`: a switch reads all others in its own way there
/// (`switch_event_create_brackets` in switch_event.c).
impl fmt::Display for Placing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leg, user, number, domain, has_several, seconds, then } = self;
        let only = if *has_several { Only::Any.to_string() } else { String::new() };
        write!(
            f,
            "originate {{origination_uuid={leg},originate_timeout={seconds},ignore_early_media=true,user_name={user},domain_name={domain},user_context={domain}"
        )?;
        match then {
            Then::Calls { to, shows, records } => {
                write!(
                    f,
                    ",origination_caller_id_number={to},origination_caller_id_name={to},{}={to}",
                    channel::PLACES
                )?;
                if let Some(number) = shows {
                    write!(f, ",{}={number}", channel::SHOWS)?;
                }
                let made = channel::MADE_BY;
                write!(
                    f,
                    "}}user/{user}{only}@{domain} 'm:^:set:{made}={user}@{domain}^unset:{}^set:execute_on_pre_bridge=transfer_vars:{made}",
                    channel::TAKEN_BY
                )?;
                if let Some(Recorded { consent_tone }) = records {
                    if *consent_tone {
                        write!(
                            f,
                            "^set:bridge_pre_execute_bleg_app=playback^set:bridge_pre_execute_bleg_data={CONSENT}"
                        )?;
                    }
                    write!(
                        f,
                        "^set:RECORD_STEREO=true^set:recording_follow_transfer=true^record_session:{}",
                        Recording::new(*leg, 0)
                    )?;
                }
                write!(f, "^transfer:{to} XML {domain}' inline")
            }
            Then::Supervises { leg: watched, mode, is_announced } => {
                write!(f, ",origination_caller_id_number={number},origination_caller_id_name={number}")?;
                // The keys that change the mode would end or change what somebody else has asked for.
                let keys = match mode {
                    Mode::Listen => ",eavesdrop_enable_dtmf=false",
                    // Mixed into what is written to the leg, so that its phone hears it (`eavesdrop_callback` in switch_ivr_async.c).
                    Mode::Whisper => ",eavesdrop_enable_dtmf=false,eavesdrop_whisper_bleg=true",
                    Mode::Barge => "",
                };
                write!(f, "{keys}}}user/{user}{only}@{domain} ")?;
                if *is_announced {
                    // It is connected with nobody until a node has told both sides. If no node does, it never is.
                    write!(f, "'m:^:set:park_timeout={UNANNOUNCED}:NORMAL_CLEARING^park:' inline")
                } else {
                    write!(f, "'{}:{watched}' inline", mode.application())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placing(then: Then) -> String {
        let parsed = (SipUsername::parse("u7k"), ExtensionNumber::parse("1000"), Domain::parse("acme.test"));
        let (user, number, domain) = (parsed.0.unwrap(), parsed.1.unwrap(), parsed.2.unwrap());
        Order::Place(Placing { leg: Uuid::nil(), user, number, domain, has_several: false, seconds: 30, then })
            .to_string()
    }

    #[test]
    fn the_phone_is_called_first_and_then_calls_as_itself() {
        let to = Dialable::parse("+498912345678").unwrap();
        let said = placing(Then::Calls {
            to,
            shows: E164::parse("+493012345678").ok(),
            records: Some(Recorded { consent_tone: true }),
        });
        assert_eq!(
            said,
            "originate {origination_uuid=00000000-0000-0000-0000-000000000000,originate_timeout=30,ignore_early_media=true,user_name=u7k,\
             domain_name=acme.test,user_context=acme.test,origination_caller_id_number=+498912345678,\
             origination_caller_id_name=+498912345678,dialplane_places=+498912345678,dialplane_shows=+493012345678}user/u7k@acme.test \
             'm:^:set:dialplane_made_by=u7k@acme.test^unset:dialplane_taken_by^set:execute_on_pre_bridge=transfer_vars:dialplane_made_by\
             ^set:bridge_pre_execute_bleg_app=playback^set:bridge_pre_execute_bleg_data=tone_stream://%(400,0,1400)\
             ^set:RECORD_STEREO=true^set:recording_follow_transfer=true^record_session:recordings/00000000-0000-0000-0000-000000000000-0.wav\
             ^transfer:+498912345678 XML acme.test' inline"
        );
    }

    #[test]
    fn a_place_in_a_queue_is_held_until_an_agents_phone_calls_whoever_waited() {
        let (domain, number) = (Domain::parse("acme.test").unwrap(), DialNumber::parse("+4915112345678").unwrap());
        let (leg, queue) = (Uuid::nil(), Uuid::max());
        let held = Order::HoldPlace { leg, queue, domain: domain.clone(), number: number.clone(), waited: 75 };
        assert_eq!(
            held.to_string(),
            "originate {origination_uuid=00000000-0000-0000-0000-000000000000,process_cdr=false,\
             origination_caller_id_number=+4915112345678,origination_caller_id_name=Callback,\
             effective_caller_id_number=+4915112345678,effective_caller_id_name=Callback,\
             origination_callee_id_number=+4915112345678,origination_callee_id_name=Callback,cc_base_score=75,\
             cc_moh_override=silence_stream://-1,hangup_after_bridge=true}null/call-back \
             'callcenter:ffffffffffffffffffffffffffffffff.acme.test' inline"
        );
        let user = SipUsername::parse("u7k").unwrap();
        let calls = Order::CallBack { leg, user, domain, to: number, shows: E164::parse("+493012345678").ok() };
        let calls = calls.to_string();
        assert!(calls.starts_with(
            "uuid_transfer 00000000-0000-0000-0000-000000000000 'm:^:set:dialplane_made_by=u7k@acme.test^"
        ));
        assert!(calls.contains("^set:dialplane_shows=+493012345678^"), "{calls}");
        assert!(calls.ends_with("^transfer:+4915112345678 XML acme.test' inline"), "{calls}");
    }

    fn supervises(mode: Mode) -> Then {
        Then::Supervises { leg: Uuid::nil(), mode, is_announced: false }
    }

    #[test]
    fn whoever_whispers_is_mixed_into_what_the_agents_phone_hears() {
        let whisper = placing(supervises(Mode::Whisper));
        assert!(whisper.contains("eavesdrop_whisper_bleg=true}") && whisper.ends_with(" inline"), "{whisper}");
        assert!(!placing(supervises(Mode::Listen)).contains("whisper"));
        assert!(placing(supervises(Mode::Barge)).contains("'three_way:"));
    }

    #[test]
    fn nobody_listens_before_both_sides_were_told_if_they_are_to_be() {
        let (leg, watched) = (Uuid::nil(), Uuid::max());
        for (mode, application) in
            [(Mode::Listen, "eavesdrop"), (Mode::Whisper, "eavesdrop"), (Mode::Barge, "three_way")]
        {
            let said = placing(Then::Supervises { leg: watched, mode, is_announced: true });
            assert!(said.ends_with("@acme.test 'm:^:set:park_timeout=25:NORMAL_CLEARING^park:' inline"), "{said}");
            assert!(!said.contains(&watched.to_string()) && !said.contains("three_way"), "{said}");
            let then = Order::TakePart { leg, watched, mode }.to_string();
            assert_eq!(then, format!("uuid_transfer {leg} 'm:^:sleep:700^{application}:{watched}' inline"));
        }
    }

    #[test]
    fn whoever_is_sent_outside_goes_back_into_the_queue_if_nobody_takes_the_call() {
        let parsed = (DialNumber::parse("+498912345678"), SipUsername::parse("u7k"), Domain::parse("acme.test"));
        let (to, payer, domain) = (parsed.0.unwrap(), parsed.1.unwrap(), parsed.2.unwrap());
        let order = |back| {
            let (to, payer, domain) = (to.clone(), payer.clone(), domain.clone());
            Order::SendOutside { leg: Uuid::nil(), to, payer, back, domain }.to_string()
        };
        let said = order(Some(Uuid::from_u128(5)));
        assert!(said.starts_with("uuid_transfer 00000000-0000-0000-0000-000000000000 'm:|:set:"), "{said}");
        assert!(said.contains("!dialplane_on_behalf=u7k!"), "{said}");
        assert!(said.contains("]loopback/+498912345678/acme.test/XML|transfer:"), "{said}");
        assert!(said.ends_with("|transfer:00000000000000000000000000000005 XML acme.test' inline"), "{said}");
        // What separates applications, arguments and names has no other meaning in any of them.
        assert!(said.matches('\'').count() == 2 && said.matches(' ').count() == 5, "{said}");
        assert!(order(None).ends_with("]loopback/+498912345678/acme.test/XML' inline"));
    }

    #[test]
    fn keys_are_only_keys() {
        for wrong in ["", "12 3", "1\n\nexit", "1;2", "~", &"1".repeat(41)] {
            assert!(Keys::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(Keys::parse("12w*#D").is_ok());
    }
}
