//! What is at the other end of a new connection: a server or a pooler, and whether it takes writes.

use tokio::io::AsyncReadExt;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{CancelToken, NoTls};

use super::Client;
use crate::error::Error;

/// Where the number of the connection stands in a request to cancel.
///
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST>
const NUMBER: std::ops::Range<usize> = 8..12;
const REQUEST: usize = 16;

/// Whether the connection leads straight to a server.
///
/// A server calls the connection by its process's number. A pooler must have numbers of its own, since it passes one
/// connection on to many processes. Who gives no number, or knows no such function, counts as a pooler. Fails if the
/// connection is ended instead: a pooler lets callers in before it knows whether it has a server for them.
pub(super) async fn is_server(client: &Client) -> Result<bool, Error> {
    let rows = match client.query_typed("SELECT pg_backend_pid()", &[]).await {
        Ok(rows) => rows,
        Err(error) if error.as_db_error().is_some_and(|said| !is_last_word(said)) => {
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    let process = rows.first().and_then(|row| row.try_get::<_, i32>(0).ok());
    Ok(process.is_some() && process == number(client.cancel_token()).await)
}

/// Whoever says it ends the connection with it.
fn is_last_word(said: &DbError) -> bool {
    matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        || matches!(said.severity(), "FATAL" | "PANIC")
}

/// The number by which a request to cancel would name the connection. The token shows it to nobody else.
async fn number(token: CancelToken) -> Option<i32> {
    let (near, mut far) = tokio::io::duplex(REQUEST);
    token.cancel_query_raw(near, NoTls).await.ok()?;
    let mut request = Vec::with_capacity(REQUEST);
    far.read_to_end(&mut request).await.ok()?;
    Some(i32::from_be_bytes(request.get(NUMBER)?.try_into().ok()?))
}

/// Fails if the server takes no writes.
pub(super) async fn takes_writes(client: &Client) -> Result<(), Error> {
    let rows =
        client.query_typed("SELECT current_setting('transaction_read_only') = 'off'", &[]).await?;
    match rows.first().map(|row| row.try_get(0)).transpose()? {
        Some(true) => Ok(()),
        _ => Err(Error::read_only("the server takes no writes")),
    }
}
