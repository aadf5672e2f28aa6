//! Several servers, of which one will do: in which order they are tried, and which failure is told if none does.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Settings;
use crate::error::{Error, Kind};
use crate::tls::Tls;

/// A server, named as the user named it.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) tls: Option<Tls>,
}

impl Host {
    /// As it stands in messages.
    fn address(&self) -> String {
        match self.name.parse::<Ipv6Addr>() {
            Ok(name) => format!("[{name}]:{}", self.port),
            Err(_) => format!("{}:{}", self.name, self.port),
        }
    }
}

/// The servers, the connection's own first.
pub(super) struct Hosts {
    all: Vec<Host>,
    /// The place of the one that was tried last. Whoever comes next begins there: it is the one that let the last
    /// caller in, or the one behind those that cost the last caller its time.
    last: AtomicUsize,
}

impl Hosts {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let tls = |name: Option<&String>| {
            let options = settings.tls.as_ref().map(|tls| {
                let mut tls = tls.clone();
                tls.server_name = name.cloned();
                tls
            });
            options.as_ref().map(Tls::new).transpose()
        };
        let own_name = settings.tls.as_ref().and_then(|tls| tls.server_name.as_ref());
        let own = Host { name: settings.host.clone(), port: settings.port, tls: tls(own_name)? };
        let mut all = vec![own];
        for host in &settings.hosts {
            let tls = tls(host.server_name.as_ref())?;
            all.push(Host { name: host.name.clone(), port: host.port, tls });
        }
        Ok(Self { all, last: AtomicUsize::new(0) })
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, place: usize) -> Result<&Host, Error> {
        self.all.get(place).ok_or_else(|| Error::internal("a host that was never named"))
    }

    /// The places, in the order in which they are to be tried.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = usize> {
        let (first, count) = (self.last.load(Ordering::Relaxed), self.all.len());
        (0..count).map(move |step| (first + step) % count)
    }

    /// This one is tried now.
    pub(super) fn note(&self, place: usize) {
        self.last.store(place, Ordering::Relaxed);
    }

    /// What is told if all have failed: what a server said goes before silence, and refused writes are not the
    /// network's fault.
    pub(super) fn failure(&self, mut failures: Vec<(usize, Error)>) -> Error {
        failures.sort_by_key(|(place, _)| *place);
        let of = |is: &dyn Fn(&Kind) -> bool| {
            failures.iter().find(|(_, error)| is(error.kind())).map(|(_, error)| error.clone())
        };
        if let Some(error) = of(&|kind| !is_about_the_way(kind)) {
            return error;
        }
        let told: Vec<String> = failures.iter().map(|failure| self.told(failure)).collect();
        let told = told.join("; ");
        if of(&|kind| matches!(kind, Kind::ReadOnly)).is_some() {
            return Error::read_only(format!("no server that takes writes: {told}"));
        }
        let network = of(&|kind| matches!(kind, Kind::Network(_)));
        let first = network.or_else(|| of(&|_| true));
        first.map_or_else(|| Error::internal("no host"), |error| error.saying(told))
    }

    fn told(&self, (place, error): &(usize, Error)) -> String {
        let address = self.get(*place).map(Host::address).unwrap_or_default();
        format!("{address}: {error}")
    }
}

/// It is about the way to the server, not what a server said.
fn is_about_the_way(kind: &Kind) -> bool {
    matches!(kind, Kind::Network(_) | Kind::Timeout(_) | Kind::ReadOnly)
}
