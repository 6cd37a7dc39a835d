//! A route as the applications a switch runs for it.
//!
//! FreeSWITCH expands every argument (`switch_core_session_exec`), some twice (`set`), and dial strings once more. So
//! arguments are built from validated texts and constants alone, and hold no `$` at all.

use super::{
    AFTER, Action, ByKey, Handle, Hops, LEFT, MESSAGE, Member, Pickup, Ring, RingGroup, Route, Tenant, Then,
    action::{action, set},
    diverted,
    entries::Step,
    transfers::BACK,
    trial::Done,
    withheld,
};
use crate::{
    model::call_handling::AtQueues,
    model::channel,
    model::destination::Prompt,
    model::device::Only,
    text::{DeviceId, DialNumber, Domain, E164, SipUsername},
};

fn user(extension: &SipUsername, domain: &Domain) -> String {
    format!("user/{extension}@{domain}")
}

/// The legs to an extension in a fork: one for each device, as a fork rings the first branch of a user's dial string only
/// (`user_outgoing_channel` in mod_dptools.c). `only`: how a leg is named whose device the switch finds.
fn in_fork(extension: &SipUsername, devices: &[DeviceId], only: Option<Only>, domain: &Domain) -> Vec<String> {
    if devices.len() < 2 {
        let only = only.map(|only| only.to_string()).unwrap_or_default();
        return vec![format!("user/{extension}{only}@{domain}")];
    }
    let leg = |(place, id): (u8, &DeviceId)| format!("user/{extension}{}@{domain}", Only::Device { place, id: *id });
    (1..).zip(devices).map(leg).collect()
}

/// Dials another number in the tenant's context.
fn transfer(to: &str, domain: &Domain) -> Action {
    action("transfer", format!("{to} XML {domain}"))
}

/// A prompt as the switch's applications take it.
#[must_use]
pub fn sound(prompt: &Prompt) -> String {
    match prompt {
        Prompt::File(file) => file.to_string(),
        // switch_ivr_play_file speaks what begins with `say:`, by the channel's tts_engine and tts_voice.
        Prompt::Text(text) => text.said(),
    }
}

/// Text is spoken by a TTS module; a switch without one continues.
fn play(prompt: &Prompt) -> Vec<Action> {
    let mut actions = Vec::new();
    if matches!(prompt, Prompt::Text(_)) {
        actions.extend([set("tts_engine", "flite"), set("tts_voice", "slt")]);
    }
    actions.push(action("playback", sound(prompt)));
    actions
}

/// The only argument that the switch expands: the call's UUID, which it generated itself.
pub const RECORDING: &str = "recordings/${uuid}.wav";

/// The tone that announces a recording.
pub const CONSENT: &str = "tone_stream://%(400,0,1400)";

/// Records both sides into one file named after the call, in the switch's folder for recordings.
pub(super) fn record(actions: &mut Vec<Action>, consent_tone: bool) {
    actions.push(set("RECORD_STEREO", true));
    actions.push(set("recording_follow_transfer", true));
    if consent_tone {
        actions.push(action("pre_answer", ""));
        actions.push(action("playback", CONSENT));
    }
    actions.push(action("record_session", RECORDING));
    // Recording opens the caller's media (switch_core_session_exec): without this they would hear nothing while it rings.
    actions.push(set("ringback", RINGING));
}

/// Starts recording a call from outside that does not ring a phone first. (A phone's route starts its own recording.)
#[must_use]
pub fn recording_from_outside(plan: &super::Plan, by_number: bool, route: &Route) -> Vec<Action> {
    let policy = &plan.settings.routing.record;
    let leads = matches!(
        route,
        Route::Lead { .. }
            | Route::RingGroup(_)
            | Route::Queue { record: false, .. }
            | Route::Ivr { .. }
            | Route::Conference { .. }
    );
    let mut actions = Vec::new();
    if leads && (by_number || policy.inbound) && plan.settings.features.call_recording {
        record(&mut actions, policy.consent_tone);
    }
    actions
}

