//! The components that are in use, by digest: guests of one component share its machine code, and load it once. It loads
//! nothing, and keeps nothing alive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::component::Loaded;

/// The components that guests have at this moment.
#[derive(Clone, Default)]
pub(super) struct InUse(Arc<Mutex<HashMap<Arc<str>, Weak<Loaded>>>>);

impl InUse {
    /// The component of this digest, if a guest has it.
    pub(super) fn get(&self, digest: &str) -> Option<Arc<Loaded>> {
        self.lock().get(digest)?.upgrade()
    }

    /// Has others share a component; if somebody else was faster, gives back that one.
    pub(super) fn share(&self, loaded: Loaded) -> Arc<Loaded> {
        let mut components = self.lock();
        if let Some(first) = components.get(&loaded.digest).and_then(Weak::upgrade) {
            return first;
        }
        // What nobody has any more leaves its entry behind until another one comes.
        components.retain(|_, component| component.strong_count() > 0);
        let loaded = Arc::new(loaded);
        components.insert(Arc::clone(&loaded.digest), Arc::downgrade(&loaded));
        loaded
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Loaded>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
