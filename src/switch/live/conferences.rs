//! Conferences and parking lots: who is in them.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    change::Change,
    said::{InConference, Micros, OfConference, OfParked, short},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The conference's own number of them; 0 if it was not heard.
    pub number: u32,
    pub since: Micros,
    pub is_muted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conference {
    /// `ID.DOMAIN`
    pub profile: Option<String>,
    pub since: Micros,
    pub members: BTreeMap<Uuid, Member>,
}

/// A conference in `conference json_list`.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Row {
    pub conference_name: String,
    #[serde(default)]
    pub run_time: i64,
    #[serde(default)]
    pub members: Vec<MemberRow>,
    /// Not in the list.
    #[serde(skip)]
    pub profile: Option<String>,
}

#[derive(Debug, Clone, serde::Deserialize)]
pub struct MemberRow {
    #[serde(default)]
    pub uuid: String,
    #[serde(default)]
    pub id: u32,
    #[serde(default)]
    pub join_time: i64,
    #[serde(default)]
    pub flags: Flags,
}

#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
pub struct Flags {
    pub can_speak: Option<bool>,
}

#[derive(Debug, Default)]
pub struct Conferences(BTreeMap<String, Conference>);

impl Conferences {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Conference)> {
        self.0.iter().map(|(name, conference)| (name.as_str(), conference))
    }

    pub fn heard(&mut self, at: Micros, said: &OfConference) -> Vec<Change> {
        if said.change == InConference::Over {
            self.0.remove(&said.name);
            return vec![Change::Conference(said.name.clone())];
        }
        let known =
            self.0.entry(said.name.clone()).or_insert_with(|| Conference { since: at, ..Conference::default() });
        known.profile = said.profile.clone().or_else(|| known.profile.take());
        match said.change {
            InConference::Began | InConference::Over => {}
            InConference::Joined { leg, member } => {
                known.members.insert(leg, Member { number: member, since: at, is_muted: false });
            }
            InConference::Left { leg } => {
                known.members.remove(&leg);
            }
            InConference::Muted { leg, is_muted } => {
                if let Some(member) = known.members.get_mut(&leg) {
                    member.is_muted = is_muted;
                }
            }
        }
        vec![Change::Conference(said.name.clone())]
    }

    /// A leg that is gone is in no conference.
    pub fn left(&mut self, leg: Uuid) -> Vec<Change> {
        let with = self
            .0
            .iter_mut()
            .filter_map(|(name, conference)| conference.members.remove(&leg).map(|_| Change::Conference(name.clone())));
        with.collect()
    }

    pub fn read(&mut self, rows: Vec<Row>, began: Micros) {
        let mut known = std::mem::take(&mut self.0);
        for row in rows {
            let before = known.remove(&row.conference_name);
            let ago = |seconds: i64| began.saturating_sub(seconds.saturating_mul(1_000_000));
            let member = |row: MemberRow| {
                let is_muted = row.flags.can_speak == Some(false);
                Some((row.uuid.parse().ok()?, Member { number: row.id, since: ago(row.join_time), is_muted }))
            };
            let conference = Conference {
                profile: row.profile.or_else(|| before.as_ref().and_then(|before| before.profile.clone())),
                since: before.as_ref().map_or_else(|| ago(row.run_time), |before| before.since),
                members: row.members.into_iter().filter_map(member).collect(),
            };
            self.0.insert(short(&row.conference_name), conference);
        }
    }
}

/// Calls in parking lots: by lot and slot.
#[derive(Debug, Default)]
pub struct Lots(BTreeMap<(String, String), (Uuid, Option<Micros>)>);

impl Lots {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Uuid, Option<Micros>)> {
        self.0.iter().map(|((lot, slot), (leg, since))| (lot.as_str(), slot.as_str(), *leg, *since))
    }

    pub fn heard(&mut self, at: Micros, said: &OfParked) -> Vec<Change> {
        let place = (said.lot.clone(), said.slot.clone());
        if said.is_there {
            self.0.insert(place, (said.leg, Some(at)));
        } else {
            self.0.remove(&place);
        }
        vec![Change::Parked(said.lot.clone())]
    }

    pub fn left(&mut self, leg: Uuid) -> Vec<Change> {
        let lots = self.0.extract_if(.., |_, (there, _)| *there == leg);
        lots.map(|((lot, _), _)| Change::Parked(lot)).collect()
    }

    pub fn read(&mut self, rows: Vec<(String, String, Uuid)>) {
        let known = std::mem::take(&mut self.0);
        for (lot, slot, leg) in rows {
            let place = (short(&lot), short(&slot));
            let since = known.get(&place).filter(|(there, _)| *there == leg).and_then(|(_, since)| *since);
            self.0.insert(place, (leg, since));
        }
    }
}
