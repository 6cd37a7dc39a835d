//! The heading of a code's page: a sentence that says what happened, without the values of a particular case.

use super::{Advice, Code, Kind, Texts};

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub english: String,
    pub german: String,
}

impl Code {
    /// What happened, without the values of a particular case.
    #[must_use]
    pub fn heading(self) -> Heading {
        if let Some(Texts { english, german }) = self.own_heading() {
            return Heading { english: english.into(), german: german.into() };
        }
        let Texts { english, german } = self.texts();
        if first_sentence(english).contains(GAP) || first_sentence(german).contains(GAP) {
            let Texts { english, german } = self.kind().heading();
            return Heading { english: english.into(), german: german.into() };
        }
        if self.kind() != Kind::Field {
            return Heading { english: first_sentence(english), german: first_sentence(german) };
        }
        let values = ["müssen ", "dürfen ", "werden "].iter().any(|many| german.starts_with(many));
        let (value, wert) = if values { ("The values", "Die Werte") } else { ("The value", "Der Wert") };
        let (english, german) = (of_field(value, english), of_field(wert, german));
        if english.len().max(german.len()) > LONGEST {
            let Texts { english, german } = self.kind().heading();
            return Heading { english: english.into(), german: german.into() };
        }
        Heading { english, german }
    }

