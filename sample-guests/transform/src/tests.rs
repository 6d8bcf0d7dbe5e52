//! Run with plain `cargo test -p transform`: the host is the test double of the SDK.

use sandbus_guest::{Failure, Listener, Message, QueueFull, QueueUnit, SendError, testing};

use super::Transform;

const ORDER: &str = r#"{"id": 1, "lines": [{"price": 5, "count": 2}, {"price": 3, "count": 1}]}"#;

#[test]
fn an_order_is_sent_on_with_its_total() {
    let message = Message::builder("orders").text(ORDER).build();
    assert_eq!(Transform.receive(&message), Ok(None));
    let sent = testing::sent().pop().map(|sent| (sent.destination, sent.message));
    let (destination, priced) = sent.unwrap_or_default();
    assert_eq!(destination, "orders/priced");
    assert_eq!(priced.payload(), br#"{"id":1,"total":13}"#);
}

#[test]
fn an_order_that_is_no_json_is_refused_and_nothing_is_sent() {
    let message = Message::builder("orders").text("{").build();
    assert!(matches!(Transform.receive(&message), Err(Failure::Refused(_))));
    assert!(testing::sent().is_empty());
}

#[test]
fn a_total_that_overflows_is_refused() {
    let order = r#"{"id": 2, "lines": [{"price": 18446744073709551615, "count": 2}]}"#;
    let message = Message::builder("orders").text(order).build();
    assert_eq!(Transform.receive(&message), Err(Failure::refused("order 2 is too dear")));
}

#[test]
fn a_full_queue_behind_it_is_tried_again() {
    let full = QueueFull { pending: 10, pending_max: 10, unit: QueueUnit::Messages };
    testing::refuse("orders/priced", SendError::QueueFull(full));
    let message = Message::builder("orders").text(ORDER).build();
    assert!(matches!(Transform.receive(&message), Err(Failure::Retry { .. })));
}
