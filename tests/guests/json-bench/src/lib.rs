//! Reads an order of some 300 bytes of JSON, changes it, and replies it as JSON: what a small business listener does.

use sandbus_guest::{Listener, Message, Outcome, Reply};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Order {
    id: u64,
    customer: String,
    currency: String,
    lines: Vec<Line>,
    note: Option<String>,
    #[serde(default)]
    total_cents: u64,
}

#[derive(Deserialize, Serialize)]
struct Line {
    article: String,
    count: u32,
    cents: u64,
}

#[derive(Default)]
struct Pricing;

impl Listener for Pricing {
    fn receive(&mut self, message: &Message) -> Outcome {
        let mut order: Order = message.json()?;
        order.total_cents = order.lines.iter().map(|line| line.cents * u64::from(line.count)).sum();
        Ok(Some(Reply::json(&order)?))
    }
}

sandbus_guest::listener!(Pricing);
