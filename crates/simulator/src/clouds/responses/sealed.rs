//! `encrypted_content` of reasoning items: base64 of `enc:{cloud}:{hash of the reasoning}`.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::identity::hash;

/// Hex digits of the hash.
const HASH_DIGITS: usize = 16;

/// `reasoning` as `cloud` seals it.
pub(super) fn seal(cloud: &str, reasoning: &str) -> String {
    STANDARD.encode(format!("enc:{cloud}:{:016x}", hash(reasoning.as_bytes())))
}

/// Whether `cloud` sealed this.
pub(super) fn opens(cloud: &str, sealed: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(sealed) else { return false };
    let text = String::from_utf8_lossy(&bytes);
    let parts = text.strip_prefix("enc:").and_then(|rest| rest.rsplit_once(':'));
    parts.is_some_and(|(realm, hash)| {
        realm == cloud && hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cloud_that_sealed_it_opens_it() {
        let sealed = seal("openai", "Hm.");
        assert_eq!(sealed, seal("openai", "Hm."), "same reasoning, same content");
        assert_ne!(sealed, seal("openai", "Well."));
        assert!(opens("openai", &sealed));
        assert!(!opens("azure-westeurope", &sealed));
        assert!(!opens("openai", "gAAAAAB"));
        assert!(!opens("openai", &STANDARD.encode("enc:openai:short")));
    }
}
