//! A TCP proxy in front of `MongoDB` that records which commands were sent and when, and that can inject delays, errors
//! and lost connections. It relays bytes as they are and does not know what the commands mean.
//!
//! Clients must not ask for compression (`OP_COMPRESSED` is not read); TLS and `mongodb+srv://` are not supported.

mod message;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::{RawBsonRef, RawDocument};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::faults::FaultSignal;

/// Commands that a driver sends by itself: connecting, monitoring, closing sessions.
const HOUSEKEEPING: [&str; 8] =
    ["hello", "ismaster", "ping", "buildinfo", "saslstart", "saslcontinue", "authenticate", "endsessions"];

/// One command that a client sent.
#[derive(Debug, Clone)]
pub struct Command {
    /// The first key of the command's document: `find`, `insert`, `findAndModify`, …
    pub name: String,
    /// The collection, where the command has one.
    pub collection: Option<String>,
    /// The database (`$db`).
    pub database: String,
    /// When the proxy had read it, before any delay.
    pub started: Instant,
    /// When its reply was handed to the client; `None` if there was none (yet).
    pub ended: Option<Instant>,
    /// The proxy's own number of the command.
    id: u64,
}

/// One way for a command to go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No fault: lets one command through, so that the next can fail.
    Pass,
    /// Closes the connection before the server gets the command.
    CutBefore,
    /// The server executes the command; closes the connection in place of the reply.
    CutAfter,
    /// The server never gets the command; the connection stays open without a reply.
    HangBefore,
    /// The server executes the command; the connection stays open without the reply.
    HangAfter,
    /// The server gets the command this much later.
    Delay(Duration),
    /// Replies with this error; the server never gets the command. Retryable codes carry the label that tells a driver
    /// to retry a write.
    Refuse {
        /// A code of <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>.
        code: i32,
        /// The `errmsg`.
        message: String,
    },
}

/// The proxy. It ends, with every connection through it, when this value does.
#[derive(Debug)]
pub struct MongoWire {
    uri: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    down: watch::Sender<bool>,
    triggered: FaultSignal,
    state: Mutex<State>,
    /// How many connections were accepted since the start.
    accepted: AtomicUsize,
    /// So many of the oldest are frozen.
    frozen: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    commands: Vec<Command>,
    housekeeping: Vec<Command>,
    connections: usize,
    last_id: u64,
    delay: Duration,
    rules: Vec<Rule>,
}

/// An injected fault, for so many more commands that match.
#[derive(Debug)]
struct Rule {
    times: usize,
    name: Option<String>,
    collection: Option<String>,
    fault: Fault,
}

/// A request of a connection whose reply is to come.
struct Pending {
    id: u64,
    fault: Option<Fault>,
}

impl MongoWire {
    /// Starts a proxy on a free port in front of the one server that `upstream` (`mongodb://…`) names.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let (user, address, tail) = split_uri(upstream).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "not a mongodb:// URI of one server")
        })?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("mongodb://{user}{}{}", listener.local_addr()?, with_direct_connection(tail));
        let down = watch::Sender::new(false);
        let shared = Arc::new(Shared {
            upstream: address,
            down,
            triggered: FaultSignal::default(),
            state: Mutex::default(),
            accepted: AtomicUsize::new(0),
            frozen: AtomicUsize::new(0),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { uri, shared, server })
    }

    /// The connection string through the proxy, with what else the server's own says (user, options). It is always
    /// a direct connection: a driver that discovers a replica set goes to its members, past the proxy.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The application's commands since the start or [`reset`](Self::reset), in the order they came.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        self.shared.state().commands.clone()
    }

    /// The same for what the driver sends by itself: handshakes, monitoring, authentication.
    #[must_use]
    pub fn housekeeping(&self) -> Vec<Command> {
        self.shared.state().housekeeping.clone()
    }

    /// How many connections were opened since the start or [`reset`](Self::reset).
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Forgets commands, connections, faults and the delay. Connections stay open.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        // Numbers are not reused: the reply to a forgotten command must not be recorded for a new one.
        *state = State { last_id: state.last_id, ..State::default() };
        self.shared.triggered.reset();
    }

    /// The signal that a fault was triggered.
    #[must_use]
    pub fn triggered(&self) -> &FaultSignal {
        &self.shared.triggered
    }

    /// Delays every message to the server by this much from now on, handshakes included: a network's round trip.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Injects a fault into the next `times` application commands with this name on this collection (`None`: any), after
    /// those injected before. A driver retries reads and writes once, so a single cut is usually survived.
    pub fn inject(&self, times: usize, name: Option<&str>, collection: Option<&str>, fault: Fault) {
        let (name, collection) = (name.map(str::to_owned), collection.map(str::to_owned));
        self.shared.state().rules.push(Rule { times, name, collection, fault });
    }

    /// From now on, what is sent over the connections that exist is swallowed in both directions; they stay open. So it
    /// is for a process that was frozen while something on the way forgot its connections.
    pub fn freeze_connections(&self) {
        self.shared.frozen.store(self.shared.accepted.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Closes every connection and refuses new ones, until called with `false`.
    pub fn set_down(&self, down: bool) {
        self.shared.down.send_replace(down);
    }
}

impl Drop for MongoWire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let mut down = shared.down.subscribe();
            tokio::select! {
                biased;
                _ = down.wait_for(|down| *down) => {}
                // An error is a connection that broke; both ends notice it themselves.
                _ = relay(client, &shared) => {}
            }
        });
    }
}

