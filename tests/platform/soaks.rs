//! The soaks in their short form; the long ones are cases of `tests/long`.

use sandbus::bus::Cause;

use crate::soak::{Protection, asked, soak};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_10_000_messages_with_faults_of_five_kinds_leave_the_books_right_and_no_instance() {
    let soaked = soak(10_000, Protection::Off, async || {}).await;
    let asked = |letter: &str| asked(10_000, letter);
    let came = |cause: Cause| soaked.faults[cause as usize];
    assert_eq!(came(Cause::Trap), asked("t"));
    assert_eq!(came(Cause::OutOfFuel), asked("l"));
    assert_eq!(came(Cause::Memory), asked("m"));
    // A deadline is tried three times, and so is an instance that could not be made.
    assert!(came(Cause::Deadline) >= asked("s"), "{soaked:?}");
    assert!(
        soaked.completed >= 10_000 - 2 * (asked("t") + asked("l") + asked("m") + asked("s")),
        "{soaked:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_10_000_messages_with_breakers_that_open_all_the_time_lose_none() {
    let soaked = soak(10_000, Protection::On, async || {}).await;
    assert!(soaked.completed >= 10_000 - 200, "{soaked:?}");
}
