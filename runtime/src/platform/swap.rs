//! How what runs of a guest changes: a build is made, checked and activated beside the one that runs, takes its place, and
//! the old one is drained. Whatever fails before the swap leaves everything as it was. Nothing here is done twice at once
//! for one guest: the caller has its turn.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sandbus_bus::{Bus, DestinationName, Event, MessageListener};
use tokio::time::timeout;

use super::Core;
use super::entry::{Entry, Standing};
use super::error::GuestError;
use super::quarantine::told;
use crate::limits::CUT_WAIT;
use crate::sandbox::{Build, CutBy, LifecycleError, Loaded, look_at_folder};
use crate::settings::GuestSettings;

/// How often a drain looks for idle instances that came back to where they are kept.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How a replacement went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The build that ran until now; none where none did.
    pub before: Option<Arc<str>>,
    /// The build that runs now.
    pub build: Arc<str>,
    /// Whether calls on the old build had to be ended, because they took longer than the drain.
    pub cut: bool,
    /// Why `deactivate` of the old build did not end well, if it did not.
    pub not_deactivated: Option<LifecycleError>,
}

impl Core {
    /// Loads the component of these settings, and looks whether it can do what they ask for.
    pub(super) async fn read(&self, settings: &GuestSettings) -> Result<Arc<Loaded>, GuestError> {
        let guest = || settings.name.clone();
        // In another process and thread: compiling takes a while, and must not hold up the messages.
        let loaded = self.unless_closing(guest(), self.engine.load_aside(&settings.path)).await?;
        let loaded = loaded.map_err(|source| GuestError::Load { guest: guest(), source })?;
        match settings.listens_to.first() {
            Some(destination) if !loaded.is_listener() => {
                Err(GuestError::NotAListener { guest: guest(), destination: destination.clone() })
            }
            _ => self.look_at_folders(settings).await.map(|()| loaded),
        }
    }

    /// Looks whether the folders that it is granted are there.
    async fn look_at_folders(&self, settings: &GuestSettings) -> Result<(), GuestError> {
        for grant in &settings.grants.files {
            let guest = || settings.name.clone();
            let (path, granted_as) = (grant.host_path().to_owned(), grant.guest_path().to_owned());
            let looked_at = grant.clone();
            // A file system may be slow, or on another machine.
            let looking = tokio::task::spawn_blocking(move || look_at_folder(&looked_at));
            let looked = self.unless_closing(guest(), looking).await?;
            looked
                .unwrap_or_else(|error| Err(std::io::Error::other(error)))
                .map_err(|source| GuestError::Folder { guest: guest(), path, granted_as, source })?;
        }
        Ok(())
    }

    /// Has a guest listen wherever its settings say.
    pub(super) fn listen(&self, entry: &Entry, settings: &GuestSettings) -> Result<(), GuestError> {
        for destination in &settings.listens_to {
            let listener = Arc::clone(&entry.guest) as Arc<dyn MessageListener>;
            self.bus
                .register_shared(destination, listener)
                .map_err(|source| GuestError::Listen { guest: settings.name.clone(), source })?;
        }
        Ok(())
    }

    /// Activates the first build of a guest, and has it be called.
    pub(super) async fn begin(&self, entry: &Entry, build: Arc<Build>) -> Result<(), GuestError> {
        let guest = entry.name().to_owned();
        let activated = self.unless_closing(guest.clone(), build.activate()).await?;
        activated.map_err(|source| GuestError::Activate { guest, source })?;
        let name = Arc::clone(build.name());
        entry.guest.run_on(build);
        entry.state().standing = Standing::Active;
        self.bus.announce(Event::GuestActivated { guest: Arc::from(entry.name()), build: Some(name) });
        Ok(())
    }

    /// Says that a guest could not be loaded, or not be replaced.
    pub(super) fn tell_failed(&self, entry: &Entry, error: &GuestError) {
        let text = told(error);
        tracing::error!(guest = entry.name(), error = text, "not loaded");
        let guest = Arc::from(entry.name());
        self.bus.announce(Event::GuestLoadFailed { guest, text: text.as_str().into() });
    }

