//! The applications that a dialplan entry may have a switch run, each with the type of its argument. XML entries are
//! checked against this list, and so are imported dialplans; the steps of other entries are part of it.
//!
//! Any other application is refused, and so is an argument of another type: a switch expands variables and API calls in
//! every argument (`switch_core_session_exec` in switch_core_session.c), splits it, and reads parts of it as files,
//! applications or contexts. docs/dialplan-xml.md says where the switch reads each argument.

use super::{
    actions::RECORDING,
    entries::{Cause, DialTemplate, Step},
};
use crate::{
    model::destination::Prompt,
    text::{
        CallVariable, Code, DialNumber, Domain, SipUsername, SoundFile, StreamName, TextError, Why,
        call_variable_names, is_tone,
    },
};

/// Replaces the tenant's own domain, which may change, in a kept argument.
pub const DOMAIN: &str = "{domain}";

/// The context that an argument is checked in.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tenant's domain, the only one that may be named. `None` for kept arguments, which name it only by [`DOMAIN`].
    pub domain: Option<&'a Domain>,
    /// For each of the pattern's groups, whether it matches only what can be dialled. `$1` may refer only to such a group.
    pub groups: &'a [bool],
}

/// Why an application of an imported dialplan is no step of an entry: a sentence without its subject, which is the entry.
pub type Refused = String;

/// The type of an application's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Nothing,
    Number {
        least: u32,
        most: u32,
    },
    /// A hangup cause, or nothing.
    Cause,
    /// The status of a SIP response that refuses.
    Status,
    Sound,
    /// A variable and its value.
    Set,
    Unset,
    /// A number to dial, in the tenant's own context.
    Dialled,
    DialString,
    Mailbox,
    /// A destination of the tenant.
    Address,
    Conference,
    ParkingLot,
    /// An extension of the tenant.
    Neighbour,
    /// The call's own recording.
    Recording,
    /// `+SECONDS`, and optionally a hangup cause.
    Deadline,
    Volume,
    Keys,
    Privacy,
}

/// All allowed applications. Deliberately missing are those that run programs or scripts, call the switch's API, bind or
/// schedule other applications, write to a path in the argument, leave the tenant's context, or act on other calls.
const KNOWN: &[(&str, Argument)] = &[
    ("answer", Argument::Nothing),
    ("bridge", Argument::DialString),
    ("callcenter", Argument::Address),
    ("conference", Argument::Conference),
    ("deduplicate_dtmf", Argument::Nothing),
    ("delay_echo", Argument::Number { least: 1, most: 10_000 }),
    ("echo", Argument::Nothing),
    ("endless_playback", Argument::Sound),
    ("execute_extension", Argument::Dialled),
    ("export", Argument::Set),
    ("flush_dtmf", Argument::Nothing),
    ("hangup", Argument::Cause),
    ("info", Argument::Nothing),
    ("ivr", Argument::Address),
    ("park", Argument::Nothing),
    ("pickup", Argument::Neighbour),
    ("playback", Argument::Sound),
    ("pre_answer", Argument::Nothing),
    ("privacy", Argument::Privacy),
    ("queue_dtmf", Argument::Keys),
    ("record_session", Argument::Recording),
    ("respond", Argument::Status),
    ("ring_ready", Argument::Nothing),
    ("sched_hangup", Argument::Deadline),
    ("send_dtmf", Argument::Keys),
    ("set", Argument::Set),
    ("set_audio_level", Argument::Volume),
    ("sleep", Argument::Number { least: 0, most: 65_535 }),
    ("start_dtmf", Argument::Nothing),
    ("start_dtmf_generate", Argument::Nothing),
    ("stop_dtmf", Argument::Nothing),
    ("stop_dtmf_generate", Argument::Nothing),
    ("stop_record_session", Argument::Recording),
    ("transfer", Argument::Dialled),
    ("unset", Argument::Unset),
    ("valet_park", Argument::ParkingLot),
    ("voicemail", Argument::Mailbox),
];

/// The names of the applications, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name)
}

