//! Many sessions at once: lists, their ends, limits, and what is removed.

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
use pg_sess_rs::background::Stop;
use pg_sess_rs::error::Kind;
use pg_sess_rs::handle;
use pg_sess_rs::options::{LIST_LIMIT, MaxSessions, Options};
use pg_sess_rs::sessions::{Condition, Listing, Search, Sessions, Wanted};
use support::place::Place;
use support::{create, text};

fn whose(value: &str) -> Search {
    let condition = Condition { place: 0, wanted: Wanted::Value(text(value)) };
    Search { conditions: vec![condition], ..Search::default() }
}

async fn handles(sessions: &Sessions, search: Search) -> Vec<String> {
    let rows = sessions.list(Listing { search, limit: LIST_LIMIT }).await.expect("lists");
    rows.into_iter().map(|row| row.handle).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_and_the_core_agree_on_handles() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let mine = create(&sessions, "a").await;
    create(&sessions, "b").await;

    assert_eq!(handles(&sessions, whose("a")).await, [sessions.handle(mine.id)]);
    let only = handle::parse(&sessions.handle(mine.id));
    assert_eq!(
        sessions
            .destroy_all(Search { only: only.clone(), ..whose("b") }, &Stop::default())
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        sessions.destroy_all(Search { only, ..whose("a") }, &Stop::default()).await.unwrap(),
        1
    );
    assert!(sessions.validate(mine.id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_excepted_lives_on() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let rows = join_all((0..5).map(|_| create(&sessions, "a"))).await;
    let except = vec![rows[0].id, rows[3].id];

    assert_eq!(
        sessions.destroy_all(Search { except, ..whose("a") }, &Stop::default()).await.unwrap(),
        3
    );

    assert!(sessions.validate(rows[0].id).await.unwrap().is_some());
    assert!(sessions.validate(rows[1].id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_not_there_is_an_argument_that_is_wrong() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let nowhere = Condition { place: 1, wanted: Wanted::AnyOf(Vec::new()) };
    let search = Search { conditions: vec![nowhere], ..Search::default() };

    let listed = sessions.list(Listing { search: search.clone(), limit: 1 }).await.unwrap_err();
    let ended = sessions.destroy_all(search, &Stop::default()).await.unwrap_err();

    assert!(matches!(listed.kind(), Kind::Argument));
    assert!(matches!(ended.kind(), Kind::Argument));
    assert_eq!(sessions.stats().errors, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_for_calls_that_are_made_at_once() {
    let place = Place::new().await;
    for (road, change) in support::ROADS {
        place.run("DROP TABLE IF EXISTS {table}").await;
        let limit = MaxSessions { by: "f".to_owned(), limit: 2, index: true };
        let options = change(Options { max_sessions: Some(limit), ..place.options() });
        let sessions = place.sessions_with(&[("f", "TEXT")], options).await;

        join_all((0..30).map(|at| create(&sessions, if at % 2 == 0 { "a" } else { "b" }))).await;

        assert_eq!(handles(&sessions, whose("a")).await.len(), 2, "{road}");
        assert_eq!(place.ask::<i64>("SELECT count(*) FROM {table}").await, 4, "{road}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_rows_go_and_a_stop_ends_it() {
    let place = Place::new().await;
    let sessions = place.sessions(&[("f", "TEXT")]).await;
    let live = create(&sessions, "live").await;
    place
        .run(
            "INSERT INTO {table} SELECT md5(n::text)::uuid, now(), now(), now() - interval '2 days'
             FROM generate_series(1, 3000) AS n",
        )
        .await;
    let stopped = Stop::default();
    stopped.set();

    assert_eq!(sessions.prune(&stopped).await.unwrap(), 0);
    assert_eq!(sessions.prune(&Stop::default()).await.unwrap(), 3000);

    assert!(sessions.validate(live.id).await.unwrap().is_some());
    assert_eq!(sessions.stats().pruned, 3000);
    let figures = sessions.figures().await.unwrap();
    assert_eq!((figures.live, figures.expired), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_dropped_prune_no_more() {
    let place = Place::new().await;
    let options = Options { prune_interval: Some(Duration::from_millis(10)), ..place.options() };
    let sessions = place.sessions_with(&[("f", "TEXT")], options).await;
    support::eventually("it prunes", Duration::from_secs(20), || async {
        sessions.stats().batches > 0
    })
    .await;

    drop(sessions);

    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}'";
    support::eventually("its connections end", Duration::from_secs(20), || async {
        place.ask::<i64>(sql).await == 0
    })
    .await;
}
