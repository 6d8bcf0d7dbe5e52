//! What the test double and the reading of messages promise to a guest's tests.

use std::time::Duration;

use super::{SentBy, answer, answer_direct, refuse, sent};
use crate::destinations::{self, DestinationType, Settings};
use crate::{
    ChangeError, DestinationError, Failure, Listener, Message, Outcome, Outgoing, ReadError, Reply,
    RequestError, SendError, Value, request, send,
};

#[derive(Default)]
struct Counter(u64);

impl Listener for Counter {
    fn receive(&mut self, message: &Message) -> Outcome {
        let _number: i64 = message.json()?;
        self.0 += 1;
        Ok(Some(Reply::text(self.0.to_string())))
    }
}

#[test]
fn a_listener_keeps_its_state_between_messages() {
    let mut counter = Counter::default();
    let message = Message::builder("t/a").text("1").build();
    assert_eq!(counter.receive(&message), Ok(Some(Reply::text("1"))));
    assert_eq!(counter.receive(&message), Ok(Some(Reply::text("2"))));
}

#[test]
fn a_payload_that_is_not_json_is_refused_by_the_question_mark() {
    let message = Message::builder("t/a").text("{").build();
    let outcome = Counter::default().receive(&message);
    assert!(matches!(outcome, Err(Failure::Refused(why)) if why.contains("not the JSON")));
}

#[test]
fn json_nested_too_deep_is_an_error_and_no_overflow() {
    let message = Message::builder("t/a").text("[".repeat(100_000)).build();
    assert!(matches!(message.json::<serde_json::Value>(), Err(ReadError::NotJson(_))));
}

#[test]
fn bytes_that_are_not_text_are_an_error() {
    let message = Message::builder("t/a").bytes([0xff]).build();
    assert!(matches!(message.text(), Err(ReadError::NotText(_))));
}

#[test]
fn each_type_of_value_is_read_by_its_own_getter() {
    let message = Message::builder("t/a")
        .value("text", "a")
        .value("yes", true)
        .value("number", 12)
        .value("share", 0.5)
        .value("raw", vec![1, 2])
        .build();
    assert_eq!(message.text_value("text").unwrap().as_deref(), Some("a"));
    assert_eq!(message.bool_value("yes").unwrap(), Some(true));
    assert_eq!(message.integer_value("number").unwrap(), Some(12));
    assert_eq!(message.float_value("share").unwrap(), Some(0.5));
    assert_eq!(message.bytes_value("raw").unwrap(), Some(vec![1, 2]));
    let keys: Vec<_> = message.values().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["text", "yes", "number", "share", "raw"]);
}

