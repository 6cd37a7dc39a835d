//! Why calls end, in words. Causes are FreeSWITCH's (`CAUSE_CHART` in switch_channel.c), which are those of ITU-T Q.850 and some of its own.

use crate::model::language::Language;

/// Cause, English, German.
const WORDS: &[(&str, &str, &str)] = &[
    ("NORMAL_CLEARING", "Somebody hung up", "Jemand hat aufgelegt"),
    (
        "ORIGINATOR_CANCEL",
        "The caller hung up before anybody answered",
        "Der Anrufer hat aufgelegt, bevor jemand abnahm",
    ),
    ("USER_BUSY", "Busy", "Besetzt"),
    ("NO_ANSWER", "Nobody answered", "Niemand hat abgenommen"),
    ("NO_USER_RESPONSE", "The phone did not respond", "Das Telefon hat nicht reagiert"),
    ("CALL_REJECTED", "The call was declined", "Der Anruf wurde abgelehnt"),
    ("USER_NOT_REGISTERED", "No phone was registered", "Kein Telefon war angemeldet"),
    ("SUBSCRIBER_ABSENT", "No phone was registered", "Kein Telefon war angemeldet"),
    ("UNALLOCATED_NUMBER", "The number does not exist", "Die Nummer gibt es nicht"),
    ("NO_ROUTE_DESTINATION", "Nothing leads to this number", "Zu dieser Nummer führt nichts"),
    ("NO_ROUTE_TRANSIT_NET", "The carrier has no way to this number", "Der Carrier hat keinen Weg zu dieser Nummer"),
    ("NUMBER_CHANGED", "The number has changed", "Die Nummer hat sich geändert"),
    ("INVALID_NUMBER_FORMAT", "The number is not complete or not valid", "Die Nummer ist unvollständig oder ungültig"),
    ("DESTINATION_OUT_OF_ORDER", "The phone could not be reached", "Das Telefon war nicht erreichbar"),
    ("NETWORK_OUT_OF_ORDER", "The carrier has a fault", "Der Carrier ist gestört"),
    ("NORMAL_TEMPORARY_FAILURE", "A fault of the carrier", "Ein Fehler des Carriers"),
    ("NORMAL_CIRCUIT_CONGESTION", "No line was free", "Keine Leitung war frei"),
    ("SWITCH_CONGESTION", "The network was overloaded", "Das Netz war überlastet"),
    ("REQUESTED_CHAN_UNAVAIL", "No line was free", "Keine Leitung war frei"),
    ("FACILITY_REJECTED", "The service was refused", "Der Dienst wurde verweigert"),
    ("OUTGOING_CALL_BARRED", "Calls to this number are not allowed", "Anrufe zu dieser Nummer sind nicht erlaubt"),
    ("INCOMING_CALL_BARRED", "The called party takes no such calls", "Der Angerufene nimmt solche Anrufe nicht an"),
    ("BEARERCAPABILITY_NOTAVAIL", "The service is not available", "Der Dienst ist nicht verfügbar"),
    (
        "INCOMPATIBLE_DESTINATION",
        "The phones have no sound format in common",
        "Die Telefone haben kein gemeinsames Tonformat",
    ),
    ("MEDIA_TIMEOUT", "The sound stopped coming", "Es kam kein Ton mehr an"),
    (
        "RECOVERY_ON_TIMER_EXPIRE",
        "The other side did not answer in time",
        "Die Gegenseite hat nicht rechtzeitig geantwortet",
    ),
    ("PROGRESS_TIMEOUT", "It did not ring in time", "Es hat nicht rechtzeitig geklingelt"),
    ("ALLOTTED_TIMEOUT", "The time for the call was over", "Die Zeit für den Anruf war abgelaufen"),
    ("ATTENDED_TRANSFER", "The call was transferred", "Der Anruf wurde vermittelt"),
    ("BLIND_TRANSFER", "The call was transferred", "Der Anruf wurde vermittelt"),
    ("LOSE_RACE", "Another phone took the call", "Ein anderes Telefon hat den Anruf angenommen"),
    ("PICKED_OFF", "Somebody else picked the call up", "Jemand anderes hat den Anruf herangeholt"),
    ("MANAGER_REQUEST", "The platform ended the call", "Die Plattform hat den Anruf beendet"),
    ("SYSTEM_SHUTDOWN", "The switch was shut down", "Der Switch wurde heruntergefahren"),
    ("CRASH", "The switch failed", "Der Switch ist ausgefallen"),
    ("GATEWAY_DOWN", "The carrier's gateway is down", "Das Gateway des Carriers ist nicht erreichbar"),
    (
        "INVALID_GATEWAY",
        "The switch does not know the carrier's gateway",
        "Der Switch kennt das Gateway des Carriers nicht",
    ),
    ("EXCHANGE_ROUTING_ERROR", "The call went in circles", "Der Anruf ging im Kreis"),
    ("SERVICE_UNAVAILABLE", "The service is not available", "Der Dienst ist nicht verfügbar"),
    ("SERVICE_NOT_IMPLEMENTED", "The service is not available", "Der Dienst ist nicht verfügbar"),
    ("INTERWORKING", "An unknown fault between networks", "Ein unbekannter Fehler zwischen Netzen"),
    ("NORMAL_UNSPECIFIED", "The call ended without a reason", "Der Anruf endete ohne Angabe eines Grundes"),
    ("BUSY_EVERYWHERE", "All phones are busy", "Alle Telefone sind besetzt"),
    ("DECLINE", "The call was declined", "Der Anruf wurde abgelehnt"),
    ("DOES_NOT_EXIST_ANYWHERE", "The number does not exist", "Die Nummer gibt es nicht"),
    ("UNWANTED", "The called party does not want such calls", "Der Angerufene wünscht solche Anrufe nicht"),
];

/// A cause in words; `None` for one without.
#[must_use]
pub fn in_words(cause: &str, language: Language) -> Option<&'static str> {
    let found = WORDS.iter().find(|(known, ..)| *known == cause);
    found.map(|(_, english, german)| if language == Language::De { *german } else { *english })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cause_is_there_once_in_both_languages() {
        let names = WORDS.iter().map(|(name, ..)| name).collect::<HashSet<_>>();
        assert_eq!(names.len(), WORDS.len());
        assert_eq!(in_words("USER_BUSY", Language::En), Some("Busy"));
        assert_eq!(in_words("USER_BUSY", Language::De), Some("Besetzt"));
        assert_eq!(in_words("X", Language::En), None);
    }
}
