//! Owns a TCP proxy in front of `MongoDB` that says which commands went over the wire and when, and that can make
//! them slow, refused or lost. It relays bytes as they are and must not know what the commands mean.
//!
//! The wire: <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>. Compressed messages
//! (`OP_COMPRESSED`) are not read, so clients must not ask for compression; TLS and `mongodb+srv://` are not spoken.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::{RawBsonRef, RawDocument, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::faults::Met;

const HEADER: usize = 16;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;
const MORE_TO_COME: u32 = 1 << 1;
/// `maxMessageSizeBytes` of every server: what is larger is not a message.
const LARGEST: usize = 48_000_000;

/// What a driver says on its own account: connecting, watching the server, tidying up.
const HOUSEKEEPING: [&str; 8] =
    ["hello", "ismaster", "ping", "buildinfo", "saslstart", "saslcontinue", "authenticate", "endsessions"];

/// Codes that a server labels as worth repeating, on a write that carries a transaction number.
/// <https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md>
const RETRYABLE_WRITES: [i32; 11] = [6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435];

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
    id: u64,
}

/// What happens to a command instead of being relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No fault: lets a command through, so that the one after it can fail.
    Pass,
    /// The connection closes before the server gets the command.
    CutBefore,
    /// The server executes the command, and the connection closes in place of the reply.
    CutAfter,
    /// The server never gets it, and the connection stays open without a reply.
    HangBefore,
    /// The server executes it, and the connection stays open without the reply.
    HangAfter,
    /// The server gets it this much later.
    Delay(Duration),
    /// The reply is this error, and the server never sees the command. It has the label that tells a driver to
    /// repeat a write, if the code is one that servers label so.
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
    met: Met,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    commands: Vec<Command>,
    housekeeping: Vec<Command>,
    connections: usize,
    last_id: u64,
    delay: Duration,
    faults: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
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
        let (user, address, tail) = parts(upstream).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "not a mongodb:// URI of one server")
        })?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("mongodb://{user}{}{}", listener.local_addr()?, with_direct_connection(tail));
        let down = watch::Sender::new(false);
        let shared =
            Arc::new(Shared { upstream: address, down, met: Met::default(), state: Mutex::default() });
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

    /// The same for what the driver says on its own account: handshakes, monitoring, authentication.
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
        // The number goes on, so that a reply to a forgotten command ends no new one.
        *state = State { last_id: state.last_id, ..State::default() };
        self.shared.met.forget();
    }

    /// The moment in which a fault is met.
    #[must_use]
    pub fn met(&self) -> &Met {
        &self.shared.met
    }

    /// Delays every message to the server by this much from now on, handshakes included: a network's round trip.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Plans a fault for the next `times` application commands with this name on this collection (`None`: any).
    /// Of several that match, the one planned first is taken. A driver repeats what it may once (retryable reads
    /// and writes), so a single cut is usually survived.
    pub fn fault(&self, times: usize, name: Option<&str>, collection: Option<&str>, fault: Fault) {
        let (name, collection) = (name.map(str::to_owned), collection.map(str::to_owned));
        self.shared.state().faults.push(Planned { times, name, collection, fault });
    }

    /// Closes every connection and refuses new ones, until it is called with `false`.
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
                // A connection that breaks is an everyday event, and both ends notice it themselves.
                _ = relay(client, &shared) => {}
            }
        });
    }
}

