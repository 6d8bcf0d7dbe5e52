//! Reads an order as JSON, adds what it costs, and sends it on; who waits for an answer gets the same.

use sandbus_guest::{Failure, Listener, Message, Outcome, Outgoing, Reply};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order {
    id: u64,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    price: u64,
    count: u64,
}

#[derive(Serialize)]
struct Priced {
    id: u64,
    total: u64,
}

#[derive(Default)]
struct Transform;

impl Listener for Transform {
    fn receive(&mut self, message: &Message) -> Outcome {
        let order: Order = message.json()?;
        let total =
            order.total().ok_or_else(|| Failure::refused(format!("order {} is too dear", order.id)))?;
        let priced = Priced { id: order.id, total };
        Outgoing::json(&priced)?.with_value("order-id", order.id.to_string()).send("orders/priced")?;
        Ok(if message.reply_expected() { Some(Reply::json(&priced)?) } else { None })
    }
}

impl Order {
    /// None when the total is too large a number.
    fn total(&self) -> Option<u64> {
        self.lines
            .iter()
            .try_fold(0_u64, |total, line| total.checked_add(line.price.checked_mul(line.count)?))
    }
}

sandbus_guest::listener!(Transform);

#[cfg(test)]
mod tests;
