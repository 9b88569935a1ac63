//! Reading: a pool of connections that cannot write.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use r2d2::{ManageConnection, Pool};
use tokio::sync::Semaphore;

use crate::error::{Code, Error, Result};

use super::clip_totals::ClipTotals;
use super::connection::Reader;

/// How long a read waits for a connection.
const CHECKOUT: Duration = Duration::from_secs(3);

/// The pool, and the share of it that long reads may take.
#[derive(Clone)]
pub(super) struct Readers {
    pool: Pool<Opener>,
    long_reads: Arc<Semaphore>,
}

struct Opener {
    path: PathBuf,
    clip_totals: ClipTotals,
}

impl ManageConnection for Opener {
    type Connection = Reader;
    type Error = Error;

    fn connect(&self) -> Result<Reader> {
        let mut reader = Reader::open_reader(&self.path)?;
        reader.clip_totals = Some(self.clip_totals.clone());
        Ok(reader)
    }

    fn is_valid(&self, _: &mut Reader) -> Result<()> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Reader) -> bool {
        false
    }
}

impl Readers {
    pub(super) fn open(path: PathBuf, size: u32, clip_totals: ClipTotals) -> Result<Self> {
        let pool = Pool::builder()
            .max_size(size.max(2))
            // Each reads the whole schema when it is opened: one is enough to begin with.
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(CHECKOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .build(Opener { path, clip_totals })
            .map_err(Error::internal)?;
        // Half of the connections stay free for point reads, which run where the request is.
        let long_reads = Arc::new(Semaphore::new((size as usize / 2).max(1)));
        Ok(Readers { pool, long_reads })
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
        let mut reader =
            self.pool.get().map_err(|cause| Error { source: Some(Box::new(cause)), ..busy() })?;
        f(&mut reader)
    }

    pub(super) async fn read_async<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = tokio::time::timeout(CHECKOUT, self.long_reads.clone().acquire_owned());
        let permit = permit.await.map_err(|_| busy())?.map_err(Error::internal)?;
        let readers = self.clone();
        let work = move || {
            let _permit = permit;
            readers.read(f)
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

fn busy() -> Error {
    Error { retry_after: Some(1), ..Error::new(Code::Overloaded, "All database connections are busy.") }
}
