//! list: live sessions by their fields, newest first. In place of its id each row has a handle, so nothing that opens a
//! session leaves the database.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{Reader, columns_behind_id};
use super::search::Search;
use super::{Answer, Operation};
use crate::handle;
use crate::pool::{Access, Request};
use crate::table::Table;

/// What a list is asked for.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Which sessions.
    pub search: Search,
    /// How many at most.
    pub limit: u32,
}

pub(crate) struct List {
    table: Table,
    types: Vec<u32>,
}

impl List {
    pub(crate) fn new(table: &Table) -> Self {
        Self { table: table.clone(), types: table.row_types() }
    }

    /// The statement as `reader` wants its rows. `$1` is the most rows there may be; then come those of the search.
    pub(crate) fn sql(&self, search: &Search, reader: Reader) -> String {
        format!(
            "SELECT encode({handle}, 'hex') AS handle, {columns} FROM {name} AS s WHERE {search} \
             ORDER BY s.sess_creation_date DESC, s.sess_last_updated DESC, s.sess_id LIMIT $1::bigint",
            handle = handle::sql("s.sess_id", self.table.ids),
            columns = columns_behind_id("s.", &self.table, reader),
            name = self.table.sql_name,
            search = search.sql(&self.table, 2),
        )
    }
}

/// Each call is a batch of its own: what is asked differs, and so do the answers' sizes.
impl Operation for List {
    type Call = Listing;

    fn access(&self, _: &[Listing]) -> Access {
        Access::Read
    }

    fn row_types(&self) -> &[u32] {
        &self.types
    }

    fn set(&self, calls: &[Listing]) -> Request {
        let (search, limit) = match calls {
            [call, ..] => (call.search.clone(), call.limit),
            [] => (Search::default(), 0),
        };
        let sql = self.sql(&search, Reader::Core).into();
        search.bind(self.table.ids, Request::new(&sql).with(i64::from(limit), Type::INT8))
    }

    fn read(&self, _: &[Row], calls: &[Listing]) -> Vec<Option<Answer>> {
        calls.iter().map(|_| Some(Answer::Rows)).collect()
    }

    fn may_join(&self, _: &Listing, _: &Listing) -> bool {
        false
    }
}