#[test]
fn a_value_that_is_absent_is_none_for_every_getter() {
    let message = Message::builder("t/a").build();
    assert!(message.text_value("x").unwrap().is_none());
    assert!(message.integer_value("x").unwrap().is_none());
    assert!(message.parse_value::<i64>("x").unwrap().is_none());
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_both() {
    let message = Message::builder("t/a").value("n", "12").build();
    let error = message.integer_value("n").unwrap_err().to_string();
    assert_eq!(error, "the value `n` is of type text, not integer");
    assert_eq!(message.parse_value::<i64>("n").unwrap(), Some(12));
}

#[test]
fn text_that_cannot_be_parsed_is_an_error_that_does_not_show_the_text() {
    let message = Message::builder("t/a").value("n", "hunter2").build();
    let error = message.parse_value::<i64>("n").unwrap_err().to_string();
    assert!(error.contains("i64") && !error.contains("hunter2"), "{error}");
}

#[test]
fn put_and_remove_change_what_is_read_next() {
    let message = Message::builder("t/a").value("a", 1).build();
    message.put_value("a", "two").unwrap();
    message.put_value("b", true).unwrap();
    message.remove_value("b").unwrap();
    message.remove_value("never there").unwrap();
    assert_eq!(message.values(), [("a".to_owned(), Value::from("two"))]);
    assert!(matches!(message.put_value("", 1), Err(ChangeError::Invalid(_))));
}

#[test]
fn what_is_sent_is_kept_in_order_with_all_its_parts() {
    send("t/b", "one").unwrap();
    Outgoing::bytes([1]).with_value("n", 2).with_priority(9).send("t/c").unwrap();
    let sent = sent();
    assert_eq!(sent[0].message.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(sent[1].destination, "t/c");
    assert_eq!(sent[1].message.options().and_then(|options| options.priority), Some(9));
    assert_eq!(sent[1].by, SentBy::Send);
}

#[test]
fn a_scripted_refusal_counts_once_and_nothing_is_sent() {
    refuse("t/b", SendError::Denied);
    assert_eq!(send("t/b", "x"), Err(SendError::Denied));
    assert!(sent().is_empty());
    assert!(send("t/b", "x").is_ok());
}

#[test]
fn requests_are_answered_by_the_script_and_else_have_no_reply() {
    answer("t/b", Ok("yes".into()));
    answer("t/b", Err(RequestError::Timeout));
    assert_eq!(request("t/b", "x"), Ok(Reply::text("yes")));
    let timeout = Duration::from_millis(200);
    assert_eq!(Outgoing::text("x").request("t/b", timeout), Err(RequestError::Timeout));
    assert_eq!(request("t/b", "x"), Err(RequestError::NoReply));
    assert_eq!(sent()[1].by, SentBy::Request(Some(timeout)));
}

#[test]
fn a_direct_request_can_end_well_without_an_answer() {
    answer_direct("t/b", Ok(None));
    assert_eq!(Outgoing::text("x").request_direct("t/b", None), Ok(None));
}

#[test]
fn an_answer_goes_to_the_response_destination_with_the_response_id() {
    let message = Message::builder("t/a").text("q").value("a", 1).response_to("t/r", "id-7").build();
    assert!(message.reply_expected());
    Outgoing::text("a").reply_to(&message).unwrap();
    let sent = sent();
    assert_eq!((sent[0].destination.as_str(), sent[0].message.response_id()), ("t/r", Some("id-7")));
    assert!(sent[0].message.values().is_empty());
}

#[test]
fn an_answer_to_a_message_without_response_destination_is_an_error_and_sends_nothing() {
    let message = Message::builder("t/a").build();
    assert_eq!(Outgoing::text("a").reply_to(&message), Err(SendError::NothingToAnswer));
    assert!(sent().is_empty());
}

#[test]
fn a_copy_has_payload_type_and_values_and_nothing_else() {
    let message = Message::builder("t/a").text("q").value("a", 1).response_to("t/r", "id-7").build();
    let copy = Outgoing::copy_of(&message);
    assert_eq!((copy.payload(), copy.values().len()), (b"q".as_slice(), 1));
    assert_eq!((copy.response_destination(), copy.response_id()), (None, None));
}

#[test]
fn the_last_response_that_was_set_is_kept() {
    let message = Message::builder("t/a").build();
    message.set_response("one").unwrap();
    message.set_response("two").unwrap();
    assert_eq!(message.response(), Some(Reply::text("two")));
}

#[test]
fn a_destination_is_made_once_and_removed_once() {
    let settings = Settings::new(DestinationType::Serial);
    destinations::create("t/new", settings.clone()).unwrap();
    assert_eq!(destinations::create("t/new", settings), Err(DestinationError::AlreadyExists));
    assert_eq!((destinations::listen("t/new"), destinations::listen("t/new")), (Ok(true), Ok(false)));
    assert_eq!(destinations::statistics("t/new").unwrap().listeners, 1);
    destinations::remove("t/new").unwrap();
    assert_eq!(destinations::remove("t/new"), Err(DestinationError::NoSuchDestination));
}

#[test]
fn a_printed_message_masks_secrets() {
    let message = Message::builder("t/a").value("api-token", "x1y2").value("name", "bob").build();
    let printed = format!("{message:?}");
    assert!(printed.contains("bob") && !printed.contains("x1y2"), "{printed}");
}
