//! get: the data of a live session. Both libraries compare `expire` with the time in the connection's zone.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::keys::{are_named, places};
use super::table::Table;
use crate::operations::{Answer, Operation, Sql};
use crate::pool::{Access, Request};

pub(crate) struct Get {
    sql: Sql,
}

impl Get {
    pub(super) fn new(table: &Table) -> Self {
        let sql = format!(
            "SELECT sid::text, sess::text FROM {name} WHERE {are_named} AND expire >= now()",
            name = table.sql_name,
            are_named = are_named(table),
        );
        Self { sql: sql.into() }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}

impl Operation for Get {
    type Call = String;

    fn access(&self, _: &[String]) -> Access {
        Access::Read
    }

    fn set(&self, calls: &[String]) -> Request {
        Request::new(&self.sql).with(calls.to_vec(), Type::TEXT_ARRAY)
    }

    fn read(&self, rows: &[Row], calls: &[String]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let answer = |key: &String| match places.get(key.as_str()) {
            Some(&place) => Some(Answer::Text(place)),
            None => Some(Answer::NoSession),
        };
        calls.iter().map(answer).collect()
    }

    fn weight(&self, key: &String) -> usize {
        key.len()
    }
}
