//! What create, validate, extend and destroy promise, over every road that a call can take.

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
use pg_sess_rs::error::Kind;
use pg_sess_rs::options::Options;
use pg_sess_rs::session_id::SessionId;
use pg_sess_rs::sessions::FieldValue;
use support::place::Place;
use support::{Road, SECOND, create, field, sqlstate, text};

macro_rules! on_every_road {
    ($($name:ident),* $(,)?) => {
        on_every_road!(@ in_batches $($name)*);
        on_every_road!(@ call_by_call $($name)*);
        on_every_road!(@ unprepared $($name)*);
    };
    (@ $road:ident $($name:ident)*) => {
        mod $road {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(super::support::$road).await;
                }
            )*
        }
    };
}

on_every_road!(
    a_new_session_has_the_fields_that_were_given,
    a_field_that_is_not_given_gets_its_default,
    null_is_null_even_where_there_is_a_default,
    values_are_never_read_as_sql,
    bytes_are_in_the_format_of_the_column,
    a_missing_required_field_is_the_servers_error,
    a_row_holds_the_session_as_it_stands_in_the_table,
    a_session_lives_exactly_as_long_as_asked,
    extend_grants_the_length_again_and_keeps_the_rest,
    an_expired_session_is_neither_validated_nor_revived,
    an_expired_session_can_still_be_destroyed,
    a_destroyed_session_is_gone,
    unknown_ids_are_no_sessions,
    each_of_many_callers_gets_its_own_row,
    many_calls_for_one_session_agree,
    of_many_destroys_of_one_session_one_finds_it,
    columns_that_are_not_fields_stay_out,
    every_type_comes_back_as_the_server_writes_it,
);

const USER: [(&str, &str); 2] = [("user_id", "INT"), ("name", "TEXT")];

async fn a_new_session_has_the_fields_that_were_given(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&USER, road(place.options())).await;

    let row = sessions.create(vec![0, 1], vec![text("7"), text("Ada")]).await.unwrap();

    assert_eq!(row.fields, [Some("7".to_owned()), Some("Ada".to_owned())]);
    let validated = sessions.validate(row.id).await.unwrap().unwrap();
    assert_eq!(validated.fields, row.fields);
    assert_eq!(place.count().await, 1);
}

async fn a_field_that_is_not_given_gets_its_default(road: Road) {
    let declared = [("plan", "TEXT NOT NULL DEFAULT 'free'"), ("user_id", "INT")];
    let place = Place::new().await;
    let sessions = place.sessions_with(&declared, road(place.options())).await;

    let nothing_given = sessions.create(vec![], vec![]).await.unwrap();
    assert_eq!(nothing_given.fields, [Some("free".to_owned()), None]);

    let one_given = sessions.create(vec![1], vec![text("3")]).await.unwrap();
    assert_eq!(one_given.fields, [Some("free".to_owned()), Some("3".to_owned())]);
}

async fn null_is_null_even_where_there_is_a_default(road: Road) {
    let place = Place::new().await;
    let declared = [("plan", "TEXT DEFAULT 'free'")];
    let sessions = place.sessions_with(&declared, road(place.options())).await;

    let calls = (0..5).map(|_| sessions.create(vec![0], vec![FieldValue::Null]));

    for row in join_all(calls).await {
        assert_eq!(row.unwrap().fields, [None]);
    }
}

async fn values_are_never_read_as_sql(road: Road) {
    let values = ["'; DROP TABLE sess; --", "{a,\"b\"}", "NULL", "\\", "%s", "$1", "", "\u{1F512}"];
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;

    let rows = join_all(values.iter().map(|value| create(&sessions, value))).await;

    for (row, value) in rows.iter().zip(values) {
        assert_eq!(field(row), Some(value));
        assert_eq!(field(&sessions.validate(row.id).await.unwrap().unwrap()), Some(value));
    }
}

