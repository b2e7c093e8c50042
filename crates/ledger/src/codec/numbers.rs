//! Enumerations as numbers on the disk. The match to a number is exhaustive, so a new variant does not compile
//! until it has one; the way back is a search over the same match, so the two cannot disagree.

use domain::{
    CallClass, Certainty, Code, Link, UsageSource,
    record::{CostBasis, Outcome, ServedBy},
};

/// A code's number. 0 is never given: it means that the field is absent.
pub(super) const fn of_code(code: Code) -> u8 {
    match code {
        Code::InvalidJson => 1,
        Code::InvalidRequest => 2,
        Code::UnsupportedParameter => 3,
        Code::ContextLengthExceeded => 4,
        Code::ContentFilter => 5,
        Code::InvalidApiKey => 6,
        Code::PlacementRefused => 7,
        Code::ModelNotFound => 8,
        Code::NotAvailableThere => 9,
        Code::RouteNotFound => 10,
        Code::MethodNotAllowed => 11,
        Code::RequestTimeout => 12,
        Code::BodyTooLarge => 13,
        Code::UnsupportedMediaType => 14,
        Code::RateLimited => 15,
        Code::QuotaExhausted => 16,
        Code::CallerLeft => 17,
        Code::Internal => 18,
        Code::UpstreamUnreachable => 19,
        Code::UpstreamTls => 20,
        Code::UpstreamAuth => 21,
        Code::UpstreamBadResponse => 22,
        Code::UpstreamError => 23,
        Code::UpstreamRejected => 24,
        Code::UpstreamModelUnavailable => 25,
        Code::PermittedUnavailable => 26,
        Code::Overloaded => 27,
        Code::JournalUnavailable => 28,
        Code::UpstreamTimeout => 29,
        Code::PreviousResponseNotFound => 30,
        Code::ResponseNotFound => 31,
        Code::ConversationNotFound => 32,
        Code::ItemNotFound => 33,
        Code::ResponseInProgress => 34,
        Code::ConversationLocked => 35,
        Code::ItemTooLarge => 36,
        Code::NothingToCompact => 37,
        Code::StateUnavailable => 38,
    }
}

const CODES: [Code; 38] = [
    Code::InvalidJson,
    Code::InvalidRequest,
    Code::UnsupportedParameter,
    Code::ContextLengthExceeded,
    Code::ContentFilter,
    Code::InvalidApiKey,
    Code::PlacementRefused,
    Code::ModelNotFound,
    Code::NotAvailableThere,
    Code::RouteNotFound,
    Code::MethodNotAllowed,
    Code::RequestTimeout,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::RateLimited,
    Code::QuotaExhausted,
    Code::CallerLeft,
    Code::Internal,
    Code::UpstreamUnreachable,
    Code::UpstreamTls,
    Code::UpstreamAuth,
    Code::UpstreamBadResponse,
    Code::UpstreamError,
    Code::UpstreamRejected,
    Code::UpstreamModelUnavailable,
    Code::PermittedUnavailable,
    Code::Overloaded,
    Code::JournalUnavailable,
    Code::UpstreamTimeout,
    Code::PreviousResponseNotFound,
    Code::ResponseNotFound,
    Code::ConversationNotFound,
    Code::ItemNotFound,
    Code::ResponseInProgress,
    Code::ConversationLocked,
    Code::ItemTooLarge,
    Code::NothingToCompact,
    Code::StateUnavailable,
];

/// The code of a number. One that a newer binary wrote reads as `Internal`: the record stays, the detail is lost.
pub(super) fn to_code(number: u64) -> Code {
    CODES.into_iter().find(|code| u64::from(of_code(*code)) == number).unwrap_or(Code::Internal)
}

/// An outcome's number and, where it has one, its code.
pub(super) const fn of_outcome(outcome: Outcome) -> (u8, Option<Code>) {
    match outcome {
        Outcome::Done => (1, None),
        Outcome::Failed(code) => (2, Some(code)),
        Outcome::Cut(code) => (3, Some(code)),
        Outcome::CallerLeft => (4, None),
        Outcome::Unknown => (5, None),
    }
}

/// The outcome of a number; one that we do not know reads as `Unknown`.
pub(super) const fn to_outcome(number: u64, code: Option<Code>) -> Outcome {
    let code = match code {
        Some(code) => code,
        None => Code::Internal,
    };
    match number {
        1 => Outcome::Done,
        2 => Outcome::Failed(code),
        3 => Outcome::Cut(code),
        4 => Outcome::CallerLeft,
        _ => Outcome::Unknown,
    }
}

