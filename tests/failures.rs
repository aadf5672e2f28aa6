//! What must hold when the network or the server fails: every call settles in time, with the truth.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "here a panic is a test that fails"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use pg_sess_rs::background::Stop;
use pg_sess_rs::connect::Settings;
use pg_sess_rs::error::{Error, Kind, Step};
use pg_sess_rs::options::Options;
use pg_sess_rs::session_id::SessionId;
use pg_sess_rs::sessions::{Search, Sessions};
use support::place::Place;
use support::proxy::{Cut, Proxy};
use support::server::Server;
use support::{
    BOUND, CALLS, Call, ROADS, Road, SECOND, create, eventually, field, fields, short, sqlstate,
    text, timed,
};
use tokio::time::{Instant, sleep, timeout};

const FIELD: [(&str, &str); 1] = [("f", "TEXT")];

/// Sessions that reach the server through a network of their own.
async fn through_proxy(place: &Place, options: Options) -> (Proxy, Sessions) {
    let proxy = place.proxy().await;
    let settings = proxy.instead_of(place.settings());
    let sessions = Sessions::new(settings, fields(&FIELD), options).unwrap();
    sessions.set_up().await.unwrap();
    (proxy, sessions)
}

/// Opens all connections of the pool.
async fn warm_up(sessions: &Sessions, connections: u64) {
    let warm = async || {
        let calls = (0..40).map(|n| CALLS[n % 3 + 1].make(sessions, SessionId::random()));
        join_all(calls).await;
        sessions.stats().size >= connections
    };
    eventually("all connections are open", 5 * SECOND, warm).await;
}

/// Whether all four calls do what they do.
async fn works(sessions: &Sessions) -> bool {
    let Ok(row) = sessions.create(vec![0], vec![text("works")]).await else { return false };
    for call in [Call::Validate, Call::Extend, Call::Destroy] {
        if !matches!(call.make(sessions, row.id).await, Ok(true)) {
            return false;
        }
    }
    true
}

async fn works_within(limit: Duration, sessions: &Sessions) {
    eventually("the sessions work again", limit, async || works(sessions).await).await;
}

/// Makes all four calls again and again on live sessions of its own until told to stop; its calls must never be told
/// that a live session is none.
struct Load<'a> {
    sessions: &'a Sessions,
    stop: AtomicBool,
    calls: AtomicUsize,
    failures: std::sync::Mutex<Vec<(Error, Duration)>>,
}

impl<'a> Load<'a> {
    fn on(sessions: &'a Sessions) -> Self {
        let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { sessions, stop, calls, failures: std::sync::Mutex::default() }
    }

    /// Several callers, until `work` is done.
    async fn during<T>(&self, callers: usize, work: impl Future<Output = T>) -> T {
        let ends = async {
            let outcome = work.await;
            self.stop.store(true, Ordering::SeqCst);
            outcome
        };
        let (outcome, _) = tokio::join!(ends, join_all((0..callers).map(|_| self.call())));
        outcome
    }

    async fn call(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let Some(row) = self.settle(self.sessions.create(vec![0], vec![text("load")])).await
            else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            for call in [Call::Validate, Call::Extend, Call::Validate] {
                let done = self.settle(call.make(self.sessions, row.id)).await;
                assert_ne!(done, Some(false), "{call:?} missed a live session");
            }
            if self.settle(self.sessions.destroy(row.id)).await.is_some() {
                let found = self.settle(self.sessions.validate(row.id)).await.flatten();
                assert!(found.is_none(), "destroyed, and validated later");
            }
        }
    }

    async fn settle<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Option<T> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match timed(call).await {
            (Ok(outcome), _) => Some(outcome),
            (Err(error), took) => {
                self.failures.lock().unwrap().push((error, took));
                None
            }
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn failures(&self) -> Vec<(Error, Duration)> {
        self.failures.lock().unwrap().clone()
    }

    fn all_settled_in_time(&self) {
        for (error, took) in self.failures() {
            assert!(took < BOUND, "{took:?}: {error:?}");
        }
    }
}

