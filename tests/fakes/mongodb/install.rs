//! Builds the local `MongoDB` server once, into the user's cache folder: outside the target folder, so that `cargo clean`
//! does not cost four minutes. Needs Rust, a C compiler with `make`, and `CMake` or Python 3.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use etcetera::BaseStrategy;

use super::{StartError, end_of};

/// The version that the tests were written with.
const VERSION: &str = "0.5.3-beta.196";

/// How many crates that version compiles, for the progress line.
const CRATES: usize = 210;

/// The path of the server's program, built first if this machine has not built it yet.
pub(super) fn server() -> Result<PathBuf, StartError> {
    server_in(&cache()?)
}

/// The folder of the installed server, for messages.
pub(super) fn location() -> String {
    cache().map_or_else(|error| error.to_string(), |cache| home(&cache).display().to_string())
}

/// `NEWVISIONS_CACHE`, or the user's cache folder.
fn cache() -> Result<PathBuf, StartError> {
    if let Some(folder) = std::env::var_os("NEWVISIONS_CACHE").filter(|folder| !folder.is_empty()) {
        return std::path::absolute(folder)
            .map_err(|error| StartError(format!("NEWVISIONS_CACHE: {error}.")));
    }
    let user = etcetera::choose_base_strategy().map_err(|_| {
        StartError("There is no home folder: name a cache folder in NEWVISIONS_CACHE.".to_owned())
    })?;
    Ok(user.cache_dir().join("newvisions"))
}

fn home(cache: &Path) -> PathBuf {
    cache.join(format!("secantus-mdb-{VERSION}"))
}

fn server_in(cache: &Path) -> Result<PathBuf, StartError> {
    let server = home(cache).join("bin/secantusd-rs");
    if server.is_file() {
        return Ok(server);
    }
    let _lock = lock(cache).map_err(|error| {
        StartError(format!(
            "The local MongoDB server cannot be built in {}: {error}. Name another folder in NEWVISIONS_CACHE.",
            cache.display()
        ))
    })?;
    // The previous holder of the lock may have built it.
    if !server.is_file() {
        build(cache)?;
    }
    Ok(server)
}

/// One build at a time. The system frees the lock of a killed process.
fn lock(cache: &Path) -> std::io::Result<File> {
    fs::create_dir_all(cache)?;
    let lock = File::create(cache.join("secantus-mdb.lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("Another process is building the local MongoDB server; waiting for it…");
            lock.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(lock)
}

/// Builds in a temporary folder and renames it at the end, so that an installed server is always complete. The folder of
/// a failed or interrupted build stays, and the next build continues there.
fn build(cache: &Path) -> Result<(), StartError> {
    let started = Instant::now();
    eprintln!("Building the local MongoDB server once (about 4 minutes on two cores)…");
    for (program, advice) in [
        ("cargo", "install Rust from https://rustup.rs"),
        ("cc", "install a C compiler (Debian: apt install build-essential, macOS: xcode-select --install)"),
        ("make", "install make (Debian: apt install build-essential, macOS: xcode-select --install)"),
    ] {
        if !runs(Command::new(program).arg("--version")) {
            return Err(StartError(format!(
                "The local MongoDB server cannot be built without {program}: {advice}."
            )));
        }
    }
    let path = path_with_cmake(cache)?;

    let home = home(cache);
    let folder = cache.join(format!("secantus-mdb-{VERSION}.building"));
    let log = cache.join("secantus-mdb.log");
    let mut cargo = Command::new("cargo");
    cargo.args([
        "install",
        "secantus-mdb",
        "--version",
        &format!("={VERSION}"),
        "--locked",
        "--ignore-rust-version",
    ]);
    cargo.arg("--force").arg("--root").arg(folder.join("root"));
    // What cargo and the user set for the build of this workspace must not configure this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| belongs_to_our_build(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_TERM_COLOR", "never").env("PATH", path);
    let failed =
        |error: std::io::Error| StartError(format!("The local MongoDB server cannot be built: {error}."));
    let mut cargo = cargo
        // Outside this workspace and its .cargo/config.toml.
        .current_dir(cache)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(lines) = cargo.stderr.take() {
        follow(lines, File::create(&log).map_err(failed)?, started);
    }
    if !cargo.wait().map_err(failed)?.success() {
        return Err(StartError(format!("{}{}", reason(&log), end_of(&log))));
    }
    fs::rename(folder.join("root"), &home).map_err(failed)?;
    let _ = fs::remove_dir_all(&folder);
    eprintln!("Built the local MongoDB server in {}; it is kept in {}.", minutes(started), home.display());
    Ok(())
}

/// The search path for a build that finds `CMake`: the user's own, else one from `PyPI` in a folder of the cache,
/// which needs no administrator.
fn path_with_cmake(cache: &Path) -> Result<OsString, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if runs(Command::new("cmake").arg("--version")) {
        return Ok(path);
    }
    let venv = cache.join("cmake");
    if !runs(Command::new(venv.join("bin/cmake")).arg("--version")) {
        let log = cache.join("cmake.log");
        let made = logged(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv), &log)
            && logged(Command::new(venv.join("bin/python3")).args(["-m", "pip", "install", "cmake"]), &log);
        if !made {
            return Err(StartError(format!(
                "The local MongoDB server cannot be built without CMake, and Python could not fetch it: install \
                 cmake (Debian: apt install cmake, macOS: brew install cmake), or python3 with venv and a network.{}",
                end_of(&log)
            )));
        }
    }
    let folders = std::iter::once(venv.join("bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|error| {
        StartError(format!(
            "{} cannot be on the search path: {error}. Set NEWVISIONS_CACHE.",
            cache.display()
        ))
    })
}

