//! sea-orm behind the contract of a store: `sqlbypass-orm` does all that ours does.

#[path = "../orm.rs"]
mod orm;
#[path = "../../../ours/src/through.rs"]
mod through;

use bench_kit::{Args, Result};
use sqlbypass_orm::OrmStore;
use through::{Open, Through};

fn main() -> Result<()> {
    bench_kit::run::<Through<OrmStore>>()
}

impl Open for OrmStore {
    async fn open(args: &Args) -> Result<Self> {
        Ok(Self::new(orm::connect(args).await?))
    }
}
