//! Organisation → team → workload: what a level sets holds for all below it, and a lower level may only narrow.
//!
//! What would widen is an error that names both places. Marks (`tags`) can lift rules, so they narrow like
//! models: a level that lists some lists all that those below it may have.

use super::Check;
use crate::{
    checked::Model,
    document::{Step, at, did_you_mean},
    raw::{self, Raw},
};
use placement::{Mode, Pins, Terms};
use std::{collections::BTreeMap, sync::Arc};

/// A value with the place where it is written.
type Placed<T> = (T, String);

/// Retention demands, weakest first.
const RETENTIONS: [&str; 3] = ["any", "days30", "zero"];

/// What holds at one level, everything above it included.
#[derive(Clone, Debug, Default)]
pub(super) struct Narrowed {
    organisation: Option<Placed<String>>,
    residency: Option<Placed<String>>,
    pins: BTreeMap<String, Placed<String>>,
    retention: Option<Placed<String>>,
    tags: Option<Placed<Vec<String>>>,
    data_classes: Vec<String>,
    modes: BTreeMap<String, Placed<Mode>>,
    models: Option<Placed<Vec<String>>>,
}

/// The levels above workloads.
#[derive(Debug, Default)]
pub(super) struct Levels {
    organisations: BTreeMap<String, Narrowed>,
    teams: BTreeMap<String, Narrowed>,
    /// How packs act for everybody, where that is one mode at all times.
    above: Narrowed,
    /// Ids of the packs in force; `None` where they are not known because of another mistake.
    packs: Option<Vec<String>>,
}

/// One level as it is written.
struct Written<'a> {
    /// The way to it in the file.
    path: Vec<Step<'a>>,
    residency: Option<&'a str>,
    pins: &'a BTreeMap<String, String>,
    retention: Option<&'a str>,
    tags: Option<&'a [String]>,
    data_classes: &'a [String],
    modes: &'a BTreeMap<String, raw::LevelMode>,
    models: Option<&'a [String]>,
}

impl Narrowed {
    pub(super) fn organisation(&self) -> Option<&str> {
        self.organisation.as_ref().map(|(name, _)| name.as_str())
    }

    pub(super) fn residency(&self) -> Option<&str> {
        self.residency.as_ref().map(|(place, _)| place.as_str())
    }

    pub(super) fn retention(&self) -> Option<&str> {
        self.retention.as_ref().map(|(word, _)| word.as_str())
    }

    pub(super) fn tags(&self) -> &[String] {
        self.tags.as_ref().map_or(&[], |(tags, _)| tags)
    }

    pub(super) fn data_classes(&self) -> &[String] {
        &self.data_classes
    }

    pub(super) fn models(&self) -> &[String] {
        self.models.as_ref().map_or(&[], |(models, _)| models)
    }

    pub(super) fn modes(&self) -> BTreeMap<Arc<str>, Mode> {
        self.modes.iter().map(|(pack, (mode, _))| (pack.as_str().into(), *mode)).collect()
    }

    pub(super) fn pins(&self) -> Pins {
        let pin = |name: &str| self.pins.get(name).map(|(place, _)| place.as_str().into());
        Pins {
            ingress: pin("ingress"),
            inference: pin("inference"),
            state: pin("state"),
            logs: pin("logs"),
            backups: pin("backups"),
            sub_processors: pin("sub_processors"),
        }
    }

    /// Where a part must stay, by its own pin or by the residency.
    fn pin(&self, name: &str) -> Option<&Placed<String>> {
        let by_residency = matches!(name, "inference" | "state").then_some(self.residency.as_ref()).flatten();
        self.pins.get(name).or(by_residency).filter(|(place, _)| place != "none")
    }
}