/// Whether a variable was set by or for the build of this workspace. Network and registry settings of the user are kept:
/// many machines cannot download without them.
fn belongs_to_our_build(name: &str) -> bool {
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];
    const OURS: [&str; 4] = ["RUSTFLAGS", "RUSTDOCFLAGS", "MAKEFLAGS", "MFLAGS"];
    let of_cargo = name == "CARGO" || name.starts_with("CARGO_");
    (of_cargo && !KEPT.iter().any(|kept| name.starts_with(kept)))
        || name.starts_with("RUSTC")
        || OURS.contains(&name)
}

/// Writes cargo's output to the log and its progress to standard error: one updated line in a terminal, a line every half
/// minute elsewhere.
fn follow(cargo: ChildStderr, mut log: File, started: Instant) {
    let (send, lines) = channel();
    thread::spawn(move || {
        BufReader::new(cargo).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    let terminal = stderr().is_terminal();
    let (mut crates, mut now, mut printed) = (0, "downloading".to_owned(), started);
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                let _ = writeln!(log, "{line}");
                if let Some(compiled) = line.trim_start().strip_prefix("Compiling ") {
                    crates += 1;
                    compiled.split(' ').next().unwrap_or(compiled).clone_into(&mut now);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let progress = format!("  {crates} of {CRATES} crates, {}: {now}", minutes(started));
        if terminal {
            let _ = write!(stderr(), "\r\x1b[K{progress}");
        } else if printed.elapsed() > Duration::from_secs(30) {
            eprintln!("{progress}");
            printed = Instant::now();
        }
    }
    if terminal {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

/// Why the build failed, as far as its log says, and what to do.
fn reason(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let contains = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let why = if contains(&["No space left on device"]) {
        "the disk is full; the build needs about 2 GB for a while"
    } else if contains(&[
        "failed to download",
        "spurious network error",
        "Could not resolve host",
        "failed to get",
    ]) {
        "its sources cannot be downloaded; check the network and try again"
    } else {
        "see the log; a server of your own can be named in MONGODB_URI (TEST_MONGODB_URI for the tests) instead"
    };
    format!("The local MongoDB server could not be built: {why}.")
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn logged(command: &mut Command, log: &Path) -> bool {
    let ran = command.stdin(Stdio::null()).output();
    let (text, ok) = match ran {
        Ok(output) => ([output.stdout, output.stderr].concat(), output.status.success()),
        Err(error) => (format!("{}: {error}\n", command.get_program().display()).into_bytes(), false),
    };
    fs::write(log, text).is_ok() && ok
}

fn minutes(started: Instant) -> String {
    let seconds = started.elapsed().as_secs();
    format!("{} min {} s", seconds / 60, seconds % 60)
}
