//! How long a request waits for the database, for a client that asked.
//!
//! The request runs within [`timed`]; what it waits for adds to its account. Everything else pays one look at a
//! variable of its task.

use std::sync::Arc;
use std::time::Instant;

use crate::model::timing::Timing;

tokio::task_local! {
    static ACCOUNT: Arc<Timing>;
}

/// Runs `work`, whose waits for the database go to `account`.
pub async fn timed<T>(account: Arc<Timing>, work: impl Future<Output = T>) -> T {
    ACCOUNT.scope(account, work).await
}

/// Waits for `work` of the database.
pub async fn waited<T>(work: impl Future<Output = T>) -> T {
    let Ok(account) = ACCOUNT.try_with(Arc::clone) else { return work.await };
    let began = Instant::now();
    let done = work.await;
    account.add_db(began.elapsed());
    done
}

/// Does `work` of the database here.
pub(super) fn spent<T>(work: impl FnOnce() -> T) -> T {
    let Ok(account) = ACCOUNT.try_with(Arc::clone) else { return work() };
    let began = Instant::now();
    let done = work();
    account.add_db(began.elapsed());
    done
}
