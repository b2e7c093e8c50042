//! The scenes, in order. Each starts its own demo.

mod bank;
mod calls;
mod dates;
mod moves;
mod records;

use super::stage::Stage;

/// A scene.
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) play: fn(&mut Stage) -> anyhow::Result<()>,
}

/// Every scene.
pub(super) const ALL: [Scene; 7] = [
    Scene {
        title: "1. A call: the answer, its cost, one line of why; and a stream",
        play: calls::first_call,
    },
    Scene { title: "2. A region dies, then a cloud", play: calls::outage },
    Scene { title: "3. Where would it have run? Three dates, and a split verdict", play: dates::explained },
    Scene { title: "4. Midnight: the bank's contract with AWS comes into force", play: bank::midnight },
    Scene { title: "5. One line of the bank's terms is edited", play: bank::edited },
    Scene { title: "6. kill -9, restart, ledger show: nothing is missing", play: records::killed },
    Scene {
        title: "7. A conversation moves from Azure to Bedrock, Vertex and vLLM, over a kill -9",
        play: moves::moved,
    },
];
