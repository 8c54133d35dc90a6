//! What the rows tell.

use std::time::Instant;

use super::times::{KEYS, Tally as Times, key_of};
use super::users::Tally as Users;
use super::{DoctorOptions, Findings, counted};
use crate::admin::upgrade::{secured, twins};
use crate::admin::walk::{Ended, Progress, RowName, Walk, Watch, open};
use crate::codec::envelope::is_envelope;
use crate::codec::{Codec, Document};
use crate::error::{Error, Result};
use crate::record::Row;
use crate::store::Maintenance;
use crate::table::{Facts, Schema};

/// So many rows are named in a finding.
const NAMED: usize = 10;

/// Reads every row. What was found is told also where the reading fails half-way.
pub(super) async fn look<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    (schema, facts): (&Schema, &Facts),
    mut watch: impl Watch,
    found: &mut Findings,
) -> Result<Ended> {
    let mut tally = Tally::default();
    let begun = Instant::now();
    let mut ended = read(store, options, schema, &mut watch, &mut tally).await;
    tally.tell(options, (schema, facts), found);
    if let Ok(Ended::Done) = ended {
        // These pages are not of the rows that a watch is told of.
        let seen = tally.seen;
        let watch = |_: &Progress| watch(&seen);
        ended = tally.times.tell(store, facts, (&options.pace, begun), watch, found).await;
    }
    match ended {
        // Rights are told of by their own cure.
        Err(error) if !error.is_config() => {
            let (what, advice) = error.what_and_advice();
            let first = if advice.is_empty() { "mend the database" } else { advice };
            found.wrong(
                format!("not all rows could be read: {what}"),
                format!("{first}; then run it again, or leave the rows out: --no-rows"),
            );
            Ok(Ended::Failed)
        }
        ended => ended,
    }
}

async fn read<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    schema: &Schema,
    watch: impl Watch,
    tally: &mut Tally,
) -> Result<Ended> {
    let codec = codec(options);
    let mut walk = Walk::start(store, &options.pace, true, watch).await?;
    while let Some(rows) = walk.next().await? {
        tally.add_raw(store, &rows).await?;
        for row in &rows {
            tally.add(row, schema);
            match decoded(codec, row) {
                Ok(document) => tally.users.add(options, row, &*document),
                Err(error) => tally.add_broken(row, &error),
            }
        }
    }
    let (progress, ended) = walk.finish();
    tally.seen = progress;
    Ok(ended)
}

fn codec(options: &DoctorOptions) -> &dyn Codec {
    options.codec.as_ref().map_or(&options.serializer, |codec| codec)
}

#[derive(Default)]
struct Tally {
    seen: Progress,
    /// Rows with a raw id, without those that stand beside their secured twin.
    unsecured: u64,
    twins: Named,
    /// The keys of the first of them, as SQL has them.
    twin_keys: Vec<String>,
    tight: u64,
    plain: u64,
    encrypted: u64,
    /// Rows that cannot be read.
    broken: Named,
    /// The same of those that are encrypted.
    sealed: Named,
    times: Times,
    users: Users,
}

/// Rows by their number, and the first of them by their names.
#[derive(Default)]
struct Named {
    count: u64,
    rows: Vec<String>,
}

impl Named {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.rows.len() < NAMED {
            self.rows.push(name());
        }
    }
}

impl Tally {
    fn add(&mut self, row: &Row, schema: &Schema) {
        self.tight += u64::from(schema.data_limit.is_some_and(|limit| row.size > limit / 5 * 4));
        self.times.add(row, schema);
        match &row.data {
            Some(data) if is_envelope(data) => self.encrypted += 1,
            Some(_) => self.plain += 1,
            None => {}
        }
    }

    /// Tells the rows that have a secured twin, which is looked up for raw ones alone.
    async fn add_raw<S: Maintenance>(&mut self, store: &S, rows: &[Row]) -> Result<()> {
        let raw: Vec<_> =
            rows.iter().filter_map(|row| Some((row, secured(&row.stored_id)?))).collect();
        let ids = raw.iter().map(|(_, id)| *id).collect();
        for ((row, _), has_twin) in raw.iter().zip(twins(store, ids).await?) {
            if !has_twin {
                self.unsecured += 1;
                continue;
            }
            self.twins.add(|| format!("row {}", RowName::new(row)));
            if self.twin_keys.len() < NAMED {
                self.twin_keys.extend(key_of(row));
            }
        }
        Ok(())
    }

    fn add_broken(&mut self, row: &Row, error: &Error) {
        let is_sealed = row.data.as_ref().is_some_and(|data| is_envelope(data));
        let named = if is_sealed { &mut self.sealed } else { &mut self.broken };
        named.add(|| format!("row {}: {error}", RowName::new(row)));
    }

    fn tell(
        &self,
        options: &DoctorOptions,
        (schema, facts): (&Schema, &Facts),
        found: &mut Findings,
    ) {
        self.tell_twins(facts, found);
        if self.unsecured > 0 {
            found.wrong(
                format!(
                    "{} the cookie's own id: whoever reads the table can log in",
                    counted(self.unsecured, "row holds", "rows hold")
                ),
                "sqlbypass upgrade",
            );
        }
        if self.broken.count > 0 {
            found.wrong(
                format!(
                    "{} be decoded as {}: {}",
                    counted(self.broken.count, "row cannot", "rows cannot"),
                    codec(options).name(),
                    self.broken.rows.join("; ")
                ),
                "name the --serializer that wrote them; what none reads is no session any more: delete \
                 such rows, or leave them to trim",
            );
        }
        if self.sealed.count > 0 {
            found.wrong(
                format!(
                    "{} encrypted and cannot be opened: {}",
                    counted(self.sealed.count, "row is", "rows are"),
                    self.sealed.rows.join("; ")
                ),
                "name the file or the variable with all of their keys: --keys-file FILE, --keys-env NAME",
            );
        }
        if self.plain > 0 && self.encrypted > 0 {
            found.warning(
                format!("{} rows are encrypted and {} are not", self.encrypted, self.plain),
                "sqlbypass convert --encrypt --keys-file FILE, or --decrypt",
            );
        }
        if self.tight > 0 {
            found.warning(
                format!(
                    "{} more than four fifths of the data column",
                    counted(self.tight, "row fills", "rows fill")
                ),
                "store less in sessions, or widen the column",
            );
        }
        if let Some(column) = options.user_column.as_deref().filter(|_| schema.user) {
            self.users.tell(column, found);
        }
    }

    fn tell_twins(&self, facts: &Facts, found: &mut Findings) {
        if self.twins.count == 0 {
            return;
        }
        let stand = counted(self.twins.count, "row stands beside its", "rows stand beside their");
        let more = if self.twins.count > NAMED as u64 { ", and others" } else { "" };
        let what = format!(
            "{stand} secured twin: nobody finds them any more, sqlbypass upgrade leaves them, and whoever \
             reads the table can log in by the cookie's own id that they hold: {}{more}",
            self.twins.rows.join(", ")
        );
        let cure = match facts.cure("twins") {
            Some(cure) if !self.twin_keys.is_empty() => {
                let cure = cure.replace(KEYS, &format!("({})", self.twin_keys.join(", ")));
                format!("{cure} -- look again afterwards")
            }
            _ => "delete them".to_owned(),
        };
        found.wrong(what, cure);
    }
}

/// A row's data, all of which can be read.
fn decoded(codec: &dyn Codec, row: &Row) -> Result<Box<dyn Document>> {
    let document = open(codec, &row.stored_id, row.data.clone())?;
    document.keys().into_iter().try_for_each(|key| document.get(key).map(drop))?;
    Ok(document)
}
