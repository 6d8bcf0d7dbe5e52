//! The host's side of one instance: who the guest is, which call runs, and what that call may still do. It makes no
//! store and calls no guest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use sandbus_bus::{Bus, Delivery, Message, MessageListener, Origin, Reply, Values};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::buckets::Buckets;
use super::fuel::HostFuel;
use super::left::Made;
use super::memory::{MemoryLimiter, TotalMemory};
use super::message_batch::BatchInHand;
use super::output::GuestOutput;
use super::secrets::Secrets;
use crate::grants::Grants;
use crate::limits;
use crate::settings::GuestLimits;

/// What all instances of a build share.
pub(crate) struct GuestFacts {
    pub(crate) name: Arc<str>,
    pub(crate) limits: GuestLimits,
    pub(crate) grants: Grants,
    pub(crate) listens_to: Vec<String>,
    pub(crate) bus: Bus,
    /// The linear memory of all its instances.
    pub(crate) memory: TotalMemory,
    /// Its own configuration.
    pub(crate) config: BTreeMap<String, String>,
    /// Those of its variables and its configuration, looked for once.
    pub(crate) secrets: Option<Arc<Secrets>>,
    /// What it keeps through `wasi:keyvalue`; shared by all of its builds.
    pub(crate) buckets: Arc<Buckets>,
    /// The guest as a listener, so that it can start to listen while it runs.
    pub(crate) listener: OnceLock<Weak<dyn MessageListener>>,
    /// Where this build has begun to listen in its `activate`: taken back if that fails.
    pub(crate) listened: Mutex<BTreeSet<String>>,
    /// Where it has ended in its `activate` what a build before it had begun: begun again if that fails.
    pub(crate) unlistened: Mutex<BTreeSet<String>>,
    /// Whether another build has taken its place. Set once; read before each call.
    pub(crate) retired: AtomicBool,
    /// What it has made of destinations; shared by all of its builds.
    pub(crate) made: Arc<Made>,
}

/// The data of a store: the host's side of one instance.
pub(crate) struct HostState {
    pub(crate) facts: Arc<GuestFacts>,
    output: Arc<GuestOutput>,
    /// Whether the output knows of the call that runs. It learns of it when the guest first calls something through which it
    /// could write: most calls never do.
    output_begun: bool,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) fuel: Arc<HostFuel>,
    phase: Phase,
    /// The messages of a call that receives several.
    pub(super) batch: Option<Box<BatchInHand>>,
    sends_left: u32,
    send_bytes_left: usize,
    /// Whether a denial was said in this call already: one call is one episode.
    denial_said: bool,
    /// What the host holds for the guest as resources, in bytes, over calls.
    held_bytes: usize,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// Which call runs.
#[allow(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one, and lives in a store; a box would be made at every call"
)]
pub(crate) enum Phase {
    /// None. A guest that is being instantiated, or resumed after its call by mistake, is here.
    Idle,
    /// `activate` or `deactivate`.
    Lifecycle(Origin),
    /// `receive`; or `receive-batch`, with one of its messages in hand.
    Receiving(Receiving),
    /// `receive-batch`, with none of its messages in hand.
    Batch,
}

/// The message in hand and what the guest has made of it.
pub(crate) struct Receiving {
    pub(crate) delivery: Delivery,
    /// The values after its changes; none before the first.
    pub(crate) values: Option<Values>,
    pub(crate) response: Option<Box<Reply>>,
}

/// What a guest has made of a message.
#[derive(Default)]
pub(crate) struct Changes {
    /// The values after its changes; none when it changed nothing.
    pub(crate) values: Option<Values>,
    /// What it set for a sender who waits in direct mode.
    pub(crate) response: Option<Box<Reply>>,
}

impl Receiving {
    pub(crate) fn take_changes(&mut self) -> Changes {
        Changes { values: self.values.take(), response: self.response.take() }
    }

    pub(crate) fn values(&self) -> &Values {
        self.values.as_ref().unwrap_or(self.delivery.values())
    }
}

