//! How calls are classified: the switch, and the operator's word on a workload, which is nothing without its reason.

use super::Check;
use crate::{document::at, raw};
use placement::{CallClass, classify::Override};

impl Check<'_> {
    pub(super) fn class_of(&mut self, written: &raw::Workload, index: usize) -> Option<Override> {
        let reason = written.class_reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        match (written.class, reason) {
            (Some(class), Some(reason)) => {
                let class = match class {
                    raw::CallClass::Stateless => CallClass::Stateless,
                    raw::CallClass::Stateful => CallClass::Stateful,
                    raw::CallClass::Hybrid => CallClass::Hybrid,
                };
                Some(Override { class, reason: reason.into() })
            }
            (Some(_), None) => {
                let message = "this workload overrules the class of its calls without a reason";
                let hint = "add `class_reason = \"…\"`: it stands beside the class in every explanation";
                self.document.wrong_at(at!["workload", index, "class"], message, hint);
                None
            }
            (None, Some(_)) => {
                let message = "`class_reason` without a `class`";
                let hint = "add `class = \"stateful\"` (or stateless, hybrid), or leave the reason out";
                self.document.wrong_at(at!["workload", index, "class_reason"], message, hint);
                None
            }
            (None, None) => None,
        }
    }
}
