//! Components that must not load, each tried in a host beside a neighbour that completes everything: nothing of them runs,
//! and the host says why.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbus::{GuestSettings, LoadError, OnStartupError, RuntimeSettings, StartError};

use crate::support::{Asking, beside_a_neighbour, runtime, serial};
use crate::watch;

/// Why the component at `path` does not load.
pub(crate) async fn beside_a_neighbour_does_not_load(path: &Path) -> LoadError {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("hostile-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut hostile = GuestSettings::new(&name, path);
    hostile.listens_to = vec!["t/hostile".to_owned()];
    let with = |on_startup_error| {
        let settings = RuntimeSettings { on_startup_error, ..runtime() };
        beside_a_neighbour().runtime(settings).destination(serial("t/hostile")).guest(hostile.clone())
    };
    let failed = with(OnStartupError::Fail).start().await.err();
    let Some(StartError::Load { guest, source }) = failed else { panic!("it must not load: {failed:?}") };
    assert_eq!(guest, name);
    let harness = with(OnStartupError::Continue).start().await.expect("the others start");
    assert!(!harness.bus().has_listener("t/hostile"));
    // One event, with the name.
    let said = watch::host_lines(&format!("{name} "));
    assert!(said.iter().any(|line| line.level == tracing::Level::ERROR), "{said:?}");
    harness.settled().await;
    source
}

/// The same for a test that is not async.
pub(crate) fn does_not_load(path: &Path) -> LoadError {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(beside_a_neighbour_does_not_load(path))
}
