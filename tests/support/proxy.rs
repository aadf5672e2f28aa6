//! The network between the crate and the server, with its faults.
//!
//! It knows just enough of the protocol to strike at the right moment: after a statement was handed over, before its
//! answer is.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pg_sess_rs::connect::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const EXECUTE: u8 = b'E';
const READY_FOR_QUERY: u8 = b'Z';
const NEVER: usize = usize::MAX;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees the statement.
    Before,
    /// The server has done the work; its answer is lost.
    After,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Network {
    server: String,
    /// Milliseconds, each way.
    delay: AtomicU64,
    swallows: AtomicBool,
    /// How often it began to swallow. What was open then is dead for ever, as behind a firewall that forgot it.
    holes: AtomicUsize,
    /// Statements still to come before the one that is cut.
    until_cut: AtomicUsize,
    cuts_after: AtomicBool,
    cuts: AtomicUsize,
    /// Statements that the server was handed to execute.
    executed: AtomicUsize,
    /// New connections still to be closed as soon as they are accepted.
    to_break: AtomicUsize,
    down: Notify,
}

impl Proxy {
    pub(crate) async fn to(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let network = Arc::new(Network {
            server: format!("{host}:{port}"),
            delay: AtomicU64::new(0),
            swallows: AtomicBool::new(false),
            holes: AtomicUsize::new(0),
            until_cut: AtomicUsize::new(NEVER),
            cuts_after: AtomicBool::new(false),
            cuts: AtomicUsize::new(0),
            executed: AtomicUsize::new(0),
            to_break: AtomicUsize::new(0),
            down: Notify::new(),
        });
        let listening = tokio::spawn(accept(listener, Arc::clone(&network)));
        Self { address, network, listening: Mutex::new(Some(listening)) }
    }

    /// The same server, but through here.
    pub(crate) fn instead_of(&self, settings: Settings) -> Settings {
        Settings { host: "127.0.0.1".to_owned(), port: self.address.port(), ..settings }
    }

    /// How many connections were cut so far.
    pub(crate) fn cuts(&self) -> usize {
        self.network.cuts.load(Ordering::SeqCst)
    }

    /// How many statements the server was handed to execute so far.
    pub(crate) fn executed(&self) -> usize {
        self.network.executed.load(Ordering::SeqCst)
    }

    /// Cuts one connection, at the statement that comes after `others` more.
    pub(crate) fn cut_once(&self, cut: Cut, others: usize) {
        self.network.cuts_after.store(cut == Cut::After, Ordering::SeqCst);
        self.network.until_cut.store(others, Ordering::SeqCst);
    }

    /// Closes this many of the next connections as soon as they are accepted.
    pub(crate) fn break_new(&self, connections: usize) {
        self.network.to_break.store(connections, Ordering::SeqCst);
    }

    pub(crate) fn delay(&self, each_way: Duration) {
        let milliseconds = u64::try_from(each_way.as_millis()).expect("a short time");
        self.network.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// From now on bytes go in and none comes out; connections are accepted.
    pub(crate) fn swallow(&self) {
        self.network.swallows.store(true, Ordering::SeqCst);
        self.network.holes.fetch_add(1, Ordering::SeqCst);
    }

    /// New connections work again; those that were open while it swallowed do not.
    pub(crate) fn heal(&self) {
        self.network.swallows.store(false, Ordering::SeqCst);
    }

    /// Closes everything, and refuses connections.
    pub(crate) async fn go_down(&self) {
        if let Some(listening) = self.listening.lock().await.take() {
            listening.abort();
            let _ = listening.await;
        }
        self.network.down.notify_waiters();
    }

    /// Accepts connections again, on the same port.
    pub(crate) async fn come_up(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the port of before");
        let listening = tokio::spawn(accept(listener, Arc::clone(&self.network)));
        *self.listening.lock().await = Some(listening);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.get_mut().take() {
            listening.abort();
        }
        self.network.down.notify_waiters();
    }
}

impl Network {
    fn hole(&self) -> Hole {
        let born = self.holes.load(Ordering::SeqCst);
        Hole { born, from_the_start: self.swallows.load(Ordering::SeqCst) }
    }

