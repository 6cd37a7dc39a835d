//! How much of one currency another is, as an exact number.

use serde::Serialize;

use crate::text::{Code, TextError, text_impls};

/// How much of one currency a unit of another is: a decimal number above 0, up to 1,000,000, with up to twelve decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, pattern = r"^[0-9]{1,7}(\.[0-9]{1,12})?$", example = "1.0843")]
pub struct ExchangeFactor(i64);
text_impls!(ExchangeFactor);

/// Steps of a factor in a whole.
const STEPS: i64 = 1_000_000_000_000;
const DECIMALS: usize = 12;
/// The largest factor, in steps.
const MOST: i64 = 1_000_000 * STEPS;

impl ExchangeFactor {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        Self::read(text).ok_or(TextError(Code::NotAnExchangeRate))
    }

    fn read(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits =
            |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit());
        if !are_digits(whole, 7) || !are_digits(decimals, DECIMALS) {
            return None;
        }
        let whole = whole.parse::<i64>().ok()?.checked_mul(STEPS)?;
        let decimals = format!("{decimals:0<DECIMALS$}").parse::<i64>().ok()?;
        Self::from_steps(whole.checked_add(decimals)?)
    }

    /// From what is stored.
    #[must_use]
    pub fn from_steps(steps: i64) -> Option<Self> {
        (1..=MOST).contains(&steps).then_some(Self(steps))
    }

    #[must_use]
    pub fn steps(self) -> i64 {
        self.0
    }

    /// An amount in the other currency: rounded to a whole millionth, halves away from zero. What is more than an amount can be is the largest one.
    #[must_use]
    pub fn convert(self, amount: i64) -> i64 {
        let product = i128::from(amount) * i128::from(self.0);
        let half = i128::from(STEPS / 2) * product.signum();
        let converted = (product + half) / i128::from(STEPS);
        i64::try_from(converted).unwrap_or(if converted < 0 { i64::MIN } else { i64::MAX })
    }
}

impl std::fmt::Display for ExchangeFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, decimals) = (self.0 / STEPS, format!("{:0>DECIMALS$}", self.0 % STEPS));
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            decimals => write!(f, "{whole}.{decimals}"),
        }
    }
}

impl Serialize for ExchangeFactor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn factor(text: &str) -> ExchangeFactor {
        ExchangeFactor::parse(text).unwrap()
    }

    #[test]
    fn a_rate_is_a_decimal_number_and_is_written_as_short_as_it_can_be() {
        for (text, written) in [
            ("1.0843", "1.0843"),
            ("01.50", "1.5"),
            ("1", "1"),
            ("1000000", "1000000"),
            ("0.000000000001", "0.000000000001"),
            ("25431.5", "25431.5"),
        ] {
            assert_eq!(factor(text).to_string(), written);
        }
        for wrong in
            ["", "0", "0.0", "-1", "+1", "1.", ".5", "1,5", "1e3", "1000000.1", "10000000", "0.0000000000001", "1 "]
        {
            assert!(ExchangeFactor::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn halves_of_a_millionth_are_rounded_away_from_zero() {
        for (amount, rate, converted) in [
            (1_000_000, "1.0843", 1_084_300),
            (1, "0.5", 1),
            (-1, "0.5", -1),
            (1, "0.499999999999", 0),
            (3, "0.5", 2),
            (0, "7", 0),
            (i64::MAX, "2", i64::MAX),
            (i64::MIN, "2", i64::MIN),
        ] {
            assert_eq!(factor(rate).convert(amount), converted, "{amount} at {rate}");
        }
    }

    proptest! {
        #[test]
        fn more_never_becomes_less_and_the_error_is_at_most_half_a_millionth(
            one in any::<i64>(), other in any::<i64>(), steps in 1..=MOST, more in 1..=MOST,
        ) {
            let rate = ExchangeFactor::from_steps(steps).unwrap();
            let (least, most) = (one.min(other), one.max(other));
            prop_assert!(rate.convert(least) <= rate.convert(most));
            // A higher rate makes no less of what is owed.
            let higher = ExchangeFactor::from_steps(steps.max(more)).unwrap();
            prop_assert!(higher.convert(one.saturating_abs()) >= rate.convert(one.saturating_abs()));
            let converted = rate.convert(one);
            if converted != i64::MAX && converted != i64::MIN {
                let error = i128::from(converted) * i128::from(STEPS) - i128::from(one) * i128::from(steps);
                prop_assert!(error.abs() * 2 <= i128::from(STEPS));
            }
            prop_assert_eq!(rate.convert(-(least / 2_000_000)), -rate.convert(least / 2_000_000));
        }

        #[test]
        fn what_is_written_is_read_again(steps in 1..=MOST) {
            let rate = ExchangeFactor::from_steps(steps).unwrap();
            prop_assert_eq!(ExchangeFactor::parse(&rate.to_string()), Ok(rate));
        }
    }
}
