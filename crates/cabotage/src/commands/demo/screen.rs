//! What the demo shows when it is up.

use super::{CONTROL_PORT, clouds::Clouds, folder::Folder};
use config::Checked;
use jiff::Timestamp;
use std::{collections::BTreeSet, fmt::Write as _, net::SocketAddr, path::Path};

/// A demo that is up.
pub(super) struct Running<'a> {
    pub(super) data: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) clouds: &'a Clouds,
    pub(super) folder: &'a Folder,
    pub(super) checked: &'a Checked,
    pub(super) at: Option<Timestamp>,
}

impl Running<'_> {
    /// `name=value` lines for programs.
    pub(super) fn machine_readable(&self) -> String {
        format!(
            "data=http://{}\nadmin=http://{}\nsimulator=http://{}\nfolder={}\n",
            self.data,
            self.admin,
            self.clouds.control(),
            self.folder.path().display()
        )
    }

    /// The screen for people.
    pub(super) fn screen(&self) -> String {
        let mut out = String::from(
            "\n=== cabotage demo === SIMULATED ===\n\
             Every cloud below is simulated inside this process: nothing leaves this machine, nothing is billed.\n\n",
        );
        let _ = writeln!(out, "  callers   http://{}/v1     OpenAI Chat Completions", self.data);
        let _ = writeln!(out, "  admin     http://{}        /healthz /readyz /metrics /explain", self.admin);
        let _ = writeln!(
            out,
            "  control   http://{}        the simulator: demo kill, demo heal",
            self.clouds.control()
        );
        let kept = if self.folder.is_temporary() { "goes with the demo" } else { "stays" };
        let _ = writeln!(
            out,
            "  files     {}   ({kept}) cabotage.toml, terms/, data/",
            self.folder.path().display()
        );
        if let Some(at) = self.at {
            let _ = writeln!(out, "  clock     set to {} at the start", placement::instant::for_people(at));
        }
        self.cloud_list(&mut out);
        out.push_str(KEYS);
        self.try_list(&mut out);
        let end = if self.folder.is_temporary() { " and removes its files" } else { "" };
        let _ = writeln!(out, "\nCtrl-C ends it{end}.\n");
        out
    }

    fn cloud_list(&self, out: &mut String) {
        out.push_str("\nCLOUDS (all simulated)\n");
        for (name, address) in self.clouds.addresses() {
            let here =
                self.checked.deployments.iter().filter(|own| own.endpoint.origin().port == address.port());
            let models: BTreeSet<&str> = here.map(|own| own.model.as_str()).collect();
            let models: Vec<&str> = models.into_iter().collect();
            let _ = writeln!(out, "  {name:<20} {}", models.join(", "));
        }
    }

    fn try_list(&self, out: &mut String) {
        let data = self.data;
        let usual = |port: u16, usual: u16, flag: &str, url: String| {
            if port == usual { String::new() } else { format!(" {flag} {url}") }
        };
        let control = self.clouds.control();
        let sim = usual(control.port(), CONTROL_PORT, "--sim", format!("http://{control}"));
        let admin = usual(self.admin.port(), 8081, "--admin", format!("http://{}", self.admin));
        let folder = self.folder.path().display();
        let _ = write!(
            out,
            r#"
TRY
  curl -i http://{data}/v1/chat/completions -H 'authorization: Bearer sk-demo' \
       -H 'content-type: application/json' -d '{{"model":"gpt-5.4","messages":[{{"role":"user","content":"Hello"}}]}}'
  cabotage demo kill azure-westeurope{sim}     then the same call: it moves; `demo kill azure`, `demo heal`
  cabotage explain gpt-5.4 --workload research --at 2026-03-15{admin}
  cabotage explain gpt-5.4 --workload research --at 2026-03-15 --class stateful --host aws{admin}
  edit {folder}/terms/acme-bank.toml: the next call with sk-demo-bank obeys it
  cabotage ledger show --journal {folder}/data
  cabotage demo --tour                         every scene at once
"#
        );
    }
}

const KEYS: &str = "
KEYS
  sk-demo        workload research     wherever the terms permit
  sk-demo-eu     workload support-eu   stays in the EU and the EEA
  sk-demo-bank   workload advice       Acme Bank, under its own contracts (AWS only from 2026-12-01)
  Each may name a place, `model@deployment`; the terms still decide.

TERMS
  microsoft-openai   enforced here. These terms bind the two vendors, not you: elsewhere the pack only observes.
  eu-residency       enforced
  acme-bank          enforced; an example of a customer's own pack
  Packs are drafts until your counsel approves them. Not affiliated with any of the companies named.
";

/// What `--write` says at its end.
pub(super) fn written(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "written: {dir}/cabotage.toml and {dir}/terms/\n\n\
         Run it:\n  cabotage sim                            the simulated clouds, in one terminal\n  \
         cabotage check -c {dir}/cabotage.toml\n  cabotage serve -c {dir}/cabotage.toml   the gateway, in another\n"
    )
}
