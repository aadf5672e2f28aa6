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
