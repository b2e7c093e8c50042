//! Packs and fact books: the shipped ones and the operator's own.

use super::Check;
use crate::{
    document::{at, did_you_mean},
    raw,
};
use placement::{FactBook, Mode, PackChoice, Terms};
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
}

impl Check<'_> {
    pub(super) fn terms(&mut self, raw: &raw::Terms) -> Option<Terms> {
        let packs = self.packs(raw)?;
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
        let chosen: Vec<PackChoice<'_>> = packs
            .iter()
            .filter_map(|pack| {
                let mode = match modes.get(pack.id.as_str()).copied().flatten() {
                    Some(raw::PackMode::Off) => return None,
                    Some(raw::PackMode::Observe) => Some(Mode::Observe),
                    Some(raw::PackMode::Warn) => Some(Mode::Warn),
                    Some(raw::PackMode::Enforce) => Some(Mode::Enforce),
                    None => None,
                };
                Some(PackChoice { file: &pack.file, text: &pack.text, mode })
            })
            .collect();
        match Terms::compile(&chosen, &events) {
            Ok(terms) => Some(terms),
            Err(mut problems) => {
                self.elsewhere.0.append(&mut problems.0);
                None
            }
        }
    }

    /// The operator's packs, and the shipped ones that he has none of the same name for.
    fn packs(&mut self, raw: &raw::Terms) -> Option<Vec<PackText>> {
        let mut packs = Vec::new();
        if let Some(dir) = &raw.dir {
            let folder = self.path(dir);
            match self.around.list(&folder) {
                Ok(files) => {
                    for file in files.iter().filter(|file| file.extension().is_some_and(|ext| ext == "toml"))
                    {
                        packs.extend(self.pack_file(file));
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
        for (id, text) in self.shipped.packs {
            if !packs.iter().any(|pack| pack.id == *id) {
                packs.push(PackText {
                    id: (*id).to_owned(),
                    file: format!("(shipped) terms/{id}.toml"),
                    text: (*text).to_owned(),
                });
            }
        }
        Some(packs)
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
        Some(PackText { id, file: file.display().to_string(), text })
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