async fn bytes_are_in_the_format_of_the_column(road: Road) {
    let place = Place::new().await;
    let declared = [("b", "BYTEA"), ("n", "INT"), ("t", "TEXT")];
    let sessions = place.sessions_with(&declared, road(place.options())).await;
    let bytes = |bytes: &[u8]| FieldValue::Bytes(bytes.to_vec());

    let calls = (0..3).map(|n| {
        let values = vec![bytes(&[0, 92, 255]), bytes(&[0, 0, 1, n]), bytes(b"abc")];
        sessions.create(vec![0, 1, 2], values)
    });

    for (n, row) in join_all(calls).await.into_iter().enumerate() {
        let expected = ["\\x005cff".to_owned(), (256 + n).to_string(), "abc".to_owned()];
        assert_eq!(row.unwrap().fields, expected.map(Some));
    }
    let texts = (0..3).map(|_| sessions.create(vec![2], vec![bytes(b"abc")]));
    for row in join_all(texts).await {
        assert_eq!(row.unwrap().fields[2].as_deref(), Some("abc"));
    }
}

async fn a_missing_required_field_is_the_servers_error(road: Road) {
    let place = Place::new().await;
    let declared = [("user_id", "INT NOT NULL")];
    let sessions = place.sessions_with(&declared, road(place.options())).await;

    let error = sessions.create(vec![], vec![]).await.unwrap_err();

    let failure = error.database().unwrap();
    assert_eq!(failure.code, "23502");
    assert_eq!(failure.column.as_deref(), Some("user_id"));
    assert_eq!(failure.table.as_deref(), Some("sess"));
}

async fn a_row_holds_the_session_as_it_stands_in_the_table(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;

    let row = create(&sessions, "x").await;

    let epoch = |column: &str| {
        let sql = format!("SELECT (extract(epoch FROM {column}) * 1000000)::bigint FROM {{table}}");
        let place = &place;
        async move { place.ask::<i64>(&sql).await }
    };
    assert_eq!(row.creation_date.timestamp_micros(), epoch("sess_creation_date").await);
    assert_eq!(row.last_updated.timestamp_micros(), epoch("sess_last_updated").await);
    assert_eq!(row.expiration.timestamp_micros(), epoch("sess_expiration").await);
    assert!(place.has(row.id).await);
}

async fn a_session_lives_exactly_as_long_as_asked(road: Road) {
    let place = Place::new().await;
    let length = Duration::from_millis(1_209_600_123);
    let options = Options { session_length: length, ..road(place.options()) };
    let sessions = place.sessions_with(&[("f", "TEXT")], options).await;

    let row = create(&sessions, "x").await;

    assert_eq!((row.expiration - row.creation_date).to_std().unwrap(), length);
    assert_eq!(row.creation_date, row.last_updated);
    place.age(row.id, "1209600 seconds").await;
    assert!(sessions.validate(row.id).await.unwrap().is_some(), "123 ms are left");
    place.age(row.id, "123 milliseconds").await;
    assert!(sessions.validate(row.id).await.unwrap().is_none());
}

async fn extend_grants_the_length_again_and_keeps_the_rest(road: Road) {
    let place = Place::new().await;
    let options = Options { session_length: 90 * SECOND, ..road(place.options()) };
    let sessions = place.sessions_with(&[("f", "TEXT")], options).await;
    let row = create(&sessions, "x").await;
    place.age(row.id, "60 seconds").await;

    assert!(sessions.extend(row.id).await.unwrap());

    let extended = sessions.validate(row.id).await.unwrap().unwrap();
    assert_eq!((extended.expiration - extended.last_updated).to_std().unwrap(), 90 * SECOND);
    assert!(extended.last_updated >= row.last_updated);
    assert_eq!((row.creation_date - extended.creation_date).to_std().unwrap(), 60 * SECOND);
    assert_eq!(extended.fields, row.fields);
}

async fn an_expired_session_is_neither_validated_nor_revived(road: Road) {
    let place = Place::new().await;
    let options = Options { session_length: 60 * SECOND, ..road(place.options()) };
    let sessions = place.sessions_with(&[("f", "TEXT")], options).await;
    let row = create(&sessions, "x").await;
    place.age(row.id, "60 seconds").await;

    assert!(sessions.validate(row.id).await.unwrap().is_none());
    assert!(!sessions.extend(row.id).await.unwrap());
    assert!(sessions.validate(row.id).await.unwrap().is_none());
    assert!(place.has(row.id).await, "it is expired, not gone");
}

async fn an_expired_session_can_still_be_destroyed(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;
    let row = create(&sessions, "x").await;
    place.age(row.id, "15 days").await;

    assert!(sessions.destroy(row.id).await.unwrap());
    assert!(!place.has(row.id).await);
}

