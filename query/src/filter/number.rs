//! Numbers as they are compared: whole ones exactly, however large.

use std::cmp::Ordering;

use super::number_of_text;

/// A finite number.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole one.
    Whole(i128),
    /// Any other, or one that was worked out.
    Float(f64),
}

impl Number {
    /// The number that `text` reads as.
    pub fn parse(text: &str) -> Option<Self> {
        let number = number_of_text(text)?;
        Some(text.trim().parse().map_or(Self::Float(number), Self::Whole))
    }

    /// The nearest float.
    pub fn approximate(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// Whether floats tell it apart from all whole numbers around it.
    pub(crate) fn is_exact_float(self) -> bool {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        self.approximate().abs() < EXACT_MAX
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (*self, *other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(&other)),
            (Self::Float(one), Self::Float(other)) => one.partial_cmp(&other),
            (Self::Whole(one), Self::Float(other)) => compare(one, other),
            (Self::Float(one), Self::Whole(other)) => compare(other, one).map(Ordering::reverse),
        }
    }
}

fn compare(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // The cast cuts off what is behind the point, and saturates.
    let cut = float.trunc();
    let order = whole.cmp(&(cut as i128));
    Some(order.then_with(|| cut.partial_cmp(&float).unwrap_or(Ordering::Equal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_compare_exactly_and_with_floats() {
        let of = |text: &str| Number::parse(text).expect("a number");
        let large = "9007199254740993";
        assert!(of(large) > of("9007199254740992"));
        assert!(of(large) < of("9007199254740994"));
        assert!(of(large) > Number::Float(9_007_199_254_740_992.0));
        assert!(of("2") < of("2.5") && of("3") > of("2.5") && of("-2") > of("-2.5"));
        assert!(of("2.0") == of("2") && of(" 7 ") == of("7"));
        assert!(of("5") < Number::Float(f64::MAX) && of("5") > Number::Float(f64::MIN));
        assert_eq!(of("5").partial_cmp(&Number::Float(f64::NAN)), None);
        assert!(Number::parse("x").is_none() && Number::parse("inf").is_none());
    }
}
