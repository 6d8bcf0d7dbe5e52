//! What a guest does when it starts and when it ends. What it keeps in memory there is not seen by `receive`.

/// A guest that is told when it starts and when it ends. A guest that only sends does its work here.
///
/// ```
/// use sandbus_guest::{Lifecycle, send};
///
/// struct Baker;
///
/// impl Lifecycle for Baker {
///     fn activate() -> Result<(), String> {
///         send("acme/n8k5_able", "good morning")?;
///         Ok(())
///     }
/// }
/// sandbus_guest::sender!(Baker);
/// ```
pub trait Lifecycle: 'static {
    /// Runs once, before this guest's first message, on an instance of its own.
    ///
    /// # Errors
    /// A text that says why the guest is not fit to run: it is not started, and a build that it replaces stays. `?` makes
    /// one of every error of this crate.
    fn activate() -> Result<(), String>;

    /// Runs once, after this guest's last message, within a time limit. Not after a fault, and not when the host dies.
    fn deactivate() {}
}
