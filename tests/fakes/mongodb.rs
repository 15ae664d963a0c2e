//! Owns the local `MongoDB` server: a real server process that speaks the real wire, one for each [`MongoDb`].
//!
//! The server is [`secantus-mdb`](https://crates.io/crates/secantus-mdb), built once into the user's cache folder
//! (see `install`) and only ever run as a process of its own, never linked. It must not know what is stored in it.

mod install;

use std::fmt;
use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a start may take before it is called failed. A usual one takes half a second; a storage folder that
/// was killed while it was written to takes longer, because it is recovered first.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Runs the server and outlives us by an instant, so that no server is ever left behind, not even when we are
/// killed: standard input is a pipe that only we hold, and its end means that we are gone.
///
/// Arguments: log, mark, folder to delete ("" for none), then the server's command line. The mark is a file that
/// says that the end was ours; a server that ends without it stopped by itself, which is said at once on standard
/// error, because a driver only notices after its server selection timeout (30 s).
const WATCHDOG: &str = r#"
log=$1 mark=$2 temporary=$3; shift 3
exec 3<&0 4>&2 2>/dev/null
"$@" </dev/null >"$log" 2>&1 3<&- 4>&- &
server=$!
{ cat <&3 >/dev/null; : >"$mark"; kill -9 $server; } &
watcher=$!
exec 3<&- </dev/null
wait $server; status=$?
if [ -e "$mark" ]; then
  rm -f "$mark"
  [ -z "$temporary" ] || rm -rf "$temporary"
else
  kill $watcher
  echo "The local MongoDB server stopped by itself (status $status). Its log: $log" >&4
fi
exit $status
"#;

/// A `MongoDB` server: a local one that ends with this value, or somebody else's.
#[derive(Debug)]
pub struct MongoDb {
    uri: String,
    local: Option<Local>,
}

/// The process behind a local server.
#[derive(Debug)]
struct Local {
    watchdog: Mutex<Child>,
    log: PathBuf,
}

/// Why there is no server: one sentence for a person with what to do about it, and the end of a log where there is
/// one.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl MongoDb {
    /// Starts a local server on `port` (0: any free one), and builds it first where that was not done yet (about
    /// four minutes, with progress on standard error). Blocks until the server accepts connections.
    ///
    /// With `storage` the documents live in that folder and survive the server, also a killed one. Without, they
    /// live in a temporary folder that goes with this value.
    pub fn start(storage: Option<&Path>, port: u16) -> Result<Self, StartError> {
        Self::run(&install::server()?, storage, port)
    }

    /// A server that somebody else runs. Nothing is built, started or stopped.
    #[must_use]
    pub fn external(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), local: None }
    }

    /// The connection string, for instance `mongodb://127.0.0.1:27017/?directConnection=true`.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What is to be said when the local server is gone although nobody stopped it: a sentence and the end of its
    /// log. `None` while it runs, and always for an external one.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        let local = self.local.as_ref()?;
        let status = local.watchdog.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok()??;
        Some(format!("The local MongoDB server stopped by itself ({status}).{}", end_of(&local.log)))
    }

    fn run(server: &Path, storage: Option<&Path>, port: u16) -> Result<Self, StartError> {
        let (folder, temporary) = if let Some(folder) = storage {
            fs::create_dir_all(folder).map_err(|error| cannot_use(folder, &error))?;
            (folder.to_path_buf(), PathBuf::new())
        } else {
            // Deleted by the watchdog, because ours would not run if we were killed.
            let folder = tempfile::Builder::new()
                .prefix("newvisions-mongodb-")
                .tempdir()
                .map_err(|error| cannot_use(&std::env::temp_dir(), &error))?
                .keep();
            (folder.clone(), folder)
        };
        let (log, mark) = (folder.join("log.txt"), folder.join("stopping"));
        // What an earlier server left there would be taken for this one's.
        let _ = fs::remove_file(&log);
        let _ = fs::remove_file(&mark);

        let mut command = Command::new("sh");
        command.arg("-c").arg(WATCHDOG).arg("sh").arg(&log).arg(&mark).arg(&temporary).arg(server);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "WARNING"]);
        // A log file is allocated in full, and the default would make every empty store 128 MB.
        command.args(["--cache-size", "256M", "--log-file-max", "16MB", "--storage-path"]);
        command.arg(folder.join("data"));
        if storage.is_some() {
            // Without it a killed server loses writes that it had acknowledged. Temporary documents are deleted
            // with the server, so they need not wait for the disk.
            command.arg("--sync-on-commit");
        }
        let watchdog = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C in a terminal goes to the whole group. We may have to clean up in MongoDB after it.
            .process_group(0)
            .spawn()
            .map_err(|error| StartError(format!("`sh` cannot be started: {error}")))?;
        let mut mongodb = Self {
            uri: String::new(),
            local: Some(Local { watchdog: Mutex::new(watchdog), log: log.clone() }),
        };
        let address = match mongodb.listening(&log) {
            Ok(address) => address,
            Err(error) => {
                drop(mongodb);
                if storage.is_none() {
                    let _ = fs::remove_dir_all(folder);
                }
                return Err(error);
            }
        };
        mongodb.uri = format!("mongodb://{address}/?directConnection=true");
        Ok(mongodb)
    }

    /// Waits until the server says where it listens, and is there.
    fn listening(&self, log: &Path) -> Result<String, StartError> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            let said = fs::read_to_string(log).unwrap_or_default();
            let address =
                said.lines().find_map(|line| line.split_once("listening on ")?.1.split_whitespace().next());
            if let Some(address) = address
                && TcpStream::connect(address).is_ok()
            {
                return Ok(address.to_owned());
            }
            if let Some(stopped) = self.stopped() {
                return Err(StartError(format!(
                    "{stopped}\nIf the port or the storage folder is in use, stop the other server; if the server \
                     itself cannot run here, delete {} to have it built again.",
                    install::place()
                )));
            }
            sleep(Duration::from_millis(10));
        }
        Err(StartError(format!(
            "The local MongoDB server did not accept connections within {} s.{}",
            START_LIMIT.as_secs(),
            end_of(log)
        )))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The end of the pipe is the word to stop; the watchdog ends when the server is gone and deleted.
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
    }
}

