//! Keys that an operator keeps: in the environment, in a file.

use crate::{
    fault,
    refreshing::{Obtain, Obtained, Refreshing},
};
use domain::{Clock, Fault, Secret, SecretSource, secret::FixedSecret};
use std::{env, path::PathBuf, sync::Arc, time::Duration};

/// How long a file's key is used before the file is read again.
pub const FILE_LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The longest key file, in bytes. A key is one line; anything longer is another file.
pub const LONGEST_FILE: u64 = 64 * 1024;

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The variable is not set, or set to nothing.
    Missing,
    /// What is there cannot stand in a header: blanks inside, control characters, not ASCII.
    Unusable,
}

impl std::fmt::Display for NoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "is not set",
            Self::Unusable => "holds a character that no key has (a blank, a line break, not ASCII)",
        })
    }
}

impl std::error::Error for NoKey {}

/// A key as written: one line of visible ASCII, blanks around it cut off.
///
/// # Errors
/// [`NoKey`], which never shows what was there.
pub fn key(text: &str) -> Result<Secret, NoKey> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NoKey::Missing);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(NoKey::Unusable);
    }
    Ok(Secret::token(text))
}

/// The key in an environment variable, read now and never again.
///
/// # Errors
/// [`NoKey`] where it is not set or cannot be a key.
pub fn from_env(name: &str) -> Result<Arc<dyn SecretSource>, NoKey> {
    let text = env::var_os(name).ok_or(NoKey::Missing)?.into_string().map_err(|_| NoKey::Unusable)?;
    Ok(Arc::new(FixedSecret::new(key(&text)?)))
}

/// The key in a file, read at the first use and again at most every [`FILE_LOOK_AGAIN`]. While the file cannot
/// be read or holds no key, the last good key stays.
#[must_use]
pub fn from_file(path: PathBuf, clock: Arc<dyn Clock>) -> Arc<dyn SecretSource> {
    let name = format!("file {}", path.display());
    Arc::new(Refreshing::new(KeyFile { path, name }, clock))
}

/// A file with a key.
#[derive(Debug)]
struct KeyFile {
    path: PathBuf,
    name: String,
}

impl Obtain for KeyFile {
    fn name(&self) -> &str {
        &self.name
    }

    async fn obtain(&self, _refused: bool) -> Result<Obtained, Fault> {
        let failed = |why: &str| fault(&format!("the key in {} cannot be used: {why}", self.name));
        let length = tokio::fs::metadata(&self.path).await.map_err(|error| failed(&error.to_string()))?.len();
        if length > LONGEST_FILE {
            return Err(failed("the file is longer than a key"));
        }
        let text = tokio::fs::read_to_string(&self.path).await.map_err(|error| failed(&error.to_string()))?;
        let secret = key(&text).map_err(|why| failed(&why.to_string()))?;
        Ok(Obtained { secret, look_again: Some(FILE_LOOK_AGAIN), keep_for: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ManualClock;
    use std::fs;

    fn token(secret: &Secret) -> &str {
        let Secret::Token { value, .. } = secret else { panic!("a token") };
        value
    }

    #[test]
    fn keys_are_one_line_of_visible_ascii() {
        assert_eq!(token(&key(" sk-1\n").unwrap()), "sk-1");
        assert_eq!(key(" \n").unwrap_err(), NoKey::Missing);
        for bad in ["k1 k2", "k1\nk2", "k\u{7f}", "schlüssel"] {
            let error = key(bad).unwrap_err();
            assert_eq!(error, NoKey::Unusable);
            assert!(!error.to_string().contains(bad));
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_said() {
        assert_eq!(from_env("CABOTAGE_TEST_NOT_SET").err(), Some(NoKey::Missing));
        // Cargo sets this one for every test.
        let name = "CARGO_PKG_NAME";
        assert_eq!(token(&from_env(name).unwrap().current().unwrap()), env!("CARGO_PKG_NAME"));
    }

    #[tokio::test]
    async fn a_file_is_read_again_and_its_last_good_key_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let clock = Arc::new(ManualClock::at("2026-11-21T10:00:00Z".parse().unwrap()));
        let source = from_file(path.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        let error = source.fetch().await.unwrap_err();
        assert!(error.detail.unwrap().contains("key"), "names the file");
        clock.advance(Duration::from_secs(1));
        fs::write(&path, "sk-one\n").unwrap();
        assert_eq!(token(&source.fetch().await.unwrap()), "sk-one");
        let wanted = |text: &'static str| {
            let (source, clock) = (Arc::clone(&source), Arc::clone(&clock));
            async move {
                clock.advance(FILE_LOOK_AGAIN);
                source.current().unwrap();
                for _ in 0..500 {
                    if token(&source.current().unwrap()) == text {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                panic!("the key is not {text}");
            }
        };
        fs::write(&path, "sk-two\n").unwrap();
        assert_eq!(token(&source.current().unwrap()), "sk-one", "not before its time");
        wanted("sk-two").await;
        fs::write(&path, "").unwrap();
        wanted("sk-two").await;
        fs::remove_file(&path).unwrap();
        wanted("sk-two").await;
        // A refusal looks at once.
        let old = source.current().unwrap();
        clock.advance(Duration::from_secs(61));
        fs::write(&path, "sk-three").unwrap();
        assert_eq!(token(&source.refresh(&old).await.unwrap()), "sk-three");
        fs::write(&path, "x".repeat(70_000)).unwrap();
        wanted("sk-three").await;
    }
}