    /// Headings of codes whose own sentence is empty without its values, or too specific.
    fn own_heading(self) -> Option<Texts> {
        let (english, german) = match self {
            Self::NotFound => ("What you asked for was not found.", "Was Sie suchen, wurde nicht gefunden."),
            Self::FieldNotYours => {
                ("Only an administrator can change this field.", "Dieses Feld kann nur die Verwaltung ändern.")
            }
            Self::Unauthorized => ("You are not signed in.", "Sie sind nicht angemeldet."),
            Self::NumberTaken | Self::ExtensionTaken => {
                ("This number is already in use.", "Diese Nummer wird bereits verwendet.")
            }
            Self::NameTakenBy | Self::NameTaken => {
                ("This name is already in use.", "Dieser Name wird bereits verwendet.")
            }
            Self::TemplateNameTaken => {
                ("A template with this name already exists.", "Eine Vorlage mit diesem Namen gibt es bereits.")
            }
            Self::ClusterNameTaken => {
                ("A cluster with this name already exists.", "Einen Cluster mit diesem Namen gibt es bereits.")
            }
            Self::SwitchNameTaken => {
                ("A switch with this name already exists.", "Einen Switch mit diesem Namen gibt es bereits.")
            }
            Self::SipUsernameUsed => {
                ("This SIP username was in use before.", "Dieser SIP-Benutzer wurde schon einmal verwendet.")
            }
            Self::DomainRests => {
                ("Another tenant had this domain recently.", "Diese Domain hatte bis vor Kurzem ein anderer Mandant.")
            }
            Self::SipUsernamesUsedIn => (
                "Another tenant's phones were known by the same names in this domain.",
                "In dieser Domain hatten die Telefone eines anderen Mandanten dieselben Namen.",
            ),
            Self::DomainOfCluster | Self::SipDomainOfTenant => (
                "A domain belongs to a tenant or to a cluster, not to both.",
                "Eine Domain gehört einem Mandanten oder einem Cluster, nicht beiden.",
            ),
            Self::FormerDomainsFull => {
                ("The tenant keeps too many former domains.", "Der Mandant behält zu viele frühere Domains.")
            }
            Self::DomainTaken => ("This domain is already in use.", "Diese Domain wird bereits verwendet."),
            Self::EmailTaken | Self::EmailOfATenant => {
                ("This e-mail address is already in use.", "Diese E-Mail-Adresse wird bereits verwendet.")
            }
            Self::PoolOverlaps => {
                ("The number pool overlaps another one.", "Der Nummernbereich überschneidet sich mit einem anderen.")
            }
            Self::NumberOutsidePools => (
                "This number is in none of the tenant's pools.",
                "Diese Nummer liegt in keinem Nummernbereich des Mandanten.",
            ),
            Self::NumberHeld => ("This number is reserved or resting.", "Diese Nummer ist reserviert oder ruht."),
            Self::NumberMeansElse | Self::NumberWouldMeanElse => (
                "This number is an emergency number or a feature code.",
                "Diese Nummer ist eine Notrufnummer oder ein Funktionscode.",
            ),
            Self::NumberWantedTwice => ("A number is listed twice.", "Eine Nummer ist zweimal angegeben."),
            Self::NumberAssigned => ("The number is assigned to somebody.", "Die Rufnummer ist jemandem zugewiesen."),
            Self::NumberOfAnother => {
                ("The number is assigned to somebody else.", "Die Rufnummer ist jemand anderem zugewiesen.")
            }
            Self::AgentSuspended => ("This agent is suspended.", "Diese Person ist gesperrt."),
            Self::RateHeadsUnknown => (
                "The file has no column of prefixes or no column of prices.",
                "Der Datei fehlt eine Spalte mit Vorwahlen oder Preisen.",
            ),
            Self::RateHeadsTwice => {
                ("Two columns of the file mean the same.", "Zwei Spalten der Datei bedeuten dasselbe.")
            }
            Self::BreaksARule => {
                ("The request breaks a rule of the database.", "Die Anfrage verletzt eine Regel der Datenbank.")
            }
            Self::InUse => ("It is still in use.", "Es wird noch benutzt."),
            Self::ClusterInUse => {
                ("The cluster still has tenants or switches.", "Der Cluster hat noch Mandanten oder Switches.")
            }
            Self::TenantInUse => (
                "The tenant still has extensions, groups or numbers.",
                "Der Mandant hat noch Nebenstellen, Gruppen oder Rufnummern.",
            ),
            Self::Changed => ("Somebody else changed it meanwhile.", "Jemand anderes hat es inzwischen geändert."),
            Self::PoolExhausted => {
                ("There are not enough free extension numbers.", "Es gibt nicht genug freie Nebenstellen.")
            }
            Self::NoClusterInRegion => (
                "No cluster in this region with an active switch has room for another tenant.",
                "Kein Cluster in dieser Region hat Platz für einen weiteren Mandanten.",
            ),
            Self::ClusterFull => (
                "The cluster is not active, or has no room for another tenant.",
                "Der Cluster ist nicht aktiv oder hat keinen Platz für einen weiteren Mandanten.",
            ),
            Self::EntriesFull => (
                "The tenant has reached its limit of dialplan entries.",
                "Der Mandant hat die Höchstzahl an Wählplaneinträgen erreicht.",
            ),
            Self::TooMuchWork | Self::TooMuchXml | Self::PlanTooLarge => {
                ("The tenant's routing data would become too large.", "Die Routing-Daten des Mandanten würden zu groß.")
            }
            Self::NotJson => ("The body is not JSON.", "Der Inhalt ist kein JSON."),
            Self::QueryUnreadable => {
                ("The query parameters can't be read.", "Die Parameter der Adresse sind nicht lesbar.")
            }
            Self::UnknownParameter => ("A query parameter is not known.", "Ein Parameter der Adresse ist unbekannt."),
            Self::MethodNotAllowed => ("The path has no such method.", "Die Adresse kennt die Methode nicht."),
            Self::WrongMediaType => ("The body has the wrong type.", "Der Inhalt hat den falschen Typ."),
            Self::BodyTooLarge | Self::BodyTooLargeHere => ("The request is too large.", "Die Anfrage ist zu groß."),
            Self::FileTooLarge | Self::RatesTooLarge => ("The file is too large.", "Die Datei ist zu groß."),
            Self::NoSuchCaller => (
                "The calling extension does not exist in this tenant.",
                "Die anrufende Nebenstelle gibt es bei diesem Mandanten nicht.",
            ),
            Self::Unreadable => ("The value can't be read.", "Der Wert ist nicht lesbar."),
            Self::OutOfRange | Self::AmountOutOfRange => {
                ("The value is too small or too large.", "Der Wert ist zu klein oder zu groß.")
            }
            Self::AboveMost | Self::DelaysTooLong => ("The value is too large.", "Der Wert ist zu groß."),
            Self::TooManyEntries
            | Self::TooManyActions
            | Self::TooManySpans
            | Self::TooManyDays
            | Self::TooManyContacts => ("The list has too many entries.", "Die Liste hat zu viele Einträge."),
            Self::LinesOutOfRange | Self::TooManyLines => {
                ("The file has too many lines, or none.", "Die Datei hat zu viele Zeilen oder keine.")
            }
            Self::NotCsv => ("The file is not CSV.", "Die Datei ist keine CSV-Datei."),
            Self::NoColumn => ("A column is missing in the file.", "In der Datei fehlt eine Spalte."),
            Self::LengthOutOfRange => ("The text is too short or too long.", "Der Text ist zu kurz oder zu lang."),
            Self::NamesNoExtension => {
                ("There is no such extension in this tenant.", "Diese Nebenstelle gibt es bei diesem Mandanten nicht.")
            }
            Self::NamesNoTarget => {
                ("The destination does not exist in this tenant.", "Dieses Ziel gibt es bei diesem Mandanten nicht.")
            }
            Self::NamesNoRegion => ("There is no such region.", "Diese Region gibt es nicht."),
            Self::FeatureCodeTwice => ("A feature code is used twice.", "Ein Funktionscode kommt zweimal vor."),
            Self::CountryDiffers => ("The country does not match the number.", "Das Land passt nicht zur Nummer."),
            Self::LeadsTooFar => ("The call would be led on too often.", "Der Anruf würde zu oft weitergeführt."),
            Self::LeadsToItself => ("The call would go in circles.", "Der Anruf ginge im Kreis."),
            Self::NamesTooLong => {
                ("First and last name are too long together.", "Vor- und Nachname sind zusammen zu lang.")
            }
            Self::WrongScope => {
                ("The key can't have this scope.", "Der Schlüssel kann diese Berechtigung nicht haben.")
            }
            Self::XmlRefused => ("The XML was refused.", "Das XML wurde abgelehnt."),
            Self::NotASoundFile => {
                ("The value must be a sound file of the switch.", "Der Wert muss eine Tondatei des Switches sein.")
            }
            Self::PoolTooLarge => ("The number pool is too large.", "Der Nummernbereich ist zu groß."),
            Self::NotMade => ("It could not be created.", "Es konnte nicht angelegt werden."),
            Self::NotAnId => ("This is not an id.", "Das ist keine Kennung."),
            Self::LinkExpired => ("This link has expired.", "Dieser Link ist abgelaufen."),
            _ if self.advice() == Advice::StrongPassword => {
                ("The password is too weak.", "Das Passwort ist zu schwach.")
            }
            _ => return None,
        };
        Some(Texts { english, german })
    }
}

