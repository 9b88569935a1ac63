//! The request that an act is done for: what the audit log tells of the act names it, however deep it is done.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

tokio::task_local! {
    /// Of the task that runs; it goes along where work is handed to another task on purpose ([`Asked::carry`]).
    static CURRENT: Asked;
}

/// A request that changes something, and how many of its acts are in the audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Asked(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    request_id: Arc<str>,
    key_name: OnceLock<String>,
    acts: AtomicU32,
}

impl Asked {
    /// The request with this id, of which nothing is noted yet.
    pub fn new(request_id: Arc<str>) -> Self {
        Asked(Arc::new(Inner { request_id, key_name: OnceLock::new(), acts: AtomicU32::new(0) }))
    }

    /// The request that the running task works for, if it changes something.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Does `work` for this request.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// `work`, done for the request of the task that calls this, wherever it runs.
    pub fn carry<F>(work: F) -> impl Future<Output = F::Output> + Send + 'static + use<F>
    where
        F: Future + Send + 'static,
    {
        let asked = Self::current();
        async move {
            match asked {
                Some(asked) => asked.scope(work).await,
                None => work.await,
            }
        }
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// What the owner of its key calls the key, once that is known.
    pub fn key_name(&self) -> Option<&str> {
        self.0.key_name.get().map(String::as_str)
    }

    /// Its key was found good.
    pub fn set_key_name(&self, name: &str) {
        let _ = self.0.key_name.set(name.to_owned());
    }

    /// One act of it is in the audit log for good.
    pub fn count(&self) {
        self.0.acts.fetch_add(1, Ordering::Relaxed);
    }

    /// How many acts of it are there.
    pub fn acts(&self) -> u32 {
        self.0.acts.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_knows_its_request_where_it_is_carried_and_nowhere_else() {
        let asked = Asked::new("r1".into());
        let seen = asked.clone().scope(async {
            let carried = tokio::spawn(Asked::carry(async {
                Asked::current().inspect(Asked::count).map(|it| it.request_id().to_owned())
            }));
            let other = tokio::spawn(async { Asked::current().is_none() });
            (carried.await.unwrap(), other.await.unwrap())
        });
        assert_eq!(seen.await, (Some("r1".to_owned()), true));
        assert_eq!(asked.acts(), 1);
        assert!(Asked::current().is_none());
    }
}
