//! What all rivals share: arguments, rows, the operations and the clock.
//!
//! A rival is a program that implements [`Rival`] and calls [`run`]. It is told what to do by its
//! arguments and answers with one line of JSON, the [`Answer`]. All take the same rows in the same
//! order, on a tokio runtime of two workers.

mod args;
mod measure;
mod rows;

pub use args::{Args, Database, Operation};
pub use measure::{Answer, measure};
pub use rows::{Data, id, other_id, private_id};

/// What went wrong; a rival that fails ends the run.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What an operation answers.
pub type Result<T> = std::result::Result<T, Failure>;

/// A store of sessions as its users use it.
///
/// Row `n` has the public id [`id`]`(n)`; a new row has [`other_id`]. Each method fails unless it
/// did what it is for: a find that finds nothing is no find.
pub trait Rival: Sized + Send + Sync + 'static {
    /// Whether it is a loop on one thread, however many tasks there are.
    const SERIAL: bool = false;

    /// Connects. With [`Args::create`] it makes the table, and nothing has to survive a crash.
    fn connect(args: &Args) -> impl Future<Output = Result<Self>>;

    /// Reads row `n` and returns its bytes of data.
    fn find(&self, id: &str, n: usize) -> impl Future<Output = Result<usize>> + Send;

    /// Replaces the data of row `n`.
    fn save(&self, id: &str, n: usize, data: &Data) -> impl Future<Output = Result<()>> + Send;

    /// Adds a row.
    fn insert(&self, id: &str, data: &Data) -> impl Future<Output = Result<()>> + Send;

    /// Takes a row away again, so that every cell begins with the same table. Not measured.
    fn destroy(&self, id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// What the program was told, for one that runs another [`Rival`] for each database.
pub fn args() -> Args {
    clap::Parser::parse()
}

/// The program of a rival.
///
/// # Errors
///
/// When the rival fails.
pub fn run<R: Rival>() -> Result<()> {
    let args = args();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let answer = runtime.block_on(async {
        let rival = std::sync::Arc::new(R::connect(&args).await?);
        measure::measure(rival, &args).await
    })?;
    println!("{}", serde_json::to_string(&answer)?);
    Ok(())
}
