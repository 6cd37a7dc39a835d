//! Tells callers who wait in queues at which place they are, and about how long they will wait.
//!
//! mod_callcenter plays the same announcement to everybody. So whoever visits the switch looks who waits, and has the switch play each caller
//! their own, as the module plays its own (`cc_member_thread_run` in mod_callcenter.c). A caller's channel notes when they were told.

use super::{
    callcenter::{self, Serving, Waiting},
    pushes::Announcing,
    socket::{Talk, Unanswered},
};
use crate::model::channel::ANNOUNCED_AT;

/// Visits come every ten seconds or so.
const EARLY: i64 = 5;
/// The most callers of a queue who are told in one visit.
const MOST: usize = 50;
/// The longest wait that is said, in minutes.
const LONGEST: u32 = 60;

pub(super) async fn tell(talk: &Talk, queues: &[Announcing]) -> Result<(), Unanswered> {
    for queue in queues {
        let waiting = callcenter::who_waits(talk, &queue.queue).await?;
        if waiting.is_empty() {
            continue;
        }
        let agents = if queue.with_wait { callcenter::who_serves(talk, &queue.queue).await? } else { Vec::new() };
        let (prefix, now) = (talk.ask("global_getvar sound_prefix").await?, talk.ask("strepoch").await?);
        let Ok(now) = now.trim().parse::<i64>() else { return Ok(()) };
        for (place, Waiting { call, .. }) in (1_u32..).zip(waiting.iter().take(MOST)) {
            let told = talk.ask(&format!("uuid_getvar {call} {ANNOUNCED_AT}")).await?;
            if told.trim().parse::<i64>().is_ok_and(|told| now - told < i64::from(queue.every) - EARLY) {
                continue;
            }
            let sounds = sounds(place, minutes(place, &agents));
            let files = sounds.iter().map(|sound| format!("{}/{sound}.wav", prefix.trim())).collect::<Vec<_>>();
            talk.ask(&format!("uuid_setvar {call} {ANNOUNCED_AT} {now}")).await?;
            talk.ask(&format!("uuid_displace {call} start file_string://{}", files.join("!"))).await?;
        }
    }
    Ok(())
}

/// The prompts, as FreeSWITCH's packages of sounds name them.
fn sounds(place: u32, minutes: Option<u32>) -> Vec<String> {
    let mut sounds = vec!["ivr/ivr-you_are_number".to_owned()];
    sounds.extend(digits(place));
    if let Some(minutes) = minutes {
        sounds.push("ivr/ivr-estimated_hold_time".to_owned());
        sounds.extend(digits(minutes));
        sounds.push(if minutes == 1 { "time/minute" } else { "time/minutes" }.to_owned());
    }
    sounds
}

/// A number of up to 99.
fn digits(number: u32) -> Vec<String> {
    let number = number.min(99);
    let parts = match (number / 10 * 10, number % 10) {
        _ if number <= 20 => vec![number],
        (tens, 0) => vec![tens],
        (tens, ones) => vec![tens, ones],
    };
    parts.into_iter().map(|part| format!("digits/{part}")).collect()
}

/// About how long somebody at this place waits: as long as the calls before theirs take, by what calls took today. `None` if nobody has
/// answered any.
fn minutes(place: u32, agents: &[Serving]) -> Option<u32> {
    let (answered, talked) = agents.iter().fold((0_u64, 0_u64), |(answered, talked), agent| {
        (answered + u64::from(agent.answered), talked + u64::from(agent.talked))
    });
    let serving = agents.iter().filter(|agent| agent.is_available).count().max(1) as u64;
    let usual = talked.checked_div(answered)?;
    let minutes = (u64::from(place) * usual).div_ceil(serving).div_ceil(60);
    u32::try_from(minutes).ok().map(|minutes| minutes.clamp(1, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_the_calls_before_take() {
        let agent = |answered, talked, is_available| Serving { is_available, answered, talked };
        let agents = [agent(2, 300, true), agent(1, 240, true), agent(0, 0, false)];
        // Three minutes a call, two agents.
        assert_eq!([1, 2, 4, 100].map(|place| minutes(place, &agents)), [Some(2), Some(3), Some(6), Some(60)]);
        assert_eq!(minutes(1, &[agent(0, 0, true)]), None);
        assert_eq!(minutes(3, &[agent(1, 5, false)]), Some(1));
    }

    #[test]
    fn a_place_is_said_in_numbers_that_there_are_sounds_for() {
        assert_eq!(digits(7), ["digits/7"]);
        assert_eq!(digits(20), ["digits/20"]);
        assert_eq!(digits(21), ["digits/20", "digits/1"]);
        assert_eq!(digits(40), ["digits/40"]);
        assert_eq!(digits(500), ["digits/90", "digits/9"]);
        assert_eq!(sounds(1, Some(1)).last().map(String::as_str), Some("time/minute"));
        assert_eq!(sounds(3, None), ["ivr/ivr-you_are_number", "digits/3"]);
    }
}