async fn a_destroyed_session_is_gone(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;
    let (row, other) = (create(&sessions, "x").await, create(&sessions, "y").await);

    assert!(sessions.destroy(row.id).await.unwrap());

    assert!(!sessions.destroy(row.id).await.unwrap());
    assert!(!sessions.extend(row.id).await.unwrap());
    assert!(sessions.validate(row.id).await.unwrap().is_none());
    assert!(sessions.validate(other.id).await.unwrap().is_some());
    assert_eq!(place.count().await, 1);
}

async fn unknown_ids_are_no_sessions(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;
    let id = SessionId::random();

    assert!(sessions.validate(id).await.unwrap().is_none());
    assert!(!sessions.extend(id).await.unwrap());
    assert!(!sessions.destroy(id).await.unwrap());
    assert_eq!(sessions.stats().errors, 0);
}

async fn each_of_many_callers_gets_its_own_row(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("n", "INT")], road(place.options())).await;

    let created = join_all((0..300).map(|n: i32| create_number(&sessions, n))).await;

    let validated = join_all(created.iter().map(|row| sessions.validate(row.id))).await;
    for (n, (row, validated)) in created.iter().zip(validated).enumerate() {
        assert_eq!(field(row), Some(n.to_string().as_str()));
        let validated = validated.unwrap().unwrap();
        assert_eq!((validated.id, validated.fields), (row.id, row.fields.clone()));
    }
    assert_eq!(place.count().await, 300);
}

async fn create_number(
    sessions: &pg_sess_rs::sessions::Sessions,
    n: i32,
) -> pg_sess_rs::sessions::SessionRow {
    create(sessions, &n.to_string()).await
}

async fn many_calls_for_one_session_agree(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;
    let row = create(&sessions, "x").await;

    let validated = join_all((0..50).map(|_| sessions.validate(row.id))).await;
    let extended = join_all((0..50).map(|_| sessions.extend(row.id))).await;

    assert!(validated.into_iter().all(|found| found.unwrap().is_some()));
    assert!(extended.into_iter().all(|extended| extended.unwrap()));
}

async fn of_many_destroys_of_one_session_one_finds_it(road: Road) {
    let place = Place::new().await;
    let sessions = place.sessions_with(&[("f", "TEXT")], road(place.options())).await;
    let rows = join_all((0..10).map(|_| create(&sessions, "x"))).await;

    let calls = (0..200).map(|n| sessions.destroy(rows[n % rows.len()].id));

    let outcomes: Vec<bool> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    for first in 0..rows.len() {
        let found = outcomes.iter().skip(first).step_by(rows.len()).filter(|found| **found);
        assert_eq!(found.count(), 1);
    }
    assert_eq!(place.count().await, 0);
}

async fn columns_that_are_not_fields_stay_out(road: Road) {
    let place = Place::new().await;
    place.sessions(&[("a", "TEXT"), ("b", "TEXT")]).await;
    place.run("ALTER TABLE {table} ADD COLUMN secret TEXT DEFAULT 's'").await;
    let sessions = place.sessions_with(&[("b", "TEXT")], road(place.options())).await;

    let row = create(&sessions, "x").await;

    assert_eq!(row.fields, [Some("x".to_owned())]);
    assert_eq!(sessions.validate(row.id).await.unwrap().unwrap().fields, row.fields);
}

