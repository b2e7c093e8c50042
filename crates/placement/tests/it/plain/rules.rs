//! The rows, one after the other, as conditions.

use super::calendar::day;

/// The family of a model, as far as the rows tell families apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// OpenAI's closed models.
    Closed,
    /// OpenAI's open-weight models.
    Open,
    /// Everybody else's, and those of whom nobody said whose they are.
    Others,
}

/// Whose infrastructure the model runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Azure,
    Aws,
    /// Another one, or nobody said which.
    Elsewhere,
}

/// Who keeps state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Stateless,
    /// A runtime keeps it; each call inside of the runtime is a stateless one.
    Stateful,
    /// Self-contained but for something that the provider holds: for that part as a stateful one.
    Hybrid,
}

/// Sold as an API, or part of the vendor's own product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Api,
    FirstParty,
}

/// One call at one place and instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) family: Family,
    pub(crate) host: Host,
    pub(crate) class: Class,
    pub(crate) product: Product,
    /// For US government customers of national security.
    pub(crate) natsec: bool,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
}

/// Rules that refuse, in the order of their names.
pub(crate) const REFUSALS: [&str; 6] = [
    "msoai-2023-01",
    "msoai-2025-01",
    "msoai-2025-10",
    "msoai-2026-02-frontier",
    "msoai-2026-02-stateful",
    "msoai-2026-02-stateless",
];

/// Notices, in the order of their names: any cloud and first on Azure; the licence; the revenue share.
pub(crate) const NOTICES: [&str; 3] = ["msoai-2026-04", "msoai-2026-04-licence", "msoai-2026-04-revshare"];

/// What the rows say of a point: a bit for each of [`REFUSALS`] and each of [`NOTICES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) refused: u8,
    pub(crate) notices: u8,
}

/// The instants at which a row begins or ends.
pub(crate) const BOUNDARIES: [i64; 7] = [
    day(2023, 1, 23),
    day(2025, 1, 21),
    day(2025, 10, 28),
    day(2026, 2, 27),
    day(2026, 4, 27),
    day(2031, 1, 1),
    day(2033, 1, 1),
];

/// What the rows say of a point.
pub(crate) fn judge(point: &Point) -> Verdict {
    let [exclusive, api, definitive, joint, amended, share_over, licence_over] = BOUNDARIES;
    let between = |from: i64, to: i64| from <= point.at && point.at < to;
    let closed = point.family == Family::Closed;
    let azure = point.host == Host::Azure;
    let mut refused = 0;
    let mut refuse = |rule: u8, that: bool| refused |= u8::from(that) << rule;

    // Azure is the exclusive cloud, for whatever product and class.
    refuse(0, between(exclusive, api) && closed && !azure);
    // The API stays exclusive to Azure; own products are free.
    refuse(1, between(api, definitive) && closed && point.product == Product::Api && !azure);
    // As before, but for US national security. Open weights are another family.
    refuse(
        2,
        between(definitive, joint) && closed && point.product == Product::Api && !point.natsec && !azure,
    );
    // The joint statement. OpenAI's own products stay on Azure. The row names no family; it is read as one about
    // closed models, like all the others: "open weights: allowed" is said without regard to the product.
    refuse(3, between(joint, amended) && closed && point.product == Product::FirstParty && !azure);
    // A stateful runtime may be on Azure or AWS …
    let keeps_state = match point.class {
        Class::Stateless => false,
        Class::Stateful | Class::Hybrid => true,
    };
    refuse(4, between(joint, amended) && closed && keeps_state && !azure && point.host != Host::Aws);
    // … and stateless calls, those inside of a runtime too, only on Azure, but for US national security.
    refuse(5, between(joint, amended) && closed && !point.natsec && !azure);

    let mut notices = 0;
    let mut notice = |rule: u8, until: i64| notices |= u8::from(closed && between(amended, until)) << rule;
    notice(0, i64::MAX);
    notice(1, licence_over);
    notice(2, share_over);
    Verdict { refused, notices }
}
