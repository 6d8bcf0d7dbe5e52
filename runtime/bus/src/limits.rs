//! Every limit of the bus: its name, its unit, its default and why that number.
//!
//! `docs/limits.md` lists the same names; a test compares the two. Nothing here enforces anything.

use std::time::Duration;

/// Bytes in a destination's name: names travel in every message and every log line.
pub const DESTINATION_NAME_BYTES_MAX: usize = 255;
/// Queue entries that may wait at a destination: enough for a burst, little enough to notice a stuck listener.
pub const QUEUE_ENTRIES_MAX: usize = 10_000;
/// Payload and value bytes that may wait at a destination: the queue of a host with 64 busy destinations fits in 4 GiB.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Payload and values of one message: larger things belong into a store, with their address in the message.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Values of one message: each costs a lookup and a log field.
pub const VALUES_MAX: usize = 64;
/// Bytes of the key of a value.
pub const VALUE_KEY_BYTES_MAX: usize = 255;
/// Bytes of a content type.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// Bytes of a response id, an ordering key or a dedup key.
pub const KEY_BYTES_MAX: usize = 255;
/// Bytes of a tenant or of a principal: a name, not a record.
pub const IDENTITY_BYTES_MAX: usize = 255;
/// Bytes of a `traceparent`: version 00 has 55, and a later version may add a little.
pub const TRACEPARENT_BYTES_MAX: usize = 128;
/// Bytes of a `tracestate`: W3C Trace Context asks everybody to carry at least so many on.
pub const TRACESTATE_BYTES_MAX: usize = 512;
/// Members of a `tracestate`: as many as W3C Trace Context allows.
pub const TRACESTATE_MEMBERS_MAX: usize = 32;
/// The highest priority; the lowest is 0.
pub const PRIORITY_MAX: u8 = 9;
/// The priority of a message whose sender names none.
pub const PRIORITY_DEFAULT: u8 = 4;
/// How long a message may be delayed, and after what time it may expire at the latest: more is a date in a database, not a
/// message in memory.
pub const SEND_DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// How long a destination remembers a dedup key: longer than a sender retries.
pub const DEDUP_WINDOW: Duration = Duration::from_secs(120);
/// Dedup keys that a destination remembers; beyond it the oldest is forgotten before its window ends.
pub const DEDUP_KEYS_MAX: usize = 65_536;
/// Faults that open a circuit breaker, when they are at least the ratio of the calls since the first of them.
pub const BREAKER_FAULTS: u32 = 20;
/// The most faults that a breaker may be told to wait for: it remembers the time of each.
pub const BREAKER_FAULTS_CEILING: u32 = 10_000;
/// The share of faulted calls that opens a circuit breaker.
pub const BREAKER_RATIO: f64 = 0.5;
/// How long a fault counts for a circuit breaker.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(30);
/// How long an open circuit breaker waits before its trial call.
pub const BREAKER_COOLDOWN: Duration = Duration::from_secs(15);
/// Destination types that an embedder may register.
pub const DESTINATION_TYPES_MAX: usize = 1_024;
/// Workers that a parallel destination keeps.
pub const WORKERS_CORE: usize = 2;
/// Workers that a parallel destination may start.
pub const WORKERS_MAX: usize = 5;
/// The most workers that a configuration may ask for: beyond it, more destinations serve better than more workers.
pub const WORKERS_CEILING: usize = 1_024;
/// How long a worker above the core size stays without work.
pub const WORKER_KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long `rejected-execution = block` waits for room.
pub const BLOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a synchronous sender waits when it does not say.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long before its own deadline a listener's request or synchronous send ends, so that it can still act.
pub const CALLER_RESERVE: Duration = Duration::from_millis(50);
/// Synchronous senders that wait at once: each holds a slot and a task.
pub const WAITING_REQUESTS_MAX: usize = 4_096;
/// Finished requests that are remembered, to tell a late or second reply from a forged one.
pub const FINISHED_REQUESTS_MAX: usize = 4_096;
/// Messages that cause messages: more than this is a loop.
pub const HOPS_MAX: u32 = 16;
/// Deliveries of one message to one listener, the first included.
pub const ATTEMPTS_MAX: u32 = 3;
/// The most attempts that a configuration may ask for.
pub const ATTEMPTS_CEILING: u32 = 1_000;
/// The longest delay before the second attempt.
pub const RETRY_DELAY_INITIAL: Duration = Duration::from_millis(200);
/// The longest delay before any attempt.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// By what the longest delay grows from attempt to attempt.
pub const RETRY_MULTIPLIER: f64 = 2.0;
/// Dead letters that a destination keeps.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// Bytes of the dead letters that a destination keeps.
pub const DEAD_LETTER_BYTES_MAX: usize = 64 << 20;
/// Age of the dead letters that a destination keeps.
pub const DEAD_LETTER_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Dead letters that are redriven in a second when nobody says: a listener that failed is not flooded at once.
pub const REDRIVE_PER_SECOND: f64 = 10.0;
/// The most dead letters that may be redriven in a second: the clock tells milliseconds apart, and no less.
pub const REDRIVE_PER_SECOND_MAX: f64 = 1_000.0;
/// Bytes of an error text that is kept with a dead letter or told to a sender.
pub const ERROR_TEXT_BYTES_MAX: usize = 1_024;
/// How long one call of a listener may take when nothing else is configured.
pub const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// Instances that are kept for calls in the sender's own task, per listener.
pub const BORROWED_INSTANCES_MAX: usize = 32;
/// Entries that a worker takes at a time: so seldom does it come to the destination's lock under load.
pub const CLAIM_ENTRIES_MAX: usize = 32;
/// Messages that one call of a listener may receive together: what a worker takes at a time, as it never waits to have more.
pub const BATCH_MESSAGES_MAX: usize = CLAIM_ENTRIES_MAX;
/// Bytes of the payloads that one such call may receive together; they are copied into an instance at once. As much as one
/// message of the largest size.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// A worker takes more at a time while it finishes within this, so that what waits behind a slow call is soon free again.
pub const CLAIM_TIME_MAX: Duration = Duration::from_millis(2);
/// A sender lets others run for a moment whenever so many entries more wait: one that never waits would keep the workers
/// of its thread from running at all.
pub const SENDS_BETWEEN_YIELDS: usize = 256;
/// A worker whose queue never runs empty lets others run after so long.
pub const WORK_TIME_MAX: Duration = Duration::from_micros(500);
/// Turns of workers that run within each other on one thread, because a sender who waits lends its thread and the listener asks
/// another one in its turn. Each takes some KiB of the stack, which may be that of a guest's call; beyond it workers are woken.
pub const LENT_TURNS_NESTED_MAX: u32 = 4;
/// Bytes of one histogram: a destination has three once it is used and five more where its stages are measured, a guest that
/// listens there one.
pub const HISTOGRAM_BYTES_MAX: usize = 4 << 10;
/// A latency beyond it counts as this much in a histogram: three days, longer than a weekend.
pub const LATENCY_COUNTED_MAX: Duration = Duration::from_nanos((1 << 48) - 1);
/// Fuel of one call beyond it counts as this much in a histogram: some minutes of computing.
pub const FUEL_COUNTED_MAX: u64 = (1 << 40) - 1;
/// Hooks of one kind: interceptors, outbound or inbound processors. Each is looked at for every message.
pub const HOOKS_MAX: usize = 256;
/// Destinations of one bus.
pub const DESTINATIONS_MAX: usize = 100_000;
/// Listeners of one destination: each is an entry of every message to a parallel one.
pub const LISTENERS_MAX: usize = 1_024;
/// Observers of one bus: each is told of every event, in the task that caused it.
pub const OBSERVERS_MAX: usize = 1_024;
/// Events that wait to be told: enough for a burst while an observer is slow; what does not fit is counted and told.
pub const EVENTS_WAITING_MAX: usize = 10_000;
/// How often it is told that dead letters left at the bound: each one that leaves would be an event of its own.
pub const LETTERS_LEFT_INTERVAL: Duration = Duration::from_secs(1);
/// Schedules of one bus, completed ones included: each is a task, a timer and a message.
pub const SCHEDULES_MAX: usize = 10_000;
/// Bytes of a schedule's name: it stands in log lines and statistics, as a guest's does.
pub const SCHEDULE_NAME_BYTES_MAX: usize = 64;
/// The shortest interval of a schedule: the timers of the host go no finer.
pub const SCHEDULE_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// How late a firing may be and still count as on time: a busy host is that late, one that slept is later.
pub const SCHEDULE_LATE_MAX: Duration = Duration::from_secs(60);
/// How often a schedule that waits for a time of day looks at a clock that may be set meanwhile.
pub const SCHEDULE_CLOCK_CHECK: Duration = Duration::from_secs(10);
/// Sends of one schedule that may wait at once where it may overlap itself: each holds a task.
pub const SCHEDULE_SENDS_MAX: usize = 16;
/// Missed firings of a cron schedule that are counted at once; a clock that jumps by years must not keep the host busy.
pub const SCHEDULE_MISSED_COUNTED_MAX: u64 = 1_000;
/// Kinds of failure that are counted apart.
pub(crate) const FAILURE_KINDS: usize = crate::outcome::FailureKind::ALL.len();
