//! A number outside, as a tenant's people dial it. The numbering plan of the tenant's country says how to read it, and the
//! tenant's rules whether it may be called.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, enums::Region};

use super::plan::Plan;
use crate::model::refusal::Refusal;
use crate::{
    model::settings::Country,
    text::{
        E164, Prefix,
        service::{Class, Service},
    },
};

/// A number of the public network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    pub number: E164,
    /// ISO 3166; `None` for satellites and other networks without a country.
    pub country: Option<Country>,
    pub is_premium: bool,
}

/// Prefixes known for revenue-share fraud: networks without a country, and small numbering plans. Calls there are blocked
/// unless a tenant allows the prefix. From ITU's list of assigned codes and the ranges that carriers warn of.
const REVENUE_SHARE: &[&str] = &[
    "870", "878", "881", "882", "883", "888", "979",
    "991", // satellites, global networks, international premium rate
    "247", "290", "500", // Ascension, Saint Helena, Falkland Islands
    "222", "224", "231", "232", "235", "236", "239", "240", "242", "245", "252", "253", "257", "261", "269", "291",
    "670", "672", "674", "675", "676", "677", "678", "681", "682", "683", "685", "686", "687", "688", "690", "691",
    "692", "1900", "1976", "1268", "1473", "1649", "1664", "1758", "1767", "1784", "1809976", "1829976", "1876",
    "3395", "371905", "370809", "375602", "381900", "4470", "5399",
];

fn valid(number: &str, country: Option<&str>) -> Option<PhoneNumber> {
    let region = country.and_then(|country| country.parse::<Region>().ok());
    if region.is_none() && !number.starts_with('+') {
        return None;
    }
    PHONE_NUMBER_UTIL.parse(number, region).ok().filter(PhoneNumber::is_valid)
}

impl Callee {
    /// Reads what was dialled, without the digits for an outside line. `None` if it is not a valid number.
    #[must_use]
    pub fn read(dialled: &str, country: Option<&str>) -> Option<Self> {
        if let Some(service) = dialled.strip_prefix('+').and_then(Service::of) {
            return Some(Self::of_service(service));
        }
        let number = valid(dialled, country).or_else(|| {
            // Most of the world dials 00 for another country. Phones' address books have it wherever the phone stands.
            valid(&format!("+{}", dialled.strip_prefix("00")?), None)
        });
        Self::of(&number?)
    }

    /// The same for what a tenant's people dialled: a number that begins with neither `+` nor 0 may lack the tenant's area code.
    ///
    /// `own_area`: that of the caller's extension, if it has one of its own.
    #[must_use]
    pub fn dialled(number: &str, plan: &Plan, own_area: Option<&Prefix>) -> Option<Self> {
        let country = plan.country();
        if let Some(service) = Service::dialled(number, country) {
            return Some(Self::of_service(service));
        }
        // Numbers that begin with 11, and those of few digits, are services' and extensions', or mistyped. A number that is whole with
        // its country's code lacks only the `+`.
        let is_short = number.len() < 5 || number.starts_with("11");
        let is_whole =
            || valid(&format!("+{number}"), None).and_then(|n| Self::of(&n)).is_some_and(|n| n.is_in(country));
        let area = own_area.or(plan.settings.routing.outbound.area_code.as_ref());
        let local = area.filter(|_| !number.starts_with(['+', '0']) && !is_short && !is_whole());
        let local = local.and_then(|area| valid(&format!("{area}{number}"), country)).filter(|number| {
            matches!(number.get_type(), PhoneNumberType::FixedLine | PhoneNumberType::FixedLineOrMobile)
        });
        match local {
            Some(number) => Self::of(&number),
            None => Self::read(number, country),
        }
    }

    fn of(number: &PhoneNumber) -> Option<Self> {
        let country = number.get_region_code().and_then(|region| Country::parse(&region.to_string()).ok());
        let is_premium = matches!(number.get_type(), PhoneNumberType::PremiumRate | PhoneNumberType::SharedCost);
        let number = E164::parse(&number.format_as(PhoneNumberFormat::E164)).ok()?;
        Some(Self { number, country, is_premium })
    }

    fn of_service(service: Service<'_>) -> Self {
        let country = Country::parse(service.country).ok();
        Self { number: E164::of_service(service), country, is_premium: service.class == Class::Premium }
    }

    fn is_in(&self, country: Option<&str>) -> bool {
        self.country.as_ref().map(Country::as_str) == country
    }

    #[must_use]
    pub fn digits(&self) -> &str {
        self.number.as_str().trim_start_matches('+')
    }

    /// The number as it is dialled inside its country.
    #[must_use]
    pub fn national(&self) -> String {
        self.number.national()
    }

    fn begins_with(&self, prefixes: &[Prefix]) -> bool {
        prefixes.iter().any(|prefix| self.digits().starts_with(prefix.as_str()))
    }

    fn is_revenue_share(&self) -> bool {
        REVENUE_SHARE.iter().any(|prefix| self.digits().starts_with(prefix))
    }

    /// Whether the tenant's rules allow calling it.
    pub fn judge(&self, plan: &Plan) -> Result<(), Refusal> {
        let rules = &plan.settings.routing.outbound;
        if self.begins_with(&rules.blocked_prefixes) {
            return Err(Refusal::BlockedNumber);
        }
        let allowed = self.begins_with(&rules.allowed_prefixes);
        if (self.is_premium || self.is_revenue_share()) && !allowed {
            return Err(Refusal::PremiumNumber);
        }
        let own = plan.country();
        let country = self.country.as_ref().map(Country::as_str);
        let abroad = plan.settings.features.international_calls;
        let listed = rules.countries.is_empty() || rules.countries.iter().any(|one| Some(one.as_str()) == country);
        if allowed || (own.is_some() && country == own) || (abroad && listed) { Ok(()) } else { Err(Refusal::Country) }
    }
}

/// The number outside, if one was dialled: with `+`, or after the tenant's digits for an outside line; if the tenant has no
/// such digits, anything may be one.
pub fn outside<'a>(dialled: &'a str, plan: &Plan) -> Option<&'a str> {
    match &plan.settings.routing.outbound.prefix {
        _ if dialled.starts_with('+') => Some(dialled),
        Some(prefix) => dialled.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty()),
        None => Some(dialled),
    }
}