impl Route {
    /// The applications that a switch runs for this route. `hops`: how often the call was led on before.
    #[must_use]
    pub fn actions(&self, tenant: &Tenant, hops: Hops) -> Vec<Action> {
        let domain = &tenant.domain;
        match self {
            Self::Echo => vec![action("answer", ""), action("echo", "")],
            Self::Ring(ring) => ring.actions(domain),
            Self::RingGroup(group) => group.actions(domain, hops),
            Self::Message { mailbox, greeting } => leave_message(mailbox, *greeting, domain),
            Self::Voicemail { mailbox } => {
                let mut actions =
                    mailbox.as_ref().map(|mailbox| forget_own_pin(mailbox, domain)).into_iter().collect::<Vec<_>>();
                let mailbox = mailbox.as_ref().map(|mailbox| format!(" {mailbox}")).unwrap_or_default();
                // Whoever listens may call back whoever left the message, as they could by dialling the number.
                actions.push(set("voicemail_callback_context", domain));
                let check = action("voicemail", format!("check default {domain}{mailbox}"));
                Vec::extend(&mut actions, [action("answer", ""), action("sleep", "500"), check]);
                actions
            }
            Self::Lead { to, on_behalf_of, own_mailbox, shows } => {
                let mut actions = vec![hops.on(to)];
                if let Some(forwarder) = on_behalf_of.as_ref().filter(|_| *own_mailbox) {
                    actions.push(set(channel::FORWARDER, format!("{forwarder}:{to}")));
                }
                if let Some(user) = on_behalf_of {
                    actions.extend([set(channel::ON_BEHALF, user), diverted::by(shows.as_ref(), domain)]);
                }
                actions.push(transfer(to, domain));
                actions
            }
            Self::Withhold { withholds, to } => {
                let mut actions = withheld::wished(*withholds);
                actions.extend([hops.on(to), transfer(to, domain)]);
                actions
            }
            Self::Queue { id, record: wanted, ahead, call_back, then } => {
                let mut actions = vec![action("answer", "")];
                if *wanted {
                    record(&mut actions, true);
                }
                // Otherwise, a caller whose agent hangs up first would go on to what follows (uuid_bridge_on_soft_execute in
                // switch_ivr_bridge.c).
                actions.push(set("hangup_after_bridge", true));
                // Also what a queue before has left there (`callcenter_function` in mod_callcenter.c).
                actions.push(match ahead {
                    0 => action("unset", "cc_base_score"),
                    seconds => set("cc_base_score", seconds),
                });
                // The switch ends the waiting when one of these keys is pressed (`callcenter_function` in mod_callcenter.c).
                match call_back {
                    Some(ByKey { key, number }) => {
                        actions.extend([set("cc_exit_keys", key), set(channel::CALL_BACK, number)]);
                    }
                    None => actions.push(action("unset", "cc_exit_keys")),
                }
                actions.push(action("callcenter", address(*id, domain)));
                if call_back.is_some() {
                    // Whether by the key, the switch says when it asks again.
                    let to = format!("{}{LEFT}", id.simple());
                    actions.extend([hops.on(&to), transfer(&to, domain)]);
                } else {
                    led_on(&mut actions, then.as_deref(), domain, hops);
                }
                actions
            }
            Self::Left { then } => {
                let mut actions = Vec::new();
                led_on(&mut actions, then.as_deref(), domain, hops);
                actions
            }
            Self::CallBack { prompt, .. } => {
                let mut actions = vec![action("sleep", "300")];
                match prompt {
                    Some(prompt) => actions.extend(play(prompt)),
                    None => actions.push(action("playback", DONE)),
                }
                actions.push(action("hangup", "NORMAL_CLEARING"));
                actions
            }
            Self::Ivr { id, then } => {
                let mut actions = vec![action("answer", ""), action("sleep", "300")];
                // What is dialled in a menu is dialled by the caller, not by whoever led them there.
                actions.push(action("unset", channel::ON_BEHALF));
                actions.push(action("unset", channel::BACK));
                actions.push(diverted::forgotten());
                // Whoever chooses in a menu chooses anew where the call goes.
                actions.push(action("unset", channel::HOPS));
                actions.push(action("ivr", address(*id, domain)));
                led_on(&mut actions, then.as_deref(), domain, hops);
                actions
            }
            Self::Again { menu, prompt } => {
                let mut actions = vec![action("answer", ""), action("unset", channel::HOPS)];
                match prompt {
                    Some(prompt) => actions.extend(play(prompt)),
                    None => actions.push(action("playback", NOT_HERE)),
                }
                actions.push(transfer(&menu.simple().to_string(), domain));
                actions
            }
            Self::Conference { id, moderator } => {
                let flags = if *moderator { "+flags{moderator}" } else { "" };
                let name = id.simple();
                vec![action("answer", ""), action("conference", format!("{name}@{}{flags}", address(*id, domain)))]
            }
            Self::Announce { prompt, then } => {
                let mut actions = vec![action("answer", ""), action("sleep", "300")];
                actions.extend(play(prompt));
                led_on(&mut actions, then.as_deref(), domain, hops);
                actions
            }
            Self::Page { id, members, two_way } => page(*id, members, *two_way, domain),
            Self::Pickup { extension } => pick_up(&[Pickup::Extension(extension.clone())], domain),
            Self::PickupAny { from } => pick_up(from, domain),
            Self::Intercom { extension } => {
                vec![
                    set("hangup_after_bridge", true),
                    action("bridge", format!("[sip_auto_answer=true]{}", user(extension, domain))),
                ]
            }
            Self::Park { slot, back, seconds, aloud } => park(*slot, back.as_ref(), *seconds, *aloud, domain),
            Self::Handle { change, extension } => {
                // What an agent said last counts, also where the switch has paused them because they answered no calls
                // (`outbound_agent_thread_run` in mod_callcenter.c). The switch runs this when it answers.
                let back = (*change == Handle::AtQueues(AtQueues::LoggedIn)).then(|| {
                    set("api_on_answer", format!("callcenter_config agent set status {extension}@{domain} Available"))
                });
                let mut actions = back.into_iter().collect::<Vec<_>>();
                actions.extend([action("answer", ""), action("sleep", "300"), action("playback", DONE)]);
                actions
            }
            Self::Custom { steps } => custom(steps, domain, hops),
            // These need an admitted call; here there is none.
            Self::Outside(_) | Self::Emergency { .. } => vec![action("hangup", "NO_ROUTE_DESTINATION")],
            Self::Refused(refusal) => {
                let mut actions = Vec::new();
                if let Some(announcement) = tenant.announcements.get(refusal) {
                    actions.push(action("pre_answer", ""));
                    actions.extend(play(announcement));
                } else if let Some(tones) = refusal.tones() {
                    actions.push(action("pre_answer", ""));
                    actions.push(action("playback", tones));
                }
                actions.push(action("hangup", refusal.cause()));
                actions
            }
        }
    }
}

