//! What an operator does with guests while the platform runs: look at them, load, replace, unload, enable, disable, and end
//! a quarantine. Each goes on in a task of its own, one at a time for each guest. How it is done stands in `swap`.

use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::Event;

use super::entry::{Entry, Standing};
use super::error::GuestError;
use super::quarantine::told;
use super::status::{GuestState, GuestStatus};
use super::swap::Replaced;
use super::{Core, Platform};
use crate::sandbox::Build;
use crate::settings::GuestSettings;

impl Platform {
    /// The guests in the order in which they came, also those that do not run.
    #[must_use]
    pub fn guests(&self) -> Vec<GuestStatus> {
        self.core.entries().iter().map(|entry| entry.status()).collect()
    }

    /// The guest of this name.
    #[must_use]
    pub fn guest(&self, name: &str) -> Option<GuestStatus> {
        self.core.guests().get(name).cloned().map(|entry| entry.status())
    }

    /// Loads a guest: its component is compiled and checked, it is registered wherever its settings say, and activated. Its
    /// messages wait until then. One that is not `enabled` is only taken into the table.
    ///
    /// # Errors
    /// Why it was not loaded; it is not there then. Only one whose `activate` fails stays, in quarantine, unless its settings
    /// have none.
    ///
    /// # Cancel safety
    /// Safe: the guest is loaded whether or not the caller waits.
    pub async fn load_guest(&self, settings: GuestSettings) -> Result<GuestStatus, GuestError> {
        let name = settings.name.clone();
        let core = Arc::clone(&self.core);
        self.in_a_task(&name, async move { core.add(settings).await }).await
    }

    /// Puts another build of a guest, and these settings, in the place of what runs, while messages flow.
    ///
    /// The new component is compiled, checked and activated on an instance of its own first. Then calls go to it, and none
    /// begins on the old build any more; what runs there may finish within the guest's `drain` and is ended then as
    /// `faulted` (`deadline`), so that the retry policy has it tried again, on the new build. The guest keeps the
    /// destinations that it listens to before and after, with what waits there. At last the old build is deactivated. A
    /// quarantine ends with it.
    ///
    /// # Errors
    /// Why the guest was not replaced: what ran goes on untouched.
    ///
    /// # Cancel safety
    /// Safe: the guest is replaced whether or not the caller waits.
    pub async fn replace_guest(&self, name: &str, settings: GuestSettings) -> Result<Replaced, GuestError> {
        if settings.name != name {
            return Err(GuestError::OtherName { guest: name.to_owned(), other: settings.name });
        }
        self.with_entry(name, async |core, entry| {
            entry.must_run()?;
            core.replace(&entry, settings).await
        })
        .await
    }

