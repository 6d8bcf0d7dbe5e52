//! A worker whose next turn can be lent: to a sender who waits for what the worker is about to do. Then the worker runs at once,
//! on the sender's thread, instead of being woken and waited for. It is the same work in the same order; only who polls it
//! differs. What a worker does stands in `worker`.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::call::panic_text;
use crate::limits::LENT_TURNS_NESTED_MAX;
use crate::listener::BoxFuture;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// A worker's work, which its task polls, or whoever its turn is lent to. One of them at a time.
#[derive(Default)]
pub(crate) struct Lendable {
    /// None before it begins, and once it has ended.
    work: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Whether the turn that runs is lent.
    is_lent: AtomicBool,
    /// Whether its task came while another one had the work: it must come once more.
    missed: AtomicBool,
    /// Whether its task is gone: nobody will poll it any more.
    abandoned: AtomicBool,
}

impl Lendable {
    /// Whether the turn that runs is lent: who waits for it wants to go on after one entry.
    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent.load(Ordering::Relaxed)
    }

    /// The task of this work.
    pub(crate) fn task(self: Arc<Self>, work: BoxFuture<'static, ()>) -> WorkerTask {
        *self.work.lock() = Some(work);
        WorkerTask(self)
    }

    /// Polls the work in the name of its task; none while somebody else does.
    fn poll(&self, cx: &mut Context<'_>) -> Option<Poll<()>> {
        let mut work = self.work.try_lock()?;
        let Some(running) = work.as_mut() else { return Some(Poll::Ready(())) };
        let polled = running.as_mut().poll(cx);
        if polled.is_ready() {
            *work = None;
        }
        Some(polled)
    }

    /// Runs one turn of it here.
    fn run_turn(&self, waker: &Waker) {
        let Some(mut work) = self.work.try_lock() else { return waker.wake_by_ref() };
        let Some(running) = work.as_mut() else { return };
        self.is_lent.store(true, Ordering::Relaxed);
        let polled =
            catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut Context::from_waker(waker))));
        self.is_lent.store(false, Ordering::Relaxed);
        if let Err(panic) = &polled {
            // As in its own task: its seat gives back what it had, and the sender does not go down with it.
            tracing::error!(error = panic_text(&**panic), "a worker panicked");
        }
        let over = !matches!(polled, Ok(Poll::Pending));
        let gone = if over { work.take() } else { None };
        drop(work);
        drop(gone);
        // Looked at after the work is free again: the task says that it was here before it looks a second time.
        if self.missed.swap(false, Ordering::SeqCst) || over {
            waker.wake_by_ref();
        }
        self.drop_if_abandoned();
    }

    fn drop_if_abandoned(&self) {
        if self.abandoned.load(Ordering::SeqCst)
            && let Some(mut work) = self.work.try_lock()
        {
            let gone = work.take();
            drop(work);
            drop(gone);
        }
    }
}

/// What the runtime polls for a worker.
pub(crate) struct WorkerTask(Arc<Lendable>);

impl Future for WorkerTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(polled) = self.0.poll(cx) {
            return polled;
        }
        self.0.missed.store(true, Ordering::SeqCst);
        // Who has it may have looked just before: then it is free by now.
        match self.0.poll(cx) {
            Some(polled) => {
                self.0.missed.store(false, Ordering::SeqCst);
                polled
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for WorkerTask {
    fn drop(&mut self) {
        // The runtime ends, usually: whoever has the work at this moment drops it.
        self.0.abandoned.store(true, Ordering::SeqCst);
        self.0.drop_if_abandoned();
    }
}

/// A worker that slept and has something to do. Dropped, it is woken.
#[must_use = "dropped, it is woken"]
pub(crate) struct Sleeper {
    waker: Option<Waker>,
    work: Arc<Lendable>,
}

impl Sleeper {
    pub(crate) fn new(waker: Waker, work: Arc<Lendable>) -> Self {
        Self { waker: Some(waker), work }
    }

    /// Has it work on this thread until it waits or has run one entry; or wakes it, where turns are nested too deeply already.
    pub(crate) fn run_here(mut self) {
        let Some(_nested) = Nested::begin() else { return };
        if let Some(waker) = self.waker.take() {
            self.work.run_turn(&waker);
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

thread_local! {
    static NESTED: Cell<u32> = const { Cell::new(0) };
}

/// One lent turn on this thread: a listener that runs in one may ask another one.
struct Nested;

impl Nested {
    fn begin() -> Option<Self> {
        let nested = NESTED.get();
        (nested < LENT_TURNS_NESTED_MAX).then(|| {
            NESTED.set(nested + 1);
            Self
        })
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        NESTED.set(NESTED.get().saturating_sub(1));
    }
}
