//! Which packs are approved as they are, and what is to be said of those that are not.

use super::{
    PackApproval, PackStatus, ReadPack, TermsInput,
    approval::{self, Approval, Invalid},
};
use crate::problem::{Problem, Problems};
use std::{collections::BTreeMap, sync::Arc};

/// What came of the approvals.
pub(crate) struct Judged {
    /// By pack id.
    pub(crate) of: BTreeMap<Arc<str>, PackApproval>,
    /// What is allowed and should be known.
    pub(crate) notes: Problems,
}

/// Judges every pack that was read. Where approval is required, a pack without it is a problem, else a note.
pub(crate) fn judge(input: &TermsInput<'_>, read: &[ReadPack<'_>], problems: &mut Problems) -> Judged {
    let (approvals, mut found) =
        input.approvals.map(|file| approval::read(file.file, file.text)).unwrap_or_default();
    problems.0.append(&mut found.0);
    let mut judged = Judged { of: BTreeMap::new(), notes: Problems::default() };
    for own in read {
        let pack = &own.pack;
        let mut invalid: Vec<(&Approval, String)> = Vec::new();
        let mut good = None;
        for approval in approvals.iter().filter(|approval| approval.pack == pack.id) {
            if approval.hash != pack.hash {
                invalid.push((approval, "it is of another content: the pack was changed".to_owned()));
                continue;
            }
            let author = pack.author.as_deref().filter(|author| super::same_person(author, &approval.by));
            let verdict = match author {
                Some(_) => Err(Invalid::SamePerson(Arc::clone(&approval.by))),
                None => approval::verify(approval, input.approvers),
            };
            match verdict {
                Ok(()) => good = good.or(Some(approval)),
                Err(why) => invalid.push((approval, why.to_string())),
            }
        }
        let state = match (good, pack.status) {
            (Some(approval), _) => PackApproval::Approved(approval.clone()),
            (None, PackStatus::Approved) => PackApproval::Claimed,
            (None, PackStatus::Draft) => PackApproval::Draft,
        };
        if good.is_none() {
            let target = if input.require_approved { &mut *problems } else { &mut judged.notes };
            if input.require_approved || state == PackApproval::Claimed {
                target.0.push(unapproved(own, input.require_approved));
            }
            for (approval, why) in invalid {
                target.0.push(Problem {
                    file: Arc::clone(&approval.file),
                    line: approval.line,
                    column: 1,
                    message: format!("this approval of `{}` counts for nothing: {why}", approval.pack),
                    hint: format!("`{}` has the content hash {}", pack.id, pack.hash),
                });
            }
        }
        judged.of.insert(Arc::clone(&pack.id), state);
    }
    judged
}

fn unapproved(own: &ReadPack<'_>, required: bool) -> Problem {
    let pack = &own.pack;
    let message = if required {
        format!("the pack `{}` is not approved as it is, and `require_approved` is set", pack.id)
    } else {
        format!(
            "the pack `{}` says that it is approved, and nothing proves it: it counts as a draft",
            pack.id
        )
    };
    Problem {
        file: Arc::clone(&pack.file),
        line: 1,
        column: 1,
        message,
        hint: format!("a second person signs it: `cabotage terms approve {} --by NAME --key FILE`", pack.id),
    }
}
