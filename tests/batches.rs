//! Calls that travel together: what they share, and what they must not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "here a panic is a test that fails"
)]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use pg_sess_rs::error::{Error, Kind};
use pg_sess_rs::options::Options;
use pg_sess_rs::session_id::SessionId;
use pg_sess_rs::sessions::{FieldValue, SessionRow, Sessions};
use support::place::Place;
use support::{
    BOUND, CALLS, Call, SECOND, create, eventually, field, id_text, short, sqlstate, text, timed,
};
use tokio::time::Instant;

type Created = Result<SessionRow, Error>;

/// Creates a session for each of the values of the only field.
async fn create_all(
    sessions: &Sessions,
    values: impl IntoIterator<Item = FieldValue>,
) -> Vec<Created> {
    join_all(values.into_iter().map(|value| sessions.create(vec![0], vec![value]))).await
}

async fn live(sessions: &Sessions, count: usize) -> Vec<SessionId> {
    let created = create_all(sessions, (0..count).map(|_| text("x"))).await;
    created.into_iter().map(|row| row.unwrap().id).collect()
}

/// Has the rows of these sessions locked until the transaction of the answer ends.
async fn lock_rows(place: &Place, ids: &[SessionId]) -> tokio_postgres::Client {
    let list: Vec<String> = ids.iter().map(|id| format!("'{}'", id_text(*id))).collect();
    let holder = place.connect().await;
    let sql = format!(
        "BEGIN; SELECT 1 FROM {} WHERE sess_id IN ({}) FOR UPDATE",
        place.table(),
        list.join(", ")
    );
    holder.batch_execute(&sql).await.unwrap();
    holder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_travel_in_few_batches() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let ids = live(&sessions, 1000).await;
    let after_create = sessions.stats();
    assert_eq!(after_create.calls, 1000);
    assert!(after_create.batches <= 20, "{after_create:?}");

    join_all(ids.iter().map(|id| sessions.validate(*id))).await;
    join_all(ids.iter().map(|id| sessions.extend(*id))).await;
    join_all(ids.iter().map(|id| sessions.destroy(*id))).await;

    let stats = sessions.stats();
    assert_eq!((stats.calls, stats.errors, stats.waiting), (4000, 0, 0));
    assert!(stats.batches <= 80, "{stats:?}");
    assert!(stats.size <= 4, "{stats:?}");
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_call_waits_for_nothing() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let id = create(&sessions, "x").await.id;
    sessions.validate(id).await.unwrap();

    let (_, took) = timed(async {
        for _ in 0..100 {
            sessions.validate(id).await.unwrap();
        }
    })
    .await;

    assert!(took < SECOND, "{took:?} for 100 calls in turn");
    assert_eq!(sessions.stats().batches, 102);
}

