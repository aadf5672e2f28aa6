//! A task that begins where it is made: on the caller's thread, up to the first thing that it has to wait for. Another
//! thread need not be woken to begin it; the one that brings what it waits for goes on with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::Handle;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins `work` here; `runtime` does the rest.
pub(crate) fn start(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
    let mut work: Work = Box::pin(work);
    let begun = Arc::new(Begun { stage: Mutex::new(Stage::Here), runtime: runtime.clone() });
    let waker = Waker::from(Arc::clone(&begun));
    let _inside = runtime.enter();
    if work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
        begun.leave(work);
    }
}

struct Begun {
    stage: Mutex<Stage>,
    runtime: Handle,
}

enum Stage {
    /// On the thread where it was made.
    Here,
    /// There still, and what it waits for has come.
    Called,
    /// Waiting.
    Waiting(Work),
    /// A task of the runtime.
    Task,
}

impl Begun {
    /// The caller's thread goes its way.
    fn leave(&self, work: Work) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stage::Called = *stage {
            *stage = Stage::Task;
            self.runtime.spawn(work);
        } else {
            *stage = Stage::Waiting(work);
        }
    }
}

impl Wake for Begun {
    fn wake(self: Arc<Self>) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *stage, Stage::Task) {
            Stage::Waiting(work) => drop(self.runtime.spawn(work)),
            Stage::Here | Stage::Called => *stage = Stage::Called,
            Stage::Task => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn begins_at_once_and_goes_on_when_called() {
        let (call, called) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let here = std::thread::current().id();
        let (begin, begun) = std::sync::mpsc::channel();
        start(&Handle::current(), async move {
            let _ = begin.send(std::thread::current().id());
            let _ = called.await;
            let _ = done.send(());
        });
        assert_eq!(begun.try_recv(), Ok(here));
        let _ = call.send(());
        assert!(is_done.await.is_ok());
    }

    #[tokio::test]
    async fn a_call_that_comes_while_it_begins_is_not_lost() {
        let (done, is_done) = oneshot::channel();
        start(&Handle::current(), async move {
            // Wakes itself before it waits.
            tokio::task::yield_now().await;
            let _ = done.send(());
        });
        assert!(is_done.await.is_ok());
    }
}