impl HostState {
    pub(crate) fn new(
        facts: Arc<GuestFacts>,
        output: Arc<GuestOutput>,
        limiter: MemoryLimiter,
        wasi: WasiCtx,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES_MAX);
        Self {
            facts,
            limiter,
            fuel: Arc::clone(output.fuel()),
            output,
            output_begun: false,
            phase: Phase::Idle,
            batch: None,
            sends_left: 0,
            send_bytes_left: 0,
            denial_said: false,
            held_bytes: 0,
            wasi,
            table,
        }
    }

    /// Begins a call that may use so much fuel: its budgets are whole again.
    pub(crate) fn begin(&mut self, phase: Phase, fuel: u64) {
        self.fuel.begin(fuel);
        let limits = &self.facts.limits;
        self.sends_left = limits.sends_max;
        self.send_bytes_left = limits.send_bytes_max;
        self.limiter.denied = None;
        self.denial_said = false;
        self.output_begun = false;
        self.phase = phase;
    }

    /// Ends the call. Gives back what it has made of the message in hand, and the last that went to standard error.
    pub(crate) fn end(&mut self) -> (Changes, String) {
        let stderr = if self.output_begun { self.output.end() } else { String::new() };
        let changes = match &mut self.phase {
            Phase::Receiving(receiving) => receiving.take_changes(),
            Phase::Idle | Phase::Lifecycle(_) | Phase::Batch => Changes::default(),
        };
        self.phase = Phase::Idle;
        (changes, stderr)
    }

    /// Where the call writes.
    pub(super) fn output(&mut self) -> &GuestOutput {
        if !std::mem::replace(&mut self.output_begun, true) {
            self.begin_output();
        }
        &self.output
    }

    #[cold]
    fn begin_output(&self) {
        let (message, worker) = match (&self.phase, &self.batch) {
            (Phase::Receiving(receiving), _) => {
                (Some(Arc::clone(receiving.delivery.message())), receiving.delivery.worker())
            }
            (Phase::Batch, Some(batch)) => (None, batch.worker()),
            _ => (None, None),
        };
        let calls = self.batch.as_ref().map_or(1, |batch| batch.messages());
        self.output.begin(message, worker, self.facts.limits.log_bytes_max.saturating_mul(calls));
    }

    /// Has what is written from now on belong to another message of the same call.
    pub(super) fn turn_output_to(&self, message: &Arc<Message>) {
        if self.output_begun {
            self.output.turn_to(Some(Arc::clone(message)));
        }
    }

    /// The last lines of the call that has ended.
    pub(crate) fn take_last_lines(&self) -> Vec<String> {
        if self.output_begun { self.output.take_last_lines() } else { Vec::new() }
    }

    /// The text with every secret of the guest masked; none where it has none of them.
    pub(crate) fn masked(&self, text: &str) -> Option<String> {
        self.output.masked(text)
    }

    /// Has another phase begin within the call; gives back the one before.
    pub(super) fn replace(&mut self, phase: Phase) -> Phase {
        std::mem::replace(&mut self.phase, phase)
    }

    /// Lets the call that has begun send as much as so many calls may.
    pub(super) fn multiply_budgets(&mut self, calls: usize) {
        self.sends_left = self.sends_left.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX));
        self.send_bytes_left = self.send_bytes_left.saturating_mul(calls);
    }

    /// What each function that the bus offers reaches this through: a host call has its price.
    pub(crate) fn called(&mut self) -> &mut Self {
        self.fuel.charge_call();
        self
    }

    /// The message in hand.
    ///
    /// # Errors
    /// A trap where there is none: `current-message` is valid during `receive` only; and where the call has used up its fuel.
    pub(crate) fn receiving(&mut self) -> wasmtime::Result<&mut Receiving> {
        self.fuel.check()?;
        match &mut self.phase {
            Phase::Receiving(receiving) => Ok(receiving),
            Phase::Batch => Err(wasmtime::Error::msg(
                "`current-message` was used with no message of the batch in hand; `message-batch.focus` takes one",
            )),
            _ => Err(wasmtime::Error::msg("`current-message` was used outside of `receive`")),
        }
    }

    /// Whether this is the first denial of the call.
    pub(crate) fn first_denial(&mut self) -> bool {
        !std::mem::replace(&mut self.denial_said, true)
    }

    /// Where the host's side of its resources is; it takes no more than so many.
    pub(super) fn resources(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Counts what the host holds for the guest from now on.
    ///
    /// # Errors
    /// A trap: what makes a resource has no other way to refuse.
    pub(super) fn hold_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.held_bytes += bytes;
        let bytes_max = self.facts.limits.host_memory_bytes_max;
        if self.held_bytes > bytes_max {
            let text = format!("the host holds {bytes_max} bytes for an instance (`limits.host-memory`)");
            return Err(wasmtime::Error::msg(text));
        }
        Ok(())
    }

    /// What it holds no more.
    pub(super) fn release_bytes(&mut self, bytes: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Counts one message of so many bytes against what the call may send.
    pub(crate) fn count_send(&mut self, bytes: usize) -> Result<(), String> {
        let limits = &self.facts.limits;
        if self.sends_left == 0 {
            return Err(format!("one call may send {} messages (`limits.sends`)", limits.sends_max));
        }
        if bytes > self.send_bytes_left {
            return Err(format!("one call may send {} bytes (`limits.send-bytes`)", limits.send_bytes_max));
        }
        self.sends_left -= 1;
        self.send_bytes_left -= bytes;
        Ok(())
    }
}

impl WasiView for HostState {
    /// Each function of WASI reaches what it needs through this.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.fuel.charge_call();
        // Its streams write without this state: what they write must find the call that it belongs to.
        self.output();
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