// Connections that are cut

/// What is left behind by one call, made on a live session, when its connection is cut.
async fn cut_one_call(cut: Cut, call: Call, road: Road) {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, road(short(place.options()))).await;
    let row = create(&sessions, "x").await;
    warm_up(&sessions, 1).await;

    proxy.cut_once(cut, 0);
    let (outcome, took) = timed(call.make(&sessions, row.id)).await;

    assert_eq!(proxy.cuts(), 1);
    assert!(outcome.unwrap());
    assert!(took < SECOND, "{took:?}");
    let rows = place.count().await;
    match call {
        Call::Create => assert_eq!(rows, 2),
        Call::Destroy => assert_eq!(rows, 0),
        Call::Validate | Call::Extend => assert_eq!(rows, 1),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_before_the_server_saw_the_statement_is_not_noticed() {
    for (road, options) in ROADS {
        for call in CALLS {
            println!("{call:?}, {road}");
            cut_one_call(Cut::Before, call, options).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_after_the_work_and_before_the_answer_is_not_noticed() {
    for (road, options) in ROADS {
        for call in CALLS {
            println!("{call:?}, {road}");
            cut_one_call(Cut::After, call, options).await;
        }
    }
}

/// Wherever the cut falls: the first statement of the burst, its second, one of those that find the bad value…
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_that_is_cut_anywhere_is_stored_exactly_once() {
    for others in 0..12 {
        for cut in [Cut::Before, Cut::After] {
            let place = Place::new().await;
            let proxy = place.proxy().await;
            let settings = proxy.instead_of(place.settings());
            let declared = fields(&[("f", "INT UNIQUE")]);
            let sessions = Sessions::new(settings, declared, short(place.options())).unwrap();
            sessions.set_up().await.unwrap();
            warm_up(&sessions, 1).await;

            proxy.cut_once(cut, others);
            let calls = (0..10).map(|n| {
                let value = if n == 6 { "six".to_owned() } else { n.to_string() };
                sessions.create(vec![0], vec![text(value)])
            });
            let outcomes = join_all(calls).await;

            for (n, outcome) in outcomes.into_iter().enumerate() {
                match (n, outcome) {
                    (6, outcome) => assert_eq!(sqlstate(outcome), "22P02"),
                    (_, Ok(row)) => assert_eq!(field(&row), Some(n.to_string().as_str())),
                    (_, Err(error)) => panic!("{cut:?} after {others}, call {n}: {error:?}"),
                }
            }
            assert_eq!(place.count().await, 9, "{cut:?} after {others}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_destroys_that_are_cut_after_the_work_the_session_is_gone() {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, short(place.options())).await;
    let rows = join_all((0..50).map(|_| create(&sessions, "x"))).await;

    proxy.cut_once(Cut::After, 0);
    let destroyed = join_all(rows.iter().map(|row| sessions.destroy(row.id))).await;

    assert!(destroyed.into_iter().all(Result::unwrap));
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_while_it_is_made_is_not_noticed() {
    let place = Place::new().await;
    let options = Options { max_connections: 1, ..short(place.options()) };
    let (proxy, sessions) = through_proxy(&place, options).await;
    let row = create(&sessions, "x").await;

    for call in CALLS {
        place.terminate_backends().await;
        proxy.break_new(2);
        assert!(call.make(&sessions, row.id).await.unwrap(), "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_under_load_are_not_noticed() {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, short(place.options())).await;
    let load = Load::on(&sessions);

    load.during(20, async {
        for n in 0..30 {
            proxy.cut_once([Cut::Before, Cut::After][n % 2], n % 7);
            sleep(Duration::from_millis(30)).await;
        }
    })
    .await;

    assert!(load.failures().is_empty(), "{:?}", load.failures());
    assert!(proxy.cuts() > 20, "{} cuts", proxy.cuts());
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_breaks_nothing() {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, short(place.options())).await;
    proxy.delay(Duration::from_millis(120));
    let load = Load::on(&sessions);

    load.during(20, sleep(SECOND)).await;

    assert!(load.failures().is_empty(), "{:?}", load.failures());
    assert_eq!(place.count().await, 0);
}

// Silence

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_black_hole_every_call_settles_and_the_pool_recovers_by_itself() {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, short(place.options())).await;
    let row = create(&sessions, "x").await;
    warm_up(&sessions, 4).await;

    proxy.swallow();
    let begin = Instant::now();
    let calls =
        (0..27).flat_map(|tick| CALLS.map(|call| (tick, call))).map(|(tick, call)| {
            let sessions = &sessions;
            async move {
                sleep(Duration::from_millis(100 * tick)).await;
                timed(call.make(
                    sessions,
                    if call == Call::Destroy { SessionId::random() } else { row.id },
                ))
                .await
            }
        });
    let heals = async {
        sleep(Duration::from_millis(2700)).await;
        proxy.heal();
    };
    let (outcomes, ()) = tokio::join!(join_all(calls), heals);

    for (outcome, took) in outcomes {
        assert!(took < BOUND, "{took:?}");
        // Calls that came late may live to see it heal.
        if let Err(error) = outcome {
            assert!(matches!(error.kind(), Kind::Timeout(_)), "{error:?}");
        }
    }
    assert!(begin.elapsed() < Duration::from_millis(2700) + BOUND);
    works_within(5 * SECOND, &sessions).await;
    assert!(sessions.validate(row.id).await.unwrap().is_some());
}

/// All connections were idle when they died, and only one caller finds out, one call after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_is_enough_to_find_out_that_idle_connections_are_dead() {
    let place = Place::new().await;
    let options = Options { max_connections: 6, ..short(place.options()) };
    let (proxy, sessions) = through_proxy(&place, options).await;
    let row = create(&sessions, "x").await;
    warm_up(&sessions, 6).await;

    proxy.swallow();
    proxy.heal();

    let (outcome, took) = timed(sessions.validate(row.id)).await;
    assert!(outcome.is_err());
    assert!(took < BOUND, "{took:?}");
    let mut failures = 0;
    for _ in 0..10 {
        failures += usize::from(sessions.validate(row.id).await.is_err());
    }
    assert_eq!(failures, 0, "calls after the first that failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_never_speaks_is_given_up() {
    let place = Place::new().await;
    let proxy = place.proxy().await;
    let settings = proxy.instead_of(place.settings());
    let sessions = Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap();
    proxy.swallow();

    let (outcome, took) = timed(sessions.set_up()).await;

    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout(Step::Connecting)), "{error:?}");
    assert!(took < BOUND, "{took:?}");
    proxy.heal();
    sessions.set_up().await.unwrap();
    assert!(works(&sessions).await);
}

/// Waiting for a connection and making one must not add up to more than a call may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_query_timeout_does_not_make_connecting_longer() {
    let place = Place::new().await;
    let query_timeout = Duration::from_millis(200);
    let options =
        Options { query_timeout, max_connections: 2, batch: false, ..short(place.options()) };
    let (proxy, sessions) = through_proxy(&place, options).await;
    warm_up(&sessions, 2).await;
    proxy.swallow();

    let calls = (0..12).map(|n| timed(CALLS[n % 4].make(&sessions, SessionId::random())));

    for (outcome, took) in join_all(calls).await {
        assert!(outcome.is_err());
        assert!(took < SECOND + query_timeout + Duration::from_millis(600), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_first_statement_takes_too_long_leaves_nothing_behind() {
    let place = Place::new().await;
    let proxy = place.proxy().await;
    let after_connecting = Some("SELECT pg_sleep(60)".to_owned());
    let settings = Settings { after_connecting, ..proxy.instead_of(place.settings()) };
    let sessions = Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();

    let (outcome, took) = timed(sessions.set_up()).await;

    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout(Step::Connecting)), "{error:?}");
    assert!(took < BOUND, "{took:?}");
    eventually("its task has ended", SECOND, async || tasks() <= before).await;
    place.terminate_backends().await;
}

// Refusal

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_set_up_says_so_and_may_be_repeated() {
    let place = Place::new().await;
    let proxy = place.proxy().await;
    let settings = proxy.instead_of(place.settings());
    let sessions = Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap();
    proxy.go_down().await;

    let (outcome, took) = timed(sessions.set_up()).await;

    let error = outcome.unwrap_err();
    let Kind::Network(failure) = error.kind() else { panic!("{error:?}") };
    assert_eq!(failure.code, Some("ECONNREFUSED"));
    assert!(took < BOUND, "{took:?}");
    proxy.come_up().await;
    sessions.set_up().await.unwrap();
    assert!(works(&sessions).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_and_comes_back_is_used_again() {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, short(place.options())).await;
    warm_up(&sessions, 4).await;
    let load = Load::on(&sessions);

    load.during(10, async {
        sleep(Duration::from_millis(300)).await;
        proxy.go_down().await;
        sleep(Duration::from_millis(700)).await;
        proxy.come_up().await;
        works_within(5 * SECOND, &sessions).await;
        sleep(Duration::from_millis(300)).await;
    })
    .await;

    load.all_settled_in_time();
    for (error, _) in load.failures() {
        assert!(matches!(error.kind(), Kind::Network(_)), "{error:?}");
    }
}

// Backends that end

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_that_ended_while_idle_are_not_noticed() {
    for (road, options) in ROADS {
        let place = Place::new().await;
        let sessions = place.sessions_with(&FIELD, options(short(place.options()))).await;
        for _ in 0..3 {
            warm_up(&sessions, 4).await;
            place.terminate_backends().await;
            assert!(works(&sessions).await, "{road}");
            let row = create(&sessions, "x").await;
            warm_up(&sessions, 4).await;
            place.terminate_backends().await;
            let calls = (0..40).map(|n| CALLS[n % 3].make(&sessions, row.id));
            for outcome in join_all(calls).await {
                assert!(outcome.unwrap(), "{road}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_that_end_under_load_are_hardly_noticed() {
    let place = Place::new().await;
    let sessions = place.sessions_with(&FIELD, short(place.options())).await;
    let load = Load::on(&sessions);

    load.during(20, async {
        for _ in 0..6 {
            sleep(Duration::from_millis(200)).await;
            place.terminate_backends().await;
        }
        sleep(Duration::from_millis(200)).await;
    })
    .await;

    assert!(load.failures().len() <= 3, "{:?}", load.failures());
    assert!(load.failures().is_empty() || place.count().await <= 3);
    assert!(works(&sessions).await);
}

/// A crash, as PostgreSQL sees one: it restarts itself and recovers. On a server of its own.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_is_survived() {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = Place::on(server, None).await;
    // As in production: what was acknowledged is in the log.
    let settings =
        Settings { options: Some("-c synchronous_commit=on".to_owned()), ..place.settings() };
    let sessions = Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap();
    sessions.set_up().await.unwrap();
    let kept = create(&sessions, "kept").await;
    let load = Load::on(&sessions);

    load.during(10, async {
        sleep(Duration::from_millis(300)).await;
        let victim = place.connect().await;
        let crash = "DO $$ BEGIN EXECUTE format('COPY (SELECT 1) TO PROGRAM ''kill -9 %s''', pg_backend_pid()); END $$";
        assert!(victim.batch_execute(crash).await.is_err());
        works_within(8 * SECOND, &sessions).await;
    })
    .await;

    load.all_settled_in_time();
    assert!(sessions.validate(kept.id).await.unwrap().is_some());
}

// Locks

async fn lock_table(place: &Place) -> tokio_postgres::Client {
    let holder = place.connect().await;
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {}", place.table())).await.unwrap();
    holder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_is_given_up_in_time_and_nothing_is_left_running() {
    join_all(ROADS.map(|(road, options)| async move {
        let place = Place::new().await;
        let sessions = place.sessions_with(&FIELD, options(short(place.options()))).await;
        let row = create(&sessions, "x").await;
        let holder = lock_table(&place).await;

        let calls = (0..40).map(|n| timed(CALLS[n % 4].make(&sessions, row.id)));
        for (outcome, took) in join_all(calls).await {
            let error = outcome.unwrap_err();
            assert!(matches!(error.kind(), Kind::Timeout(_)), "{road}: {error:?}");
            assert!(took < BOUND, "{road}: {took:?}");
        }

        place.no_backends("state = 'active'", SECOND).await;
        holder.batch_execute("COMMIT").await.unwrap();
        works_within(2 * SECOND, &sessions).await;
        assert!(sessions.validate(row.id).await.unwrap().is_some(), "{road}");
        assert_eq!(place.count().await, 1, "{road}: what was given up was not done");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_with_a_bad_value_on_a_locked_table_leaves_nothing_running() {
    let place = Place::new().await;
    let declared = [("f", "INT")];
    let sessions = place.sessions_with(&declared, short(place.options())).await;
    // The burst fails at once for its bad value; its calls then meet the lock, one by one.
    place
        .run(
            "CREATE FUNCTION {schema}.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF new.f <> 0 THEN PERFORM pg_advisory_xact_lock(hashtext('{schema}')); END IF; RETURN new;
             END $$;
             CREATE TRIGGER wait BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.wait()",
        )
        .await;
    place.run("SELECT pg_advisory_lock(hashtext('{schema}'))").await;

    for values in [["zero", "1", "2", "3", "4", "5"], ["1", "2", "3", "4", "5", "zero"]] {
        let calls = values.map(|value| timed(sessions.create(vec![0], vec![text(value)])));
        for (outcome, took) in join_all(calls).await {
            assert!(outcome.is_err());
            assert!(took < BOUND, "{took:?}");
        }
        place.no_backends("state = 'active'", SECOND).await;
    }
    place.run("SELECT pg_advisory_unlock(hashtext('{schema}'))").await;
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_of_the_role_comes_first() {
    let place = Place::new().await;
    let setup = place.sessions(&FIELD).await;
    let row = create(&setup, "x").await;
    for (setting, code) in [("statement_timeout", "57014"), ("lock_timeout", "55P03")] {
        let options = Some(format!("-c {setting}=400"));
        let settings = Settings { options, ..place.settings() };
        let sessions = Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap();
        sessions.set_up().await.unwrap();
        let holder = lock_table(&place).await;

        let calls = CALLS.map(|call| timed(call.make(&sessions, row.id)));
        for (outcome, took) in join_all(calls).await {
            assert_eq!(sqlstate(outcome), code);
            assert!((300..900).contains(&took.as_millis()), "{took:?}");
        }
        holder.batch_execute("COMMIT").await.unwrap();
        assert!(works(&sessions).await);
    }
}

// Changes of the schema

/// What administrators do to a table that is in use.
const CHANGES: [&str; 9] = [
    "ALTER TABLE {table} ADD COLUMN extra int",
    "ALTER TABLE {table} ALTER COLUMN f TYPE varchar(100)",
    "CREATE INDEX extra ON {table} (f)",
    "ANALYZE {table}",
    "ALTER TABLE {table} DROP COLUMN extra",
    "ALTER TABLE {table} ALTER COLUMN f TYPE text",
    "ALTER TABLE {table} ALTER COLUMN sess_expiration TYPE timestamp(3)",
    "DROP INDEX {schema}.extra",
    "ALTER TABLE {table} ALTER COLUMN sess_expiration TYPE timestamp",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_table_under_load_are_not_noticed() {
    for (road, options) in ROADS {
        let place = Place::new().await;
        let sessions = place.sessions_with(&FIELD, options(short(place.options()))).await;
        let load = Load::on(&sessions);

        load.during(20, async {
            for change in CHANGES.iter().cycle().take(2 * CHANGES.len()) {
                place.run(change).await;
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;

        assert!(load.failures().is_empty(), "{road}: {:?}", load.failures());
        assert!(load.calls() > 100, "{road}: {} calls", load.calls());
        assert_eq!(place.count().await, 0);
    }
}

/// A row shows what stands in the table, never something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_changes_its_type_is_never_misread() {
    let changes = [
        ("INT", "1", "numeric", "1"),
        ("INT", "1", "text", "1"),
        ("INT", "1", "double precision", "1"),
        ("TEXT", "2024-02-29", "date USING f::date", "2024-02-29"),
        ("TEXT", "{1,2}", "int[] USING f::int[]", "{1,2}"),
        ("JSONB", "{\"a\": 1}", "json", "{\"a\": 1}"),
        ("NUMERIC", "1", "int", "1"),
    ];
    for (before, value, after, expected) in changes {
        let place = Place::new().await;
        let sessions = place.sessions(&[("f", before)]).await;
        let row = create(&sessions, value).await;

        place.run(&format!("ALTER TABLE {{table}} ALTER COLUMN f TYPE {after}")).await;

        let found = sessions.validate(row.id).await.unwrap().unwrap();
        assert_eq!(field(&found), Some(expected), "{before} to {after}");
        let calls = (0..5).map(|_| sessions.create(vec![0], vec![text(value)]));
        for row in join_all(calls).await.iter().flatten() {
            assert_eq!(field(row), Some(expected), "{before} to {after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_is_named_and_works_again_when_it_is_back() {
    for (_, options) in ROADS {
        let place = Place::new().await;
        let sessions = place.sessions_with(&FIELD, options(short(place.options()))).await;
        let row = create(&sessions, "x").await;
        warm_up(&sessions, 4).await;
        place.run("ALTER TABLE {table} RENAME TO away").await;

        for call in CALLS {
            for outcome in join_all((0..10).map(|_| call.make(&sessions, row.id))).await {
                let error = outcome.unwrap_err();
                assert!(error.to_string().contains("sess"), "{error}");
                assert_eq!(error.sqlstate(), Some("42P01"), "{call:?}");
            }
        }

        place.run("ALTER TABLE {schema}.away RENAME TO sess").await;
        assert!(works(&sessions).await);
        place.run("DROP TABLE {table}").await;
        assert_eq!(sqlstate(sessions.validate(row.id).await), "42P01");
        sessions.set_up().await.unwrap();
        assert!(works(&sessions).await);
    }
}

// Servers that will not

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_free_slot_the_servers_error_is_given_until_there_is_one() {
    let place = Place::new().await;
    let settings = place.settings_of_role("CONNECTION LIMIT 1").await;
    let role = settings.user.clone();
    place.run(&format!("GRANT CREATE ON SCHEMA {{schema}} TO {role}")).await;
    let (taker, sessions) = (
        Sessions::new(settings.clone(), fields(&FIELD), short(place.options())).unwrap(),
        Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap(),
    );
    taker.set_up().await.unwrap();

    let (outcome, took) = timed(sessions.set_up()).await;
    assert_eq!(sqlstate(outcome), "53300");
    assert!(took < BOUND, "{took:?}");

    taker.close().await;
    place.no_backends("true", SECOND).await;
    sessions.set_up().await.unwrap();
    assert!(works(&sessions).await);

    // Now its only connection ends, and somebody else takes the slot.
    place.run(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
    place.terminate_backends().await;
    let calls = CALLS.map(|call| timed(call.make(&sessions, SessionId::random())));
    for (outcome, took) in join_all(calls).await {
        assert_eq!(sqlstate(outcome), "53300");
        assert!(took < BOUND, "{took:?}");
    }
    place.run(&format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
    works_within(5 * SECOND, &sessions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_larger_than_the_servers_slots_hardly_notices() {
    let place = Place::new().await;
    let settings = place.settings_of_role("CONNECTION LIMIT 2").await;
    place.run(&format!("GRANT CREATE ON SCHEMA {{schema}} TO {}", settings.user)).await;
    let options = Options { max_connections: 6, ..short(place.options()) };
    let sessions = Sessions::new(settings, fields(&FIELD), options).unwrap();
    sessions.set_up().await.unwrap();
    let load = Load::on(&sessions);

    load.during(40, sleep(2 * SECOND)).await;

    let (calls, failures) = (load.calls(), load.failures());
    assert!(calls > 200, "{calls} calls");
    assert!(failures.len() * 50 < calls, "{} of {calls}: {:?}", failures.len(), failures.first());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_role_may_validate_and_its_connections_are_not_kept() {
    let place = Place::new().await;
    let settings = place.settings_of_role("").await;
    let role = settings.user.clone();
    place.run(&format!("GRANT CREATE ON SCHEMA {{schema}} TO {role}")).await;
    let sessions = Sessions::new(settings, fields(&FIELD), short(place.options())).unwrap();
    sessions.set_up().await.unwrap();
    let row = create(&sessions, "x").await;
    place.run(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await;
    place.terminate_backends().await;

    for _ in 0..3 {
        assert!(sessions.validate(row.id).await.unwrap().is_some());
        for call in [Call::Create, Call::Extend, Call::Destroy] {
            let (outcome, took) = timed(call.make(&sessions, row.id)).await;
            assert_eq!(sqlstate(outcome), "25006", "{call:?}");
            assert!(took < BOUND, "{took:?}");
        }
    }

    place.run(&format!("ALTER ROLE {role} RESET default_transaction_read_only")).await;
    works_within(5 * SECOND, &sessions).await;
    assert!(sessions.extend(row.id).await.unwrap());
}

/// Serializable transactions conflict where others do not; that is our business, not the caller's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_any_isolation_calls_for_one_session_do_not_fail() {
    for level in ["repeatable\\ read", "serializable"] {
        let place = Place::new().await;
        let options = Some(format!("-c default_transaction_isolation={level}"));
        let settings = Settings { options, ..place.settings() };
        let pair = [(); 2]
            .map(|()| Sessions::new(settings.clone(), fields(&FIELD), place.options()).unwrap());
        for sessions in &pair {
            sessions.set_up().await.unwrap();
        }
        let row = create(&pair[0], "x").await;

        for _ in 0..5 {
            let calls = (0..100).map(|n| pair[n % 2].extend(row.id));
            for extended in join_all(calls).await {
                assert!(extended.unwrap(), "{level}");
            }
        }
        let destroyed = join_all((0..10).map(|n| pair[n % 2].destroy(row.id))).await;
        assert_eq!(destroyed.into_iter().filter(|found| *found.as_ref().unwrap()).count(), 1);
    }
}

// The end

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_waits_for_what_is_under_way_and_leaves_no_backend() {
    let place = Place::new().await;
    let sessions = place.sessions_with(&FIELD, short(place.options())).await;
    let row = create(&sessions, "x").await;

    let calls = join_all((0..300).map(|n| CALLS[n % 3].make(&sessions, row.id)));
    let close = async {
        tokio::task::yield_now().await;
        sessions.close().await;
        sessions.stats()
    };
    let (outcomes, stats) = tokio::join!(calls, close);

    assert!(outcomes.into_iter().all(Result::unwrap));
    assert_eq!((stats.size, stats.waiting), (0, 0));
    place.no_backends("true", 2 * SECOND).await;
    for call in CALLS {
        let error = call.make(&sessions, row.id).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Closed), "{error:?}");
    }
    assert!(matches!(sessions.set_up().await.unwrap_err().kind(), Kind::Closed));
    sessions.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_ends_also_where_the_server_is_silent() {
    let place = Place::new().await;
    let (proxy, sessions) = through_proxy(&place, short(place.options())).await;
    warm_up(&sessions, 4).await;
    proxy.swallow();

    let calls = join_all((0..100).map(|n| CALLS[n % 4].make(&sessions, SessionId::random())));
    let close = async {
        tokio::task::yield_now().await;
        timed(sessions.close()).await
    };
    let (outcomes, ((), took)) = tokio::join!(calls, close);

    assert!(outcomes.into_iter().all(|outcome| outcome.is_err()));
    assert!(took < BOUND, "{took:?}");
    drop(proxy);
    place.no_backends("true", 2 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_waits_for_a_set_up_too() {
    let place = Place::new().await;
    let sessions = place.prepare(&FIELD, place.options());

    let set_up = sessions.set_up();
    let close = async {
        sleep(Duration::from_millis(5)).await;
        sessions.close().await;
        place.backends("state = 'active' OR xact_start IS NOT NULL").await
    };
    let (_, busy) = tokio::join!(set_up, close);

    assert_eq!(busy, 0);
    place.no_backends("true", SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_dropped_close_their_connections() {
    let place = Place::new().await;
    let sessions = place.sessions(&FIELD).await;
    warm_up(&sessions, 4).await;
    assert!(place.backends("true").await >= 4);

    drop(sessions);

    place.no_backends("true", 2 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_and_closing_again_and_again_leaves_nothing() {
    let place = Place::new().await;
    for _ in 0..20 {
        let sessions = place.sessions(&FIELD).await;
        assert!(works(&sessions).await);
        sessions.close().await;
    }
    place.no_backends("true", 2 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_lose_interest_take_nothing_with_them() {
    let place = Place::new().await;
    let sessions = place.sessions_with(&FIELD, short(place.options())).await;
    let row = create(&sessions, "x").await;

    for n in 0..200 {
        let call = CALLS[n % 3].make(&sessions, row.id);
        let patience = Duration::from_micros(u64::try_from(n * 10).unwrap());
        let _ = tokio::time::timeout(patience, call).await;
    }

    assert!(sessions.validate(row.id).await.unwrap().is_some());
    let (_, took) = timed(sessions.close()).await;
    assert!(took < SECOND, "{took:?}");
    place.no_backends("true", 2 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_that_is_dropped_gives_no_busy_connection_back() {
    let place = Place::new().await;
    let options = Options { max_connections: 1, hash_ids: true, ..place.options() };
    let sessions = place.sessions_with(&FIELD, options).await;
    let row = create(&sessions, "x").await;
    let patience = Duration::from_millis(300);
    let stop = Stop::default();

    for name in ["destroy_all", "prune", "figures", "hash_plain_ids"] {
        let holder = lock_table(&place).await;
        let is_given_up = match name {
            "destroy_all" => {
                timeout(patience, sessions.destroy_all(Search::default(), &stop)).await.is_err()
            }
            "prune" => timeout(patience, sessions.prune(&stop)).await.is_err(),
            "figures" => timeout(patience, sessions.figures()).await.is_err(),
            _ => timeout(patience, sessions.hash_plain_ids()).await.is_err(),
        };

        assert!(is_given_up, "{name}");
        assert_eq!(sessions.stats().idle, 0, "{name}");
        // The server was told, too: it does nothing that nobody waits for.
        place.no_backends("state = 'active'", 5 * SECOND).await;
        drop(holder);
        assert!(sessions.validate(row.id).await.unwrap().is_some(), "{name}");
    }
}