    /// Puts another build in the place of the one that runs.
    pub(super) async fn replace(
        &self,
        entry: &Arc<Entry>,
        settings: GuestSettings,
    ) -> Result<Replaced, GuestError> {
        let prepared = async {
            for destination in &settings.listens_to {
                DestinationName::new(destination).map_err(|error| GuestError::Listen {
                    guest: settings.name.clone(),
                    source: sandbus_bus::ConfigError::from(error).into(),
                })?;
            }
            let loaded = self.read(&settings).await?;
            self.prepare(entry, &settings, loaded).await
        };
        match prepared.await {
            Ok(build) => self.swap(entry, settings, build, true).await,
            Err(error) => {
                self.tell_failed(entry, &error);
                Err(error)
            }
        }
    }

    /// Tries a guest in quarantine again, on the component that was loaded last.
    pub(super) async fn try_again(&self, entry: &Arc<Entry>, by_hand: bool) -> Result<Replaced, GuestError> {
        let (settings, loaded) = {
            let state = entry.state();
            (state.settings.clone(), state.loaded.clone())
        };
        let loaded = match loaded {
            Some(loaded) => loaded,
            None => self.read(&settings).await?,
        };
        let build = self.prepare(entry, &settings, loaded).await?;
        self.swap(entry, settings, build, by_hand).await
    }

    /// Makes a build that is ready to take over: it was activated, or an instance of it was made.
    async fn prepare(
        &self,
        entry: &Entry,
        settings: &GuestSettings,
        loaded: Arc<Loaded>,
    ) -> Result<Arc<Build>, GuestError> {
        let build = entry.guest.build_of(settings, loaded);
        let guest = entry.name().to_owned();
        let rehearsed = self.unless_closing(guest.clone(), build.rehearse()).await;
        let rehearsed =
            rehearsed.and_then(|ended| ended.map_err(|source| GuestError::Activate { guest, source }));
        if let Err(error) = rehearsed {
            // What listens there is the guest, not the build: it would be the old one that receives.
            let mut gone = Unregistering::begin(&self.bus, entry.name(), build.listened()).await;
            gone.end().await;
            self.listen_again(entry, &build.unlistened());
            return Err(error);
        }
        Ok(build)
    }

    /// Has the guest listen once more where a build that is not to run has ended it.
    fn listen_again(&self, entry: &Entry, names: &[String]) {
        for name in names {
            let listener = Arc::clone(&entry.guest) as Arc<dyn MessageListener>;
            if let Err(error) = self.bus.register_shared(name, listener) {
                tracing::warn!(guest = entry.name(), destination = name, %error, "it listens there no more");
            }
        }
    }

    /// Has calls go to `build` from now on, and drains the one that they went to.
    async fn swap(
        &self,
        entry: &Arc<Entry>,
        settings: GuestSettings,
        build: Arc<Build>,
        by_hand: bool,
    ) -> Result<Replaced, GuestError> {
        let name: Arc<str> = Arc::from(entry.name());
        let allowed = |destination: &str| {
            build.loaded().is_listener()
                && (settings.listens_to.iter().any(|listed| listed == destination)
                    || settings.grants.listen.iter().any(|grant| grant.matches(destination)))
        };
        let gone = self.bus.registrations(&name).into_iter().map(|name| name.as_str().to_owned());
        let gone: Vec<String> = gone.filter(|destination| !allowed(destination)).collect();
        gone.iter().for_each(|destination| entry.guest.made().ended_listening(destination));
        let drain = entry.state().settings.drain;
        // In this order: the new build receives nothing from where it does not listen, the old one nothing that is new.
        let mut gone = Unregistering::begin(&self.bus, &name, gone).await;
        let now = Arc::clone(build.name());
        {
            let mut state = entry.state();
            state.settings = settings.clone();
            state.loaded = Some(Arc::clone(build.loaded()));
        }
        let old = entry.guest.run_on(build);
        let listens = self.listen(entry, &settings);
        entry.end_quarantine(self, by_hand);
        let before = old.as_ref().map(|old| Arc::clone(old.name()));
        let (guest, build) = (Arc::clone(&name), Some(Arc::clone(&now)));
        self.bus.announce(match &before {
            Some(_) => Event::GuestReplaced { guest, before: before.clone(), build },
            None => Event::GuestActivated { guest, build },
        });
        let mut replaced = Replaced { before, build: now, cut: false, not_deactivated: None };
        if let Some(old) = old {
            let drained = async {
                gone.end().await;
                self.no_instance(&name, &old).await;
            };
            replaced.cut = drained_within(drain, drained, &name, || old.cut(CutBy::Replacing(drain))).await;
            replaced.not_deactivated = self.deactivate(&name, &old).await;
        }
        listens.map(|()| replaced)
    }

