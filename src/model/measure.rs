//! What is measured of a tenant in a month.

use serde::{Deserialize, Serialize};

use super::language::Language;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Measure {
    MinutesIn,
    MinutesOut,
    Calls,
    PeakCalls,
    Extensions,
    Numbers,
    StorageBytes,
    Charge,
}

impl Measure {
    pub const ALL: [Self; 8] = [
        Self::MinutesIn,
        Self::MinutesOut,
        Self::Calls,
        Self::PeakCalls,
        Self::Extensions,
        Self::Numbers,
        Self::StorageBytes,
        Self::Charge,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinutesIn => "minutes_in",
            Self::MinutesOut => "minutes_out",
            Self::Calls => "calls",
            Self::PeakCalls => "peak_calls",
            Self::Extensions => "extensions",
            Self::Numbers => "numbers",
            Self::StorageBytes => "storage_bytes",
            Self::Charge => "charge",
        }
    }

    /// As mails and pages call it.
    #[must_use]
    pub fn name(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::MinutesIn, Language::En) => "minutes of calls from outside",
            (Self::MinutesIn, Language::De) => "Minuten in Anrufen von außen",
            (Self::MinutesOut, Language::En) => "minutes of calls to outside",
            (Self::MinutesOut, Language::De) => "Minuten in Anrufen nach außen",
            (Self::Calls, Language::En) => "calls",
            (Self::Calls, Language::De) => "Anrufe",
            (Self::PeakCalls, Language::En) => "calls at once",
            (Self::PeakCalls, Language::De) => "Anrufe gleichzeitig",
            (Self::Extensions, Language::En) => "extensions",
            (Self::Extensions, Language::De) => "Nebenstellen",
            (Self::Numbers, Language::En) => "phone numbers",
            (Self::Numbers, Language::De) => "Rufnummern",
            (Self::StorageBytes, Language::En) => "storage of recordings and messages",
            (Self::StorageBytes, Language::De) => "Speicher für Aufzeichnungen und Nachrichten",
            (Self::Charge, Language::En) => "charges",
            (Self::Charge, Language::De) => "Kosten",
        }
    }

    /// An amount of it, as people read it. Millionths of a currency are cut to hundredths.
    #[must_use]
    pub fn amount(self, amount: i64, currency: Option<&str>, language: Language) -> String {
        let point = if language == Language::De { ',' } else { '.' };
        match self {
            Self::Charge => {
                let text = format!("{}{point}{:02}", amount / 1_000_000, amount / 10_000 % 100);
                currency.map_or_else(|| text.clone(), |currency| format!("{text} {currency}"))
            }
            // Tenths of a megabyte.
            Self::StorageBytes => format!("{}{point}{} MB", amount / 1_000_000, amount / 100_000 % 10),
            _ => amount.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_their_unit() {
        let of = |measure: Measure, amount| measure.amount(amount, Some("EUR"), Language::De);
        assert_eq!(of(Measure::Charge, 12_345_678), "12,34 EUR");
        assert_eq!(of(Measure::StorageBytes, 1_260_000), "1,2 MB");
        assert_eq!(of(Measure::Calls, 80), "80");
        for measure in Measure::ALL {
            assert_eq!(serde_json::to_value(measure).unwrap(), measure.as_str());
        }
    }
}
