//! The local `MongoDB` server: a server process that speaks the real protocol, one for each [`MongoDb`].
//!
//! The server is [`secantus-mdb`](https://crates.io/crates/secantus-mdb), built once into the user's cache folder (see
//! `install`) and only ever run as a separate process, never linked.

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

/// Usually a start takes half a second; longer when a storage folder must be recovered first, because its server was
/// killed during a write.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Runs the server and stops it when this process ends, even when this process is killed: standard input is a pipe that
/// only this process holds, so its end means that this process is gone.
///
/// Arguments: log, mark, folder to delete ("" for none), then the server's command line. The mark is a file that says
/// that the stop was intended. A server that ends without it stopped by itself, which is reported at once on standard
/// error: a driver notices only after its server selection timeout (30 s).
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

/// A `MongoDB` server: a local one that stops when this value is dropped, or an external one.
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

/// Why there is no server: a sentence for a person with what to do about it, and the end of the log if there is one.
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
    /// With `storage`, the documents are stored in that folder and survive the server, even a killed one. Without, they
    /// are stored in a temporary folder that is deleted when this value is dropped.
    pub fn start(storage: Option<&Path>, port: u16) -> Result<Self, StartError> {
        Self::run(&install::server()?, storage, port)
    }

    /// A server that runs elsewhere. Nothing is built, started or stopped.
    #[must_use]
    pub fn external(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), local: None }
    }

    /// The connection string, for instance `mongodb://127.0.0.1:27017/?directConnection=true`.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// An error message with the end of the log if the local server stopped by itself. `None` while it runs, and always
    /// for an external one.
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
            // Deleted by the watchdog: a destructor would not run if this process were killed.
            let folder = tempfile::Builder::new()
                .prefix("newvisions-mongodb-")
                .tempdir()
                .map_err(|error| cannot_use(&std::env::temp_dir(), &error))?
                .keep();
            (folder.clone(), folder)
        };
        let (log, mark) = (folder.join("log.txt"), folder.join("stopping"));
        // Those of an earlier server would be taken for this one's.
        let _ = fs::remove_file(&log);
        let _ = fs::remove_file(&mark);

        let mut command = Command::new("sh");
        command.arg("-c").arg(WATCHDOG).arg("sh").arg(&log).arg(&mark).arg(&temporary).arg(server);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "WARNING"]);
        // A log file is allocated in full, and the default would make every empty store 128 MB.
        command.args(["--cache-size", "256M", "--log-file-max", "16MB", "--storage-path"]);
        command.arg(folder.join("data"));
        if storage.is_some() {
            // Without it a killed server loses writes that it had acknowledged. Temporary documents are deleted with
            // the server, so they need not wait for the disk.
            command.arg("--sync-on-commit");
        }
        let watchdog = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C in a terminal goes to the whole process group, but cleaning up after it may need the server.
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

    /// Waits until the server has logged where it listens and accepts connections.
    fn listening(&self, log: &Path) -> Result<String, StartError> {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            let text = fs::read_to_string(log).unwrap_or_default();
            let address =
                text.lines().find_map(|line| line.split_once("listening on ")?.1.split_whitespace().next());
            if let Some(address) = address
                && TcpStream::connect(address).is_ok()
            {
                return Ok(address.to_owned());
            }
            if let Some(stopped) = self.stopped() {
                return Err(StartError(format!(
                    "{stopped}\nIf the port or the storage folder is in use, stop the other server; if the server \
                     itself cannot run here, delete {} to have it built again.",
                    install::location()
                )));
            }
            sleep(Duration::from_millis(10));
        }
        Err(StartError(format!(
            "The local MongoDB server did not accept connections within {} s.{}",
            START_TIMEOUT.as_secs(),
            end_of(log)
        )))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Closing the pipe stops the watchdog, which ends when the server is gone and its folder deleted.
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

    fn is_gone(uri: &str) -> bool {
        let address = uri.trim_start_matches("mongodb://").split('/').next().unwrap();
        TcpStream::connect(address).is_err()
    }

    #[tokio::test]
    async fn temporary_server_serves_the_official_driver_and_leaves_nothing_behind() {
        let mongodb = MongoDb::start(None, 0).unwrap();
        assert_eq!(write_and_count(&mongodb).await, 1);
        let folder = mongodb.local.as_ref().unwrap().log.parent().unwrap().to_path_buf();
        let uri = mongodb.uri().to_owned();
        assert!(folder.is_dir());
        drop(mongodb);
        assert!(!folder.exists());
        assert!(is_gone(&uri));
    }

    #[tokio::test]
    async fn storage_folder_keeps_its_documents_over_a_killed_server() {
        let folder = tempfile::tempdir().unwrap();
        for expected in 1..=3 {
            let mongodb = MongoDb::start(Some(folder.path()), 0).unwrap();
            assert_eq!(write_and_count(&mongodb).await, expected);
        }
    }

    #[test]
    fn port_in_use_is_an_error_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let first = MongoDb::start(Some(folder.path()), 0).unwrap();
        let port = first.uri().split([':', '/']).nth(4).unwrap().parse().unwrap();
        let error = MongoDb::start(None, port).unwrap_err().to_string();
        assert!(error.contains("stopped by itself") && error.contains("in use"), "{error}");
        assert!(first.stopped().is_none());
    }

    #[test]
    fn server_that_cannot_run_is_an_error_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        // Any program that refuses the server's options.
        let error = MongoDb::run(Path::new("ls"), Some(folder.path()), 0).unwrap_err().to_string();
        assert!(error.contains("exit status") && error.contains("--host"), "{error}");
    }

    #[test]
    fn server_that_dies_later_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = folder.path().join("server");
        let address = listener.local_addr().unwrap();
        let die = folder.path().join("die");
        // Runs until the file exists.
        let script = format!(
            "#!/bin/sh\necho listening on {address}\nuntil [ -e '{}' ]; do sleep 0.05; done\necho panicked; exit 101\n",
            die.display()
        );
        fs::write(&server, script).unwrap();
        fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
        let mongodb = MongoDb::run(&server, Some(folder.path()), 0).unwrap();
        assert_eq!(mongodb.stopped(), None);
        fs::write(die, "").unwrap();
        let started = Instant::now();
        let stopped = loop {
            if let Some(stopped) = mongodb.stopped() {
                break stopped;
            }
            assert!(started.elapsed() < START_TIMEOUT, "its death went unnoticed");
            sleep(Duration::from_millis(10));
        };
        assert!(stopped.contains("exit status: 101") && stopped.contains("panicked"), "{stopped}");
    }

    #[tokio::test]
    async fn server_stops_with_the_process_that_started_it() {
        // The pipe is the only link between the two, and the system closes it for a killed process.
        let mut mongodb = MongoDb::start(None, 0).unwrap();
        let uri = mongodb.uri().to_owned();
        drop(mongodb.local.as_mut().unwrap().watchdog.get_mut().unwrap().stdin.take());
        let started = Instant::now();
        while !is_gone(&uri) {
            assert!(started.elapsed() < START_TIMEOUT, "the server still runs");
            sleep(Duration::from_millis(5));
        }
    }
}