/// A destination's name on every switch, unique across tenants: mod_callcenter, mod_conference and menus know no tenants.
#[must_use]
pub fn address(id: uuid::Uuid, domain: &Domain) -> String {
    format!("{}.{domain}", id.simple())
}

/// What no keypad can type.
pub const NO_PIN: &str = "-";

/// Has the switch forget a PIN of its own. When somebody chooses a PIN by phone, Dialplane saves it, and then the switch as well, which
/// takes both from then on, whatever Dialplane says later (`voicemail_check_main` in mod_voicemail.c). The switch runs this command
/// when it answers, before it asks for the PIN (`switch_channel_api_on` in switch_channel.c).
fn forget_own_pin(mailbox: &SipUsername, domain: &Domain) -> Action {
    set("api_on_answer", format!("vm_fsdb_pref_password_set default {domain} {mailbox} {NO_PIN}"))
}

/// A greeting that was not recorded is none: callers then hear the usual words (`voicemail_leave_main` in mod_voicemail.c).
fn leave_message(mailbox: &str, greeting: Option<u8>, domain: &Domain) -> Vec<Action> {
    let greeting = greeting.map(|greeting| set("voicemail_greeting_number", greeting));
    let leave = action("voicemail", format!("default {domain} {mailbox}"));
    greeting.into_iter().chain([action("answer", ""), action("sleep", "500"), leave]).collect()
}

