//! The packs that a command is about: those that ship, those of a folder, or those of a configuration, each with
//! what stands beside it.

use super::status_words;
use crate::{
    clock::SystemClock,
    wiring::{offline::WithoutSecrets, shipped},
};
use anyhow::{Context as _, bail};
use clap::Args;
use config::Text as ConfigText;
use domain::SnapshotEpoch;
use jiff::Timestamp;
use placement::{
    DeploymentFacts, FactBook, PackChoice, Problems, Terms, WorkloadProfile,
    problem::nearest,
    terms::{Approval, CedarFile, SideFile, TermsInput, approval, is_pack_file},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which packs.
#[derive(Clone, Debug, Args)]
pub(super) struct Choice {
    /// The packs, fleet and workloads of this configuration. Without it and without --dir: the packs that ship
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The packs of this folder
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(super) dir: Option<PathBuf>,
}

/// A file's name for messages, and its text.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) file: String,
    pub(super) text: String,
}

/// A pack with what stands beside it.
#[derive(Clone, Debug)]
pub(super) struct PackText {
    pub(super) id: String,
    pub(super) sheet: Named,
    pub(super) cedar: Option<Named>,
    pub(super) cases: Option<Named>,
    /// The folder that it stands in; `None`: it ships.
    pub(super) folder: Option<PathBuf>,
}

/// Packs, compiled, and what they are judged with.
pub(super) struct Library {
    pub(super) packs: Vec<PackText>,
    pub(super) terms: Arc<Terms>,
    pub(super) facts: FactBook,
    /// Of the configuration; empty where there is none.
    pub(super) deployments: Vec<DeploymentFacts>,
    /// Of the configuration; empty where there is none.
    pub(super) workloads: Vec<WorkloadProfile>,
    pub(super) waivers: Option<Named>,
    pub(super) approvals: Vec<Approval>,
}

impl Choice {
    /// Reads and compiles.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong in the files, or why one cannot be read.
    pub(super) fn open(&self) -> anyhow::Result<Library> {
        match (&self.config, &self.dir) {
            (Some(file), _) => of_config(file),
            (None, Some(dir)) => of_packs(in_folder(dir)?, Some(dir)),
            (None, None) => of_packs(shipped_packs(), None),
        }
    }

    /// The packs alone, uncompiled: what a command needs that must work on a draft with mistakes elsewhere.
    pub(super) fn packs(&self) -> anyhow::Result<Vec<PackText>> {
        match (&self.config, &self.dir) {
            (Some(_), _) => Ok(self.open()?.packs),
            (None, Some(dir)) => in_folder(dir),
            (None, None) => Ok(shipped_packs()),
        }
    }

    /// The pack that a word names: an id of these packs, or a file.
    pub(super) fn pack(&self, word: &str) -> anyhow::Result<PackText> {
        if Path::new(word).extension().is_some_and(|extension| extension == "toml") {
            return of_file(Path::new(word));
        }
        find(&self.packs()?, word).cloned()
    }
}

/// The pack of this id.
pub(super) fn find<'p>(packs: &'p [PackText], id: &str) -> anyhow::Result<&'p PackText> {
    if let Some(found) = packs.iter().find(|pack| pack.id == id) {
        return Ok(found);
    }
    let known: Vec<&str> = packs.iter().map(|pack| pack.id.as_str()).collect();
    match nearest(id, known.iter().copied()) {
        Some(near) => bail!("there is no pack `{id}`: did you mean `{near}`?"),
        None => {
            bail!("there is no pack `{id}`: known are {}; another is named by its file", known.join(", "))
        }
    }
}

/// What ships, each pack whether it is in force by itself or not.
pub(super) fn shipped_packs() -> Vec<PackText> {
    shipped::packs().map(|(id, text)| shipped_pack(id, text)).collect()
}

fn shipped_pack(id: &str, text: &str) -> PackText {
    let cases = shipped::CASES.iter().find(|(own, _)| *own == id).map(|(_, text)| Named {
        file: format!("(shipped) terms/{id}.cases.toml"),
        text: (*text).to_owned(),
    });
    PackText {
        id: id.to_owned(),
        sheet: Named { file: format!("(shipped) terms/{id}.toml"), text: text.to_owned() },
        cedar: None,
        cases,
        folder: None,
    }
}

/// The packs of a folder, by name.
pub(super) fn in_folder(dir: &Path) -> anyhow::Result<Vec<PackText>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_pack_file(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        bail!("there is no pack in {}: packs are files whose name ends in `.toml`", dir.display());
    }
    names.sort();
    names.iter().map(|name| of_file(&dir.join(name))).collect()
}

/// A pack by its file, with what stands beside it.
pub(super) fn of_file(path: &Path) -> anyhow::Result<PackText> {
    let sheet = read(path)?;
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(PackText {
        cedar: beside(&folder.join(format!("{id}.cedar")))?,
        cases: beside(&folder.join(format!("{id}.cases.toml")))?,
        folder: Some(folder.to_owned()),
        sheet,
        id,
    })
}

