//! A secret as written → the secret. No message here ever shows one.

use super::Check;
use crate::{document::Step, raw};
use secrecy::SecretString;

/// Longest secret, in bytes: above it, somebody named the wrong file.
const MAX_SECRET: usize = 16 * 1024;

impl Check<'_> {
    /// The secret, read from where it is said to be. `identity` is no secret that can be read.
    pub(super) fn secret(&mut self, written: &raw::Secret, path: &[Step<'_>]) -> Option<SecretString> {
        let text = match written {
            raw::Secret::Identity(_) => return None,
            raw::Secret::Env { env } => match self.around.variable(env) {
                Some(text) => text,
                None => {
                    let message = format!("the environment variable {} is not set", env.escape_debug());
                    self.document.wrong_at(path, message, format!("export {env}=… before the start"));
                    return None;
                }
            },
            raw::Secret::File { file } => match String::from_utf8(self.read(file, path)?) {
                Ok(text) => text,
                Err(_) => {
                    self.document.wrong_at(path, "the file of the secret is not text", "");
                    return None;
                }
            },
            raw::Secret::Clear { value, .. } => {
                self.document.note_at(
                    path,
                    "a secret stands in this file in clear",
                    "move it to the environment",
                );
                value.0.clone()
            }
        };
        let text = text.trim();
        let wrong = match text {
            "" => Some("the secret is empty"),
            text if text.len() > MAX_SECRET => Some("the secret is longer than any secret"),
            text if text.chars().any(char::is_control) => Some("the secret has more than one line"),
            _ => None,
        };
        if let Some(message) = wrong {
            self.document.wrong_at(path, message, "");
            return None;
        }
        Some(SecretString::from(text))
    }
}
