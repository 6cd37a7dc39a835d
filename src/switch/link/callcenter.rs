//! A switch's queues and agents, as mod_callcenter lists them (`cc_config_api_function` in mod_callcenter.c).

use std::cmp::Reverse;

use uuid::Uuid;

use super::{
    pushes::{QueueName, Queues, Tier},
    socket::{Talk, Unanswered},
};

/// Asks a switch for its queues. `None` if it has no mod_callcenter.
pub async fn ask(talk: &Talk) -> Result<Option<Queues>, Unanswered> {
    let Some(queues) = rows(&talk.ask("callcenter_config queue list").await?, ["name"])? else { return Ok(None) };
    let tiers = rows(&talk.ask("callcenter_config tier list").await?, ["queue", "agent"])?.unwrap_or_default();
    let tier = |[queue, agent]: [&str; 2]| -> Option<Tier> { Some((queue.parse().ok()?, agent.parse().ok()?)) };
    Ok(Some(Queues {
        names: queues.iter().filter_map(|[name]| name.parse::<QueueName>().ok()).collect(),
        tiers: tiers.iter().filter_map(|row| tier([&row[0], &row[1]])).collect(),
    }))
}

/// Whether somebody waits in a queue.
pub async fn waiting(talk: &Talk, queue: &QueueName) -> Result<bool, Unanswered> {
    let count = talk.ask(&format!("callcenter_config queue count members {queue}")).await?;
    Ok(count.trim().parse::<u32>().is_ok_and(|count| count > 0))
}

/// Somebody who waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub call: Uuid,
    score: i64,
}

/// Who waits in a queue, whoever is next first.
pub async fn who_waits(talk: &Talk, queue: &QueueName) -> Result<Vec<Waiting>, Unanswered> {
    let list = talk.ask(&format!("callcenter_config queue list members {queue}")).await?;
    let members = rows(&list, ["session_uuid", "state", "score"])?.unwrap_or_default();
    let waits = |[call, state, score]: &[String; 3]| {
        let is_waiting = matches!(state.as_str(), "Waiting" | "Trying");
        is_waiting.then_some(Waiting { call: call.parse().ok()?, score: score.parse().ok()? })
    };
    let mut waiting = members.iter().filter_map(waits).collect::<Vec<_>>();
    waiting.sort_by_key(|waiting| Reverse(waiting.score));
    Ok(waiting)
}

/// An agent of a queue, with their calls since they became available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serving {
    pub is_available: bool,
    pub answered: u32,
    /// In seconds.
    pub talked: u32,
}

pub async fn who_serves(talk: &Talk, queue: &QueueName) -> Result<Vec<Serving>, Unanswered> {
    let list = talk.ask(&format!("callcenter_config queue list agents {queue}")).await?;
    let agents = rows(&list, ["status", "calls_answered", "talk_time"])?.unwrap_or_default();
    let serves = |[status, answered, talked]: &[String; 3]| Serving {
        is_available: status.starts_with("Available"),
        answered: answered.parse().unwrap_or_default(),
        talked: talked.parse().unwrap_or_default(),
    };
    Ok(agents.iter().map(serves).collect())
}

/// The given columns of a list: a line with the columns' names, one line per row, then `+OK`. An empty list has no line
/// of names.
fn rows<const N: usize>(text: &str, columns: [&str; N]) -> Result<Option<Vec<[String; N]>>, Unanswered> {
    if text.starts_with("-ERR") {
        return Ok(None);
    }
    let strange = || Unanswered::Strange("this is not a list from mod_callcenter".into());
    let (list, _) = text.rsplit_once("+OK").ok_or_else(strange)?;
    let mut lines = list.lines().filter(|line| !line.is_empty());
    let Some(head) = lines.next() else { return Ok(Some(Vec::new())) };
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = head.split('|').position(|name| name == column).ok_or_else(strange)?;
    }
    let row = |line: &str| {
        let fields = line.split('|').collect::<Vec<_>>();
        places.map(|place| fields.get(place).copied().unwrap_or_default().to_owned())
    };
    Ok(Some(lines.map(row).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_the_names_of_its_columns() {
        let list = "queue|agent|state|level|position\nq.acme.test|1000@acme.test|Ready|1|1\nsupport@default|1001|Ready|1|1\n+OK\n";
        let read = rows(list, ["agent", "queue"]).unwrap().unwrap();
        assert_eq!(read, [["1000@acme.test", "q.acme.test"], ["1001", "support@default"]]);
        assert_eq!(rows("+OK\n", ["queue"]).unwrap().unwrap(), Vec::<[String; 1]>::new());
        assert!(rows("-ERR callcenter_config Command not found!\n", ["queue"]).unwrap().is_none());
        for strange in ["", "name|x\n", "a|b\nc|d\n+OK\n"] {
            assert!(rows(strange, ["queue"]).is_err(), "{strange}");
        }
    }
}
