use super::*;
use crate::lua::effects::Door;

#[tokio::test]
async fn who_sleeps_is_woken_in_the_order_of_the_times_when_the_clock_is_moved() {
    let world = StandIn::new(1_000_000, 7);
    let (mut late, mut early) = (world.sleep(Duration::from_secs(5)), world.sleep(Duration::from_secs(1)));
    assert_eq!(world.next_wake_us(), Some(2_000_000));
    assert!(!world.wake_next());
    world.move_to(2_000_000);
    assert!(world.wake_next() && !world.wake_next());
    assert!(futures_util::poll!(&mut late).is_pending());
    assert!(futures_util::poll!(&mut early).is_ready());
    assert_eq!(world.under_way(), (1, 0));
    drop(early);
    assert_eq!((world.under_way(), world.next_wake_us()), ((0, 0), Some(6_000_000)));
    drop(late);
    assert_eq!((world.under_way(), world.next_wake_us()), ((0, 0), None));
    assert_eq!(world.monotonic(), Duration::from_secs(1));
}

#[test]
fn the_same_seed_has_the_same_identifiers() {
    let ids = |seed| (0..3).map(|_| StandIn::new(0, seed).random_bytes()).collect::<Vec<_>>();
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
    assert_eq!(uuid::Uuid::from_bytes(ids(1)[0]).get_version_num(), 4);
}

#[test]
fn what_is_ordered_to_fail_fails_as_often_as_was_said() {
    let world = StandIn::new(0, 0);
    world.fail("db", "busy", "later", Some(2));
    world.fail("kv.set", "full", "no", None);
    assert_eq!(world.failure("panotti.db.query"), Some(("busy", "later".to_owned())));
    assert_eq!(world.failure("panotti.kv.get"), None);
    assert!(world.failure("panotti.db.execute").is_some() && world.failure("panotti.db.query").is_none());
    assert!(world.failure("panotti.kv.set").is_some() && world.failure("panotti.kv.set").is_some());
    world.mend("kv.set");
    assert!(world.failure("panotti.kv.set").is_none() && world.failure("panotti.dbx.y").is_none());
}
