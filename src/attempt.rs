//! One batch's way to the server and back: the attempts, the calls that run again one by one, the statement itself.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;

use crate::error::{Error, Step};
use crate::operations::columns::have_types;
use crate::operations::{Answer, Operation, Verdict};
use crate::pool::{Connection, Pool, Request};
use crate::retry::Attempts;

/// Between two looks at a row that somebody else holds.
const PAUSE: Duration = Duration::from_millis(50);

/// Rows that came, and what they mean for each call.
pub(crate) struct Answers {
    pub(crate) rows: Vec<Row>,
    pub(crate) verdicts: Vec<Result<Verdict, Error>>,
}

impl Answers {
    fn append(&mut self, more: Self) {
        let first_row = self.rows.len();
        self.rows.extend(more.rows);
        let more = more.verdicts.into_iter();
        self.verdicts.extend(more.map(|verdict| verdict.map(|verdict| moved(verdict, first_row))));
    }
}

/// Which form of the statement is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For any number of calls; skips what somebody else holds.
    Set,
    /// For one call of a batch that had to wait; gives up soon.
    Brief,
    /// For one call whose row may stand under another id; skips what somebody else holds.
    Elsewhere,
    /// For one call; waits.
    Alone,
}

/// Runs calls of one operation.
pub(crate) struct Runner<'a, O> {
    pub(crate) operation: &'a O,
    pub(crate) pool: &'a Pool,
}