/// What says that something is done or noted.
const DONE: &str = "tone_stream://%(150,50,800);%(150,0,1200)";

/// What callers hear who dialled a number in a menu that nobody has, if the menu has no prompt for it.
const NOT_HERE: &str = "tone_stream://%(200,100,400);%(400,200,300)";

fn led_on(actions: &mut Vec<Action>, then: Option<&str>, domain: &Domain, hops: Hops) {
    match then {
        Some(to) => actions.extend([hops.on(to), transfer(to, domain)]),
        None => actions.push(action("hangup", "NORMAL_CLEARING")),
    }
}

/// The ringing tone of most of the world (ITU-T E.180).
pub const RINGING: &str = "%(1000,4000,425)";

/// Rings for this many seconds, one dial string after the other. What follows runs only if nobody answers.
fn ring(dial_strings: Vec<String>, seconds: u16, continue_on_fail: bool) -> Vec<Action> {
    let last = dial_strings.len() - 1;
    let mut actions = vec![
        set("call_timeout", seconds),
        // Heard by callers who were answered already, by a menu or a recording; others hear their own phone's tone.
        set("transfer_ringback", RINGING),
        set("hangup_after_bridge", true),
        set("continue_on_fail", continue_on_fail || last > 0),
    ];
    for (at, dial_string) in dial_strings.into_iter().enumerate() {
        if at == last && last > 0 && !continue_on_fail {
            actions.push(set("continue_on_fail", false));
        }
        actions.push(action("bridge", dial_string));
    }
    actions
}

/// Played to whoever answers, until they press 1.
const CONFIRM: &str = "tone_stream://%(200,100,800);loops=3";

impl Ring {
    fn actions(&self, domain: &Domain) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.record {
            record(&mut actions, self.consent_tone);
        }
        // If the called person transfers the call, they pay for the new leg.
        actions.push(set(channel::ON_BEHALF, &self.extension));
        let has_others = self.pickup || !self.follow_me.is_empty();
        let only = (self.busy_on_busy && has_others).then_some(Only::Fork);
        let mut legs = in_fork(&self.extension, &self.devices, only, domain);
        // A pickup leg counts as ringing, even if no phone rings.
        legs.extend(self.pickup.then(|| format!("pickup/{}@{domain}", self.extension)));
        legs.extend(self.follow_me.iter().map(|leg| self.follow(leg, domain)));
        if !self.follow_me.is_empty() {
            // Otherwise the first leg with early media would count as answered (switch_ivr_originate.c), and a carrier's ringing
            // or a barred number's tones would silence the phone. The caller gets no media either before somebody answers
            // (channel_outgoing_channel in mod_loopback.c), only ringing by their own phone.
            actions.extend([set("ignore_early_media", true), set("loopback_no_pre_answer", true)]);
        } else if self.devices.len() > 1 {
            // The same among an extension's own devices.
            actions.push(set("ignore_early_media", true));
        }
        actions.extend(ring(vec![legs.join(",")], self.seconds, self.then != Then::Hangup));
        match &self.then {
            Then::Hangup => {}
            Then::Voicemail(greeting) => actions.extend(leave_message(self.extension.as_str(), *greeting, domain)),
            Then::MessageFor(forwarder) => {
                let to = format!("{forwarder}{MESSAGE}");
                actions.extend([self.hops.on(&to), transfer(&to, domain)]);
            }
            Then::Ask => {
                let to = format!("{}{AFTER}", self.extension);
                actions.push(self.hops.on(&to));
                actions.push(transfer(&to, domain));
            }
        }
        actions
    }

    /// Another number that rings too: a call of its own through the tenant's context, routed and admitted like any other.
    fn follow(&self, leg: &crate::model::call_handling::FollowMe, domain: &Domain) -> String {
        let mut variables = elsewhere(&self.extension, &leg.number, self.hops.following(), self.original.as_ref());
        if leg.delay_seconds > 0 {
            variables.push(format!("leg_delay_start={}", leg.delay_seconds));
        }
        if leg.confirm {
            variables.push("group_confirm_key=1".to_owned());
            variables.push(format!("group_confirm_file={CONFIRM}"));
        }
        dialled(&variables, &leg.number, domain)
    }
}

