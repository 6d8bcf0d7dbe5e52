//! H12 to H19, H33: guests that want too much, of memory, of handles, of the host.

use sandbus::bus::Cause;

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::Asking;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_growth_fails_at_the_limit_and_dying_of_it_is_the_cause_memory() {
    // A denial is remembered: it tells a guest that was too hungry from one that is broken.
    let here = Neighbourhood::with(|hostile| hostile.limits.memory_bytes_max = 8 << 20).await;
    let grown: usize = here.answer("grow").await.parse().unwrap();
    assert!(grown < 8 << 20, "{grown}");
    let (fault, _) = here.fault("abort-memory").await;
    assert_eq!(fault.cause, Cause::Memory);
    assert!(fault.text.as_str().contains("8388608"), "{}", fault.text);
    let high = here.harness.figures(HOSTILE).listeners[0].memory_bytes_max;
    assert!(high <= 8 << 20, "{high}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_a_trap_after_a_denial_that_was_handled_in_an_earlier_call_is_a_trap() {
    // The cause belongs to the call in which it happened.
    let here = Neighbourhood::with(|hostile| hostile.limits.memory_bytes_max = 8 << 20).await;
    here.answer("grow").await;
    assert_eq!(here.fault("panic later").await.0.cause, Cause::Trap);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_handles_that_are_never_dropped_end_at_the_tables_capacity() {
    // A handle costs the host memory that the guest's own limit does not see.
    let here = Neighbourhood::new().await;
    assert_eq!(here.answer("handles 500").await, "500");
    assert_eq!(here.fault("handles 1000000").await.0.cause, Cause::Trap);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h17_a_list_of_a_million_values_is_a_trap_before_the_host_allocates_it() {
    // An empty string in a list costs the host 24 bytes and the guest none of its own to speak of.
    let here = Neighbourhood::with(|hostile| {
        hostile.limits.fuel = 10_000_000_000;
        hostile.limits.memory_bytes_max = 256 << 20;
    })
    .await;
    let (fault, _) = here.fault("send-values-many t/nowhere 1000000").await;
    assert_eq!(fault.cause, Cause::Trap, "{}", fault.text);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h18_what_is_larger_than_a_message_may_be_is_too_large_and_what_the_host_cannot_hold_is_a_trap() {
    // Within the host's bound the guest is told both numbers; beyond it nothing is copied at all.
    let here = Neighbourhood::with(|hostile| {
        hostile.grants.send = vec!["t/**".parse().unwrap()];
        hostile.limits.send_bytes_max = 64 << 20;
    })
    .await;
    let told = here.answer("send-big t/good 2000000").await;
    assert!(told.starts_with("error too-large"), "{told}");
    assert!(told.contains("2000000") && told.contains("1048576"), "{told}");
    assert_eq!(here.fault("send-big t/good 41943040").await.0.cause, Cause::Trap);
    assert_eq!(here.fault("reply-big 41943040").await.0.cause, Cause::Trap);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h18_a_reply_that_is_too_large_for_its_destination_is_a_dead_letter_there() {
    // The call ended well; the reply could not be accepted, and nothing vanishes.
    let here = Neighbourhood::new().await;
    assert!(here.ask("reply-big 2000000").await.is_err());
    here.harness.idle().await.unwrap();
    let letter = here.harness.dead_letters(HOSTILE).pop().expect("the reply");
    assert_eq!(letter.reason.name(), "too-large");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h19_two_to_the_sixty_random_bytes_are_refused_before_anything_is_allocated() {
    // A number that a guest gives is data: refused by its size, never passed to an allocator.
    let here = Neighbourhood::new().await;
    assert_eq!(here.answer("random 65536").await, "65536");
    assert_eq!(here.fault("random 1152921504606846976").await.0.cause, Cause::Trap);
    assert_eq!(here.fault("random 65537").await.0.cause, Cause::Trap);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h33_values_are_bounded_in_number_key_and_size() {
    // Each refusal is an error with the bound, and the call goes on.
    let here = Neighbourhood::with(|hostile| {
        hostile.grants.send = vec!["t/hostile".parse().unwrap()];
        hostile.limits.memory_bytes_max = 64 << 20;
    })
    .await;
    let many = here.answer("put-many 10000").await;
    assert!(many.starts_with("64 put, then ") && many.contains("64"), "{many}");
    let key = here.answer("put-key 1048576").await;
    assert!(key.starts_with("error ") && key.contains("255"), "{key}");
    assert!(here.answer("put-key 0").await.starts_with("error "));
    assert_eq!(here.answer("put-key 255").await, "put");
    let big = here.answer("put-big 1048577").await;
    assert!(big.contains("1048576"), "{big}");
    let sent = here.answer("send-values-many t/hostile 10000").await;
    assert!(sent.starts_with("error invalid") && sent.contains("64"), "{sent}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h33_control_characters_in_a_key_are_refused() {
    // CR, LF and NUL would become lines of a protocol that a later release speaks.
    let here = Neighbourhood::new().await;
    for key in ["a\rb", "a\nb", "a\0b"] {
        let put = here.answer(&format!("put {key} x")).await;
        assert!(put.starts_with("error "), "{key:?}: {put}");
    }
    here.end().await;
}
