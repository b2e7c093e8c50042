//! Which keys of one object were met. The usual object has few, so they are compared one by one.

use std::{borrow::Cow, collections::BTreeSet};

const FEW: usize = 16;

#[derive(Default)]
pub(super) struct Keys<'a> {
    few: [&'a str; FEW],
    count: usize,
    more: Option<BTreeSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    /// False where the key was there already.
    pub(super) fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.iter().take(self.count).any(|other| **other == *key)
            || self.more.as_ref().is_some_and(|more| more.contains(&key))
        {
            return false;
        }
        match (key, self.few.get_mut(self.count)) {
            (Cow::Borrowed(key), Some(slot)) => {
                *slot = key;
                self.count += 1;
                true
            }
            (key, _) => self.more.get_or_insert_default().insert(key),
        }
    }
}