    /// Reads a guest's component anew and replaces what runs by it, as [`Platform::replace_guest`] with the settings that it
    /// has. A guest that could not be loaded is tried again.
    ///
    /// # Errors
    /// As [`Platform::replace_guest`].
    ///
    /// # Cancel safety
    /// As [`Platform::replace_guest`].
    pub async fn reload_guest(&self, name: &str) -> Result<(), GuestError> {
        self.with_entry(name, async |core, entry| {
            if matches!(entry.state().standing, Standing::Failed(_)) {
                return core.bring_up(&entry).await;
            }
            entry.must_run()?;
            let settings = entry.settings();
            match core.replace(&entry, settings).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    entry.tried_in_vain(&error);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Ends a guest's quarantine now: it is activated again on a fresh instance, from the component that it has. One that is
    /// in none is left as it is.
    ///
    /// # Errors
    /// Why it could not be activated: it stays in quarantine, and is tried again after a longer time.
    ///
    /// # Cancel safety
    /// Safe: it is tried whether or not the caller waits.
    pub async fn release_guest(&self, name: &str) -> Result<(), GuestError> {
        self.with_entry(name, async |core, entry| {
            if !matches!(entry.state().standing, Standing::Quarantined(_)) {
                return Ok(());
            }
            match core.try_again(&entry, true).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    entry.tried_in_vain(&error);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Unloads a guest: it is registered nowhere any more, what runs may finish within `drain`, or the guest's own if that is
    /// none, and is ended then as `faulted` (`interrupted`); `deactivate` runs, and nothing of it is left. What waits for it
    /// becomes of it what becomes of any listener that is removed. The destinations that it made stay.
    ///
    /// # Errors
    /// When there is no such guest, or the platform shuts down.
    ///
    /// # Cancel safety
    /// Safe: the guest is unloaded whether or not the caller waits.
    pub async fn unload_guest(&self, name: &str, drain: Option<Duration>) -> Result<(), GuestError> {
        self.with_entry(name, async move |core, entry| {
            core.unload(&entry, drain).await;
            core.guests().shift_remove(entry.name());
            Ok(())
        })
        .await
    }

    /// Unloads a guest, but keeps its settings, so that it can be enabled again.
    ///
    /// # Errors
    /// As [`Platform::unload_guest`].
    ///
    /// # Cancel safety
    /// As [`Platform::unload_guest`].
    pub async fn disable_guest(&self, name: &str) -> Result<(), GuestError> {
        self.with_entry(name, async |core, entry| {
            if !matches!(entry.state().standing, Standing::Disabled) {
                core.unload(&entry, None).await;
                entry.state().standing = Standing::Disabled;
            }
            Ok(())
        })
        .await
    }

    /// Loads a guest that was disabled, or could not be loaded; its component is read anew. One that is there is left as it
    /// is.
    ///
    /// # Errors
    /// As [`Platform::load_guest`]; it stays as it was.
    ///
    /// # Cancel safety
    /// As [`Platform::load_guest`].
    pub async fn enable_guest(&self, name: &str) -> Result<(), GuestError> {
        self.with_entry(name, async |core, entry| match entry.stands() {
            GuestState::Disabled | GuestState::Failed { .. } => core.bring_up(&entry).await,
            _ => Ok(()),
        })
        .await
    }

    /// Does something with a guest when it is its turn.
    async fn with_entry<T: Send + 'static, F>(
        &self,
        name: &str,
        act: impl FnOnce(Arc<Core>, Arc<Entry>) -> F + Send + 'static,
    ) -> Result<T, GuestError>
    where
        F: Future<Output = Result<T, GuestError>> + Send,
    {
        let (core, guest) = (Arc::clone(&self.core), name.to_owned());
        self.in_a_task(name, async move {
            let entry = core.guests().get(&guest).cloned();
            let entry = entry.ok_or_else(|| GuestError::NoSuchGuest { guest: guest.clone() })?;
            let _turn = core.unless_closing(guest.clone(), entry.turn.lock()).await?;
            // It may have been unloaded before its turn came, and another one may have its name.
            let there = core.guests().get(&guest).is_some_and(|now| Arc::ptr_eq(now, &entry));
            if !there {
                return Err(GuestError::NoSuchGuest { guest });
            }
            act(Arc::clone(&core), Arc::clone(&entry)).await
        })
        .await
    }

    /// Runs `work` to its end, whether or not the caller waits for it. A shutdown does.
    async fn in_a_task<T: Send + 'static>(
        &self,
        guest: &str,
        work: impl Future<Output = Result<T, GuestError>> + Send + 'static,
    ) -> Result<T, GuestError> {
        let mark = self.core.tasks.mark();
        if *self.core.closing.borrow() {
            return Err(GuestError::ShuttingDown { guest: guest.to_owned() });
        }
        let task = tokio::spawn(async move {
            let _mark = mark;
            work.await
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(guest, %error, "the host failed");
            Err(GuestError::Host { guest: guest.to_owned(), reason: error.to_string() })
        })
    }
}

impl Entry {
    fn stands(&self) -> GuestState {
        self.status().state
    }

    fn must_run(&self) -> Result<(), GuestError> {
        match self.stands() {
            GuestState::Active | GuestState::Quarantined { .. } => Ok(()),
            state => Err(GuestError::NotRunning { guest: self.name().to_owned(), state }),
        }
    }
}

impl Core {
    /// Takes a guest into the table, and loads it.
    async fn add(self: &Arc<Self>, settings: GuestSettings) -> Result<GuestStatus, GuestError> {
        let entry = Entry::new(self, settings);
        let _turn = entry.turn.lock().await;
        let name = entry.name().to_owned();
        {
            let mut guests = self.guests();
            if guests.contains_key(&name) {
                return Err(GuestError::AlreadyLoaded { guest: name });
            }
            guests.insert(name.clone(), Arc::clone(&entry));
        }
        if !matches!(entry.state().standing, Standing::Disabled)
            && let Err(error) = self.bring_up(&entry).await
        {
            if !matches!(entry.state().standing, Standing::Quarantined(_)) {
                self.guests().shift_remove(&name);
            }
            return Err(error);
        }
        Ok(entry.status())
    }

    /// Loads what is not there.
    async fn bring_up(&self, entry: &Arc<Entry>) -> Result<(), GuestError> {
        let settings = entry.settings();
        entry.state().standing = Standing::Loading;
        let brought = async {
            let build = self.first_build(entry, &settings).await?;
            self.listen(entry, &settings)?;
            self.begin(entry, build).await
        };
        match brought.await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.not_brought_up(entry, &error).await;
                Err(error)
            }
        }
    }

    /// The build of a guest that has none. From now on it counts as loaded.
    pub(super) async fn first_build(
        &self,
        entry: &Entry,
        settings: &GuestSettings,
    ) -> Result<Arc<Build>, GuestError> {
        let loaded = self.read(settings).await?;
        entry.state().loaded = Some(loaded.clone());
        entry.guest.made().set_leaving(false);
        let build = entry.guest.build_of(settings, loaded);
        self.bus.announce(Event::GuestLoaded {
            guest: Arc::from(entry.name()),
            build: Some(Arc::clone(build.name())),
        });
        Ok(build)
    }

    /// What becomes of a guest that was not brought up: one that could not be activated is quarantined where it may be.
    pub(super) async fn not_brought_up(&self, entry: &Arc<Entry>, error: &GuestError) {
        self.tell_failed(entry, error);
        let policy = entry.settings().quarantine;
        if let (GuestError::Activate { .. }, Some(policy)) = (error, policy) {
            return entry.begin_quarantine(entry.state(), &policy, &told(error));
        }
        let was_loaded = entry.state().loaded.is_some();
        self.unregister_everywhere(entry.name()).await.end().await;
        entry.guest.made().ended_all_listening();
        let mut state = entry.state();
        state.loaded = None;
        state.standing = Standing::Failed(told(error).as_str().into());
        drop(state);
        if was_loaded {
            self.bus.announce(Event::GuestUnloaded { guest: Arc::from(entry.name()) });
        }
    }

    async fn unload(&self, entry: &Entry, drain: Option<Duration>) {
        let was_there = entry.state().loaded.is_some();
        let drain = drain.unwrap_or(entry.state().settings.drain);
        self.take_down(entry, drain).await;
        entry.state().loaded = None;
        if was_there {
            self.bus.announce(Event::GuestUnloaded { guest: Arc::from(entry.name()) });
        }
    }
}
