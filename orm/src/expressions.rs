//! Where the databases differ: their clocks, and how they compare text.

use std::time::{Duration, SystemTime};

use chrono::{NaiveDateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, IntoCondition};
use sea_orm::{ColumnTrait, Condition, DbBackend};
use sqlbypass::{Filter, Guard, Timeouts};

use crate::entity::Column;

/// A timeout of more is one of this: databases' calendars end.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3_600);

/// The database's clock in UTC, to which sqlx sets every connection. SQLite has none but this
/// machine's.
pub(crate) fn now(backend: DbBackend) -> Expr {
    match backend {
        DbBackend::Sqlite => Expr::value(Utc::now().naive_utc().trunc_subsecs(6)),
        _ => Expr::custom_keyword(Alias::new("LOCALTIMESTAMP(6)")),
    }
}

/// The database's time of so long ago.
fn ago(backend: DbBackend, time: Duration) -> Expr {
    let time = time.min(LONGEST);
    match backend {
        DbBackend::Sqlite => {
            let delta = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
            Expr::value((Utc::now().naive_utc() - delta).trunc_subsecs(6))
        }
        DbBackend::Postgres => {
            let whole = [0; 6].map(Expr::value);
            let interval = Func::cust("make_interval").args(whole).arg(time.as_secs_f64());
            now(backend).sub(interval)
        }
        _ => {
            let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
            let unit = Expr::custom_keyword(Alias::new("MICROSECOND"));
            Func::cust("TIMESTAMPADD").arg(unit).arg(-micros).arg(now(backend)).into()
        }
    }
}

/// Whether a row is not past a timeout; `None` when there is none.
pub(crate) fn alive(backend: DbBackend, timeouts: Timeouts) -> Option<Expr> {
    let within = |column: Column, limit: Option<Duration>| {
        limit.map(|limit| column.into_expr().gt(ago(backend, limit)))
    };
    let idle = within(Column::UpdatedAt, timeouts.idle);
    let lifetime = within(Column::CreatedAt, timeouts.lifetime);
    match (idle, lifetime) {
        (Some(idle), Some(lifetime)) => Some(idle.and(lifetime)),
        (one, other) => one.or(other),
    }
}

/// The rows that a task means: by either age, or all.
pub(crate) fn filter(backend: DbBackend, filter: &Filter) -> Condition {
    let past = |column: Column, age: Option<Duration>| {
        age.map(|age| column.into_expr().lte(ago(backend, age)))
    };
    let any = Condition::any()
        .add_option(past(Column::UpdatedAt, filter.idle_for))
        .add_option(past(Column::CreatedAt, filter.older_than));
    if any.is_empty() { Condition::all() } else { any }
}

/// Rows with one of these ids, compared byte by byte.
pub(crate) fn has_id<'i>(backend: DbBackend, ids: impl IntoIterator<Item = &'i str>) -> Condition {
    let ids: Vec<&str> = ids.into_iter().collect();
    let condition = Column::SessionId.is_in(ids.iter().copied()).into_condition();
    match backend {
        // The first comparison finds the row by its index, under whatever collation.
        DbBackend::MySql => Condition::all()
            .add(condition)
            .add(binary(Column::SessionId).is_in(ids.iter().map(|id| id.as_bytes().to_vec()))),
        _ => condition,
    }
}

/// The guard of an update: null-safe, since it is known here whether it is NULL.
pub(crate) fn guard(backend: DbBackend, guard: &Guard) -> Option<Expr> {
    let Guard::Data(data) = guard else { return None };
    Some(match (data, backend) {
        (None, _) => Column::Data.is_null(),
        (Some(data), DbBackend::MySql) => binary(Column::Data).eq(data.to_vec()),
        (Some(data), _) => match std::str::from_utf8(data) {
            Ok(text) => Column::Data.eq(text),
            // No text is equal to what is none.
            Err(_) => Expr::value(false),
        },
    })
}

fn binary(column: Column) -> Expr {
    Func::cast_as(column.into_expr(), "BINARY").into()
}

/// The data column's bytes.
pub(crate) fn data_size(backend: DbBackend) -> Expr {
    let size = Func::cust("octet_length").arg(Column::Data.into_expr());
    match backend {
        DbBackend::Postgres => Func::cast_as(size, "bigint").into(),
        _ => size.into(),
    }
}

pub(crate) fn system_time(time: NaiveDateTime) -> SystemTime {
    time.and_utc().into()
}
