//! What is remembered of replaced ids, and for how long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "here a panic is a test that fails"
)]

mod support;

use pg_sess_rs::background::Stop;
use pg_sess_rs::options::Options;
use support::create;
use support::place::Place;

const FIELD: [(&str, &str); 1] = [("name", "text")];
const AGE: &str = "UPDATE {schema}.sess_ids SET grace_end = grace_end - interval '1 hour'";
const NOTES: &str = "SELECT count(*) FROM {schema}.sess_ids";
const SEALED: &str = "SELECT count(*) FROM {schema}.sess_ids WHERE sealed_id IS NOT NULL";

#[tokio::test]
async fn what_no_longer_works_is_forgotten_but_the_age_of_the_current_id() {
    let place = Place::new().await;
    let options = Options { hash_ids: true, ..place.options() };
    let sessions = place.sessions_with(&FIELD, options).await;
    let first = create(&sessions, "Alice").await;
    let second = sessions.refresh(first.id).await.unwrap().unwrap();
    let third = sessions.refresh(second.id).await.unwrap().unwrap();
    sessions.prune(&Stop::default()).await.unwrap();
    assert_eq!(place.ask::<i64>(NOTES).await, 2);

    place.run(AGE).await;
    sessions.prune(&Stop::default()).await.unwrap();

    assert_eq!(place.ask::<i64>(NOTES).await, 1);
    assert_eq!(place.ask::<i64>(SEALED).await, 0);
    assert!(sessions.validate(second.id).await.unwrap().is_none());
    assert_eq!(sessions.validate(third.id).await.unwrap().unwrap().id, third.id);
    assert!(sessions.destroy(second.id).await.unwrap());
    assert_eq!(place.ask::<i64>(NOTES).await, 0);
}