/// Returns the argument as it is kept, if the application is in the list and the argument is of its type.
pub fn check(application: &str, data: &str, place: &Place<'_>) -> Result<String, Why> {
    let Some((name, argument)) = KNOWN.iter().find(|(name, _)| *name == application) else {
        return Err(Code::XmlApplicationRefused.with("application", short(application)));
    };
    let wrong = |why: Why| Code::XmlArgumentRefused.because(why).with("data", short(data)).with("application", name);
    let is_number = |text: &str, least, most| number(text).is_some_and(|number| (least..=most).contains(&number));
    let if_fine = |is_fine: bool| is_fine.then(|| data.to_owned());
    let (kept, takes) = match *argument {
        Argument::Nothing => (if_fine(data.is_empty()), Code::TakesNothing.into()),
        Argument::Number { least, most } => {
            (if_fine(is_number(data, least, most)), Code::TakesNumber.with("least", least).with("most", most))
        }
        Argument::Cause => (if_fine(data.is_empty() || is_cause(data)), Code::TakesCause.into()),
        Argument::Status => (if_fine(data.len() == 3 && is_number(data, 400, 699)), Code::TakesStatus.into()),
        Argument::Sound => (if_fine(is_sound(data)), Code::TakesSound.into()),
        Argument::Set => return set(data).map_err(wrong),
        Argument::Unset => (if_fine(call_variable_names().any(|known| known == data)), Code::TakesVariable.into()),
        Argument::Dialled => (dialled_on(data, place), Code::TakesDialled.into()),
        Argument::DialString => (dial_string(data, place), Code::TakesDialString.into()),
        Argument::Mailbox => (mailbox(data, place), Code::TakesMailbox.into()),
        Argument::Address => (address(data, place), Code::TakesDestination.into()),
        Argument::Conference => (conference(data, place), Code::TakesConference.into()),
        Argument::ParkingLot => (parking_lot(data, place), Code::TakesSlot.into()),
        Argument::Neighbour => (neighbour(data, place), Code::TakesNeighbour.into()),
        Argument::Recording => (if_fine(data == RECORDING), Code::TakesWord.with("words", RECORDING)),
        Argument::Deadline => (if_fine(is_deadline(data)), Code::TakesDeadline.into()),
        Argument::Volume => (if_fine(is_volume(data)), Code::TakesVolume.into()),
        Argument::Keys => (if_fine(is_keys(data)), Code::TakesKeys.into()),
        Argument::Privacy => (if_fine(PRIVACY.contains(&data)), Code::TakesWord.with("words", PRIVACY.join(", "))),
    };
    kept.ok_or_else(|| wrong(takes))
}

/// What `privacy` may be told.
const PRIVACY: [&str; 5] = ["on", "off", "name", "full", "number"];

