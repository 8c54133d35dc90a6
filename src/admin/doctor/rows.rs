//! What the rows tell.

use std::time::Instant;

use super::times::Tally as Times;
use super::users::Tally as Users;
use super::{DoctorOptions, Findings, counted};
use crate::admin::upgrade::{has_twin, is_secured};
use crate::admin::walk::{Ended, RowName, Walk, Watch, open};
use crate::codec::envelope::is_envelope;
use crate::codec::{Codec, Document};
use crate::error::{Error, Result};
use crate::record::Row;
use crate::store::Maintenance;
use crate::table::{Facts, Schema};

/// So many rows with raw ids are looked up for a secured one beside them.
const LOOKED_UP: u64 = 10_000;
/// So many rows are named in a finding.
const NAMED: usize = 10;

/// Reads every row. What was found is told also where the reading fails half-way.
pub(super) async fn look<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    (schema, facts): (&Schema, &Facts),
    watch: impl Watch,
    found: &mut Findings,
) -> Result<Ended> {
    let (mut tally, mut watch, begun) = (Tally::default(), watch, Instant::now());
    let mut ended = read(store, options, schema, &mut watch, &mut tally).await;
    tally.tell(options, schema, found);
    if let Ok(Ended::Done) = ended {
        let at_most = options.pace.since(begun).at_most;
        ended = tally.times.tell(store, facts, at_most, watch, found).await;
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
        tally.add_twins(store, &rows).await?;
        for row in &rows {
            tally.add(row, schema);
            match decoded(codec, row) {
                Ok(document) => tally.users.add(options, row, &*document),
                Err(error) => tally.add_broken(row, &error),
            }
        }
    }
    Ok(walk.finish().1)
}

fn codec(options: &DoctorOptions) -> &dyn Codec {
    options.codec.as_ref().map_or(&options.serializer, |codec| codec)
}

#[derive(Default)]
struct Tally {
    unsecured: u64,
    /// Those of them whose session has a secured row, too.
    twins: Named,
    /// How many of them were looked up.
    looked_up: u64,
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
    fn add(&mut self, row: &Row, told: impl FnOnce(RowName) -> String) {
        self.count += 1;
        if self.rows.len() < NAMED {
            self.rows.push(told(RowName::new(row)));
        }
    }
}

impl Tally {
    fn add(&mut self, row: &Row, schema: &Schema) {
        self.unsecured += u64::from(!is_secured(&row.stored_id));
        self.tight += u64::from(schema.data_limit.is_some_and(|limit| row.size > limit / 5 * 4));
        self.times.add(row, schema);
        match &row.data {
            Some(data) if is_envelope(data) => self.encrypted += 1,
            Some(_) => self.plain += 1,
            None => {}
        }
    }

    async fn add_twins<S: Maintenance>(&mut self, store: &S, rows: &[Row]) -> Result<()> {
        for row in rows.iter().filter(|row| !is_secured(&row.stored_id)) {
            // Where many are to be secured yet, a lookup of each would take too long.
            if self.looked_up < LOOKED_UP && has_twin(store, &row.stored_id).await? {
                self.twins.add(row, |name| format!("row {name}"));
            }
            self.looked_up += 1;
        }
        Ok(())
    }

    fn add_broken(&mut self, row: &Row, error: &Error) {
        let is_sealed = row.data.as_ref().is_some_and(|data| is_envelope(data));
        let named = if is_sealed { &mut self.sealed } else { &mut self.broken };
        named.add(row, |name| format!("row {name}: {error}"));
    }

    fn tell(&self, options: &DoctorOptions, schema: &Schema, found: &mut Findings) {
        let unsecured = self.unsecured - self.twins.count;
        if unsecured > 0 {
            found.wrong(
                format!(
                    "{} the cookie's own id: whoever reads the table can log in",
                    counted(unsecured, "row holds", "rows hold")
                ),
                "sqlbypass upgrade",
            );
        }
        if self.twins.count > 0 {
            found.wrong(
                format!(
                    "{} the cookie's own id beside the secured row of the same session: nobody finds it any \
                     more, and whoever reads the table can log in: {}",
                    counted(self.twins.count, "row holds", "rows hold"),
                    self.twins.rows.join("; ")
                ),
                "sqlbypass upgrade leaves such rows: delete them by their key, as they are named here",
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
}

/// A row's data, all of which can be read.
fn decoded(codec: &dyn Codec, row: &Row) -> Result<Box<dyn Document>> {
    let document = open(codec, &row.stored_id, row.data.clone())?;
    document.keys().into_iter().try_for_each(|key| document.get(key).map(drop))?;
    Ok(document)
}
