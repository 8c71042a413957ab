//! The socket between a store and the service: one connection a request, and a deadline for each.
//!
//! Invariant: neither side waits longer for the other than the deadline, however slowly bytes come.

use std::{
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::{
    provider::{Ask, KeyServiceError},
    vault::Vault,
    wire::{ANSWER_LEN, Answer, REQUEST_LEN, Request},
};

/// How long the service waits for a request that was begun.
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);

/// The store's side.
#[derive(Clone, Debug)]
pub struct Socket {
    path: PathBuf,
    deadline: Duration,
}

impl Socket {
    /// Names the service's socket, and how long one answer may take.
    pub fn new(path: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self { path: path.into(), deadline }
    }
}

impl Ask for Socket {
    fn ask(&self, request: &Request) -> Result<Answer, KeyServiceError> {
        let unreachable = |source| KeyServiceError::Unreachable { socket: self.path.clone(), source };
        let until = Instant::now() + self.deadline;
        let mut stream = UnixStream::connect(&self.path).map_err(unreachable)?;
        stream.set_write_timeout(Some(self.deadline)).map_err(unreachable)?;
        stream.write_all(&request.encode()).map_err(unreachable)?;
        // One byte more than an answer has, so that a longer one is seen to be none.
        let mut bytes = Zeroizing::new([0; ANSWER_LEN + 1]);
        let read = read_until(&mut stream, &mut *bytes, until).map_err(unreachable)?;
        let answer = bytes.get(..read).and_then(|bytes| Answer::decode(bytes, request));
        answer.ok_or(match read {
            0 => unreachable(io::ErrorKind::ConnectionAborted.into()),
            _ => KeyServiceError::Garbage { socket: self.path.clone() },
        })
    }
}

/// Serves until the process ends, one request after the other; who sends none is let go at the deadline.
///
/// # Errors
/// What the system says of the socket.
pub fn serve(socket: &Path, vault: &Vault) -> io::Result<()> {
    // A socket that a killed service left.
    match std::fs::remove_file(socket) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    for stream in listener.incoming() {
        let served = stream.and_then(|mut stream| serve_one(&mut stream, vault));
        if let Err(why) = served {
            eprintln!("a request was not served: {why}");
        }
    }
    Ok(())
}

fn serve_one(stream: &mut UnixStream, vault: &Vault) -> io::Result<()> {
    let mut bytes = [0; REQUEST_LEN];
    let read = read_until(stream, &mut bytes, Instant::now() + REQUEST_DEADLINE)?;
    if read == 0 {
        return Ok(());
    }
    let request = Request::decode(&bytes).filter(|_| read == REQUEST_LEN).ok_or(io::ErrorKind::InvalidData)?;
    stream.set_write_timeout(Some(REQUEST_DEADLINE))?;
    stream.write_all(&*vault.answer(&request).encode(&request))
}

/// Fills the buffer, or reads to the end of the stream.
fn read_until(stream: &mut UnixStream, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(why) => return Err(why),
        }
    }
    Ok(filled)
}