/// One client's connection with one of its own to the server; both close when either does.
async fn relay(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    shared.state().connections += 1;
    let mut server = TcpStream::connect(&shared.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let to_client = AsyncMutex::new(to_client);
    let pending = Mutex::new(HashMap::new());
    // Two directions of their own: a monitoring connection gets many replies to one `hello`.
    tokio::select! {
        end = requests(from_client, to_server, &to_client, &pending, shared) => end,
        end = replies(from_server, &to_client, &pending, shared) => end,
    }
}

async fn requests(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    to_client: &AsyncMutex<WriteHalf<'_>>,
    pending: &Mutex<HashMap<i32, Pending>>,
    shared: &Shared,
) -> io::Result<()> {
    loop {
        let message = read_message(&mut client).await?;
        let request = int(&message, 4);
        let (id, fault, delay) = shared.received(&message);
        // The timer's tick is a millisecond, so a sleep of nothing would be one.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if !matches!(fault, None | Some(Fault::Pass | Fault::CutAfter | Fault::HangAfter)) {
            shared.met.now();
        }
        match &fault {
            Some(Fault::CutBefore) => return Ok(()),
            // Read on, so that the end of the client is noticed.
            Some(Fault::HangBefore) => continue,
            Some(Fault::Refuse { code, message }) => {
                to_client.lock().await.write_all(&refusal(request, *code, message)?).await?;
                shared.replied(id);
                continue;
            }
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::Pass | Fault::CutAfter | Fault::HangAfter) | None => {}
        }
        lock(pending).insert(request, Pending { id, fault });
        server.write_all(&message).await?;
        if expects_no_reply(&message) {
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
) -> io::Result<()> {
    loop {
        let message = read_message(&mut server).await?;
        let answered = lock(pending).remove(&int(&message, 8));
        let fault = answered.as_ref().and_then(|pending| pending.fault.as_ref());
        if let Some(Fault::CutAfter | Fault::HangAfter) = fault {
            shared.met.now();
            if fault == Some(&Fault::CutAfter) {
                return Ok(());
            }
            continue;
        }
        to_client.lock().await.write_all(&message).await?;
        if let Some(pending) = answered {
            shared.replied(pending.id);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Records a message from a client; gives the record's number and what is to happen to the message.
    fn received(&self, message: &[u8]) -> (u64, Option<Fault>, Duration) {
        let mut state = self.state();
        state.last_id += 1;
        let (id, delay) = (state.last_id, state.delay);
        let Some(command) = body(message).and_then(|body| read_command(body, id)) else {
            return (id, None, delay);
        };
        if HOUSEKEEPING.contains(&command.name.to_ascii_lowercase().as_str()) {
            state.housekeeping.push(command);
            return (id, None, delay);
        }
        let planned = state.faults.iter_mut().find(|planned| planned.is_for(&command));
        let fault = planned.map(|planned| {
            planned.times -= 1;
            planned.fault.clone()
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

impl Planned {
    fn is_for(&self, command: &Command) -> bool {
        self.times > 0
            && self.name.as_ref().is_none_or(|name| *name == command.name)
            && self.collection.as_ref().is_none_or(|wanted| command.collection.as_ref() == Some(wanted))
    }
}

async fn read_message(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    from.read_exact(&mut message).await?;
    let length = usize::try_from(int(&message, 0)).unwrap_or(0);
    if !(HEADER..=LARGEST).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a MongoDB message"));
    }
    message.resize(length, 0);
    from.read_exact(&mut message[HEADER..]).await?;
    Ok(message)
}

/// The little-endian integer at an offset; 0 past the end.
fn int(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_le_bytes)
}

/// The document that is the command.
fn body(message: &[u8]) -> Option<&RawDocument> {
    match int(message, 12) {
        OP_MSG => {
            // Flags, then sections: a kind 1 (a list of documents apart) may stand before the one kind 0.
            let mut at = HEADER + 4;
            loop {
                let kind = *message.get(at)?;
                let section = message.get(at + 1..at + 1 + usize::try_from(int(message, at + 1)).ok()?)?;
                match kind {
                    0 => return RawDocument::from_bytes(section).ok(),
                    1 if !section.is_empty() => at += 1 + section.len(),
                    _ => return None,
                }
            }
        }
        OP_QUERY => {
            // Flags, the collection's full name, two integers, the document: how old drivers say hello.
            let name = HEADER + 4;
            let end = name + message.get(name..)?.iter().position(|byte| *byte == 0)?;
            RawDocument::from_bytes(message.get(end + 1 + 8..)?).ok()
        }
        _ => None,
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

fn expects_no_reply(message: &[u8]) -> bool {
    int(message, 12) == OP_MSG && int(message, HEADER).cast_unsigned() & MORE_TO_COME != 0
}

/// An `OP_MSG` that answers a request with an error.
fn refusal(request: i32, code: i32, message: &str) -> io::Result<Vec<u8>> {
    let mut document = doc! { "ok": 0.0, "code": code, "errmsg": message };
    if RETRYABLE_WRITES.contains(&code) {
        document.insert("errorLabels", ["RetryableWriteError"]);
    }
    let document = document.to_vec().map_err(io::Error::other)?;
    let length = i32::try_from(HEADER + 4 + 1 + document.len()).map_err(io::Error::other)?;
    let header = [length, 0, request, OP_MSG, 0].map(i32::to_le_bytes).concat();
    Ok([header.as_slice(), &[0], &document].concat())
}

/// `user@` (or nothing), `host:port`, and the rest of a connection string.
fn parts(uri: &str) -> Option<(&str, String, &str)> {
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