impl Check<'_> {
    /// The organisations and teams, each with what it inherits.
    pub(super) fn levels(&mut self, raw: &Raw, terms: Option<&Terms>, models: &[Model]) -> Levels {
        let mut levels = Levels {
            above: self.above(raw, terms),
            packs: terms.map(|terms| terms.packs().iter().map(|pack| pack.id.to_string()).collect()),
            ..Levels::default()
        };
        for (name, level) in &raw.organisation {
            self.packs_and_models(level, at!["organisation", name.as_str()], raw, models, &levels);
            let written = written(level, at!["organisation", name.as_str()]);
            let mut narrowed = self.narrow(&levels.above.clone(), &written);
            narrowed.organisation =
                Some((name.clone(), self.document.source(at!["organisation", name.as_str()])));
            levels.organisations.insert(name.clone(), narrowed);
        }
        for (name, team) in &raw.team {
            let path = at!["team", name.as_str()];
            self.packs_and_models(&team.level, path, raw, models, &levels);
            let above = match &team.organisation {
                None => levels.above.clone(),
                Some(organisation) => {
                    self.organisation(organisation, &join(path, at!["organisation"]), &levels)
                }
            };
            let narrowed = self.narrow(&above, &written(&team.level, path));
            levels.teams.insert(name.clone(), narrowed);
        }
        levels
    }

    /// How packs act for everybody: what `[[terms.pack]]` sets, and packs that always act in one mode.
    fn above(&mut self, raw: &Raw, terms: Option<&Terms>) -> Narrowed {
        let mut above = Narrowed::default();
        for pack in terms.iter().flat_map(|terms| terms.packs()) {
            if let [only] = pack.modes.as_slice()
                && only.from.is_none()
            {
                above.modes.insert(pack.id.to_string(), (only.mode, pack.file.to_string()));
            }
        }
        for (index, pack) in raw.terms.pack.iter().enumerate() {
            let mode = match pack.mode {
                Some(raw::PackMode::Observe) => Mode::Observe,
                Some(raw::PackMode::Warn) => Mode::Warn,
                Some(raw::PackMode::Enforce) => Mode::Enforce,
                Some(raw::PackMode::Off) | None => continue,
            };
            let source = self.document.source(at!["terms", "pack", index]);
            above.modes.insert(pack.id.clone().unwrap_or_default(), (mode, source));
        }
        above
    }

    /// What an organisation hands down. Where none is written at all, the name is only a name.
    fn organisation(&mut self, name: &str, path: &[Step<'_>], levels: &Levels) -> Narrowed {
        if let Some(found) = levels.organisations.get(name) {
            return found.clone();
        }
        if !levels.organisations.is_empty() {
            let message = format!("there is no organisation `{}`", name.escape_debug());
            let hint = did_you_mean(name, levels.organisations.keys().map(String::as_str));
            self.document.wrong_at(path, message, hint);
        }
        let source = self.document.source(path);
        Narrowed { organisation: Some((name.to_owned(), source)), ..levels.above.clone() }
    }

    /// What holds for a workload.
    pub(super) fn narrowed(&mut self, written: &raw::Workload, index: usize, levels: &Levels) -> Narrowed {
        let above = match &written.team {
            Some(team) if levels.teams.contains_key(team) => levels.teams.get(team).cloned(),
            Some(team) if !levels.teams.is_empty() => {
                let message = format!("there is no team `{}`", team.escape_debug());
                let hint = did_you_mean(team, levels.teams.keys().map(String::as_str));
                self.document.wrong_at(at!["workload", index, "team"], message, hint);
                None
            }
            _ => None,
        };
        let above = match (&above, &written.organisation) {
            (None, None) => levels.above.clone(),
            (Some(above), None) => above.clone(),
            (Some(above), Some(own)) if above.organisation() == Some(own) => above.clone(),
            (Some(above), Some(own)) => {
                if let Some((theirs, source)) = &above.organisation {
                    let message =
                        format!("the workload is of `{own}`, but its team of `{theirs}` ({source})");
                    let hint = "leave `organisation` out: the team says it";
                    self.document.wrong_at(at!["workload", index, "organisation"], message, hint);
                    above.clone()
                } else {
                    let theirs = self.organisation(own, at!["workload", index, "organisation"], levels);
                    if levels.organisations.contains_key(own) {
                        let message = format!("the workload's team does not belong to `{own}`");
                        let hint =
                            format!("write organisation = \"{own}\" at the team, so that it narrows it");
                        self.document.wrong_at(at!["workload", index, "organisation"], message, hint);
                    }
                    Narrowed { organisation: theirs.organisation, ..above.clone() }
                }
            }
            (None, Some(own)) => self.organisation(own, at!["workload", index, "organisation"], levels),
        };
        self.known_packs(written.modes.keys(), at!["workload", index, "modes"], levels);
        let level = Written {
            path: at!["workload", index].to_vec(),
            residency: written.residency.as_deref(),
            pins: &written.pins,
            retention: written.retention.as_deref(),
            tags: (!written.tags.is_empty()).then_some(written.tags.as_slice()),
            data_classes: &written.data_classes,
            modes: &written.modes,
            models: (!written.models.is_empty()).then_some(written.models.as_slice()),
        };
        self.narrow(&above, &level)
    }

    /// What is above, narrowed by a level.
    fn narrow(&mut self, above: &Narrowed, level: &Written<'_>) -> Narrowed {
        let mut own = above.clone();
        if let Some(place) = level.residency {
            if let Some((theirs, source)) = above.residency.as_ref().filter(|(theirs, _)| theirs != "none")
                && theirs != place
            {
                self.widens(level, &["residency"], place, theirs, source);
            } else {
                own.residency = Some((place.to_owned(), self.source(level, &["residency"])));
                // Above they were let go; whoever demands residency takes them back.
                own.pins
                    .retain(|name, (pin, _)| !(matches!(&**name, "inference" | "state") && pin == "none"));
            }
        }
        for (name, place) in level.pins {
            if let Some((theirs, source)) = above.pin(name).filter(|(theirs, _)| theirs != place) {
                self.widens(level, &["pins", name], place, theirs, source);
            } else {
                let source = self.source(level, &["pins", name]);
                own.pins.insert(name.clone(), (place.clone(), source));
            }
        }
        if let Some(word) = level.retention {
            let rank = |word: &str| RETENTIONS.iter().position(|known| *known == word).unwrap_or(0);
            match &above.retention {
                Some((theirs, source)) if rank(word) < rank(theirs) => {
                    self.widens(level, &["retention"], word, theirs, source);
                }
                _ => own.retention = Some((word.to_owned(), self.source(level, &["retention"]))),
            }
        }
        own.tags = self.subset(level, "tags", "mark", level.tags, above.tags.as_ref());
        own.models = self.subset(level, "models", "model", level.models, above.models.as_ref());
        for class in level.data_classes {
            if !own.data_classes.contains(class) {
                own.data_classes.push(class.clone());
            }
        }
        for (pack, mode) in level.modes {
            let mode = mode_of(*mode);
            match above.modes.get(pack) {
                Some((theirs, source)) if mode < *theirs => {
                    self.widens(level, &["modes", pack], mode.name(), theirs.name(), source);
                }
                _ => {
                    let source = self.source(level, &["modes", pack]);
                    own.modes.insert(pack.clone(), (mode, source));
                }
            }
        }
        own
    }

    /// A list of which a lower level may only keep a part.
    fn subset(
        &mut self,
        level: &Written<'_>,
        key: &'static str,
        what: &str,
        own: Option<&[String]>,
        above: Option<&Placed<Vec<String>>>,
    ) -> Option<Placed<Vec<String>>> {
        let Some(own) = own else { return above.cloned() };
        let mut kept = own.to_vec();
        if let Some((theirs, source)) = above {
            for (index, word) in own.iter().enumerate().filter(|(_, word)| !theirs.contains(word)) {
                let path = join(&level.path, at![key, index]);
                let message = format!(
                    "the {what} `{}` is not among those that the level above allows ({source})",
                    word.escape_debug()
                );
                let known = theirs.iter().map(String::as_str);
                let hint = if theirs.is_empty() {
                    "it allows none".to_owned()
                } else {
                    format!("a lower level may only narrow; {}", did_you_mean(word, known))
                };
                self.document.wrong_at(&path, message, hint);
            }
            kept.retain(|word| theirs.contains(word));
        }
        Some((kept, self.source(level, &[key])))
    }

    fn widens(&mut self, level: &Written<'_>, keys: &[&str], own: &str, theirs: &str, source: &str) {
        let path: Vec<Step<'_>> =
            level.path.iter().copied().chain(keys.iter().map(|key| Step::Key(key))).collect();
        let name = keys.join(".");
        let message =
            format!("`{name} = \"{own}\"` widens what the level above sets: \"{theirs}\" ({source})");
        let hint = format!("a lower level may only narrow: leave it out, or write \"{theirs}\"");
        self.document.wrong_at(&path, message, hint);
    }

    fn source(&self, level: &Written<'_>, keys: &[&str]) -> String {
        let path: Vec<Step<'_>> =
            level.path.iter().copied().chain(keys.iter().map(|key| Step::Key(key))).collect();
        self.document.source(&path)
    }

    /// Packs and models that an organisation or a team names must be there.
    fn packs_and_models(
        &mut self,
        level: &raw::Level,
        path: &[Step<'_>],
        raw: &Raw,
        models: &[Model],
        levels: &Levels,
    ) {
        self.known_packs(level.modes.keys(), &join(path, at!["modes"]), levels);
        self.known_packs(level.packs.iter(), &join(path, at!["packs"]), levels);
        for (index, wanted) in level.models.iter().flatten().enumerate() {
            let known = models.iter().any(|model| model.name.as_str() == wanted);
            let broken = raw.deployment.iter().any(|deployment| deployment.provider.model == *wanted);
            if !known && !broken {
                let message = format!("there is no model `{}`", wanted.escape_debug());
                let hint = did_you_mean(wanted, models.iter().map(|model| model.name.as_str()));
                self.document.wrong_at(&join(path, at!["models", index]), message, hint);
            }
        }
    }

    fn known_packs<'n>(
        &mut self,
        names: impl Iterator<Item = &'n String>,
        path: &[Step<'_>],
        levels: &Levels,
    ) {
        let Some(known) = &levels.packs else { return };
        for (index, name) in names.enumerate().filter(|(_, name)| !known.contains(name)) {
            let message = format!("no pack `{}` is in force", name.escape_debug());
            let hint = format!(
                "{}; a pack that is off is not in force",
                did_you_mean(name, known.iter().map(String::as_str))
            );
            let place = if matches!(path.last(), Some(Step::Key("packs"))) {
                Step::Index(index)
            } else {
                Step::Key(name)
            };
            self.document.wrong_at(&join(path, &[place]), message, hint);
        }
    }
}

fn written<'a>(level: &'a raw::Level, path: &[Step<'a>]) -> Written<'a> {
    Written {
        path: path.to_vec(),
        residency: level.residency.as_deref(),
        pins: &level.pins,
        retention: level.retention.as_deref(),
        tags: level.tags.as_deref(),
        data_classes: &level.data_classes,
        modes: &level.modes,
        models: level.models.as_deref().filter(|models| !models.is_empty()),
    }
}

const fn mode_of(mode: raw::LevelMode) -> Mode {
    match mode {
        raw::LevelMode::Observe => Mode::Observe,
        raw::LevelMode::Warn => Mode::Warn,
        raw::LevelMode::Enforce => Mode::Enforce,
    }
}

/// The way to something inside what `path` leads to.
fn join<'a>(path: &[Step<'a>], inside: &[Step<'a>]) -> Vec<Step<'a>> {
    [path, inside].concat()
}
