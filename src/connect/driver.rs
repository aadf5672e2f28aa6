//! What moves a connection's bytes: its own task, or whoever sends a request, at once.
//!
//! tokio-postgres hands each request to the connection's task, for which another thread would have to be woken. On the
//! way out that is not needed: whoever has a request can move it to the socket in the same breath. Answers are the
//! task's business alone.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Driver {
    /// `None` once the connection has ended.
    connection: Mutex<Option<Running>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Driver {
    pub(crate) fn new(connection: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(Arc::clone(&bell));
        Arc::new(Self { connection: Mutex::new(Some(Box::pin(connection))), bell, waker })
    }

    /// Moves bytes until the connection ends.
    pub(crate) async fn run(self: Arc<Self>) {
        std::future::poll_fn(|cx| {
            self.bell.task.register(cx.waker());
            self.move_on(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await;
    }

    /// The same as `request`, whose first step queues it: it is moved to the socket right after that.
    pub(crate) async fn send<T>(&self, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        let mut is_queued = false;
        std::future::poll_fn(|cx| {
            if is_queued {
                return request.as_mut().poll(cx);
            }
            is_queued = true;
            self.bell.hold();
            let polled = request.as_mut().poll(cx);
            self.move_now();
            self.bell.release();
            polled
        })
        .await
    }

    /// Moves what has been queued. The task is woken only if there is more to do.
    fn move_now(&self) {
        // Locked: the task is at it, and may have looked for requests before this one.
        let Ok(mut connection) = self.connection.try_lock() else { return self.bell.ring() };
        self.bell.forget();
        if self.move_on(&mut connection).is_ready() {
            self.bell.ring();
        }
    }

    fn move_on(&self, connection: &mut Option<Running>) -> Poll<()> {
        let Some(running) = connection else { return Poll::Ready(()) };
        let polled = running.as_mut().poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            *connection = None;
        }
        polled
    }
}

/// Wakes the task; while it is held, remembers to.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    held: AtomicBool,
    rung: AtomicBool,
}

impl Bell {
    fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// What rang before this is about to be done.
    fn forget(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }

    fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        // Held no longer: `release` may have looked before.
        if !self.held.load(Ordering::SeqCst) {
            self.pass_on();
        }
    }

    fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.pass_on();
    }

    fn pass_on(&self) {
        if self.rung.swap(false, Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
