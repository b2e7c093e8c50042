//! Which packs and questions the command is about: those that ship, those of a folder, a pack, a file of questions.

use crate::wiring::shipped;
use anyhow::{Context as _, bail};
use jiff::Timestamp;
use placement::{
    PackChoice, Terms,
    problem::nearest,
    terms::{
        CedarFile, TermsInput, is_pack_file,
        prove::{Claim, ClaimKind, PackRef, ProveFile, Scope, read},
    },
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file's name for messages, and its text.
#[derive(Clone, Debug)]
pub(super) struct File {
    name: String,
    text: String,
}

/// A pack's text, with the raw policies beside it.
#[derive(Clone, Debug)]
struct Pack {
    id: String,
    sheet: File,
    cedar: Option<File>,
}

/// Where packs are looked up: a folder, then what ships.
#[derive(Clone, Debug, Default)]
struct Shelf {
    folder: Option<PathBuf>,
}

/// What is to be proved: questions with the place where their packs are.
#[derive(Debug)]
pub(super) struct Asked {
    /// The questions; of a pack without a file of questions, only that no rule ever fails.
    pub(super) questions: ProveFile,
    packs: Vec<Arc<str>>,
    shelf: Shelf,
}

/// What the arguments name; without any, everything that ships.
pub(super) fn asked(arguments: &[String]) -> anyhow::Result<Vec<Asked>> {
    if arguments.is_empty() {
        let all = shipped::packs().map(|(id, _)| of_pack(&Shelf::default(), id));
        return all.collect();
    }
    let mut all = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if path.is_dir() {
            all.extend(of_folder(path)?);
        } else if let Some(pack) = argument.strip_suffix(".prove.toml") {
            all.push(of_pack(&Shelf::around(path), stem(Path::new(pack)))?);
        } else if argument.ends_with(".toml") {
            all.push(of_pack(&Shelf::around(path), stem(path.with_extension("").as_path()))?);
        } else {
            all.push(of_pack(&Shelf::default(), argument)?);
        }
    }
    Ok(all)
}

fn stem(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn of_folder(folder: &Path) -> anyhow::Result<Vec<Asked>> {
    let shelf = Shelf { folder: Some(folder.to_owned()) };
    let mut names = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if is_pack_file(&name) {
            names.extend(name.strip_suffix(".toml").map(ToOwned::to_owned));
        }
    }
    if names.is_empty() {
        bail!("there is no pack in {}: packs are files whose name ends in `.toml`", folder.display());
    }
    names.sort();
    names.iter().map(|name| of_pack(&shelf, name)).collect()
}

/// The questions about a pack, and that none of its rules ever fails, where they do not ask that themselves.
fn of_pack(shelf: &Shelf, id: &str) -> anyhow::Result<Asked> {
    let questions = shelf.questions(id)?;
    let mut questions = match questions {
        Some(file) => read(&file.name, &file.text)?,
        None => ProveFile {
            file: shelf.pack(id)?.sheet.name.into(),
            packs: Vec::new(),
            events: BTreeMap::new(),
            claims: Vec::new(),
        },
    };
    let packs: Vec<Arc<str>> =
        if questions.packs.is_empty() { vec![id.into()] } else { questions.packs.clone() };
    if !questions.claims.iter().any(|claim| claim.kind == ClaimKind::NeverErrors) {
        questions.claims.push(never_errors(id, &questions.file));
    }
    Ok(Asked { questions, packs, shelf: shelf.clone() })
}

fn never_errors(id: &str, file: &Arc<str>) -> Claim {
    Claim {
        id: format!("{id}-never-errors").into(),
        title: "No rule ever fails".into(),
        says: "Whatever the call and the facts, no rule of the pack fails when it is evaluated.".into(),
        kind: ClaimKind::NeverErrors,
        scope: Scope { actions: placement::Action::ALL.to_vec(), ..Scope::default() },
        file: Arc::clone(file),
        line: 0,
    }
}

impl Asked {
    /// The packs that the questions are about, by id.
    pub(super) fn packs(&self) -> &[Arc<str>] {
        &self.packs
    }

    /// Those packs, compiled.
    pub(super) fn terms(&self) -> anyhow::Result<Terms> {
        let packs: Vec<Pack> =
            self.packs.iter().map(|id| self.shelf.pack(id)).collect::<anyhow::Result<_>>()?;
        compile(&packs, &self.questions.events)
    }

    /// The other terms of a comparison, compiled.
    pub(super) fn other(&self, other: &PackRef) -> anyhow::Result<Terms> {
        let pack = match other {
            PackRef::Id(id) => self.shelf.pack(id)?,
            PackRef::File(file) => {
                let path = self.shelf.folder.as_deref().unwrap_or(Path::new("")).join(&**file);
                let id = stem(path.with_extension("").as_path()).to_owned();
                Pack { id, sheet: File::read(&path)?, cedar: File::beside(&path.with_extension("cedar"))? }
            }
        };
        compile(&[pack], &self.questions.events)
    }
}

fn compile(packs: &[Pack], events: &BTreeMap<String, Timestamp>) -> anyhow::Result<Terms> {
    let choices: Vec<PackChoice<'_>> = packs
        .iter()
        .map(|pack| PackChoice { file: &pack.sheet.name, text: &pack.sheet.text, mode: None })
        .collect();
    let raw = |pack: &'_ Pack| pack.cedar.clone().map(|file| (pack.id.clone(), file));
    let raw: Vec<(String, File)> = packs.iter().filter_map(raw).collect();
    let cedar: Vec<CedarFile<'_>> =
        raw.iter().map(|(pack, file)| CedarFile { pack, file: &file.name, text: &file.text }).collect();
    let input = TermsInput { packs: &choices, cedar: &cedar, events: Some(events), ..TermsInput::default() };
    Ok(Terms::compile_all(&input)?)
}

impl Shelf {
    /// The folder in which the file stands.
    fn around(file: &Path) -> Self {
        let folder =
            file.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        Self { folder: folder.map(Path::to_owned) }
    }

    fn pack(&self, id: &str) -> anyhow::Result<Pack> {
        if let Some(folder) = &self.folder
            && let Some(sheet) = File::beside(&folder.join(format!("{id}.toml")))?
        {
            let cedar = File::beside(&folder.join(format!("{id}.cedar")))?;
            return Ok(Pack { id: id.to_owned(), sheet, cedar });
        }
        let mut all = shipped::packs();
        match all.find(|(own, _)| *own == id) {
            Some((id, text)) => {
                let sheet = File { name: format!("(shipped) terms/{id}.toml"), text: text.to_owned() };
                Ok(Pack { id: id.to_owned(), sheet, cedar: None })
            }
            None => {
                let known: Vec<&str> = shipped::packs().map(|(id, _)| id).collect();
                let hint = match nearest(id, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("those that ship: {}; another is named by its file", known.join(", ")),
                };
                bail!("there is no pack `{id}`: {hint}")
            }
        }
    }

    fn questions(&self, id: &str) -> anyhow::Result<Option<File>> {
        if let Some(folder) = &self.folder {
            return File::beside(&folder.join(format!("{id}.prove.toml")));
        }
        let found = shipped::QUESTIONS.iter().find(|(own, _)| *own == id);
        Ok(found.map(|(id, text)| File {
            name: format!("(shipped) terms/{id}.prove.toml"),
            text: (*text).to_owned(),
        }))
    }
}

impl File {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { name: path.display().to_string(), text })
    }

    /// `None` where there is none.
    fn beside(path: &Path) -> anyhow::Result<Option<Self>> {
        if path.exists() { Self::read(path).map(Some) } else { Ok(None) }
    }
}