/// The variables of a leg that rings elsewhere on behalf of an extension. `original`: a number of whoever calls.
fn elsewhere(extension: &SipUsername, number: &DialNumber, hops: Hops, original: Option<&E164>) -> Vec<String> {
    let mut variables = vec![
        format!(
            "loopback_export={},{},{},{},originator_codec,export_vars",
            channel::ON_BEHALF,
            channel::HOPS,
            channel::WITHHOLD,
            channel::ORIGINAL
        ),
        // A loopback's own codec is L16, which a leg that it calls would be offered first (`switch_core_session_outgoing_channel` in
        // switch_core_session.c). What is exported is set after that (`switch_ivr_originate` in switch_ivr_originate.c). As a loopback has
        // 8,000 samples a second, the two laws lose nothing.
        "originator_codec=PCMA,PCMU".to_owned(),
        "export_vars=originator_codec".to_owned(),
        format!("{}={extension}", channel::ON_BEHALF),
        format!("{}={}", channel::HOPS, hops.value(number.as_str())),
        // Bowing out would end the admitted channel, and free its line while the call goes on.
        "loopback_bowout=false".to_owned(),
    ];
    variables.extend(original.map(|number| format!("{}={number}", channel::ORIGINAL)));
    variables
}

/// A leg that dials in the tenant's context. `^^!`: the variables hold commas.
fn dialled(variables: &[String], number: &DialNumber, domain: &Domain) -> String {
    format!("[^^!{}]loopback/{number}/{domain}", variables.join("!"))
}

/// A leg that dials a number on behalf of an extension, for somebody who is no phone of the tenant. With the name of the dialplan: it would
/// otherwise be that of whoever makes it (`channel_outgoing_channel` in mod_loopback.c).
#[must_use]
pub fn on_behalf(extension: &SipUsername, number: &DialNumber, domain: &Domain) -> String {
    dialled(&elsewhere(extension, number, Hops::default(), None), number, domain) + "/XML"
}

impl RingGroup {
    fn actions(&self, domain: &Domain, hops: Hops) -> Vec<Action> {
        let has_others = self.pickup.is_some() || (!self.in_order && self.members.len() > 1);
        let legs = |member: &Member| {
            if let Some(number) = &member.forward {
                let variables = elsewhere(&member.extension, number, hops.spread(), self.original.as_ref());
                return vec![dialled(&variables, number, domain)];
            }
            let only = (member.busy_on_busy && has_others).then_some(Only::Fork);
            in_fork(&member.extension, &member.devices, only, domain)
        };
        // In order, each is a bridge of its own: the time of one bridge is that of all its legs (call_timeout in
        // switch_ivr_originate.c), also of those after `|`.
        let members = self.members.iter().map(legs);
        let bridges = if self.in_order { members.collect() } else { vec![members.flatten().collect::<Vec<_>>()] };
        let pickup = self.pickup.map(|id| format!("pickup/{}@{domain}", Pickup::Group(id)));
        let legs = bridges.into_iter().map(|legs| legs.into_iter().chain(pickup.clone()).collect::<Vec<_>>().join(","));
        let legs = legs.collect::<Vec<_>>();
        let mut actions = Vec::new();
        if self.members.iter().any(|member| member.forward.is_some()) {
            // As for a phone with follow-me.
            actions.extend([set("ignore_early_media", true), set("loopback_no_pre_answer", true)]);
        } else if self.members.iter().any(|member| member.devices.len() > 1) {
            actions.push(set("ignore_early_media", true));
        }
        if self.confirm {
            actions.push(set("group_confirm_key", 1));
            actions.push(set("group_confirm_file", CONFIRM));
        }
        actions.extend(ring(legs, self.seconds, self.then.is_some()));
        if let Some(to) = &self.then {
            if self.confirm {
                // Otherwise the next person to answer would have to press 1 too.
                actions.extend(["group_confirm_key", "group_confirm_file"].map(|name| action("unset", name)));
            }
            actions.extend([hops.on(to), transfer(to, domain)]);
        }
        actions
    }
}

