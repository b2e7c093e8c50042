//! The product's name and the prefix of its headers, in one place.

/// The product's name as it stands in banners, logs and the `User-Agent` of upstream requests.
pub const NAME: &str = "cabotage";

/// Prefix of every header that the gateway adds to an answer or reads from a request.
pub const HEADER_PREFIX: &str = "x-cabotage-";

/// Headers of an answer. Each is [`HEADER_PREFIX`] plus what it tells (a test keeps them together).
pub mod header {
    /// The id of the call: the key of its journal records and of `GET /cabotage/v1/calls/{id}`.
    pub const CALL_ID: &str = "x-cabotage-call-id";
    /// The id of the placement decision behind the answer.
    pub const DECISION: &str = "x-cabotage-decision";
    /// The deployment that answered. Sent only where the operator allows it.
    pub const DEPLOYMENT: &str = "x-cabotage-deployment";
    /// What the call cost in US dollars, decimal. Sent only where the operator allows it.
    pub const COST: &str = "x-cabotage-cost";
    /// One line: why the call ran where it ran.
    pub const WHY: &str = "x-cabotage-why";
    /// Each attempt of the call: `deployment=outcome`, in order.
    pub const ATTEMPTS: &str = "x-cabotage-attempts";
    /// What the translation of the call could not carry: names, comma separated.
    pub const TRANSLATION_LOSS: &str = "x-cabotage-translation-loss";
    /// Rules in `warn` mode that would have refused the placement.
    pub const WARNING: &str = "x-cabotage-warning";
    /// Rules that would have refused where the call ran, were it not for a waiver.
    pub const WAIVED: &str = "x-cabotage-waived";
    /// The stable code of an error.
    pub const CODE: &str = "x-cabotage-code";
    /// How sure we are who served the call: `simulated`, `confirmed`, `consistent`, `unknown`, `contradicted`.
    pub const SERVED_BY: &str = "x-cabotage-served-by";
    /// Who keeps state for the call: its class and the signs that show it. Sent only where the operator allows it.
    pub const CLASS: &str = "x-cabotage-class";
    /// The conversation that the call continues, with its turn, as discovered. Sent only where the operator allows it.
    pub const CONVERSATION: &str = "x-cabotage-conversation";
    /// Set by our simulator on every answer; a gateway that sees it never says `confirmed`.
    pub const SIMULATED: &str = "x-cabotage-simulated";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_carries_the_prefix() {
        for name in [
            header::CALL_ID,
            header::DECISION,
            header::DEPLOYMENT,
            header::COST,
            header::WHY,
            header::ATTEMPTS,
            header::TRANSLATION_LOSS,
            header::WARNING,
            header::WAIVED,
            header::CODE,
            header::SERVED_BY,
            header::CLASS,
            header::CONVERSATION,
            header::SIMULATED,
        ] {
            assert!(name.starts_with(HEADER_PREFIX), "{name}");
            assert!(HEADER_PREFIX.contains(NAME));
        }
    }
}