impl Kind {
    /// The heading of a code whose own sentence is empty without its values.
    fn heading(self) -> Texts {
        let (english, german) = match self {
            Self::Field => ("The value was refused.", "Der Wert wurde abgelehnt."),
            Self::Conflict | Self::Changed => {
                ("This is not possible in the present state.", "Das ist im jetzigen Zustand nicht möglich.")
            }
            Self::TooLarge => ("The request is too large.", "Die Anfrage ist zu groß."),
            Self::TooMany | Self::Unavailable => ("This can't be done right now.", "Das geht gerade nicht."),
            _ => ("The request was refused.", "Die Anfrage wurde abgelehnt."),
        };
        Texts { english, german }
    }
}

/// The length of the longest heading.
const LONGEST: usize = 130;
/// Stands for a value.
const GAP: char = '…';

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    without_values(&text[..end])
}

fn of_field(value: &str, text: &str) -> String {
    let ends = [text.find([';', '\u{2014}']), text.find(": "), text.find(". ")];
    let end = ends.into_iter().flatten().min().unwrap_or(text.len());
    without_values(&format!("{value} {}.", text[..end].trim_end()))
}

/// Replaces values by gaps.
fn without_values(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        told.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if super::is_parameter(name) => {
                told.push(GAP);
                rest = after;
            }
            _ => {
                told.push('{');
                rest = after;
            }
        }
    }
    told + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_headed_by_a_sentence_in_both_languages() {
        for code in Code::ALL {
            let Heading { english, german } = code.heading();
            assert_ne!(english, german, "{code}");
            for text in [english, german] {
                assert!(text.ends_with('.') && text.split(' ').count() >= 3, "{code}: {text}");
                assert!(text.chars().next().is_some_and(char::is_uppercase), "{code}: {text}");
                assert!(!text.contains(code.name()) || !code.name().contains('_'), "{code}: {text}");
                assert!(text.chars().count() <= 130 && !text.contains(GAP), "{code}: {text}");
            }
        }
    }

    #[test]
    fn what_a_field_must_be_is_said_of_a_value() {
        assert_eq!(Code::Missing.heading().english, "The value is missing.");
        assert_eq!(Code::NotADomain.heading().english, "The value must be a DNS name such as acme.example.");
        assert_eq!(Code::NoAudioCodec.heading().german, "Die Werte müssen einen Codec für Ton haben, etwa PCMA.");
    }
}
