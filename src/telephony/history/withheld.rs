//! Who may know a caller whose number is withheld. A call's record keeps them for those who see all of the tenant's calls. Agents who were called
//! don't see them, and no filter tells them.

use std::collections::HashSet;

use uuid::Uuid;

use super::{Call, Direction, Party, Story, Summary, What};

/// What somebody may not know of a call.
#[derive(Debug, Default)]
pub struct Hidden {
    pub extensions: HashSet<Uuid>,
    pub agents: HashSet<Uuid>,
    numbers: HashSet<String>,
    /// Whether it is the caller, and not somebody who came later.
    caller: bool,
}

impl Party {
    /// Whether an agent may not know who this is.
    #[must_use]
    pub fn is_hidden_from(&self, person: Uuid) -> bool {
        self.withheld && self.agent_id != Some(person)
    }

    /// Leaves only that there was somebody.
    fn hide(&mut self) {
        *self = Self { withheld: true, ..Self::default() };
    }
}

impl Summary {
    fn parties(&self) -> impl Iterator<Item = &Party> {
        [&self.from, &self.to].into_iter().chain(&self.answered_by)
    }
}

impl Story {
    fn parties(&self) -> impl Iterator<Item = &Party> {
        let of_events = self.events.iter().filter_map(|event| event.party.as_ref());
        self.legs.iter().map(|leg| &leg.party).chain(of_events)
    }

    fn hide(&mut self, hidden: &Hidden, person: Uuid) {
        let of_events = self.events.iter_mut().filter_map(|event| event.party.as_mut());
        let parties = self.legs.iter_mut().map(|leg| &mut leg.party).chain(of_events);
        parties.filter(|party| party.is_hidden_from(person)).for_each(Party::hide);
        let is_hidden = |number: &Option<String>| number.as_ref().is_some_and(|number| hidden.numbers.contains(number));
        // Where a call was parked or which conference it was in is no number of anybody's.
        let told = self.events.iter_mut().filter(|event| !matches!(event.what, What::Parked | What::Conference));
        told.filter(|event| is_hidden(&event.to)).for_each(|event| event.to = None);
        self.attempts.iter_mut().filter(|attempt| is_hidden(&attempt.callee)).for_each(|attempt| attempt.callee = None);
    }
}

impl Hidden {
    /// What an agent may not know of a call. Without its story, whoever lists show is known only.
    #[must_use]
    pub fn from(person: Uuid, summary: &Summary, story: Option<&Story>) -> Self {
        let mut hidden = Self { caller: summary.from.is_hidden_from(person), ..Self::default() };
        let parties = summary.parties().chain(story.into_iter().flat_map(Story::parties));
        for party in parties.filter(|party| party.is_hidden_from(person)) {
            hidden.extensions.extend(party.extension_id);
            hidden.agents.extend(party.agent_id);
            hidden.numbers.extend(party.number.clone());
        }
        hidden
    }

    /// Whether the tenant's number on the call says who called: it is the one that was shown outside.
    #[must_use]
    pub fn hides_number(&self, direction: Direction) -> bool {
        self.caller && direction != Direction::Inbound
    }

    /// Whether the country of the number outside is the caller's.
    #[must_use]
    pub fn hides_country(&self, direction: Direction) -> bool {
        self.caller && direction == Direction::Inbound
    }
}

impl Call {
    /// Takes out what an agent may not know.
    pub fn hide_from(&mut self, person: Uuid, story: Option<&mut Story>) {
        let hidden = Hidden::from(person, &self.summary, story.as_deref());
        // Whoever called knows what they dialled, though not who else was on the call.
        let dialled = self.summary.to.number.clone().filter(|_| self.summary.from.agent_id == Some(person));
        let Summary { from, to, answered_by, .. } = &mut self.summary;
        for party in [&mut *from, &mut *to].into_iter().chain(answered_by) {
            if party.is_hidden_from(person) {
                party.hide();
            }
        }
        to.number = dialled.or_else(|| to.number.take());
        if self.extension_id.is_some_and(|id| hidden.extensions.contains(&id)) {
            (self.extension_id, self.agent_id) = (None, None);
        }
        if hidden.hides_number(self.direction) {
            (self.number_id, self.summary.number) = (None, None);
        }
        if hidden.hides_country(self.direction) {
            self.country = None;
        }
        // It says who called.
        if hidden.caller || !hidden.numbers.is_empty() {
            self.contact_id = None;
        }
        if let Some(story) = story {
            story.hide(&hidden, person);
        }
    }
}

/// Between the words by which everybody finds a call and those of people whose number is withheld.
const APART: char = '\u{1}';

/// Numbers and names of a call, as they are searched: first those that everybody on it may know.
#[must_use]
pub fn sought(summary: &Summary, direction: Direction) -> String {
    let words_of = |withheld: bool| {
        let parties = summary.parties().filter(move |party| party.withheld == withheld);
        parties.flat_map(|party| [party.number.as_deref(), party.name.as_deref()])
    };
    let is_callers = summary.from.withheld && direction != Direction::Inbound;
    let number = |withheld: bool| summary.number.as_deref().filter(|_| is_callers == withheld);
    let [known, withheld] = [false, true].map(|withheld| {
        let words = words_of(withheld).chain([number(withheld)]).flatten().map(str::to_lowercase);
        words.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
    });
    if withheld.is_empty() { known } else { format!("{known}{APART}{withheld}") }
}
