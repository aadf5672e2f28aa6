//! How the table comes to be: created, adopted, or refused with a clear error.

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
use pg_sess_rs::connect::Settings;
use pg_sess_rs::error::{Error, Kind};
use pg_sess_rs::options::Options;
use pg_sess_rs::sessions::Sessions;
use support::place::Place;
use support::{Call, SECOND, create, eventually, fields, short, sqlstate, text, timed};

const USER: [(&str, &str); 2] = [("user_id", "INT"), ("name", "VARCHAR(255) NOT NULL DEFAULT 'x'")];
/// The four columns that every session has, as an own table may spell them.
const OWN: &str = "sess_id uuid PRIMARY KEY, sess_creation_date timestamp NOT NULL,
    sess_last_updated timestamp NOT NULL, sess_expiration timestamp NOT NULL";
/// The advisory lock of `table.rs`: "pg-sess" in ASCII. It is the database's, so tests that hold it have one of their
/// own.
const SET_UP_LOCK: i64 = 0x0070_672d_7365_7373;

fn refusal(outcome: Result<Vec<String>, Error>) -> String {
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), Kind::Table), "{error:?}");
    error.to_string()
}

async fn columns(place: &Place) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws(' ', column_name, data_type, character_maximum_length, is_nullable, column_default)
         FROM information_schema.columns WHERE table_schema = '{}' AND table_name = 'sess'
         ORDER BY ordinal_position",
        place.name
    );
    let rows = place.sql.query_typed(&sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The table works: a session comes and goes.
async fn works(sessions: &Sessions, value: &str) {
    let row = create(sessions, value).await;
    assert!(sessions.validate(row.id).await.unwrap().is_some());
    assert!(sessions.extend(row.id).await.unwrap());
    assert!(sessions.destroy(row.id).await.unwrap());
    assert!(sessions.validate(row.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_table_is_exactly_as_drawn() {
    let place = Place::new().await;

    let alone = Options { remember_ids: false, ..place.options() };
    assert_eq!(place.prepare(&USER, alone).set_up().await.unwrap(), Vec::<String>::new());

    assert_eq!(
        columns(&place).await,
        [
            "sess_id uuid NO",
            "sess_creation_date timestamp without time zone NO",
            "sess_last_updated timestamp without time zone NO",
            "sess_expiration timestamp without time zone NO",
            "user_id integer YES",
            "name character varying 255 NO 'x'::character varying",
        ]
    );
    let indexes = "SELECT array_agg(indexdef) FROM pg_indexes WHERE schemaname = '{schema}'";
    let indexes: Vec<String> = place.ask(indexes).await;
    assert_eq!(indexes.len(), 1);
    assert!(indexes[0].ends_with("(sess_id)"), "{indexes:?}");
    let relations = "SELECT count(*) FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind <> 'i'";
    assert_eq!(place.ask::<i64>(relations).await, 1, "and nothing else");
}

#[tokio::test]
async fn a_new_field_is_added_and_rows_stay() {
    let place = Place::new().await;
    let before = place.sessions(&[("user_id", "INT")]).await;
    let row = create(&before, "7").await;
    let xmin = "SELECT xmin::text FROM {table}";
    let untouched: String = place.ask(xmin).await;

    let after = place.sessions(&[("plan", "TEXT DEFAULT 'free'"), ("user_id", "INT")]).await;

    let found = after.validate(row.id).await.unwrap().unwrap();
    assert_eq!(found.fields, [Some("free".to_owned()), Some("7".to_owned())]);
    assert_eq!(found.expiration, row.expiration);
    assert_eq!(place.ask::<String>(xmin).await, untouched);
    assert_eq!(columns(&place).await.len(), 6);
    works(&before, "8").await;
}

#[tokio::test]
async fn a_second_set_up_changes_nothing_and_repeats_its_notes() {
    let place = Place::new().await;
    place.set_up(&[("name", "VARCHAR(100)")]).await.unwrap();
    let sessions = place.prepare(&[("name", "VARCHAR(255)")], place.options());

    let notes = sessions.set_up().await.unwrap();

    assert_eq!(notes.len(), 1);
    assert_eq!(sessions.set_up().await.unwrap(), notes);
}

#[tokio::test]
async fn a_conflicting_type_is_an_error_that_names_both() {
    let place = Place::new().await;
    place.set_up(&[("user_id", "BIGINT")]).await.unwrap();
    for datatype in ["INT", "TEXT", "BIGINT[]", "NUMERIC(10,2)"] {
        let message = refusal(place.set_up(&[("user_id", datatype)]).await);
        assert!(message.contains("\"user_id\" is bigint in table"), "{message}");
    }
    let message = refusal(place.set_up(&[("new", "TEXT"), ("user_id", "INT")]).await);
    assert!(message.contains("integer in the fields"), "{message}");
    assert_eq!(columns(&place).await.len(), 5, "nothing was added");
}

#[tokio::test]
async fn other_names_of_the_same_type_are_no_conflict() {
    let same = [
        ("VARCHAR(10)", "CHARACTER VARYING(10)"),
        ("INT", "INT4"),
        ("SERIAL", "INTEGER"),
        ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"),
        ("NUMERIC(10,2)", "DECIMAL(10,2)"),
        ("BOOL", "BOOLEAN"),
        ("FLOAT", "DOUBLE PRECISION"),
        ("TEXT[]", "TEXT[]"),
    ];
    let place = Place::new().await;
    for (number, (first, second)) in same.into_iter().enumerate() {
        let name = format!("f{number}");
        place.set_up(&[(&name, first)]).await.unwrap();
        assert_eq!(place.set_up(&[(&name, second)]).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_difference_in_a_modifier_is_a_note_and_the_tables_stands() {
    let place = Place::new().await;
    place.set_up(&[("name", "VARCHAR(3)"), ("price", "NUMERIC(10,2)")]).await.unwrap();
    let sessions =
        place.prepare(&[("name", "VARCHAR(255)"), ("price", "NUMERIC(10,2)")], place.options());

    let notes = sessions.set_up().await.unwrap();

    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("character varying(3)"), "{notes:?}");
    assert!(notes[0].contains("VARCHAR(255)"), "{notes:?}");
    let outcome = sessions.create(vec![0], vec![text("abcd")]).await;
    assert_eq!(sqlstate(outcome), "22001");
}

#[tokio::test]
async fn a_missing_required_column_is_named() {
    let place = Place::new().await;
    for column in ["sess_id", "sess_creation_date", "sess_last_updated", "sess_expiration"] {
        place.run(&format!("CREATE TABLE {{table}} ({OWN}, user_id int)")).await;
        place.run(&format!("ALTER TABLE {{table}} DROP COLUMN {column}")).await;
        for declared in [vec![], vec![("user_id", "INT")], vec![("new", "TEXT")]] {
            let message = refusal(place.set_up(&declared).await);
            assert!(message.contains(&format!("no column {column:?}")), "{message}");
        }
        place.run("DROP TABLE {table}").await;
    }
}

#[tokio::test]
async fn a_required_column_of_another_type_is_named_with_both_types() {
    let place = Place::new().await;
    place.run(&format!("CREATE TABLE {{table}} ({OWN})")).await;
    for (column, datatype, expected) in
        [("sess_id", "text", "uuid"), ("sess_expiration", "date", "timestamp")]
    {
        place.run(&format!("ALTER TABLE {{table}} ALTER {column} TYPE {datatype}")).await;
        let message = refusal(place.set_up(&[]).await);
        assert!(message.contains(&format!("{column:?} is {datatype} in table")), "{message}");
        assert!(message.contains(&format!("expected {expected}")), "{message}");
        place.run("DROP TABLE {table}").await;
        place.run(&format!("CREATE TABLE {{table}} ({OWN})")).await;
    }
}

#[tokio::test]
async fn ids_must_be_unique_on_their_own_and_at_once() {
    let without_key = OWN.replace(" PRIMARY KEY", "");
    let place = Place::new().await;
    for not_enough in [
        "",
        ", UNIQUE (sess_id, sess_creation_date)",
        ", UNIQUE (sess_id) DEFERRABLE INITIALLY DEFERRED",
        ", UNIQUE (sess_creation_date)",
    ] {
        place.run(&format!("CREATE TABLE {{table}} ({without_key}{not_enough})")).await;
        let message = refusal(place.set_up(&[]).await);
        assert!(message.contains("unique index on \"sess_id\""), "{not_enough}: {message}");
        place.run("DROP TABLE {table}").await;
    }
    place.run(&format!("CREATE TABLE {{table}} ({without_key}, f text)")).await;
    place.run("CREATE UNIQUE INDEX part ON {table} (sess_id) WHERE f IS NULL").await;
    refusal(place.set_up(&[]).await);
    place.run("CREATE UNIQUE INDEX whole ON {table} (sess_id) INCLUDE (f)").await;
    works(&place.sessions(&[("f", "TEXT")]).await, "x").await;
}

#[tokio::test]
async fn an_extra_column_that_nobody_fills_is_refused_and_others_are_not() {
    let place = Place::new().await;
    place.run(&format!(
        "CREATE TABLE {{table}} ({OWN}, f text, filled int NOT NULL DEFAULT 1, free int,
           number int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (2) STORED NOT NULL)"
    ))
    .await;
    works(&place.sessions(&[("f", "TEXT")]).await, "x").await;

    place
        .run("ALTER TABLE {table} ADD COLUMN must int NOT NULL, ADD COLUMN too int NOT NULL")
        .await;

    let message = refusal(place.set_up(&[("f", "TEXT")]).await);
    assert!(message.contains("\"must\", \"too\""), "{message}");
    let both = [("must", "INT"), ("too", "INT")];
    place.set_up(&both).await.unwrap();
}

#[tokio::test]
async fn what_is_not_a_table_is_refused() {
    let place = Place::new().await;
    place.run(&format!("CREATE TABLE {{schema}}.other ({OWN})")).await;
    for (kind, create) in [
        ("VIEW", "AS SELECT * FROM {schema}.other"),
        ("MATERIALIZED VIEW", "AS SELECT * FROM {schema}.other"),
        ("SEQUENCE", ""),
    ] {
        place.run(&format!("CREATE {kind} {{table}} {create}")).await;
        for declared in [vec![], vec![("user_id", "INT")]] {
            let message = refusal(place.set_up(&declared).await);
            assert!(message.contains("is not a table"), "{kind}: {message}");
        }
        place.run(&format!("DROP {kind} {{table}}")).await;
    }
}

#[tokio::test]
async fn a_schema_that_does_not_exist_is_an_error() {
    let place = Place::new().await;
    let options = Options { schema_name: Some("no such schema".to_owned()), ..place.options() };

    let message = refusal(place.prepare(&[], options).set_up().await);

    assert!(message.contains("schema \"no such schema\" does not exist"), "{message}");
}

#[tokio::test]
async fn without_a_schema_the_search_path_decides() {
    let place = Place::new().await;
    let options = Options { schema_name: None, ..place.options() };
    let settings = Settings {
        after_connecting: Some(format!("SET search_path TO nowhere, {}", place.name)),
        ..place.settings()
    };
    let sessions = Sessions::new(settings, fields(&[("f", "TEXT")]), options.clone()).unwrap();

    sessions.set_up().await.unwrap();

    works(&sessions, "x").await;
    assert_eq!(columns(&place).await.len(), 5);
    let settings = Settings { options: Some("-c search_path=".to_owned()), ..place.settings() };
    let sessions = Sessions::new(settings, vec![], options).unwrap();
    assert_eq!(sqlstate(sessions.set_up().await), "3F000");
}

#[tokio::test]
async fn a_table_that_must_not_be_created_is_only_verified() {
    let place = Place::new().await;
    let verify = Options { create_table: false, ..place.options() };
    let set_up =
        async |declared: &[(&str, &str)]| place.prepare(declared, verify.clone()).set_up().await;

    let message = refusal(set_up(&[("a", "INT")]).await);
    assert!(message.contains("does not exist, and createTable is false"), "{message}");
    place.set_up(&[("a", "INT")]).await.unwrap();
    let message = refusal(set_up(&[("a", "INT"), ("b", "INT"), ("c", "INT")]).await);
    assert!(message.contains("no column \"b\", \"c\", and createTable is false"), "{message}");
    set_up(&[("a", "INT")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_may_be_odd() {
    let odd = ["select", "Größe", "a\"b", "a.b", "a;b", "x'y", "%s $1 {}", " ", "user id"];
    let declared: Vec<(&str, &str)> = odd.iter().map(|name| (*name, "TEXT")).collect();
    let place = Place::new().await;
    let options = Options { table_name: "The \"Table\"; --".to_owned(), ..place.options() };
    let sessions = place.sessions_with(&declared, options.clone()).await;

    let all: Vec<u16> = (0..).take(odd.len()).collect();
    let calls =
        (0..3).map(|_| sessions.create(all.clone(), odd.iter().map(|name| text(*name)).collect()));
    for row in join_all(calls).await {
        let row = row.unwrap();
        assert_eq!(row.fields, odd.map(|name| Some(name.to_owned())));
        assert!(sessions.extend(row.id).await.unwrap());
        assert_eq!(sessions.validate(row.id).await.unwrap().unwrap().fields, row.fields);
        assert!(sessions.destroy(row.id).await.unwrap());
    }
    let names = sessions.fields().unwrap().into_iter().map(|field| field.column);
    assert_eq!(names.collect::<Vec<_>>(), odd);
    place.prepare(&declared, options).set_up().await.unwrap();
}

#[tokio::test]
async fn names_that_postgresql_would_cut_or_cannot_hold_are_refused() {
    let place = Place::new().await;
    for name in ["", "a\0b", &"x".repeat(64), &"ü".repeat(32)] {
        let table = Options { table_name: name.to_owned(), ..place.options() };
        let schema = Options { schema_name: Some(name.to_owned()), ..place.options() };
        for options in [table, schema] {
            let error = place.prepare(&[], options).set_up().await.unwrap_err();
            assert!(matches!(error.kind(), Kind::Argument), "{error:?}");
        }
    }
    let longest = Options { table_name: "x".repeat(63), ..place.options() };
    place.prepare(&[], longest.clone()).set_up().await.unwrap();
    place.prepare(&[], longest).set_up().await.unwrap();
}

#[tokio::test]
async fn names_fold_where_asked_and_a_quoted_column_is_found_too() {
    let place = Place::new().await;
    let fold = Options { fold_names: true, ..place.options() };
    place.prepare(&[("userId", "INT")], fold.clone()).set_up().await.unwrap();
    assert!(columns(&place).await.contains(&"userid integer YES".to_owned()));

    place.run("ALTER TABLE {table} RENAME userid TO \"userId\"").await;

    let sessions = place.sessions_with(&[("userId", "INT")], fold).await;
    works(&sessions, "1").await;
    assert_eq!(columns(&place).await.len(), 5);
    let info = sessions.fields().unwrap();
    assert_eq!((info[0].asked.as_str(), info[0].column.as_str()), ("userId", "userId"));
}

/// Twenty programs start on an empty schema; each has the common field and one of its own.
async fn twenty_at_once(place: &Place, settings: &Settings) {
    let all: Vec<Sessions> = (0..20)
        .map(|number| {
            let own = format!("own_{}", number % 5);
            let declared = fields(&[("user_id", "INT"), (&own, "TEXT")]);
            Sessions::new(settings.clone(), declared, place.options()).unwrap()
        })
        .collect();
    let outcomes = join_all(all.iter().map(Sessions::set_up)).await;
    for outcome in outcomes {
        assert_eq!(outcome.unwrap(), Vec::<String>::new());
    }
    assert_eq!(columns(place).await.len(), 4 + 1 + 5);
    join_all(all.iter().map(|sessions| works(sessions, "1"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_programs_may_set_up_an_empty_schema_at_once() {
    let place = Place::new().await;
    twenty_at_once(&place, &place.settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_programs_may_set_up_at_once_under_any_isolation() {
    for level in ["repeatable\\ read", "serializable"] {
        let place = Place::new().await;
        let options = Some(format!("-c default_transaction_isolation={level}"));
        twenty_at_once(&place, &Settings { options, ..place.settings() }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_program_may_set_up_twice_at_once() {
    let place = Place::new().await;
    let sessions = place.prepare(&[("f", "TEXT")], place.options());

    for outcome in join_all((0..6).map(|_| sessions.set_up())).await {
        outcome.unwrap();
    }

    works(&sessions, "x").await;
    place.no_backends("xact_start IS NOT NULL", SECOND).await;
}

#[tokio::test]
async fn a_role_that_may_not_create_can_use_a_table_that_is_complete() {
    let place = Place::new().await;
    place.set_up(&[("f", "TEXT")]).await.unwrap();
    let settings = place.settings_of_role("").await;
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {{table}} TO {}", settings.user);
    place.run(&grant).await;

    let declared = fields(&[("f", "TEXT")]);
    let sessions = Sessions::new(settings.clone(), declared, place.options()).unwrap();
    sessions.set_up().await.unwrap();
    works(&sessions, "x").await;

    let declared = fields(&[("f", "TEXT"), ("g", "TEXT")]);
    let sessions = Sessions::new(settings, declared, place.options()).unwrap();
    assert_eq!(sqlstate(sessions.set_up().await), "42501");
    place.no_backends("xact_start IS NOT NULL", SECOND).await;
}

#[tokio::test]
async fn a_failed_set_up_leaves_nothing_behind_and_may_be_repeated() {
    let place = Place::new().await;
    let sessions = place.prepare(&[("a", "INT"), ("b", "no_such_type")], place.options());

    for _ in 0..3 {
        let error = sessions.set_up().await.unwrap_err();
        assert!(error.to_string().contains("no_such_type"), "{error}");
        assert_eq!(columns(&place).await.len(), 0);
        place.no_backends("xact_start IS NOT NULL", SECOND).await;
    }

    place.run("CREATE DOMAIN {schema}.d AS int").await;
    let typed = format!("{}.d", place.name);
    let sessions = place.sessions(&[("a", "INT"), ("b", &typed)]).await;
    works(&sessions, "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_up_that_had_to_wait_too_long_leaves_no_transaction_open() {
    let place = Place::in_database_with(&[]).await;
    let sessions = place.prepare(&[("f", "TEXT")], short(place.options()));
    let hold = format!("SELECT pg_advisory_lock({SET_UP_LOCK})");
    place.run(&hold).await;

    let (outcome, took) = timed(sessions.set_up()).await;

    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout(_)), "{error:?}");
    assert!(took < support::BOUND, "{took:?}");
    place.no_backends("xact_start IS NOT NULL", SECOND).await;
    place.run(&format!("SELECT pg_advisory_unlock({SET_UP_LOCK})")).await;
    sessions.set_up().await.unwrap();
    works(&sessions, "x").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_up_that_nobody_waits_for_any_more_leaves_no_transaction_open() {
    let place = Place::in_database_with(&[]).await;
    let sessions = place.prepare(&[("f", "TEXT")], place.options());
    place.run(&format!("SELECT pg_advisory_lock({SET_UP_LOCK})")).await;

    let given_up = tokio::time::timeout(Duration::from_millis(300), sessions.set_up()).await;

    assert!(given_up.is_err());
    place.run(&format!("SELECT pg_advisory_unlock({SET_UP_LOCK})")).await;
    place.no_backends("xact_start IS NOT NULL", SECOND).await;
    sessions.set_up().await.unwrap();
    let row = create(&sessions, "x").await;
    assert!(place.has(row.id).await, "committed");
}

#[tokio::test]
async fn fields_may_be_domains_and_enums() {
    let place = Place::new().await;
    place.run("CREATE DOMAIN {schema}.short AS varchar(3) CHECK (value <> 'no')").await;
    place.run("CREATE DOMAIN {schema}.shorter AS {schema}.short NOT NULL").await;
    place.run("CREATE TYPE {schema}.\"Mood\" AS ENUM ('sad', 'ok')").await;
    let (domain, mood) = (format!("{}.shorter", place.name), format!("{}.\"Mood\"", place.name));
    let sessions = place.sessions(&[("d", &domain), ("m", &mood)]).await;
    let given = |d: &str, m: &str| sessions.create(vec![0, 1], vec![text(d), text(m)]);

    let calls = [given("abc", "ok"), given("no", "ok"), given("abcd", "sad"), given("x", "bad")];
    let outcomes = join_all(calls).await;

    let [fine, check, long, unknown] = <[_; 4]>::try_from(outcomes).unwrap();
    assert_eq!(fine.unwrap().fields, ["abc", "ok"].map(|value| Some(value.to_owned())));
    assert_eq!([sqlstate(check), sqlstate(long), sqlstate(unknown)], ["23514", "22001", "22P02"]);
    place.set_up(&[("d", &domain), ("m", &mood)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_table_is_adopted() {
    let place = Place::new().await;
    place.run(&format!("CREATE TABLE {{table}} ({OWN}, f text) PARTITION BY HASH (sess_id)")).await;
    for rest in 0..3 {
        place.run(&format!(
            "CREATE TABLE {{schema}}.p{rest} PARTITION OF {{table}} FOR VALUES WITH (MODULUS 3, REMAINDER {rest})"
        ))
        .await;
    }
    let sessions = place.sessions(&[("f", "TEXT"), ("added", "INT")]).await;

    let rows = join_all((0..60).map(|_| create(&sessions, "x"))).await;

    let extended = join_all(rows.iter().map(|row| sessions.extend(row.id))).await;
    assert!(extended.into_iter().all(Result::unwrap));
    let destroyed = join_all(rows.iter().map(|row| sessions.destroy(row.id))).await;
    assert!(destroyed.into_iter().all(Result::unwrap));
    assert_eq!(place.count().await, 0);
}

#[tokio::test]
async fn columns_with_time_zone_are_adopted() {
    let place = Place::new().await;
    place
        .run(&format!("CREATE TABLE {{table}} ({OWN}, f text)").replace("timestamp", "timestamptz"))
        .await;
    let zone = Some("-c TimeZone=Asia/Kathmandu".to_owned());
    let settings = Settings { options: zone, ..place.settings() };
    let sessions = Sessions::new(settings, fields(&[("f", "TEXT")]), place.options()).unwrap();
    sessions.set_up().await.unwrap();

    let row = create(&sessions, "x").await;

    let skew = "SELECT abs(extract(epoch FROM now() - sess_creation_date)) < 5 FROM {table}";
    assert!(place.ask::<bool>(skew).await);
    let length = Options::default().session_length;
    assert_eq!((row.expiration - row.creation_date).to_std().unwrap(), length);
    place.age(row.id, "14 days").await;
    assert!(!sessions.extend(row.id).await.unwrap());
    works(&sessions, "y").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_a_field_waits_no_longer_than_a_call_may_take() {
    let place = Place::in_database_with(&[]).await;
    place.set_up(&[("f", "TEXT")]).await.unwrap();
    let holder = place.connect().await;
    let lock = format!("BEGIN; LOCK TABLE {} IN ACCESS SHARE MODE", place.table());
    holder.batch_execute(&lock).await.unwrap();
    let sessions = place.prepare(&[("f", "TEXT"), ("g", "TEXT")], short(place.options()));

    let (outcome, took) = timed(sessions.set_up()).await;

    assert!(outcome.is_err());
    assert!(took < support::BOUND, "{took:?}");
    // Nobody queues behind a set-up that was given up.
    let others = place.sessions(&[("f", "TEXT")]).await;
    let row = create(&others, "x").await;
    eventually("the set-up's backend has gone", SECOND, async || {
        place.backends("wait_event_type = 'Lock'").await == 0
    })
    .await;
    assert!(Call::Validate.make(&others, row.id).await.unwrap());
    holder.batch_execute("COMMIT").await.unwrap();
    sessions.set_up().await.unwrap();
}