/// Parks a call in a slot, or takes it from there.
fn park(slot: Option<u8>, back: Option<&SipUsername>, seconds: u16, aloud: bool, domain: &Domain) -> Vec<Action> {
    let mut actions = vec![action("answer", ""), set("valet_announce_slot", aloud)];
    if let Some(back) = back {
        // What else a phone parks with this call's slot gets these as well (`valet_parking_function` in mod_valet_parking.c).
        actions.push(set("valet_parking_timeout", seconds));
        actions.push(set("valet_parking_orbit_exten", format!("{back}{BACK}")));
        actions.push(set("valet_parking_orbit_dialplan", "XML"));
        actions.push(set("valet_parking_orbit_context", domain));
    }
    // Slots as `auto` names them (`next_id`), without a leading zero. Phones that watch a slot are told by the domain that stands behind
    // the lot's `@` (`valet_send_presence`).
    let slot = slot.map_or_else(|| "auto in 1 99".to_owned(), |slot| slot.to_string());
    actions.push(action("valet_park", format!("{PARK}@{domain} {slot}")));
    actions
}

/// A tenant's parking lot. A lamp for slot 1 watches `park+1`.
pub const PARK: &str = "park";

/// Takes the first call that rings at one of these. Where none does, a switch goes on with the next application; once one was taken, it runs
/// no other (`pickup_function` in mod_dptools.c).
fn pick_up(from: &[Pickup], domain: &Domain) -> Vec<Action> {
    let picks = from.iter().map(|from| action("pickup", format!("{from}@{domain}")));
    picks.chain([action("hangup", "NO_PICKUP")]).collect()
}

/// A conference that calls its members; their phones answer automatically.
fn page(id: uuid::Uuid, members: &[String], two_way: bool, domain: &Domain) -> Vec<Action> {
    let mut actions = vec![
        action("answer", ""),
        // The least that the switch takes: it makes a minute of less (`conference_loop_output` in conference_loop.c).
        set("conference_auto_outcall_timeout", 10),
        // A leg to a user is made by another originate, which has its own time (`user_outgoing_channel` in mod_dptools.c).
        set("conference_auto_outcall_prefix", "{sip_auto_answer=true,call_timeout=10}"),
    ];
    if !two_way {
        // The name is misspelt in the switch (`conference_loop_output` in conference_loop.c).
        actions.push(set("conference_utils_auto_outcall_flags", "mute"));
    }
    for member in members {
        actions.push(action("conference_set_auto_outcall", format!("user/{member}@{domain}")));
    }
    // Who pages hears nobody: a microphone that is open by mistake, or the room's tones.
    let flags = if two_way { "endconf" } else { "endconf|deaf" };
    actions.push(action("conference", format!("{}@{}+flags{{{flags}}}", id.simple(), address(id, domain))));
    actions
}

fn custom(steps: &[(Done, Option<String>)], domain: &Domain, hops: Hops) -> Vec<Action> {
    let mut actions = Vec::new();
    for (step, name) in steps {
        match (step, name) {
            (Done::Dial(_) | Done::Step(Step::Go { .. }), Some(to)) => {
                actions.extend([hops.on(to), transfer(to, domain)]);
            }
            // Its destination no longer exists.
            (Done::Dial(_) | Done::Step(Step::Go { .. } | Step::Dial { .. }), None) => {
                actions.push(action("hangup", "UNALLOCATED_NUMBER"));
            }
            (Done::Step(Step::Play { prompt }), _) => actions.extend(play(prompt)),
            (Done::Step(step), _) => actions.push(match step {
                Step::Answer => action("answer", ""),
                Step::PreAnswer => action("pre_answer", ""),
                Step::RingReady => action("ring_ready", ""),
                Step::Sleep { milliseconds } => action("sleep", milliseconds.to_string()),
                Step::Set(variable) => set(variable.name(), variable.value()),
                Step::Hangup { cause } => action("hangup", cause.name()),
                Step::Play { .. } | Step::Dial { .. } | Step::Go { .. } => continue,
            }),
        }
    }
    actions
}
