//! Packs and fact books: the shipped ones and the operator's own.

use super::Check;
use crate::{
    document::{at, did_you_mean},
    raw,
};
use placement::{
    FactBook, Mode, PackChoice, Terms,
    terms::{Approver, CedarFile, SideFile, TermsInput, approval::PublicKey, is_pack_file},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A pack's text and where it stands.
struct PackText {
    /// The file's stem: by convention the pack's id.
    id: String,
    file: String,
    text: String,
    /// True where it counts only if the configuration names it.
    optional: bool,
}

impl PackText {
    fn side(&self) -> SideFile<'_> {
        SideFile { file: &self.file, text: &self.text }
    }
}

/// What stands beside the packs.
#[derive(Default)]
struct Beside {
    cedar: Vec<PackText>,
    waivers: Option<PackText>,
    approvals: Option<PackText>,
}

impl Check<'_> {
    /// Who may approve packs.
    pub(super) fn approvers(&mut self, raw: &raw::Terms) -> Vec<Approver> {
        let mut all: Vec<Approver> = Vec::new();
        for (index, written) in raw.approver.iter().enumerate() {
            let (Some(name), Some(key)) = (&written.name, &written.key) else { continue };
            if all.iter().any(|known| *known.name == **name) {
                let message = format!("two approvers are called `{}`", name.escape_debug());
                self.document.wrong_at(
                    at!["terms", "approver", index, "name"],
                    message,
                    "keep one of the two",
                );
                continue;
            }
            match PublicKey::parse(key) {
                Ok(key) => all.push(Approver { name: name.as_str().into(), key }),
                Err(message) => {
                    let hint =
                        "`cabotage terms approve --new-key FILE` makes a key and prints its public half";
                    self.document.wrong_at(at!["terms", "approver", index, "key"], message, hint);
                }
            }
        }
        if raw.require_approved && raw.approver.is_empty() {
            let message = "`require_approved` is set, and nobody is listed who may approve";
            self.document.wrong_at(at!["terms", "require_approved"], message, "add [[terms.approver]]");
        }
        all
    }

    pub(super) fn terms(&mut self, raw: &raw::Terms, approvers: &[Approver]) -> Option<Terms> {
        let (packs, beside) = self.packs(raw)?;
        let mut modes: BTreeMap<&str, Option<raw::PackMode>> = BTreeMap::new();
        for (index, pack) in raw.pack.iter().enumerate() {
            let Some(id) = pack.id.as_deref() else { continue };
            if !packs.iter().any(|known| known.id == id) {
                let hint = did_you_mean(id, packs.iter().map(|pack| pack.id.as_str()));
                let message = format!("there is no pack `{}`", id.escape_debug());
                self.document.wrong_at(at!["terms", "pack", index, "id"], message, hint);
            }
            if modes.insert(id, pack.mode).is_some() {
                let message = format!("the pack `{id}` is named twice");
                self.document.wrong_at(at!["terms", "pack", index, "id"], message, "keep one of the two");
            }
        }
        let events = self.events(raw);
        let mut left_out: Vec<&str> = Vec::new();
        let mut chosen: Vec<PackChoice<'_>> = Vec::new();
        for pack in &packs {
            let mode = match modes.get(pack.id.as_str()).copied().flatten() {
                Some(raw::PackMode::Observe) => Some(Mode::Observe),
                Some(raw::PackMode::Warn) => Some(Mode::Warn),
                Some(raw::PackMode::Enforce) => Some(Mode::Enforce),
                None if !pack.optional => None,
                Some(raw::PackMode::Off) | None => {
                    left_out.push(&pack.id);
                    continue;
                }
            };
            chosen.push(PackChoice { file: &pack.file, text: &pack.text, mode });
        }
        let cedar: Vec<CedarFile<'_>> = beside
            .cedar
            .iter()
            .filter(|cedar| !left_out.contains(&cedar.id.as_str()))
            .map(|cedar| CedarFile { pack: &cedar.id, file: &cedar.file, text: &cedar.text })
            .collect();
        let compiled = Terms::compile_all(&TermsInput {
            packs: &chosen,
            cedar: &cedar,
            events: Some(&events),
            waivers: beside.waivers.as_ref().map(PackText::side),
            approvals: beside.approvals.as_ref().map(PackText::side),
            approvers,
            require_approved: raw.require_approved,
        });
        match compiled {
            Ok(terms) => Some(terms),
            Err(mut problems) => {
                self.elsewhere.0.append(&mut problems.0);
                None
            }
        }
    }

    /// The operator's packs and what stands beside them, and the shipped packs that he has none of the same name
    /// for.
    fn packs(&mut self, raw: &raw::Terms) -> Option<(Vec<PackText>, Beside)> {
        let mut packs = Vec::new();
        let mut beside = Beside::default();
        if let Some(dir) = &raw.dir {
            let folder = self.path(dir);
            match self.around.list(&folder) {
                Ok(files) => {
                    for file in &files {
                        self.terms_file(file, &mut packs, &mut beside);
                    }
                }
                Err(error) => {
                    let message = format!("cannot read the folder {}: {error}", folder.display());
                    let hint = "paths are relative to the folder of the configuration";
                    self.document.wrong_at(at!["terms", "dir"], message, hint);
                    return None;
                }
            }
        }
        let always = self.shipped.packs.iter().map(|pack| (pack, false));
        let optional = self.shipped.optional.iter().map(|pack| (pack, true));
        for ((id, text), optional) in always.chain(optional) {
            if !packs.iter().any(|pack: &PackText| pack.id == *id) {
                packs.push(PackText {
                    id: (*id).to_owned(),
                    file: format!("(shipped) terms/{id}.toml"),
                    text: (*text).to_owned(),
                    optional,
                });
            }
        }
        Some((packs, beside))
    }

    /// Reads one file of the folder of packs, where it is of any use here.
    fn terms_file(&mut self, file: &Path, packs: &mut Vec<PackText>, beside: &mut Beside) {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if is_pack_file(&name) {
            packs.extend(self.pack_file(file));
        } else if name == "waivers.toml" {
            beside.waivers = self.pack_file(file);
        } else if name == "approvals.toml" {
            beside.approvals = self.pack_file(file);
        } else if file.extension().is_some_and(|extension| extension == "cedar") {
            beside.cedar.extend(self.pack_file(file));
        }
    }

    fn pack_file(&mut self, file: &Path) -> Option<PackText> {
        let inside = file.strip_prefix(&self.folder).map_or_else(|_| file.to_path_buf(), PathBuf::from);
        let text = String::from_utf8(self.read(&inside, at!["terms", "dir"])?);
        let Ok(text) = text else {
            let message = format!("{} is not UTF-8 text", file.display());
            self.document.wrong_at(at!["terms", "dir"], message, "");
            return None;
        };
        let id = file.file_stem()?.to_string_lossy().into_owned();
        Some(PackText { id, file: file.display().to_string(), text, optional: false })
    }

    fn events(&mut self, raw: &raw::Terms) -> BTreeMap<String, jiff::Timestamp> {
        let mut events = BTreeMap::new();
        for (name, written) in &raw.events {
            match placement::instant::parse(written) {
                Ok(instant) => {
                    events.insert(name.clone(), instant);
                }
                Err(message) => {
                    let hint = "write 2027-01-31 (its first moment in UTC) or 2027-01-31T12:00:00Z";
                    self.document.wrong_at(at!["terms", "events", name.as_str()], message, hint);
                }
            }
        }
        events
    }

    pub(super) fn facts(&mut self, written: &[PathBuf]) -> Option<FactBook> {
        let mut books = vec![(self.shipped.facts.0.to_owned(), self.shipped.facts.1.to_owned())];
        for (index, file) in written.iter().enumerate() {
            let path = self.path(file);
            match self.read(file, at!["facts", index]).map(String::from_utf8) {
                Some(Ok(text)) => books.push((path.display().to_string(), text)),
                Some(Err(_)) => {
                    let message = format!("{} is not UTF-8 text", path.display());
                    self.document.wrong_at(at!["facts", index], message, "");
                }
                None => {}
            }
        }
        let books: Vec<(&str, &str)> = books
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(file, text)| (file.as_str(), text.as_str()))
            .collect();
        match FactBook::parse(&books) {
            Ok(book) => Some(book),
            Err(mut problems) => {
                self.elsewhere.0.append(&mut problems.0);
                None
            }
        }
    }
}