    fn is_dead(&self, hole: Hole) -> bool {
        hole.from_the_start || self.holes.load(Ordering::SeqCst) != hole.born
    }

    async fn travel(&self) {
        let delay = self.delay.load(Ordering::SeqCst);
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
    }

    /// Counts statements down; the cut that falls on one of them.
    fn cut_at(&self, statements: usize) -> Option<Cut> {
        for _ in 0..statements {
            let count_down = |left: usize| match left {
                NEVER => None,
                0 => Some(NEVER),
                more => Some(more - 1),
            };
            let before =
                self.until_cut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down);
            if before == Ok(0) {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                let after = self.cuts_after.load(Ordering::SeqCst);
                return Some(if after { Cut::After } else { Cut::Before });
            }
        }
        None
    }
}

/// What a connection must know to tell whether it fell into a hole.
#[derive(Clone, Copy)]
struct Hole {
    born: usize,
    from_the_start: bool,
}

async fn accept(listener: TcpListener, network: Arc<Network>) {
    while let Ok((client, _)) = listener.accept().await {
        let count_down = |left: usize| left.checked_sub(1);
        if network.to_break.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_ok() {
            continue;
        }
        let network = Arc::clone(&network);
        tokio::spawn(async move {
            tokio::select! {
                () = carry(client, &network) => (),
                () = network.down.notified() => (),
            }
        });
    }
}

/// Carries bytes both ways until one side ends or the network cuts it.
async fn carry(client: TcpStream, network: &Network) {
    let hole = network.hole();
    let Ok(server) = TcpStream::connect(&network.server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answer_is_lost = AtomicBool::new(false);
    tokio::select! {
        () = carry_requests(from_client, to_server, network, hole, &answer_is_lost) => (),
        () = carry_answers(from_server, to_client, network, hole, &answer_is_lost) => (),
    }
}

async fn carry_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    network: &Network,
    hole: Hole,
    answer_is_lost: &AtomicBool,
) {
    let mut messages = Messages::of_client();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..length).expect("what was read");
        if network.is_dead(hole) {
            continue;
        }
        let statements = messages.count(bytes, EXECUTE);
        match network.cut_at(statements) {
            Some(Cut::Before) => return,
            Some(Cut::After) => answer_is_lost.store(true, Ordering::SeqCst),
            None => (),
        }
        network.travel().await;
        if to.write_all(bytes).await.is_err() {
            return;
        }
        network.executed.fetch_add(statements, Ordering::SeqCst);
    }
}

async fn carry_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    network: &Network,
    hole: Hole,
    answer_is_lost: &AtomicBool,
) {
    let mut messages = Messages::of_server();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..length).expect("what was read");
        let is_ready = messages.count(bytes, READY_FOR_QUERY) > 0;
        if network.is_dead(hole) {
            continue;
        }
        if answer_is_lost.load(Ordering::SeqCst) {
            if is_ready {
                return;
            }
            continue;
        }
        network.travel().await;
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Finds the messages in a stream of bytes.
struct Messages {
    /// The client's first message has no type.
    has_type: bool,
    header: Vec<u8>,
    body_left: usize,
}

impl Messages {
    fn of_client() -> Self {
        Self { has_type: false, header: Vec::new(), body_left: 0 }
    }

    fn of_server() -> Self {
        Self { has_type: true, header: Vec::new(), body_left: 0 }
    }

    /// How many messages of this type begin in the bytes.
    fn count(&mut self, bytes: &[u8], wanted: u8) -> usize {
        let mut found = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let skipped = self.body_left.min(rest.len());
            self.body_left -= skipped;
            rest = rest.get(skipped..).expect("checked");
            if let (0, Some((&byte, others))) = (self.body_left, rest.split_first()) {
                rest = others;
                self.header.push(byte);
                if self.ends_header() {
                    found += usize::from(self.has_type && self.header.first() == Some(&wanted));
                    self.has_type = true;
                    self.header.clear();
                }
            }
        }
        found
    }

    fn ends_header(&mut self) -> bool {
        let length = if self.has_type { self.header.get(1..5) } else { self.header.get(..4) };
        let Some(length) = length else { return false };
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        self.body_left = (length as usize).saturating_sub(4);
        true
    }
}