impl<O: Operation> Runner<'_, O> {
    /// The answers, whatever happens.
    pub(crate) async fn guarded(
        &self,
        calls: &[O::Call],
        form: Form,
        deadline: Instant,
    ) -> Answers {
        let answers = AssertUnwindSafe(self.answers(calls, form, deadline)).catch_unwind().await;
        match answers {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => failed(calls, &error),
            Err(_) => failed(calls, &Error::internal("a panic in the core ended this call")),
        }
    }

    /// The only loop over attempts.
    async fn answers(
        &self,
        calls: &[O::Call],
        form: Form,
        deadline: Instant,
    ) -> Result<Answers, Error> {
        let mut attempts = Attempts::new(deadline, self.pool.max_size());
        let access = self.operation.access(calls);
        loop {
            let connection = match self.pool.get(access, attempts.deadline()).await {
                Ok(connection) => connection,
                Err(error) => {
                    attempts.after_connecting(error).await?;
                    continue;
                }
            };
            match self.attempt(&connection, calls, form, &attempts).await {
                Ok(answers) => return Ok(answers),
                Err(error) => {
                    if error.is_disconnection() {
                        connection.call_off(deadline).await;
                    }
                    drop(connection);
                    attempts.after_statement(error).await?;
                }
            }
        }
    }

    async fn attempt(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        form: Form,
        attempts: &Attempts,
    ) -> Result<Answers, Error> {
        let fitting = self.operation.fitting(calls);
        if fitting == calls.len() {
            return self.part(connection, calls, form, attempts).await;
        }
        let mut answers = Answers { rows: Vec::new(), verdicts: Vec::with_capacity(calls.len()) };
        let mut rest = calls;
        while !rest.is_empty() {
            let fitting = self.operation.fitting(rest).max(1);
            let (now, later) = rest.split_at_checked(fitting).unwrap_or((rest, &[]));
            answers.append(self.part(connection, now, form, attempts).await?);
            rest = later;
        }
        Ok(answers)
    }

    /// As many calls as one statement takes.
    async fn part(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        form: Form,
        attempts: &Attempts,
    ) -> Result<Answers, Error> {
        match self.statement(connection, calls, form, attempts).await {
            Ok(answers) => Ok(answers),
            Err(error)
                if form == Form::Set
                    && calls.len() > 1
                    && error.is_lock_timeout()
                    && self.operation.may_wait() =>
            {
                self.one_by_one(connection, calls, Form::Brief, attempts).await
            }
            Err(error) if error.may_belong_to_one_call() => {
                if calls.len() > 1 {
                    self.one_by_one(connection, calls, Form::Set, attempts).await
                } else {
                    Ok(failed(calls, &error))
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the guilty call of a failed batch: each call is a statement and a transaction of its own now.
    async fn one_by_one(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        form: Form,
        attempts: &Attempts,
    ) -> Result<Answers, Error> {
        let run = |call| self.statement(connection, std::slice::from_ref(call), form, attempts);
        let mut outcomes = Vec::with_capacity(calls.len());
        if let [first, others @ ..] = calls {
            // The first one prepares the statement, the others use it.
            let outcome = run(first).await;
            if let Err(error) = &outcome
                && error.is_timeout()
            {
                // The connection is given up: what were sent on it now, nobody would cancel.
                return Err(error.clone());
            }
            outcomes.push(outcome);
            if self.operation.has_transactions() {
                // Two transactions on one connection cannot overlap.
                for call in others {
                    outcomes.push(run(call).await);
                }
            } else {
                outcomes.extend(join_all(others.iter().map(run)).await);
            }
        }
        let mut answers = Answers { rows: Vec::new(), verdicts: Vec::with_capacity(calls.len()) };
        for outcome in outcomes {
            match outcome {
                Ok(more) => answers.append(more),
                // All of them run again: what was done already is found done.
                Err(error) if error.is_connection_lost() || error.is_changed() => {
                    return Err(error);
                }
                // It waits for somebody, or is wrong: the form that waits will tell.
                Err(error) if form == Form::Brief && !error.is_timeout() => {
                    answers.verdicts.push(Ok(Verdict::Alone));
                }
                Err(error) => answers.verdicts.push(Err(error)),
            }
        }
        Ok(answers)
    }

    /// Sends the calls as one statement, and a second one if the first leaves calls open.
    async fn statement(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        form: Form,
        attempts: &Attempts,
    ) -> Result<Answers, Error> {
        #[cfg(feature = "panics")]
        crate::panics::at("statement");
        let request = match (form, calls) {
            (Form::Alone, [call]) => self.operation.alone(call),
            (Form::Brief, [call]) => self.operation.brief(call),
            (Form::Elsewhere, [call]) => self.operation.elsewhere(call),
            _ => self.operation.set(calls),
        };
        let repeated = attempts.may_have_happened();
        let deadline = attempts.deadline();
        let mut rows = self.session_rows(connection, &request, deadline).await?;
        let read = self.operation.read(&rows, calls);
        let besides = self.operation.besides(&rows);
        let open: Vec<&O::Call> = calls
            .iter()
            .zip(&read)
            .filter_map(|(call, answer)| answer.is_none().then_some(call))
            .collect();
        let mut verdicts = Vec::new();
        if !open.is_empty() {
            // The form that waits leaves nothing to ask: what it did not find is not there.
            let may_be_elsewhere = self.operation.may_wait() || self.operation.may_move();
            let waited = form == Form::Alone && !may_be_elsewhere;
            let asked = if waited { None } else { self.operation.follow_up(&open) };
            let more = match asked {
                Some(request) => self.session_rows(connection, &request, deadline).await?,
                None => Vec::new(),
            };
            verdicts = self.operation.verdicts(&more, rows.len(), &open, repeated);
            rows.extend(more);
        }
        let mut verdicts = verdicts.into_iter();
        let passes_on = |place| rows.get(place).is_some_and(|row| self.operation.passes_on(row));
        let settled = read.into_iter().map(|answer| match answer {
            Some(Answer::Row(place, _)) if passes_on(place) => Verdict::Pass,
            Some(answer) => Verdict::Answer(answer),
            None => verdicts.next().unwrap_or(Verdict::Answer(Answer::NoSession)),
        });
        let verdicts = settled.map(Ok).collect();
        // Whether it is done, and worked, is for the next one to find out, who has the same occasion.
        if let Some(request) = besides
            && connection.may_write()
        {
            let _ = run_fresh(connection, &request, deadline).await;
        }
        Ok(Answers { rows, verdicts })
    }

    /// Runs a statement whose rows may be sessions'. Those of other types than it was made for would be misread.
    async fn session_rows(
        &self,
        connection: &Connection,
        request: &Request,
        deadline: Instant,
    ) -> Result<Vec<Row>, Error> {
        let rows = run_fresh(connection, request, deadline).await?;
        if have_types(&rows, self.operation.row_types()) {
            return Ok(rows);
        }
        // If the table is as it was, the server described the statement wrongly.
        connection.forget(request);
        Err(Error::changed())
    }

    /// The answer of a call that waits for its row.
    pub(crate) async fn alone(&self, calls: &[O::Call], deadline: Instant) -> Answers {
        // The only connection that may write is not held meanwhile.
        let (forms, pause): (&[Form], _) =
            match (self.pool.max_writers(), self.operation.may_move()) {
                (1, true) => (&[Form::Set, Form::Elsewhere], PAUSE),
                (1, false) => (&[Form::Set], PAUSE),
                _ => (&[Form::Alone], Duration::ZERO),
            };
        while Instant::now() < deadline {
            for form in forms {
                let answers = self.guarded(calls, *form, deadline).await;
                if !matches!(answers.verdicts.as_slice(), [Ok(Verdict::Alone)]) {
                    return answers;
                }
            }
            sleep(pause).await;
        }
        failed(calls, &Error::timeout(Step::WaitingForAnswer))
    }
}

/// Runs a statement; where the schema changed under a prepared one, it is prepared anew.
async fn run_fresh(
    connection: &Connection,
    request: &Request,
    deadline: Instant,
) -> Result<Vec<Row>, Error> {
    match connection.run(request, deadline).await {
        Err(error) if error.is_stale_statement() => {
            connection.forget(request);
            connection.run(request, deadline).await
        }
        outcome => outcome,
    }
}

/// All of them failed.
pub(crate) fn failed<C>(calls: &[C], error: &Error) -> Answers {
    Answers { rows: Vec::new(), verdicts: calls.iter().map(|_| Err(error.clone())).collect() }
}

/// What a verdict means for the caller.
pub(crate) fn settle(verdict: Result<Verdict, Error>) -> Result<Answer, Error> {
    match verdict? {
        Verdict::Answer(answer) => Ok(answer),
        Verdict::Alone | Verdict::Pass => Err(Error::internal("a call was put off by nobody")),
    }
}

/// The same verdict when its rows stand behind others.
fn moved(verdict: Verdict, first_row: usize) -> Verdict {
    match verdict {
        Verdict::Answer(Answer::Text(place)) => Verdict::Answer(Answer::Text(place + first_row)),
        Verdict::Answer(Answer::Row(place, id)) => {
            Verdict::Answer(Answer::Row(place + first_row, id))
        }
        Verdict::Answer(Answer::NewRow(place, id)) => {
            Verdict::Answer(Answer::NewRow(place + first_row, id))
        }
        other => other,
    }
}
