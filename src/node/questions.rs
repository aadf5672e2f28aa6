//! Questions that only JavaScript can answer while a connection is made: the password, and whether a certificate is
//! the host's. They go out through the same function as outcomes, as `[question, number, detail]`; the answers come
//! back through `Core.answer`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::oneshot;

use super::Deliveries;
use crate::connect::{Answering, Caller};
use crate::error::Error;
use crate::sessions::Taken;
use crate::text::hex;

type Reply = oneshot::Sender<Result<Option<String>, Error>>;

pub(super) struct Questions {
    deliveries: Arc<Deliveries>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    replies: HashMap<u32, Reply>,
    next: u32,
}

impl Questions {
    pub(super) fn new(deliveries: Arc<Deliveries>) -> Self {
        Self { deliveries, open: Mutex::default() }
    }

    /// Answers a question; one whose asker gave up is forgotten.
    pub(super) fn answer(&self, number: u32, value: Option<String>, failure: Option<String>) {
        let reply = self.lock(|open| open.replies.remove(&number));
        let answer = match failure {
            Some(message) => Err(Error::caller(number, message)),
            None => Ok(value),
        };
        if let Some(reply) = reply {
            let _ = reply.send(answer);
        }
    }

    async fn ask(&self, question: &str, detail: String) -> Result<Option<String>, Error> {
        let (reply, answer) = oneshot::channel();
        let number = self.lock(|open| {
            let number = open.next;
            open.next = open.next.wrapping_add(1);
            // Askers that gave up at their deadline leave their question behind.
            open.replies.retain(|_, reply| !reply.is_closed());
            open.replies.insert(number, reply);
            number
        });
        self.deliveries.send(json!([question, number, detail]).to_string(), Taken::default());
        answer.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Open) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Caller for Questions {
    fn password(&self) -> Answering<'_, Option<String>> {
        Box::pin(self.ask("password", String::new()))
    }

    fn check_identity(&self, certificate: Vec<u8>) -> Answering<'_, ()> {
        Box::pin(async move { self.ask("identity", hex(&certificate)).await.map(|_| ()) })
    }
}
