//! The start-up message, and the first answer to it: only then is it known whether a password is wanted.
//!
//! As in pg, nobody is asked for a password that the server does not want. tokio-postgres takes the password before it
//! says anything; so the first exchange is ours, and tokio-postgres goes on from there: its own start-up message is
//! swallowed, and what was heard is heard again.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Stream;
use crate::error::Error;

/// Version 3.0 of the protocol.
const PROTOCOL: i32 = 196_608;
const AUTHENTICATION: u8 = b'R';
/// Tag and length of a message.
const HEAD: usize = 5;
/// The same, with the kind of authentication.
const AUTHENTICATION_HEAD: usize = HEAD + 4;

/// What the server wants to know before it lets us in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing; or it has refused already.
    Nothing,
    /// A password, as it is or as a hash.
    Password,
    /// Proof of a password, which must not be empty.
    Proof,
    /// Something that pg does not know either, under this number.
    Unknown(u8),
}

/// A connection on which the start-up message is sent.
pub(super) struct Started {
    pub(super) wanted: Wanted,
    pub(super) stream: Resumed,
}

/// Sends `parameters` and waits for the first answer.
pub(super) async fn start(
    mut stream: Box<dyn Stream>,
    parameters: &[(&str, &str)],
) -> Result<Started, Error> {
    let message = message(parameters)?;
    let mut heard = vec![0; HEAD];
    let exchange = async {
        stream.write_all(&message).await?;
        stream.flush().await?;
        stream.read_exact(&mut heard).await?;
        if heard.first() == Some(&AUTHENTICATION) {
            heard.resize(AUTHENTICATION_HEAD, 0);
            stream.read_exact(heard.get_mut(HEAD..).unwrap_or_default()).await?;
        }
        io::Result::Ok(())
    };
    exchange.await.map_err(|error| super::broken(&error))?;
    let wanted = wanted(&heard);
    let stream = Resumed { stream, heard, unsent: Unsent::Length(Vec::new()) };
    Ok(Started { wanted, stream })
}

fn message(parameters: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for (name, value) in parameters {
        if value.contains('\0') {
            return Err(Error::argument(format!("connection option {name:?} contains a NUL")));
        }
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4)
        .map_err(|_| Error::argument("the connection's options are too long"))?;
    Ok([&length.to_be_bytes(), body.as_slice()].concat())
}

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>: AuthenticationCleartextPassword,
/// AuthenticationMD5Password, AuthenticationSASL.
fn wanted(heard: &[u8]) -> Wanted {
    match heard.get(HEAD..) {
        Some([0, 0, 0, 3 | 5]) => Wanted::Password,
        Some([0, 0, 0, 10]) => Wanted::Proof,
        Some([0, 0, 0, kind]) if *kind != 0 => Wanted::Unknown(*kind),
        _ => Wanted::Nothing,
    }
}

/// The connection, for someone who believes it to be fresh.
pub(super) struct Resumed {
    stream: Box<dyn Stream>,
    /// What was read already, and is to be read again.
    heard: Vec<u8>,
    unsent: Unsent,
}

/// How much of a second start-up message is still to be swallowed.
enum Unsent {
    /// It begins with its length; these bytes of it are known.
    Length(Vec<u8>),
    Rest(usize),
}

impl Unsent {
    /// How many of these bytes belong to it.
    fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Unsent::Length(known) => {
                let missing = size_of::<u32>() - known.len();
                let taken = missing.min(bytes.len());
                known.extend(bytes.iter().take(taken));
                if let Ok(length) = <[u8; 4]>::try_from(known.as_slice()) {
                    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                    *self = Unsent::Rest(length.saturating_sub(size_of::<u32>()));
                }
                taken
            }
            Unsent::Rest(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                taken
            }
        }
    }
}

impl AsyncRead for Resumed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.heard.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.heard.len().min(buffer.remaining());
        let again: Vec<u8> = self.heard.drain(..length).collect();
        buffer.put_slice(&again);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Resumed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.unsent.take(bytes) {
            0 => Pin::new(&mut self.stream).poll_write(context, bytes),
            taken => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parameters of a start-up message, read as the server reads them.
    fn read(message: &[u8]) -> Option<Vec<(String, String)>> {
        let (length, rest) = message.split_first_chunk::<4>()?;
        let (version, body) = rest.split_first_chunk::<4>()?;
        let is_whole = u32::from_be_bytes(*length) as usize == message.len();
        let is_ours = i32::from_be_bytes(*version) == PROTOCOL;
        let texts = std::str::from_utf8(body).ok()?.strip_suffix('\0')?;
        let texts: Vec<&str> = texts.split_terminator('\0').collect();
        let pair = |pair: &[&str]| match pair {
            [name, value] => Some(((*name).to_owned(), (*value).to_owned())),
            _ => None,
        };
        (is_whole && is_ours).then(|| texts.chunks(2).map(pair).collect()).flatten()
    }

    proptest! {
        #[test]
        fn parameters_arrive_as_they_are(
            given in prop::collection::vec(("[a-z_.]{1,12}", "[^\0]{0,20}"), 0..8),
        ) {
            let parameters: Vec<(&str, &str)> =
                given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let message = message(&parameters).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read(&message), Some(given));
        }

        #[test]
        fn a_value_with_a_nul_would_end_early_and_is_refused(before in ".{0,9}", after in ".{0,9}") {
            let value = [before, after].join("\0");
            prop_assert!(message(&[("user", &value)]).is_err());
        }

        #[test]
        fn any_first_answer_is_understood(heard: Vec<u8>, kind: u8) {
            let _ = wanted(&heard);
            let expected = match kind {
                0 => Wanted::Nothing,
                3 | 5 => Wanted::Password,
                10 => Wanted::Proof,
                _ => Wanted::Unknown(kind),
            };
            prop_assert_eq!(wanted(&[b'R', 0, 0, 0, 8, 0, 0, 0, kind]), expected);
        }

        /// However the bytes are cut, the second start-up message is swallowed, and what follows it is not.
        #[test]
        fn the_second_start_up_message_is_swallowed_to_the_byte(
            body in prop::collection::vec(any::<u8>(), 0..60), behind: Vec<u8>, cuts in prop::collection::vec(1_usize..9, 1..40),
        ) {
            let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
            let sent = [length.as_slice(), &body, &behind].concat();
            let mut unsent = Unsent::Length(Vec::new());
            let (mut rest, mut passed) = (sent.as_slice(), Vec::new());
            for cut in cuts.iter().cycle() {
                let Some(now) = rest.get(..(*cut).min(rest.len())).filter(|now| !now.is_empty()) else { break };
                let used = match unsent.take(now) {
                    0 => {
                        passed.extend_from_slice(now);
                        now.len()
                    }
                    taken => taken,
                };
                rest = rest.get(used..).unwrap_or_default();
            }
            prop_assert_eq!(passed, behind);
        }

        #[test]
        fn a_length_that_cannot_be_harms_nobody(length: u32, bytes: Vec<u8>) {
            let mut unsent = Unsent::Length(Vec::new());
            unsent.take(&length.to_be_bytes());
            prop_assert_eq!(unsent.take(&bytes), bytes.len().min((length as usize).saturating_sub(4)));
        }
    }
}
