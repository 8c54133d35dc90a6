//! Several operations at once, for tasks.

use std::future::Future;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::error::Result;

/// How many: enough that a server's commits share their waits, few enough for the service beside.
const WIDTH: usize = 4;

/// Runs these with at most [`WIDTH`] under way; their answers in order, or the first error.
pub(super) async fn together<T: Send>(
    operations: Vec<impl Future<Output = Result<T>> + Send>,
) -> Result<Vec<T>> {
    stream::iter(operations).buffered(WIDTH).try_collect().await
}
