//! `demo --tour`: every scene, run against real demos of this very binary, shown as a transcript.
//!
//! What stands behind `$` is what a user would type; the tour sends the same requests itself and runs the same
//! commands. Ports, ids, times and the folder are masked, so that two transcripts differ only where the gateway
//! behaves differently. The last line counts the expectations: `N passed, N failed`.

mod demo;
mod scenes;
mod stage;

use stage::Stage;
use std::process::ExitCode;

/// Runs every scene. Exit 1 where an expectation fails.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut stage = Stage::default();
    stage
        .say("# cabotage demo --tour. SIMULATED: the clouds are inside the demo; nothing is sent or billed.");
    stage.say("# Real output; ports, ids, times and the demo's folder are masked, bodies and headers shortened (…).");
    for scene in scenes::ALL {
        stage.title(scene.title);
        if let Err(error) = (scene.play)(&mut stage) {
            stage.expect(false, &format!("the scene runs to its end: {error:#}"));
        }
    }
    Ok(stage.end())
}