    /// Ends all that runs of a guest.
    pub(super) async fn take_down(&self, entry: &Entry, drain: Duration) -> Option<LifecycleError> {
        let name = entry.name();
        entry.leave();
        entry.guest.made().set_leaving(true);
        let mut gone = self.unregister_everywhere(name).await;
        let current = entry.guest.current();
        let drained = async {
            gone.end().await;
            entry.guest.run_on_nothing();
            if let Some(old) = &current {
                self.no_instance(name, old).await;
            }
        };
        drained_within(drain, drained, name, || {
            entry.guest.run_on_nothing();
            if let Some(old) = &current {
                old.cut(CutBy::Unloading(drain));
            }
        })
        .await;
        let not_deactivated = match &current {
            Some(old) => self.deactivate(name, old).await,
            None => None,
        };
        // A call may have begun to listen at the very moment at which that ended.
        self.unregister_everywhere(name).await.end().await;
        entry.guest.made().ended_all_listening();
        entry.guest.set_suspended(false);
        let left = entry.guest.made().left().take();
        self.left().keep(name, left);
        not_deactivated
    }

    pub(super) async fn unregister_everywhere(&self, name: &str) -> Unregistering {
        let all = self.bus.registrations(name).into_iter().map(|name| name.as_str().to_owned()).collect();
        Unregistering::begin(&self.bus, name, all).await
    }

    /// Runs `deactivate` of a build that no call runs on any more.
    pub(super) async fn deactivate(&self, guest: &str, build: &Arc<Build>) -> Option<LifecycleError> {
        let ended = build.deactivate().await;
        if let Err(error) = &ended {
            tracing::warn!(guest, build = &**build.name(), %error, "`deactivate` did not end well");
        }
        ended.err()
    }

    /// Waits until no instance of a retired build is there.
    async fn no_instance(&self, name: &str, old: &Build) {
        loop {
            // One that was in use at the last look is idle by now.
            self.bus.forget_instances(name);
            if timeout(DRAIN_LOOK, old.alive().none()).await.is_ok() {
                return;
            }
        }
    }
}

/// Waits for `drained`, but ends what runs after `drain`; answers whether it had to.
async fn drained_within(
    drain: Duration,
    drained: impl Future<Output = ()>,
    guest: &str,
    cut: impl FnOnce(),
) -> bool {
    let mut drained = pin!(drained);
    if timeout(drain, drained.as_mut()).await.is_ok() {
        return false;
    }
    cut();
    if timeout(CUT_WAIT, drained).await.is_err() {
        tracing::warn!(guest, "an instance of the old build is still there; no call begins on it");
    }
    true
}

/// Registrations that are being taken away: no call begins there any more, running ones are waited for.
pub(super) struct Unregistering(Vec<Pin<Box<dyn Future<Output = bool> + Send>>>);

impl Unregistering {
    pub(super) async fn begin(bus: &Bus, listener: &str, destinations: Vec<String>) -> Self {
        let all = destinations.into_iter().map(|destination| {
            let (bus, listener) = (bus.clone(), listener.to_owned());
            Box::pin(async move { bus.unregister(&destination, &listener).await }) as _
        });
        let mut begun = Self(all.collect());
        // Each is gone after its first step.
        poll_fn(|cx| {
            begun.0.retain_mut(|each| each.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        begun
    }

    pub(super) async fn end(&mut self) {
        poll_fn(|cx| {
            self.0.retain_mut(|each| each.as_mut().poll(cx).is_pending());
            if self.0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
