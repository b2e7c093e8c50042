//! As written → checked, with every error at once.

mod class;
mod deployment;
mod gateway;
mod levels;
mod model;
mod reach;
mod secret;
mod state;
mod terms;
mod workload;

use crate::{checked::Checked, document::Document, raw::Raw, schema, shape, surroundings::Surroundings};
use placement::Problems;
use serde::Deserialize as _;
use std::path::{Path, PathBuf};

/// What ships with the binary and is not written by the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shipped<'a> {
    /// The fact book: name and text.
    pub facts: (&'a str, &'a str),
    /// Packs that are in force where the configuration says nothing else: id and text.
    pub packs: &'a [(&'a str, &'a str)],
    /// Packs that are in force only where the configuration names them (`[[terms.pack]]`): id and text.
    pub optional: &'a [(&'a str, &'a str)],
}

/// Where a configuration's text comes from.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The file's name as the user wrote it; relative paths in the text are relative to its folder.
    pub file: &'a Path,
    /// Its content.
    pub text: &'a str,
}

/// Checks a configuration.
///
/// # Errors
/// Everything that is wrong with it, its packs and its fact books: file, line, column, what, hint.
pub fn check(text: Text<'_>, shipped: Shipped<'_>, around: &dyn Surroundings) -> Result<Checked, Problems> {
    let mut document = Document::parse(&text.file.display().to_string(), text.text);
    // After a syntax error whole tables may be lost or elsewhere: what follows from that is not the user's.
    if !document.problems.0.is_empty() {
        return Err(document.problems);
    }
    let pruned = shape::prune(&mut document, &schema::schema());
    let raw = Raw::deserialize(toml::Deserializer::from(pruned));
    if let Err(error) = &raw
        && document.problems.0.is_empty()
    {
        document.wrong(&error.span().unwrap_or(0..0), error.message().trim().to_owned(), "");
    }
    let mut check = Check {
        document,
        around,
        shipped,
        folder: text.file.parent().unwrap_or(Path::new("")).to_path_buf(),
        files: vec![text.file.to_path_buf()],
        elsewhere: Problems::default(),
    };
    let Ok(raw) = raw else { return Err(check.all_problems()) };
    let checked = check.everything(&raw);
    match checked {
        Some(checked) if check.document.problems.0.is_empty() && check.elsewhere.0.is_empty() => Ok(checked),
        _ => Err(check.all_problems()),
    }
}

/// A check under way.
struct Check<'a> {
    document: Document<'a>,
    around: &'a dyn Surroundings,
    shipped: Shipped<'a>,
    folder: PathBuf,
    files: Vec<PathBuf>,
    /// Problems of other files: packs, fact books.
    elsewhere: Problems,
}

impl Check<'_> {
    fn everything(&mut self, raw: &Raw) -> Option<Checked> {
        let listen = self.listen(&raw.listen);
        let journal = self.journal(&raw.journal);
        let limits = self.limits(&raw.limits);
        let approvers = self.approvers(&raw.terms);
        let terms = self.terms(&raw.terms, &approvers);
        let facts = self.facts(&raw.facts);
        let deployments = self.deployments(raw);
        self.note_families(&deployments, facts.as_ref());
        let models = self.models(raw, &deployments);
        let levels = self.levels(raw, terms.as_ref(), &models);
        let workloads = self.workloads(raw, &models, &levels);
        if let Some(terms) = &terms {
            let names: Vec<&str> = workloads.iter().map(|workload| workload.profile.id.as_str()).collect();
            self.elsewhere.0.append(&mut terms.check_workloads(&names).0);
        }
        let keys = self.keys(raw, &workloads);
        let state = self.state(&raw.state, &journal, &workloads, &models);
        Some(Checked {
            listen,
            journal,
            limits,
            discover: raw.classify.discover.unwrap_or(false),
            deployments,
            models,
            workloads,
            state,
            keys,
            terms: terms?.into(),
            approvers,
            require_approved: raw.terms.require_approved,
            terms_dir: raw.terms.dir.as_ref().map(|dir| self.path(dir)),
            facts: facts?,
            files: std::mem::take(&mut self.files),
            notes: std::mem::take(&mut self.document.notes),
        })
    }

    fn all_problems(&mut self) -> Problems {
        let mut all = std::mem::take(&mut self.document.problems);
        all.0.append(&mut self.elsewhere.0);
        all.0.sort();
        all.0.dedup();
        all
    }

    /// A path of the configuration, from its folder.
    fn path(&self, written: &Path) -> PathBuf {
        self.folder.join(written)
    }

    /// Reads a file that the configuration names at `at`.
    fn read(&mut self, written: &Path, at: &[crate::document::Step<'_>]) -> Option<Vec<u8>> {
        let path = self.path(written);
        match self.around.read(&path) {
            Ok(bytes) => {
                self.files.push(path);
                Some(bytes)
            }
            Err(error) => {
                let hint = "paths are relative to the folder of the configuration";
                self.document.wrong_at(at, format!("cannot read {}: {error}", path.display()), hint);
                None
            }
        }
    }
}