/// Type, what is given, what comes back (the server's output text under its default settings).
const VALUES: [(&str, &str, &str); 30] = [
    ("BOOLEAN", "yes", "t"),
    ("SMALLINT", "-32768", "-32768"),
    ("INT", " 42 ", "42"),
    ("BIGINT", "9223372036854775807", "9223372036854775807"),
    ("OID", "4294967295", "4294967295"),
    ("REAL", "1e10", "1e+10"),
    ("DOUBLE PRECISION", "NaN", "NaN"),
    ("NUMERIC(10,2)", "3.14159", "3.14"),
    ("TEXT", "  spaces  ", "  spaces  "),
    ("VARCHAR(5)", "abcde", "abcde"),
    ("CHAR(5)", "ab", "ab   "),
    ("\"char\"", "x", "x"),
    ("NAME", "n", "n"),
    ("UUID", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("JSON", "{\"a\" : 1}", "{\"a\" : 1}"),
    ("JSONB", "{\"a\" : 1}", "{\"a\": 1}"),
    ("BYTEA", "\\x00ff", "\\x00ff"),
    ("DATE", "2024-02-29", "2024-02-29"),
    ("TIME", "24:00", "24:00:00"),
    ("TIMESTAMP", "infinity", "infinity"),
    ("TIMESTAMP(0)", "2024-01-01 00:00:00.5", "2024-01-01 00:00:01"),
    ("INTERVAL", "90 minutes", "01:30:00"),
    ("INET", "10.0.0.1/8", "10.0.0.1/8"),
    ("INT[]", "{1,NULL,3}", "{1,NULL,3}"),
    ("TEXT[]", "{\"a,b\",\"\"}", "{\"a,b\",\"\"}"),
    ("VARCHAR(3)[]", "{abc}", "{abc}"),
    ("INT4RANGE", "[1,3]", "[1,4)"),
    ("POINT", "(1,2)", "(1,2)"),
    ("BIT VARYING(5)", "101", "101"),
    ("TSVECTOR", "b a", "'a' 'b'"),
];

async fn every_type_comes_back_as_the_server_writes_it(road: Road) {
    let names: Vec<String> = (0..VALUES.len()).map(|n| format!("f{n}")).collect();
    let declared: Vec<(&str, &str)> =
        names.iter().zip(VALUES).map(|(name, (datatype, ..))| (name.as_str(), datatype)).collect();
    let place = Place::new().await;
    let sessions = place.sessions_with(&declared, road(place.options())).await;
    let given: Vec<u16> = (0..).take(VALUES.len()).collect();
    let values: Vec<FieldValue> = VALUES.iter().map(|(_, value, _)| text(*value)).collect();

    let calls = (0..5).map(|_| sessions.create(given.clone(), values.clone()));

    for row in join_all(calls).await {
        let row = row.unwrap();
        let validated = sessions.validate(row.id).await.unwrap().unwrap();
        for (place, (datatype, _, expected)) in VALUES.iter().enumerate() {
            assert_eq!(row.fields[place].as_deref(), Some(*expected), "{datatype} of create");
            assert_eq!(validated.fields[place].as_deref(), Some(*expected), "{datatype}");
        }
    }
}

#[tokio::test]
async fn before_the_set_up_a_call_fails_and_says_so() {
    let place = Place::new().await;
    let sessions = place.prepare(&[("f", "TEXT")], place.options());

    let error = sessions.validate(SessionId::random()).await.unwrap_err();

    assert!(error.to_string().contains("set up"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_and_values_that_do_not_match_are_refused() {
    let place = Place::new().await;
    let sessions = place.sessions(&USER).await;
    for (given, values) in [
        (vec![0], vec![]),
        (vec![0], vec![text("1"), text("2")]),
        (vec![], vec![text("1")]),
        (vec![2], vec![text("1")]),
        (vec![0, 0], vec![text("1"), text("2")]),
    ] {
        let calls = (0..5).map(|_| sessions.create(given.clone(), values.clone()));
        for outcome in join_all(calls).await {
            assert!(outcome.is_err(), "{given:?}: {outcome:?}");
        }
    }
    assert_eq!(place.count().await, 0);
}

#[tokio::test]
async fn a_field_that_cannot_be_is_refused_before_anything_is_sent() {
    let place = Place::new().await;
    for (name, datatype) in [("f", "INT); DROP TABLE x; --"), ("sess_id", "INT"), ("", "INT")] {
        let error = place.set_up(&[(name, datatype)]).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Argument), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_too_long_for_its_column_is_an_error_and_never_cut() {
    let place = Place::new().await;
    let declared = [("v", "VARCHAR(3)"), ("c", "CHAR(3)"), ("b", "BIT(3)")];
    let sessions = place.sessions(&declared).await;

    for place in 0..3 {
        let calls = (0..4).map(|_| sessions.create(vec![place], vec![text("10101")]));
        for outcome in join_all(calls).await {
            assert!(["22001", "22026"].contains(&sqlstate(outcome).as_str()));
        }
    }
    assert_eq!(place.count().await, 0);
}