/// Datatype, a bad value and a good one, and the SQLSTATE of the bad one.
fn bad_values() -> Vec<(&'static str, FieldValue, &'static str, &'static str)> {
    // Too large for an index, and too random to be compressed.
    let long: String = (0..500).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    vec![
        ("INT", text("seven"), "7", "22P02"),
        ("INT", text("2147483648"), "7", "22003"),
        ("INT", FieldValue::Bytes(vec![1, 2, 3]), "7", "08P01"),
        ("INT", FieldValue::Bytes(vec![1, 2, 3, 4, 5]), "7", "22P03"),
        ("VARCHAR(3)", text("abcd"), "abc", "22001"),
        ("INT CHECK (f > 0)", text("-1"), "1", "23514"),
        ("INT NOT NULL", FieldValue::Null, "1", "23502"),
        ("TEXT", text("a\0b"), "ab", "22021"),
        ("JSONB", text("{"), "{}", "22P02"),
        ("JSONB", text("\"\\u0000\""), "{}", "22P05"),
        ("DATE", text("2023-02-29"), "2024-02-29", "22008"),
        ("JSONPATH", text("$["), "$", "42601"),
        ("REGCLASS", text("no_such_table"), "pg_class", "42P01"),
        ("REGTYPE", text("no_such_type"), "int", "42704"),
        ("REGNAMESPACE", text("no_such_schema"), "public", "3F000"),
        ("TEXT UNIQUE", text(long), "short", "54000"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_value_fails_only_its_own_call() {
    for (datatype, bad, good, code) in bad_values() {
        let place = Place::new().await;
        let sessions = place.sessions(&[("f", datatype)]).await;
        let is_bad = |n: usize| [3, 77, 199].contains(&n);
        let unique =
            |n: usize| if datatype.contains("UNIQUE") { n.to_string() } else { String::new() };
        let values = (0..200).map(|n| match is_bad(n) {
            true => bad.clone(),
            false => text(format!("{good}{}", unique(n))),
        });

        let outcomes = create_all(&sessions, values).await;

        for (n, outcome) in outcomes.into_iter().enumerate() {
            match (is_bad(n), outcome) {
                (true, outcome) => assert_eq!(sqlstate(outcome), code, "{datatype}"),
                (false, Ok(row)) => assert!(field(&row).is_some()),
                (false, Err(error)) => panic!("{datatype}: {error:?}"),
            }
        }
        assert_eq!(place.count().await, 197, "{datatype}");
        assert_eq!(sessions.stats().errors, 3, "{datatype}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_values_of_a_unique_field_one_is_stored() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "INT UNIQUE")]).await;

    let outcomes = create_all(&sessions, (0..200).map(|n| text((n % 50).to_string()))).await;

    let (stored, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((stored.len(), refused.len()), (50, 150));
    for outcome in refused {
        let error = outcome.unwrap_err();
        let failure = error.database().unwrap();
        assert_eq!(failure.code, "23505");
        assert_eq!(failure.constraint.as_deref(), Some("sess_f_key"));
    }
    assert_eq!(place.count().await, 50);
}

/// Exceptions may carry any code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_of_a_trigger_fails_only_its_own_call() {
    for code in ["P0001", "ZX001", "42501", "54000", "0A000", "XX000"] {
        let place = Place::new().await;
        let sessions = place.sessions(&[("f", "TEXT")]).await;
        place
            .run(&format!(
                "CREATE FUNCTION {{schema}}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   IF new.f = 'bad' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END IF; RETURN new;
                 END $$;
                 CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {{table}} FOR EACH ROW
                   EXECUTE FUNCTION {{schema}}.refuse()"
            ))
            .await;

        let values = (0..100).map(|n| text(if n == 50 { "bad" } else { "good" }));
        let outcomes = create_all(&sessions, values).await;

        let mut ids = Vec::new();
        for (n, outcome) in outcomes.into_iter().enumerate() {
            match (n, outcome) {
                (50, outcome) => assert_eq!(sqlstate(outcome), code),
                (_, Ok(row)) => ids.push(row.id),
                (_, Err(error)) => panic!("{code}: {error:?}"),
            }
        }
        assert_eq!(place.count().await, 99);
        place.run("ALTER TABLE {table} DISABLE TRIGGER refuse").await;
        place
            .run(&format!("UPDATE {{table}} SET f = 'bad' WHERE sess_id = '{}'", id_text(ids[7])))
            .await;
        place.run("ALTER TABLE {table} ENABLE TRIGGER refuse").await;
        let extended = join_all(ids.iter().map(|id| sessions.extend(*id))).await;
        for (n, outcome) in extended.into_iter().enumerate() {
            match (n, outcome) {
                (7, outcome) => assert_eq!(sqlstate(outcome), code),
                (_, outcome) => assert!(outcome.unwrap(), "{code}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_burst_may_give_different_fields() {
    let declared = [("a", "TEXT DEFAULT 'da'"), ("b", "INT DEFAULT 1"), ("c", "TEXT")];
    let place = Place::new().await;
    let sessions = place.sessions(&declared).await;
    let given = |n: usize| -> Vec<u16> { (0..3).filter(|bit| n & (1 << bit) != 0).collect() };

    let calls = (0..400).map(|n| {
        let given = given(n % 8);
        let values = given.iter().map(|_| text(n.to_string())).collect();
        sessions.create(given, values)
    });

    for (n, outcome) in join_all(calls).await.into_iter().enumerate() {
        let row = outcome.unwrap();
        let defaults = [Some("da".to_owned()), Some("1".to_owned()), None];
        let expected = (0..).zip(defaults).map(|(place, default)| {
            if given(n % 8).contains(&place) { Some(n.to_string()) } else { default }
        });
        assert_eq!(row.fields, expected.collect::<Vec<_>>());
    }
    assert_eq!(place.count().await, 400);
}

/// A caller that wants something from nearly each session must not make each statement ever known stay prepared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sets_of_given_fields_do_not_pile_up_on_the_server() {
    let names: Vec<String> = (0..9).map(|n| format!("f{n}")).collect();
    let declared: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "INT")).collect();
    let place = Place::new().await;
    let options = Options { max_connections: 1, ..place.options() };
    let sessions = place.sessions_with(&declared, options).await;
    // Says how many statements its own connection has.
    place
        .run(
            "CREATE FUNCTION {schema}.count_statements() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               new.f0 := (SELECT count(*) FROM pg_prepared_statements); RETURN new;
             END $$;
             CREATE TRIGGER count BEFORE INSERT ON {table} FOR EACH ROW
               EXECUTE FUNCTION {schema}.count_statements()",
        )
        .await;

    let mut most = 0;
    for n in 0..512_usize {
        let given: Vec<u16> = (0..9).filter(|bit| n & (1 << bit) != 0).collect();
        let values = given.iter().map(|_| text("1")).collect();
        let row = sessions.create(given, values).await.unwrap();
        most = most.max(field(&row).unwrap().parse().unwrap());
    }

    assert!(most <= 300, "{most} statements on one connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_cannot_share_a_statement_are_all_answered() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("n", "INT")]).await;
    let number = |n: i32| FieldValue::Bytes(n.to_be_bytes().to_vec());

    let outcomes = create_all(&sessions, (0..2000).map(number)).await;

    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(field(&outcome.unwrap()), Some(n.to_string().as_str()));
    }
    assert_eq!(place.count().await, 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_travel_too() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let sizes = [5 << 20, 1, 1 << 20, 10, (1 << 20) - 1, 0, 3 << 20];

    let values = sizes.iter().cycle().take(28).map(|size| text("ä".repeat(size / 2)));
    let outcomes = create_all(&sessions, values).await;

    for (outcome, size) in outcomes.into_iter().zip(sizes.iter().cycle()) {
        let row = outcome.unwrap();
        assert_eq!(field(&row).unwrap().len(), size / 2 * 2);
        let found = sessions.validate(row.id).await.unwrap().unwrap();
        assert_eq!(found.fields, row.fields);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_holds_does_not_hold_its_neighbours() {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], short(place.options())).await;
    let ids = live(&sessions, 60).await;
    let held = ids[30];
    let holder = lock_rows(&place, &[held]).await;

    let all = async |call: Call| {
        join_all(ids.iter().map(async |id| (*id, timed(call.make(&sessions, *id)).await))).await
    };
    let (extended, validated, created) =
        tokio::join!(all(Call::Extend), all(Call::Validate), all(Call::Create));
    let destroyed = all(Call::Destroy).await;

    for (id, (outcome, took)) in validated.into_iter().chain(created) {
        assert!(outcome.unwrap(), "{id:?}");
        assert!(took < SECOND, "{took:?}");
    }
    for (id, (outcome, took)) in extended.into_iter().chain(destroyed) {
        if id == held {
            let error = outcome.unwrap_err();
            assert!(matches!(error.kind(), Kind::Timeout(_)), "{error:?}");
            assert!(took < BOUND, "{took:?}");
        } else {
            assert!(outcome.unwrap());
            assert!(took < SECOND, "{took:?}");
        }
    }
    place.no_backends("wait_event_type = 'Lock'", SECOND).await;
    holder.batch_execute("COMMIT").await.unwrap();
    assert!(sessions.extend(held).await.unwrap());
    assert!(sessions.destroy(held).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_held_rows_leave_connections_for_the_others() {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], short(place.options())).await;
    let ids = live(&sessions, 100).await;
    let (held, free) = ids.split_at(40);
    let _holder = lock_rows(&place, held).await;

    let waiting = join_all(held.iter().map(|id| timed(sessions.extend(*id))));
    let neighbours = async {
        let mut slowest = Duration::ZERO;
        for id in free {
            for call in [Call::Create, Call::Validate, Call::Extend, Call::Destroy] {
                let (outcome, took) = timed(call.make(&sessions, *id)).await;
                assert!(outcome.unwrap(), "{call:?}");
                slowest = slowest.max(took);
            }
        }
        slowest
    };
    let (waiting, slowest) = tokio::join!(waiting, neighbours);

    assert!(slowest < SECOND, "{slowest:?}");
    for (outcome, took) in waiting {
        assert!(outcome.is_err());
        assert!(took < BOUND, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_connection_that_may_write_is_not_lost_to_a_held_row() {
    for max_connections in [1, 2] {
        neighbours_of_a_held_row(max_connections).await;
    }
}

async fn neighbours_of_a_held_row(max_connections: usize) {
    let place = Place::new().await;
    let options = Options { max_connections, ..short(place.options()) };
    let sessions = place.sessions_with(&[("f", "TEXT")], options).await;
    let ids = live(&sessions, 10).await;
    let (held, free) = ids.split_first().unwrap();
    let _holder = lock_rows(&place, &[*held]).await;

    let waiting = [Call::Extend, Call::Destroy].map(|call| timed(call.make(&sessions, *held)));
    let neighbours = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for id in free {
            for call in [Call::Validate, Call::Extend, Call::Destroy] {
                let (outcome, took) = timed(call.make(&sessions, *id)).await;
                assert!(outcome.unwrap());
                assert!(took < SECOND / 2, "{took:?}");
            }
        }
    };
    let (waiting, ()) = tokio::join!(join_all(waiting), neighbours);

    for (outcome, took) in waiting {
        assert!(outcome.is_err());
        assert!(took < BOUND, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waited_for_its_row_does_its_work() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let ids = live(&sessions, 10).await;
    let holder = lock_rows(&place, &ids).await;
    let before: Vec<_> = join_all(ids.iter().map(|id| sessions.validate(*id))).await;

    let extended = join_all(ids.iter().map(|id| sessions.extend(*id)));
    let release = async {
        let waiting = async || place.backends("wait_event_type = 'Lock'").await > 0;
        eventually("somebody waits", SECOND, waiting).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (extended, ()) = tokio::join!(extended, release);

    assert!(extended.into_iter().all(Result::unwrap));
    for row in before {
        let row = row.unwrap().unwrap();
        let now = sessions.validate(row.id).await.unwrap().unwrap();
        assert!(now.expiration > row.expiration);
    }

    let holder = lock_rows(&place, &ids).await;
    let twice = ids.iter().chain(&ids);
    let destroyed = join_all(twice.map(|id| sessions.destroy(*id)));
    let release = async {
        let waiting = async || place.backends("wait_event_type = 'Lock'").await > 0;
        eventually("somebody waits", SECOND, waiting).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (destroyed, ()) = tokio::join!(destroyed, release);
    let found = destroyed.into_iter().filter(|found| *found.as_ref().unwrap());
    assert_eq!(found.count(), 10);
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_while_its_row_was_held_is_not_revived() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let id = live(&sessions, 1).await[0];
    let holder = lock_rows(&place, &[id]).await;

    let release = async {
        let waiting = async || place.backends("wait_event_type = 'Lock'").await > 0;
        eventually("it waits", SECOND, waiting).await;
        let expire = format!(
            "UPDATE {} SET sess_expiration = (clock_timestamp() AT TIME ZONE 'UTC'); COMMIT",
            place.table()
        );
        holder.batch_execute(&expire).await.unwrap();
    };
    let (extended, ()) = tokio::join!(sessions.extend(id), release);

    assert!(!extended.unwrap());
    assert!(sessions.validate(id).await.unwrap().is_none());
}

/// An application may refer to its users; a user who is being deleted elsewhere is the trouble of that user's log-ins.
async fn creates_that_wait_for_somebody(waiting: usize) {
    let place = Place::new().await;
    place.run("CREATE TABLE {schema}.users (id int PRIMARY KEY)").await;
    place.run("INSERT INTO {schema}.users SELECT generate_series(0, 99)").await;
    let datatype = format!("INT REFERENCES {}.users (id)", place.name);
    let sessions = place.sessions_with(&[("f", &datatype)], short(place.options())).await;
    let holder = place.connect().await;
    let delete = format!("BEGIN; DELETE FROM {}.users WHERE id = 50", place.name);
    holder.batch_execute(&delete).await.unwrap();
    let waits = |n: usize| n % 10 == 5 && n / 10 < waiting;

    let user = |n: usize| if waits(n) { 50 } else { n % 50 };
    let calls = (0..100).map(|n| timed(sessions.create(vec![0], vec![text(user(n).to_string())])));
    for (n, (outcome, took)) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(outcome.is_err(), waits(n), "{n} after {took:?}: {outcome:?}");
        assert!(took < if waits(n) { BOUND } else { SECOND }, "{n}: {took:?}");
    }
    assert_eq!(usize::try_from(place.count().await).unwrap(), 100 - waiting);

    holder.batch_execute("ROLLBACK").await.unwrap();
    create(&sessions, "50").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_waits_for_somebody_does_not_hold_its_neighbours() {
    creates_that_wait_for_somebody(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_creates_that_wait_for_somebody_do_not_hold_their_neighbours() {
    creates_that_wait_for_somebody(10).await;
}

/// Two programs, the same sessions, in opposite order, for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opposite_orders_never_deadlock_and_destroy_wins() {
    let place = Place::new().await;
    let (one, two) =
        tokio::join!(place.sessions(&[("f", "TEXT")]), place.sessions(&[("f", "TEXT")]));
    let mut ids = live(&one, 200).await;
    ids.sort_by_key(|id| id_text(*id));
    let begin = Instant::now();
    let keep_extending = async |sessions: &Sessions, backwards: bool| {
        while begin.elapsed() < 3 * SECOND {
            let order: Vec<_> =
                if backwards { ids.iter().rev().collect() } else { ids.iter().collect() };
            for extended in join_all(order.into_iter().map(|id| sessions.extend(*id))).await {
                extended.unwrap();
            }
        }
    };
    let destroy = async |sessions: &Sessions, ids: Vec<SessionId>| {
        tokio::time::sleep(SECOND).await;
        for part in ids.chunks(20) {
            for destroyed in join_all(part.iter().map(|id| sessions.destroy(*id))).await {
                destroyed.unwrap();
            }
            for gone in join_all(part.iter().map(|id| one.validate(*id))).await {
                assert!(gone.unwrap().is_none(), "a destroyed session came back");
            }
        }
    };

    let (forwards, backwards): (Vec<_>, Vec<_>) =
        (ids.clone(), ids.iter().rev().copied().collect());
    tokio::join!(
        keep_extending(&one, false),
        keep_extending(&two, true),
        destroy(&one, backwards),
        destroy(&two, forwards),
    );

    assert_eq!(place.count().await, 0);
    let stats = [one.stats(), two.stats()];
    assert!(stats.iter().all(|stats| stats.errors == 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_thousand_mixed_calls_is_answered_with_its_own() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let ids = live(&sessions, 250).await;
    let gone = SessionId::random();

    let calls = (0..1000).map(|n| {
        let (call, id) = (CALLS[n % 4], ids[n / 4]);
        let id = if call != Call::Create && n % 3 == 0 { gone } else { id };
        let sessions = &sessions;
        async move { (n, call, call.make(sessions, id).await) }
    });

    for (n, call, outcome) in join_all(calls).await {
        match (call, n % 3 == 0) {
            (Call::Create | Call::Destroy, false) | (Call::Create, true) => {
                assert!(outcome.unwrap(), "{call:?} {n}");
            }
            (_, true) => assert!(!outcome.unwrap(), "{call:?} {n}"),
            // Its destroy may have come first.
            (Call::Validate | Call::Extend, false) => assert!(outcome.is_ok(), "{call:?} {n}"),
        }
    }
}
