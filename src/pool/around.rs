//! A statement in one transaction with others, in one round trip: BEGIN, all statements and COMMIT go down the wire
//! without waiting for each other's answers. After one that fails, PostgreSQL refuses the others, and COMMIT rolls back.

use futures_util::future::{join_all, join3};
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Statement};

use super::{Connection, Request};
use crate::connect::Client;
use crate::error::{Error, Step};

/// Each statement sees what was committed before it began: that is what locks are taken for.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// What goes before and after a statement, in its transaction.
pub(crate) struct Around {
    pub(crate) before: Vec<Request>,
    pub(crate) after: Vec<Request>,
}

impl Connection {
    /// The rows of `request`; nothing was done if this fails.
    pub(super) async fn run_around(
        &self,
        request: &Request,
        around: &Around,
        deadline: Instant,
    ) -> Result<Vec<Row>, Error> {
        let client = self.client()?;
        let begin = Instant::now();
        let deadline = deadline.min(begin + self.limits.query);
        // Whoever stops waiting leaves an open transaction behind.
        self.hold();
        match self.until(deadline, self.send_around(client, request, around)).await {
            Ok(outcome) => {
                let is_bad = |error: &Error| error.is_connection_lost() || error.is_nonsense();
                if !outcome.as_ref().is_err_and(is_bad) {
                    self.release();
                }
                outcome
            }
            Err(_) => {
                self.give_up(client);
                self.close_idle_since(begin);
                Err(Error::timeout(Step::WaitingForAnswer))
            }
        }
    }

    async fn send_around(
        &self,
        client: &Client,
        request: &Request,
        around: &Around,
    ) -> Result<Vec<Row>, Error> {
        let all: Vec<&Request> =
            around.before.iter().chain(std::iter::once(request)).chain(&around.after).collect();
        // All of them at first: to prepare one while the transaction runs would let the next overtake it.
        let mut statements = Vec::with_capacity(all.len());
        for request in &all {
            statements.push(self.prepared(client, request).await?);
        }
        let sent = all
            .iter()
            .zip(&statements)
            .map(|(request, statement)| send_prepared(client, request, statement.as_ref()));
        let all =
            join3(client.batch_execute(BEGIN), join_all(sent), client.batch_execute("COMMIT"));
        let (begun, outcomes, committed) = client.driver.send(all).await;
        begun?;
        let mut rows = Vec::new();
        for (place, outcome) in outcomes.into_iter().enumerate() {
            let answered = outcome?;
            if place == around.before.len() {
                rows = answered;
            }
        }
        committed?;
        Ok(rows)
    }

    async fn prepared(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<Option<Statement>, Error> {
        if !client.prepares {
            return Ok(None);
        }
        Ok(Some(self.prepare(client, request).await?))
    }
}

/// Sends everything when it is first polled.
async fn send_prepared(
    client: &Client,
    request: &Request,
    statement: Option<&Statement>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if let Some(statement) = statement {
        let params: Vec<&(dyn ToSql + Sync)> =
            request.params.iter().map(|(value, _)| &**value as &(dyn ToSql + Sync)).collect();
        return client.query(statement, &params).await;
    }
    let params: Vec<(&(dyn ToSql + Sync), Type)> = request
        .params
        .iter()
        .map(|(value, ty)| (&**value as &(dyn ToSql + Sync), ty.clone()))
        .collect();
    client.query_typed(&request.sql, &params).await
}