/// One client's connection with one of its own to the server; both close when either does.
async fn relay(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    shared.state().connections += 1;
    let number = shared.accepted.fetch_add(1, Ordering::Relaxed) + 1;
    let is_frozen = || number <= shared.frozen.load(Ordering::Relaxed);
    let mut server = TcpStream::connect(&shared.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let to_client = AsyncMutex::new(to_client);
    let pending = Mutex::new(HashMap::new());
    // Independent directions: a monitoring connection gets many replies to one `hello`.
    tokio::select! {
        end = requests(from_client, to_server, &to_client, &pending, shared, is_frozen) => end,
        end = replies(from_server, &to_client, &pending, shared, is_frozen) => end,
    }
}

async fn requests(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    to_client: &AsyncMutex<WriteHalf<'_>>,
    pending: &Mutex<HashMap<i32, Pending>>,
    shared: &Shared,
    is_frozen: impl Fn() -> bool,
) -> io::Result<()> {
    loop {
        let message = message::read(&mut client).await?;
        if is_frozen() {
            continue;
        }
        let request = message::request_id(&message);
        let (id, fault, delay) = shared.received(&message);
        // The timer's tick is a millisecond, so a sleep of nothing would be one.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if !matches!(fault, None | Some(Fault::Pass | Fault::CutAfter | Fault::HangAfter)) {
            shared.triggered.set();
        }
        match &fault {
            Some(Fault::CutBefore) => return Ok(()),
            // Read on, so that the end of the client is noticed.
            Some(Fault::HangBefore) => continue,
            Some(Fault::Refuse { code, message: text }) => {
                to_client.lock().await.write_all(&message::error_reply(request, *code, text)?).await?;
                shared.replied(id);
                continue;
            }
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::Pass | Fault::CutAfter | Fault::HangAfter) | None => {}
        }
        lock(pending).insert(request, Pending { id, fault });
        server.write_all(&message).await?;
        if message::expects_no_reply(&message) {
            lock(pending).remove(&request);
            shared.replied(id);
        }
    }
}

async fn replies(
    mut server: ReadHalf<'_>,
    to_client: &AsyncMutex<WriteHalf<'_>>,
    pending: &Mutex<HashMap<i32, Pending>>,
    shared: &Shared,
    is_frozen: impl Fn() -> bool,
) -> io::Result<()> {
    loop {
        let message = message::read(&mut server).await?;
        if is_frozen() {
            continue;
        }
        let replied = lock(pending).remove(&message::response_to(&message));
        let fault = replied.as_ref().and_then(|pending| pending.fault.as_ref());
        if let Some(Fault::CutAfter | Fault::HangAfter) = fault {
            shared.triggered.set();
            if fault == Some(&Fault::CutAfter) {
                return Ok(());
            }
            continue;
        }
        to_client.lock().await.write_all(&message).await?;
        if let Some(pending) = replied {
            shared.replied(pending.id);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Records a message from a client; returns its number, the injected fault and the delay.
    fn received(&self, message: &[u8]) -> (u64, Option<Fault>, Duration) {
        let mut state = self.state();
        state.last_id += 1;
        let (id, delay) = (state.last_id, state.delay);
        let Some(command) = message::command(message).and_then(|command| read_command(command, id)) else {
            return (id, None, delay);
        };
        if HOUSEKEEPING.contains(&command.name.to_ascii_lowercase().as_str()) {
            state.housekeeping.push(command);
            return (id, None, delay);
        }
        let rule = state.rules.iter_mut().find(|rule| rule.matches(&command));
        let fault = rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        });
        state.commands.push(command);
        (id, fault, delay)
    }

    fn replied(&self, id: u64) {
        let state = &mut *self.state();
        let both = state.commands.iter_mut().rev().chain(state.housekeeping.iter_mut().rev());
        if let Some(command) = both.into_iter().find(|command| command.id == id) {
            command.ended = Some(Instant::now());
        }
    }
}

impl Rule {
    fn matches(&self, command: &Command) -> bool {
        self.times > 0
            && self.name.as_ref().is_none_or(|name| *name == command.name)
            && self.collection.as_ref().is_none_or(|name| command.collection.as_ref() == Some(name))
    }
}

fn read_command(body: &RawDocument, id: u64) -> Option<Command> {
    let (name, value) = body.iter().next()?.ok()?;
    let collection = match value {
        RawBsonRef::String(collection) => Some(collection),
        // `getMore: <cursor>, collection: "…"`
        _ => body.get_str("collection").ok(),
    };
    Some(Command {
        name: name.as_str().to_owned(),
        collection: collection.map(str::to_owned),
        database: body.get_str("$db").unwrap_or_default().to_owned(),
        started: Instant::now(),
        ended: None,
        id,
    })
}

/// `user@` (or nothing), `host:port`, and the rest of a connection string.
fn split_uri(uri: &str) -> Option<(&str, String, &str)> {
    let rest = uri.strip_prefix("mongodb://")?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    if host.is_empty() || host.contains(',') {
        return None;
    }
    let with_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some((user, if with_port { host.to_owned() } else { format!("{host}:27017") }, tail))
}

fn with_direct_connection(tail: &str) -> String {
    let lead = match tail {
        _ if tail.contains("directConnection=") => return tail.to_owned(),
        _ if tail.contains('?') => "&",
        "" => "/?",
        _ => "?",
    };
    format!("{tail}{lead}directConnection=true")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
