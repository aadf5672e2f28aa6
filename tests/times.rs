//! Lengths are exact whatever clock the database shows, and the table holds UTC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "here a panic is a test that fails"
)]

mod support;

use std::time::Duration;

use pg_sess_rs::connect::Settings;
use pg_sess_rs::options::Options;
use pg_sess_rs::sessions::Sessions;
use support::place::Place;
use support::{create, field, fields, id_text};

/// Far from UTC, with daylight saving time; and dates written as nobody expects them.
const AUCKLAND: [&str; 3] =
    ["timezone = 'Pacific/Auckland'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'"];
/// Longer than the distance of any two time zones, and across each change of the clock in a year.
const LENGTHS: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(3_600_001),
    Duration::from_millis(1_209_600_000),
    Duration::from_millis(365 * 86_400_000),
];

async fn sessions(place: &Place, session_length: Duration) -> Sessions {
    let options = Options { session_length, ..place.options() };
    place.sessions_with(&[("f", "TIMESTAMPTZ")], options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_are_exact_in_every_time_zone() {
    let place = Place::in_database_with(&AUCKLAND).await;
    for length in LENGTHS {
        let sessions = sessions(&place, length).await;
        let row = create(&sessions, "2024-01-31 00:00:00Z").await;

        assert_eq!((row.expiration - row.creation_date).to_std().unwrap(), length);
        assert_eq!(row.creation_date, row.last_updated);
        let stored =
            "SELECT (extract(epoch FROM sess_expiration - sess_creation_date) * 1000)::bigint
            FROM {table} ORDER BY sess_creation_date DESC LIMIT 1";
        assert_eq!(place.ask::<i64>(stored).await, i64::try_from(length.as_millis()).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_holds_utc_and_rows_show_the_right_instant() {
    let place = Place::in_database_with(&AUCKLAND).await;
    let sessions = sessions(&place, Options::default().session_length).await;

    let row = create(&sessions, "2024-01-31 00:00:00Z").await;

    assert_eq!(place.ask::<String>("SHOW timezone").await, "Pacific/Auckland");
    let skew: f64 = place
        .ask(
            "SELECT extract(epoch FROM clock_timestamp() - sess_creation_date AT TIME ZONE 'UTC')::float8
             FROM {table}",
        )
        .await;
    assert!((0.0..5.0).contains(&skew), "{skew}");
    let now: i64 = place.ask("SELECT (extract(epoch FROM now()) * 1000)::bigint").await;
    assert!((now - row.creation_date.timestamp_millis()).abs() < 5000);
    assert_eq!(field(&row), Some("31/01/2024 13:00:00 NZDT"), "a field is the server's business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_is_exact_and_nothing_is_revived() {
    let place = Place::in_database_with(&AUCKLAND).await;
    let sessions = sessions(&place, Duration::from_secs(3600)).await;
    let row = create(&sessions, "2024-01-31 00:00:00Z").await;

    place.age(row.id, "59 minutes").await;
    assert!(sessions.validate(row.id).await.unwrap().is_some());
    assert!(sessions.extend(row.id).await.unwrap());
    place.age(row.id, "59 minutes").await;
    let found = sessions.validate(row.id).await.unwrap().unwrap();
    assert_eq!((found.expiration - found.last_updated).num_seconds(), 3600);
    place.age(row.id, "1 minute").await;

    assert!(sessions.validate(row.id).await.unwrap().is_none());
    assert!(!sessions.extend(row.id).await.unwrap());
    assert!(sessions.validate(row.id).await.unwrap().is_none());
    assert!(sessions.destroy(row.id).await.unwrap());
}

/// A session made on one side of the clock's change and used on the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_in_different_zones_share_one_clock() {
    let place = Place::in_database_with(&AUCKLAND).await;
    let first = sessions(&place, Duration::from_secs(60)).await;
    for zone in ["America/New_York", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu"] {
        let options = Some(format!("-c TimeZone={zone}"));
        let settings = Settings { options, ..place.settings() };
        let declared = fields(&[("f", "TIMESTAMPTZ")]);
        let length = Options { session_length: Duration::from_secs(60), ..place.options() };
        let second = Sessions::new(settings, declared, length).unwrap();
        second.set_up().await.unwrap();

        let row = create(&first, "2024-01-31 00:00:00Z").await;
        let seen = second.validate(row.id).await.unwrap().unwrap();
        assert_eq!((seen.creation_date, seen.expiration), (row.creation_date, row.expiration));
        assert!(second.extend(row.id).await.unwrap());
        place.age(row.id, "60 seconds").await;
        assert!(!second.extend(row.id).await.unwrap(), "{zone}");

        let row = create(&second, "2024-01-31 00:00:00Z").await;
        assert!(first.validate(row.id).await.unwrap().is_some(), "{zone}");
        place.age(row.id, "60 seconds").await;
        assert!(first.validate(row.id).await.unwrap().is_none(), "{zone}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statements_for_a_transaction_keep_the_same_time() {
    let place = Place::in_database_with(&AUCKLAND).await;
    let sessions = sessions(&place, Duration::from_secs(3600)).await;
    let id = pg_sess_rs::session_id::SessionId::random();
    let quoted = |sql: String, with: &str| sql.replace("$1", with);
    let create = sessions.create_statement_for_pg(&[]).unwrap();

    place.run("BEGIN").await;
    place.run(&quoted(create, &format!("'{}'", id_text(id)))).await;
    assert!(sessions.validate(id).await.unwrap().is_none(), "not committed yet");
    place.run("COMMIT").await;

    let row = sessions.validate(id).await.unwrap().unwrap();
    assert_eq!((row.expiration - row.creation_date).num_seconds(), 3600);
    place.age(row.id, "3600 seconds").await;
    let extend = sessions.statement_for_pg(pg_sess_rs::sessions::IdOperation::Extend).unwrap();
    place.run(&quoted(extend, &format!("ARRAY['{}']", id_text(id)))).await;
    assert!(sessions.validate(id).await.unwrap().is_none(), "not revived");
}

/// Infinite sessions may stand in an adopted table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_infinite_expiry_disturbs_nobody() {
    let place = Place::new().await;
    let sessions = sessions(&place, Duration::from_secs(60)).await;
    let (row, other) =
        (create(&sessions, "2024-01-31Z").await, create(&sessions, "2024-01-31Z").await);
    place
        .run(&format!(
            "UPDATE {{table}} SET sess_expiration = 'infinity' WHERE sess_id = '{}'",
            id_text(row.id)
        ))
        .await;

    let (infinite, finite) = tokio::join!(sessions.validate(row.id), sessions.validate(other.id));

    assert!(finite.unwrap().is_some());
    // This door has no word for "never"; it must not say "no session".
    assert!(!matches!(infinite, Ok(None)));
    assert!(sessions.extend(row.id).await.unwrap());
    assert!(sessions.validate(row.id).await.unwrap().is_some());
}
