//! A switch's queues and agents, as mod_callcenter lists them (`cc_config_api_function` in mod_callcenter.c).

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