fn cannot_use(folder: &Path, error: &std::io::Error) -> StartError {
    StartError(format!("MongoDB cannot store anything in {}: {error}.", folder.display()))
}

/// The last lines of a log under its path, to be appended to a sentence.
fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(15)..].join("\n  ");
    format!(" The end of {}:\n  {end}", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use ::mongodb::Client;
    use ::mongodb::bson::{Document, doc};

    async fn write_and_count(mongodb: &MongoDb) -> u64 {
        let client = Client::with_uri_str(mongodb.uri()).await.unwrap();
        let documents = client.database("test").collection::<Document>("documents");
        documents.insert_one(doc! { "a": 1 }).await.unwrap();
        documents.count_documents(doc! {}).await.unwrap()
    }

    fn gone(uri: &str) -> bool {
        let address = uri.trim_start_matches("mongodb://").split('/').next().unwrap();
        TcpStream::connect(address).is_err()
    }

    #[tokio::test]
    async fn a_temporary_server_answers_the_official_driver_and_leaves_nothing_behind() {
        let mongodb = MongoDb::start(None, 0).unwrap();
        assert_eq!(write_and_count(&mongodb).await, 1);
        let folder = mongodb.local.as_ref().unwrap().log.parent().unwrap().to_path_buf();
        let uri = mongodb.uri().to_owned();
        assert!(folder.is_dir());
        drop(mongodb);
        assert!(!folder.exists());
        assert!(gone(&uri));
    }

    #[tokio::test]
    async fn a_storage_folder_keeps_its_documents_over_a_killed_server() {
        let folder = tempfile::tempdir().unwrap();
        for expected in 1..=3 {
            let mongodb = MongoDb::start(Some(folder.path()), 0).unwrap();
            assert_eq!(write_and_count(&mongodb).await, expected);
        }
    }

    #[test]
    fn a_folder_or_port_in_use_is_an_error_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let first = MongoDb::start(Some(folder.path()), 0).unwrap();
        let port = first.uri().split([':', '/']).nth(4).unwrap().parse().unwrap();
        let error = MongoDb::start(None, port).unwrap_err().to_string();
        assert!(error.contains("stopped by itself") && error.contains("in use"), "{error}");
        assert!(first.stopped().is_none());
    }

    #[test]
    fn a_server_that_cannot_run_is_an_error_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        // Any program that refuses the server's options.
        let error = MongoDb::run(Path::new("ls"), Some(folder.path()), 0).unwrap_err().to_string();
        assert!(error.contains("exit status") && error.contains("--host"), "{error}");
    }

    #[test]
    fn a_server_that_dies_later_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = folder.path().join("server");
        let address = listener.local_addr().unwrap();
        fs::write(
            &server,
            format!("#!/bin/sh\necho listening on {address}; sleep 1; echo panicked; exit 101\n"),
        )
        .unwrap();
        fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
        let mongodb = MongoDb::run(&server, Some(folder.path()), 0).unwrap();
        assert_eq!(mongodb.stopped(), None);
        let started = Instant::now();
        let stopped = loop {
            if let Some(stopped) = mongodb.stopped() {
                break stopped;
            }
            assert!(started.elapsed() < Duration::from_secs(5), "its death went unnoticed");
            sleep(Duration::from_millis(10));
        };
        assert!(stopped.contains("exit status: 101") && stopped.contains("panicked"), "{stopped}");
    }

    #[tokio::test]
    async fn a_server_dies_with_the_process_that_started_it() {
        // The pipe is all that ties the server to us, and the system closes it for a killed process.
        let mut mongodb = MongoDb::start(None, 0).unwrap();
        let uri = mongodb.uri().to_owned();
        drop(mongodb.local.as_mut().unwrap().watchdog.get_mut().unwrap().stdin.take());
        let started = Instant::now();
        while !gone(&uri) {
            assert!(started.elapsed() < Duration::from_secs(5), "the server still runs");
            sleep(Duration::from_millis(5));
        }
    }
}