/// A text as an error quotes it, shortened.
fn short(text: &str) -> String {
    let mut short = text.chars().take(60).collect::<String>();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// A number of digits only: no sign, no exponent, and not too long.
fn number(text: &str) -> Option<u32> {
    let plain = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn is_cause(text: &str) -> bool {
    (2..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn is_sound(text: &str) -> bool {
    if let Some(name) = text.strip_prefix("local_stream://") {
        return StreamName::parse(name).is_ok();
    }
    if let Some(milliseconds) = text.strip_prefix("silence_stream://") {
        return number(milliseconds).is_some();
    }
    if let Some(tones) = text.strip_prefix("tone_stream://") {
        let (tones, loops) = tones.split_once(";loops=").map_or((tones, None), |(tones, loops)| (tones, Some(loops)));
        return is_tone(tones) && loops.is_none_or(|loops| number(loops).is_some_and(|loops| loops <= 100));
    }
    SoundFile::parse(text).is_ok()
}

fn set(data: &str) -> Result<String, Why> {
    let (name, value) = data.split_once('=').ok_or(Code::TakesAssignment)?;
    let wrong = |error: TextError| Code::TakesNotVariable.because(error).with("name", short(name));
    let variable = CallVariable::parse(name, value).map_err(wrong)?;
    Ok(format!("{}={}", variable.name(), variable.value()))
}

/// A number to dial; `$1` to `$9` may refer to groups that match only what can be dialled.
fn dialled(text: &str, place: &Place<'_>) -> Option<String> {
    let mut bare = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let group = after.bytes().next().filter(|b| (b'1'..=b'9').contains(b))?;
        // `$12` would be the twelfth group (switch_perform_substitution in switch_regex.c).
        if after.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        place.groups.get(usize::from(group - b'1')).copied().filter(|digits| *digits)?;
        bare.push_str(before);
        bare.push('1');
        rest = &after[1..];
    }
    bare.push_str(rest);
    DialNumber::parse(&bare).ok().map(|_| text.to_owned())
}

fn own_domain(text: &str, place: &Place<'_>) -> bool {
    text == DOMAIN || place.domain.is_some_and(|domain| text.eq_ignore_ascii_case(domain.as_str()))
}

/// `1000`, `1000 XML` or `1000 XML acme.test`. Only the number is kept: the context is always the tenant's.
fn dialled_on(data: &str, place: &Place<'_>) -> Option<String> {
    let mut words = data.split(' ');
    let number = dialled(words.next()?, place)?;
    let here = match (words.next(), words.next(), words.next()) {
        (None | Some("XML"), None, None) => true,
        (Some("XML"), Some(context), None) => own_domain(context, place),
        _ => false,
    };
    here.then_some(number)
}

/// `1000@acme.test`.
fn neighbour(text: &str, place: &Place<'_>) -> Option<String> {
    let (name, domain) = text.split_once('@')?;
    let name = dialled(name, place).or_else(|| SipUsername::parse(name).ok().map(|name| name.to_string()))?;
    own_domain(domain, place).then(|| format!("{name}@{DOMAIN}"))
}

fn dial_string(data: &str, place: &Place<'_>) -> Option<String> {
    if data.len() > 1000 {
        return None;
    }
    let together = |group: &str| {
        let legs = group.split(',').map(|text| leg(text, place)).collect::<Option<Vec<_>>>()?;
        Some(legs.join(","))
    };
    let groups = data.split('|').map(together).collect::<Option<Vec<_>>>()?;
    Some(groups.join("|"))
}

fn leg(text: &str, place: &Place<'_>) -> Option<String> {
    let (options, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']').map(|(options, rest)| (Some(options), rest))?,
        None => (None, text),
    };
    let option_is_fine = |option: &str| {
        option.split_once('=').is_some_and(|(name, value)| {
            matches!(name, "leg_timeout" | "leg_delay_start" | "leg_progress_timeout")
                && number(value).is_some_and(|seconds| (1..=3600).contains(&seconds))
        })
    };
    if options.is_some_and(|option| !option_is_fine(option)) {
        return None;
    }
    let (kind, whom) = rest.split_once('/')?;
    let leg = match kind {
        "user" | "pickup" => format!("{kind}/{}", neighbour(whom, place)?),
        "error" => is_cause(whom).then(|| rest.to_owned())?,
        "sofia" => {
            let (name, number) = whom.strip_prefix("gateway/")?.split_once('/')?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            let named = (1..=64).contains(&name.len()) && name.bytes().all(plain);
            format!("sofia/gateway/{}/{}", named.then_some(name)?, dialled(number, place)?)
        }
        _ => return None,
    };
    Some(options.map_or(leg.clone(), |options| format!("[{options}]{leg}")))
}

/// `default acme.test 1000`, `check default acme.test`.
fn mailbox(data: &str, place: &Place<'_>) -> Option<String> {
    let (check, rest) = data.strip_prefix("check ").map_or((false, data), |rest| (true, rest));
    let mut words = rest.split(' ');
    let (profile, domain, mailbox, end) = (words.next()?, words.next()?, words.next(), words.next());
    if profile != "default" || !own_domain(domain, place) || end.is_some() {
        return None;
    }
    let mailbox = match mailbox {
        Some(name) => {
            let name = dialled(name, place).or_else(|| SipUsername::parse(name).ok().map(|name| name.to_string()))?;
            format!(" {name}")
        }
        None if check => String::new(),
        None => return None,
    };
    Some(format!("{}default {DOMAIN}{mailbox}", if check { "check " } else { "" }))
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A destination's name, as `actions::address` writes it.
fn address(data: &str, place: &Place<'_>) -> Option<String> {
    let (id, domain) = data.split_once('.')?;
    (is_id(id) && own_domain(domain, place)).then(|| format!("{id}.{DOMAIN}"))
}

fn conference(data: &str, place: &Place<'_>) -> Option<String> {
    let (data, flags) = data.split_once("+flags{").map_or((data, None), |(data, flags)| (data, Some(flags)));
    let (name, profile) = data.split_once('@')?;
    let profile = address(profile, place)?;
    let flags = match flags {
        None => "",
        Some("moderator}") => "+flags{moderator}",
        Some("mute}") => "+flags{mute}",
        Some(_) => return None,
    };
    (is_id(name) && profile.starts_with(name)).then(|| format!("{name}@{profile}{flags}"))
}

fn parking_lot(data: &str, place: &Place<'_>) -> Option<String> {
    let (lot, slot) = data.split_once(' ')?;
    let domain = lot.strip_prefix("park@").unwrap_or(lot);
    // Kept without a leading zero, as `auto` names slots.
    let slot = match slot {
        "auto in 01 99" | "auto in 1 99" => "auto in 1 99".to_owned(),
        _ => number(slot).filter(|slot| (1..=99).contains(slot))?.to_string(),
    };
    own_domain(domain, place).then(|| format!("{DOMAIN} {slot}"))
}

fn is_deadline(data: &str) -> bool {
    let (seconds, cause) = data.split_once(' ').map_or((data, None), |(seconds, cause)| (seconds, Some(cause)));
    let seconds = seconds.strip_prefix('+').and_then(number);
    seconds.is_some_and(|seconds| (1..=86_400).contains(&seconds)) && cause.is_none_or(is_cause)
}

fn is_volume(data: &str) -> bool {
    data.split_once(' ').is_some_and(|(side, level)| {
        let level = level.strip_prefix('-').unwrap_or(level);
        matches!(side, "read" | "write") && level.len() == 1 && number(level).is_some_and(|level| level <= 4)
    })
}

fn is_keys(data: &str) -> bool {
    let key = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd' | b'w' | b'W');
    (1..=60).contains(&data.len()) && data.bytes().all(key)
}

/// The numbers of the tenant that an application with a kept argument dials, and the ids of destinations that it leads to.
pub(super) fn dials(application: &str, data: &str) -> Vec<String> {
    let before = |end: char| data.split(end).next().unwrap_or_default();
    let dialled = match application {
        "transfer" | "execute_extension" => vec![before(' ')],
        "pickup" | "conference" => vec![before('@')],
        "callcenter" | "ivr" => vec![before('.')],
        // `user/NUMBER@…`, `pickup/NUMBER@…`, of several legs.
        "bridge" => data.split([',', '|']).filter_map(|leg| leg.split_once('@')?.0.rsplit('/').next()).collect(),
        _ => Vec::new(),
    };
    dialled.into_iter().filter(|number| !number.is_empty() && !number.contains('$')).map(str::to_owned).collect()
}

/// The entry step that does the same as an application in an imported dialplan.
pub fn step(application: &str, data: &str) -> Result<Step, Refused> {
    let data = data.trim();
    Ok(match application {
        "answer" => Step::Answer,
        "pre_answer" => Step::PreAnswer,
        "ring_ready" => Step::RingReady,
        "sleep" => Step::Sleep { milliseconds: data.parse().map_err(|_| format!("sleep {}", short(data)))? },
        "playback" => {
            let file = SoundFile::parse(data).map_err(|_| format!("playback of {}", short(data)))?;
            Step::Play { prompt: Prompt::File(file) }
        }
        "hangup" => Step::Hangup { cause: cause(data)? },
        // The context is dropped: only numbers of the tenant's own context can be dialled.
        "transfer" | "execute_extension" => {
            Step::Dial { number: template(data.split_whitespace().next().unwrap_or_default())? }
        }
        "bridge" => {
            let user = data.strip_prefix("user/").and_then(|rest| rest.split('@').next());
            Step::Dial { number: template(user.ok_or_else(|| format!("bridge {}", short(data)))?)? }
        }
        "set" => {
            let (name, value) = data.split_once('=').ok_or_else(|| format!("set {}", short(data)))?;
            Step::Set(CallVariable::parse(name, value).map_err(|error| format!("sets {}, which {error}", short(name)))?)
        }
        other => return Err(format!("runs {}", short(other))),
    })
}

fn cause(data: &str) -> Result<Cause, Refused> {
    Ok(match data.to_ascii_uppercase().as_str() {
        "" | "NORMAL_CLEARING" => Cause::NormalClearing,
        "USER_BUSY" => Cause::UserBusy,
        "CALL_REJECTED" => Cause::CallRejected,
        "UNALLOCATED_NUMBER" => Cause::UnallocatedNumber,
        "NO_ANSWER" => Cause::NoAnswer,
        other => return Err(format!("hangs up with {}", short(other))),
    })
}

/// `$1` and `${1}` become `{1}`.
fn template(text: &str) -> Result<DialTemplate, Refused> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let after = after.strip_prefix('{').unwrap_or(after);
        let group =
            after.chars().next().filter(char::is_ascii_digit).ok_or_else(|| format!("dials {}", short(text)))?;
        out.extend(['{', group, '}']);
        rest = &after[1..];
        rest = rest.strip_prefix('}').unwrap_or(rest);
    }
    DialTemplate::parse(&(out + rest)).map_err(|_| format!("dials {}", short(text)))
}

#[cfg(test)]
mod tests;