/// The number of a cost basis; 0 is the default.
pub(super) const fn of_basis(basis: CostBasis) -> u8 {
    match basis {
        CostBasis::Unpriced => 0,
        CostBasis::List => 1,
        CostBasis::ListEstimated => 2,
        CostBasis::ProviderReported => 3,
        CostBasis::Simulated => 4,
        CostBasis::BilledToEndEstimated => 5,
    }
}

/// The cost basis of a number; one that we do not know reads as the visible gap.
pub(super) const fn to_basis(number: u64) -> CostBasis {
    match number {
        1 => CostBasis::List,
        2 => CostBasis::ListEstimated,
        3 => CostBasis::ProviderReported,
        4 => CostBasis::Simulated,
        5 => CostBasis::BilledToEndEstimated,
        _ => CostBasis::Unpriced,
    }
}

/// The number of a verdict on who served; 0 is the default.
pub(super) const fn of_served(served: ServedBy) -> u8 {
    match served {
        ServedBy::Unknown => 0,
        ServedBy::Simulated => 1,
        ServedBy::Consistent => 2,
        ServedBy::Confirmed => 3,
        ServedBy::Contradicted => 4,
    }
}

/// The verdict of a number; one that we do not know reads as unknown.
pub(super) const fn to_served(number: u64) -> ServedBy {
    match number {
        1 => ServedBy::Simulated,
        2 => ServedBy::Consistent,
        3 => ServedBy::Confirmed,
        4 => ServedBy::Contradicted,
        _ => ServedBy::Unknown,
    }
}

/// The number of a usage's source; 0 is the default.
pub(super) const fn of_source(source: UsageSource) -> u8 {
    match source {
        UsageSource::Unknown => 0,
        UsageSource::Reported => 1,
        UsageSource::Estimated => 2,
    }
}

/// The usage source of a number.
pub(super) const fn to_source(number: u64) -> UsageSource {
    match number {
        1 => UsageSource::Reported,
        2 => UsageSource::Estimated,
        _ => UsageSource::Unknown,
    }
}

pub(super) const fn of_class(class: CallClass) -> u8 {
    match class {
        CallClass::Stateless => 0,
        CallClass::Stateful => 1,
        CallClass::Hybrid => 2,
    }
}

/// The class of a number; one that we do not know reads as the weakest claim.
pub(super) const fn to_class(number: u64) -> CallClass {
    match number {
        1 => CallClass::Stateful,
        2 => CallClass::Hybrid,
        _ => CallClass::Stateless,
    }
}

/// Certain is the usual and is not written.
pub(super) const fn of_certainty(certainty: Certainty) -> u8 {
    match certainty {
        Certainty::Certain => 0,
        Certainty::Likely => 1,
        Certainty::Possible => 2,
    }
}

/// The certainty of a number; one that we do not know reads as the lowest.
pub(super) const fn to_certainty(number: u64) -> Certainty {
    match number {
        0 => Certainty::Certain,
        1 => Certainty::Likely,
        _ => Certainty::Possible,
    }
}

pub(super) const fn of_link(link: Link) -> u8 {
    match link {
        Link::Unseen => 0,
        Link::First => 1,
        Link::Second => 2,
        Link::Further => 3,
    }
}

/// The link of a number; one that we do not know reads as not looked for.
pub(super) const fn to_link(number: u64) -> Link {
    match number {
        1 => Link::First,
        2 => Link::Second,
        3 => Link::Further,
        _ => Link::Unseen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_back_to_its_word() {
        for code in CODES {
            assert_eq!(to_code(of_code(code).into()), code);
        }
        let mut numbers: Vec<u8> = CODES.into_iter().map(of_code).collect();
        numbers.dedup();
        assert_eq!(numbers, (1..=38).collect::<Vec<u8>>());
        assert_eq!(to_code(200), Code::Internal);
        for number in 1..=5 {
            let outcome = to_outcome(number, Some(Code::UpstreamTls));
            assert_eq!(u64::from(of_outcome(outcome).0), number);
        }
        assert_eq!(to_outcome(99, None), Outcome::Unknown);
        for number in 0..=5 {
            assert_eq!(u64::from(of_basis(to_basis(number))), number);
        }
        for number in 0..=4 {
            assert_eq!(u64::from(of_served(to_served(number))), number);
        }
        for number in 0..=2 {
            assert_eq!(u64::from(of_source(to_source(number))), number);
        }
    }
}