fn read(path: &Path) -> anyhow::Result<Named> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Named { file: path.display().to_string(), text })
}

fn beside(path: &Path) -> anyhow::Result<Option<Named>> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}

fn of_packs(packs: Vec<PackText>, folder: Option<&Path>) -> anyhow::Result<Library> {
    let side = |name: &str| folder.map_or(Ok(None), |folder| beside(&folder.join(name)));
    let (waivers, approvals) = (side("waivers.toml")?, side("approvals.toml")?);
    let all: Vec<&PackText> = packs.iter().collect();
    let terms = compile(&all, &BTreeMap::new(), waivers.as_ref(), approvals.as_ref())?;
    Ok(Library {
        terms: Arc::new(terms),
        facts: FactBook::parse(&[shipped::SHIPPED.facts])?,
        deployments: Vec::new(),
        workloads: Vec::new(),
        approvals: approvals.map(|file| approval::read(&file.file, &file.text).0).unwrap_or_default(),
        waivers,
        packs,
    })
}

/// Reads a configuration; nothing listens and nothing is called, and no secret is needed.
fn of_config(file: &Path) -> anyhow::Result<Library> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let checked = config::check(ConfigText { file, text: &text }, shipped::SHIPPED, &WithoutSecrets)?;
    let sources = shipped::sources(Arc::new(SystemClock::real()))?;
    let spec = config::build(&checked, &sources, SnapshotEpoch(1))?;
    let mut packs = Vec::new();
    let mut folder = None;
    for pack in checked.terms.packs() {
        match shipped::packs().find(|(id, _)| *pack.file == *format!("(shipped) terms/{id}.toml")) {
            Some((id, text)) => packs.push(shipped_pack(id, text)),
            None => {
                let own = of_file(Path::new(&*pack.file))?;
                folder = own.folder.clone();
                packs.push(own);
            }
        }
    }
    let side = |name: &str| folder.as_ref().map_or(Ok(None), |folder| beside(&folder.join(name)));
    let approvals = side("approvals.toml")?;
    Ok(Library {
        packs,
        deployments: spec.placement.fleet().deployments().map(|(_, facts)| facts.clone()).collect(),
        workloads: checked.workloads.iter().map(|workload| workload.profile.clone()).collect(),
        waivers: side("waivers.toml")?,
        approvals: approvals.map(|file| approval::read(&file.file, &file.text).0).unwrap_or_default(),
        facts: checked.facts,
        terms: checked.terms,
    })
}

/// Compiles packs by their own modes, with what stands beside them.
pub(super) fn compile(
    packs: &[&PackText],
    events: &BTreeMap<String, Timestamp>,
    waivers: Option<&Named>,
    approvals: Option<&Named>,
) -> Result<Terms, Problems> {
    let choices: Vec<PackChoice<'_>> = packs
        .iter()
        .map(|pack| PackChoice { file: &pack.sheet.file, text: &pack.sheet.text, mode: None })
        .collect();
    let cedar: Vec<CedarFile<'_>> = packs
        .iter()
        .filter_map(|pack| {
            let cedar = pack.cedar.as_ref()?;
            Some(CedarFile { pack: &pack.id, file: &cedar.file, text: &cedar.text })
        })
        .collect();
    Terms::compile_all(&TermsInput {
        packs: &choices,
        cedar: &cedar,
        events: Some(events),
        waivers: waivers.map(Named::side),
        approvals: approvals.map(Named::side),
        approvers: &[],
        require_approved: false,
    })
}

impl Named {
    fn side(&self) -> SideFile<'_> {
        SideFile { file: &self.file, text: &self.text }
    }
}

impl PackText {
    /// The hash of its content, as an approval names it.
    pub(super) fn hash(&self) -> String {
        approval::content_hash(&self.sheet.text, self.cedar.as_ref().map(|cedar| cedar.text.as_str()))
    }
}

impl Library {
    /// Whether a second person has signed a pack as it is. Without a configuration no approver's key is known: then
    /// a signature is told, and counts for nothing.
    pub(super) fn status(&self, pack: &str) -> String {
        let status = status_words(&self.terms.approval_of(pack));
        let hash = self.packs.iter().find(|own| own.id == pack).map(PackText::hash);
        let signed =
            self.approvals.iter().find(|own| &*own.pack == pack && hash.as_deref() == Some(&*own.hash));
        match signed {
            Some(own) if !status.starts_with("approved") => {
                format!(
                    "{status}; signed by {}, whose key is in no configuration read here (-c FILE)",
                    own.by
                )
            }
            _ => status,
        }
    }

    /// The content hash of each pack, by id.
    pub(super) fn hashes(&self) -> BTreeMap<String, String> {
        self.packs.iter().map(|pack| (pack.id.clone(), pack.hash())).collect()
    }
}
