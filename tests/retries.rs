//! What is done twice when a connection is cut, and what is not: counted on the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "here a panic is a test that fails"
)]

mod support;

use futures_util::future::join_all;
use pg_sess_rs::background::Stop;
use pg_sess_rs::error::Error;
use pg_sess_rs::options::{LIST_LIMIT, MaxSessions, Options};
use pg_sess_rs::session_id::SessionId;
use pg_sess_rs::sessions::{Condition, Listing, Search, Sessions, Wanted};
use support::place::Place;
use support::proxy::{Cut, Proxy};
use support::{ROADS, Road, create, fields, short, text};

/// Each operation, and what it does to the rows of the table: how many it inserts, changes and removes. Then the same
/// for one whose first attempt was done and whose answer was lost.
const OPERATIONS: [(&str, Work, Work); 10] = [
    ("create", [1, 0, 0], [1, 0, 0]),
    ("create within a limit", [1, 0, 1], [1, 0, 1]),
    ("validate", [0, 0, 0], [0, 0, 0]),
    ("extend", [0, 1, 0], [0, 2, 0]),
    ("update", [0, 1, 0], [0, 2, 0]),
    ("refresh", [0, 1, 0], [0, 1, 0]),
    ("destroy", [0, 0, 1], [0, 0, 1]),
    ("list", [0, 0, 0], [0, 0, 0]),
    ("destroy_all", [0, 0, 1], [0, 0, 1]),
    ("prune", [0, 0, 1], [0, 0, 1]),
];

type Work = [i64; 3];

const COUNTED: &str = "CREATE TABLE {schema}.work (what text);
    CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO {schema}.work VALUES (TG_OP); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table}
      FOR EACH ROW EXECUTE FUNCTION {schema}.note()";

struct Trial {
    place: Place,
    proxy: Proxy,
    sessions: Sessions,
    operation: &'static str,
}

impl Trial {
    async fn new(operation: &'static str, road: Road) -> Self {
        let place = Place::new().await;
        let proxy = place.proxy().await;
        let limit = MaxSessions { by: "f".to_owned(), limit: 1, index: false };
        let options = Options {
            max_connections: 1,
            prune_interval: None,
            max_sessions: (operation == "create within a limit").then_some(limit),
            ..road(short(place.options()))
        };
        let settings = proxy.instead_of(place.settings());
        let sessions = Sessions::new(settings, fields(&[("f", "TEXT")]), options).unwrap();
        sessions.set_up().await.unwrap();
        place.run(COUNTED).await;
        Self { place, proxy, sessions, operation }
    }

    /// One session, on which the operation finds something to do.
    async fn session(&self) -> SessionId {
        self.place.run("TRUNCATE {table}").await;
        let row = create(&self.sessions, "x").await;
        if self.operation == "prune" {
            self.place.age(row.id, "30 days").await;
        }
        self.place.run("TRUNCATE {schema}.work").await;
        row.id
    }

    async fn make(&self, id: SessionId) -> Result<bool, Error> {
        let condition = Condition { place: 0, wanted: Wanted::Value(text("x")) };
        let search = Search { conditions: vec![condition], ..Search::default() };
        let (given, value) = (vec![0], vec![text("x")]);
        match self.operation {
            "validate" => self.sessions.validate(id).await.map(|row| row.is_some()),
            "extend" => self.sessions.extend(id).await,
            "update" => self.sessions.update(id, given, value).await.map(|row| row.is_some()),
            "refresh" => {
                self.sessions.refresh(id).await.map(|row| row.is_some_and(|row| row.id != id))
            }
            "destroy" => self.sessions.destroy(id).await,
            "list" => {
                let listing = Listing { search, limit: LIST_LIMIT };
                self.sessions.list(listing).await.map(|rows| rows.len() == 1)
            }
            // How many were ended, or removed, is rather too few where the first attempt did it.
            "destroy_all" => {
                self.sessions.destroy_all(search, &Stop::default()).await.map(|count| count <= 1)
            }
            "prune" => self.sessions.prune(&Stop::default()).await.map(|count| count <= 1),
            _ => self.sessions.create(given, value).await.map(|_| true),
        }
    }

    /// How many statements the operation takes, and what it does.
    async fn count(&self, cut: Option<(Cut, usize)>) -> (usize, Work) {
        let id = self.session().await;
        let cuts = self.proxy.cuts();
        if let Some((cut, others)) = cut {
            self.proxy.cut_once(cut, others);
        }
        let before = self.proxy.executed();
        assert!(self.make(id).await.unwrap(), "{}", self.operation);
        assert_eq!(self.proxy.cuts(), cuts + usize::from(cut.is_some()), "{}", self.operation);
        let mut work = [0; 3];
        for (place, what) in ["INSERT", "UPDATE", "DELETE"].into_iter().enumerate() {
            let sql = format!("SELECT count(*) FROM {{schema}}.work WHERE what = '{what}'");
            work[place] = self.place.ask(&sql).await;
        }
        (self.proxy.executed() - before, work)
    }
}

/// A new connection is asked whether a pooler is on the way.
const GREETING: usize = 1;

async fn cut_everywhere(road: &str, options: Road) {
    for (operation, once, twice) in OPERATIONS {
        let trial = Trial::new(operation, options).await;
        // Statements are prepared from now on, and plans are made.
        trial.count(None).await;
        let (statements, work) = trial.count(None).await;
        assert_eq!(work, once, "{operation}, {road}");
        for others in 0..statements {
            let what = format!("{operation}, {road}, cut at statement {others} of {statements}");
            let (executed, work) = trial.count(Some((Cut::Before, others))).await;
            assert_eq!(work, once, "before: {what}");
            // What had been done of it when the connection was cut is done again.
            assert!(
                (statements..=statements + others + GREETING).contains(&executed),
                "before: {what}: {executed}"
            );

            let (executed, work) = trial.count(Some((Cut::After, others))).await;
            assert!(work == once || work == twice, "after: {what}: {work:?}");
            // Once more, and what is asked where nothing is found any more.
            assert!(
                (statements + 1..=2 * statements + 2 + GREETING).contains(&executed),
                "after: {what}: {executed}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_each_operation_is_done_once_or_twice_to_the_same_end() {
    join_all(ROADS.map(|(road, options)| cut_everywhere(road, options))).await;
}
