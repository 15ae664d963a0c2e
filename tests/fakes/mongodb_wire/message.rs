//! Messages of the `MongoDB` wire protocol, read as far as the proxy needs:
//! <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>.

use std::io;

use mongodb::bson::{RawDocument, doc};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;

const HEADER: usize = 16;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;
const MORE_TO_COME: u32 = 1 << 1;
/// `maxMessageSizeBytes` of every server: anything larger is not a message.
const MAX_MESSAGE_BYTES: usize = 48_000_000;

/// Codes that a server labels as retryable, on a write that carries a transaction number.
/// <https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md>
const RETRYABLE_WRITES: [i32; 11] = [6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435];

/// Reads one message.
pub(super) async fn read(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    from.read_exact(&mut message).await?;
    let length = usize::try_from(int(&message, 0)).unwrap_or(0);
    if !(HEADER..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a MongoDB message"));
    }
    message.resize(length, 0);
    from.read_exact(&mut message[HEADER..]).await?;
    Ok(message)
}

/// The id that the sender gave to a message.
pub(super) fn request_id(message: &[u8]) -> i32 {
    int(message, 4)
}

/// The id of the request that a message replies to.
pub(super) fn response_to(message: &[u8]) -> i32 {
    int(message, 8)
}

/// The little-endian integer at an offset; 0 past the end.
fn int(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_le_bytes)
}

/// The document that is the command; `None` for other messages.
pub(super) fn command(message: &[u8]) -> Option<&RawDocument> {
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
            // Flags, the collection's full name, two integers, the document: the handshake of old drivers.
            let name = HEADER + 4;
            let end = name + message.get(name..)?.iter().position(|byte| *byte == 0)?;
            RawDocument::from_bytes(message.get(end + 1 + 8..)?).ok()
        }
        _ => None,
    }
}

pub(super) fn expects_no_reply(message: &[u8]) -> bool {
    int(message, 12) == OP_MSG && int(message, HEADER).cast_unsigned() & MORE_TO_COME != 0
}

/// An `OP_MSG` that replies to a request with an error.
pub(super) fn error_reply(request: i32, code: i32, message: &str) -> io::Result<Vec<u8>> {
    let mut document = doc! { "ok": 0.0, "code": code, "errmsg": message };
    if RETRYABLE_WRITES.contains(&code) {
        document.insert("errorLabels", ["RetryableWriteError"]);
    }
    let document = document.to_vec().map_err(io::Error::other)?;
    let length = i32::try_from(HEADER + 4 + 1 + document.len()).map_err(io::Error::other)?;
    let header = [length, 0, request, OP_MSG, 0].map(i32::to_le_bytes).concat();
    Ok([header.as_slice(), &[0], &document].concat())
}
