//! Rendering: a statement's file and what the table has → the SQL text and the order of its
//! parameters. Done once for each variant that is used, never per call.
//!
//! A file holds `{names}`, `:parameters`, and whole lines that end in a tag, `-- if x` or
//! `-- unless x`; such a line is kept or dropped as a whole. The rules are told in
//! `sql/README.md`.

use std::sync::OnceLock;

use crate::error::{Error, Result};

/// What a tag can ask for. A set of them chooses a statement's variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    // What the table has.
    CreatedAt,
    UpdatedAt,
    ExpiresAt,
    UserColumn,
    Collated,
    IdKey,
    Tuned,
    // What the call asks for.
    Legacy,
    Idle,
    Lifetime,
    Guard,
    Data,
    Rekey,
    Restart,
    Touch,
    Expiry,
    After,
    Payload,
    Age,
    Alone,
    User,
    Unknown,
    Online,
    // What follows from the others.
    /// A row may be past something: a timeout that is on, or its own expiry.
    Timed,
}

const FLAGS: [(&str, Flag); 24] = [
    ("created_at", Flag::CreatedAt),
    ("updated_at", Flag::UpdatedAt),
    ("expires_at", Flag::ExpiresAt),
    ("user_column", Flag::UserColumn),
    ("collated", Flag::Collated),
    ("id_key", Flag::IdKey),
    ("tuned", Flag::Tuned),
    ("legacy", Flag::Legacy),
    ("idle", Flag::Idle),
    ("lifetime", Flag::Lifetime),
    ("guard", Flag::Guard),
    ("data", Flag::Data),
    ("rekey", Flag::Rekey),
    ("restart", Flag::Restart),
    ("touch", Flag::Touch),
    ("expiry", Flag::Expiry),
    ("after", Flag::After),
    ("payload", Flag::Payload),
    ("age", Flag::Age),
    ("alone", Flag::Alone),
    ("user", Flag::User),
    ("unknown", Flag::Unknown),
    ("online", Flag::Online),
    ("timed", Flag::Timed),
];

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) fn with(self, flag: Flag, on: bool) -> Self {
        Self(self.0 | (u32::from(on) << flag as u16))
    }

    fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u16) != 0
    }

    /// The set's bits among `flags`, in their order: an index into a table of variants.
    pub(crate) fn index(self, flags: &[Flag]) -> usize {
        flags
            .iter()
            .enumerate()
            .fold(0, |index, (bit, flag)| index | usize::from(self.has(*flag)) << bit)
    }

    /// For tests: every subset of `flags` joined to this set, in the order of [`Flags::index`].
    #[cfg(test)]
    pub(crate) fn variants(self, flags: &[Flag]) -> impl Iterator<Item = Self> {
        (0..1_usize << flags.len()).map(move |index| {
            flags
                .iter()
                .enumerate()
                .fold(self, |set, (bit, flag)| set.with(*flag, index >> bit & 1 == 1))
        })
    }
}

/// What a placeholder stands for. A store binds a statement's parameters by walking its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    Id,
    Legacy,
    NewId,
    Data,
    GuardData,
    User,
    StoredId,
    Now,
    IdleSince,
    BornSince,
    ExpiresAt,
    IdleMicros,
    LifetimeMicros,
    ExpiryMicros,
    After,
    Limit,
    Key,
    Keys,
    // Of a batch: one value for each of its operations.
    Ids,
    NewIds,
    Datas,
    Guards,
    Users,
}

const PARAMS: [(&str, Param); 23] = [
    ("ids", Param::Ids),
    ("new_ids", Param::NewIds),
    ("datas", Param::Datas),
    ("guards", Param::Guards),
    ("users", Param::Users),
    ("id", Param::Id),
    ("legacy", Param::Legacy),
    ("new_id", Param::NewId),
    ("data", Param::Data),
    ("guard", Param::GuardData),
    ("user", Param::User),
    ("now", Param::Now),
    ("idle_since", Param::IdleSince),
    ("born_since", Param::BornSince),
    ("expires_at", Param::ExpiresAt),
    ("idle_micros", Param::IdleMicros),
    ("lifetime_micros", Param::LifetimeMicros),
    ("expiry_micros", Param::ExpiryMicros),
    ("after", Param::After),
    ("limit", Param::Limit),
    ("key", Param::Key),
    ("keys", Param::Keys),
    ("stored_id", Param::StoredId),
];

/// How a database writes names and placeholders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// Stands round a quoted name.
    pub(crate) quote: char,
    /// Stands before a placeholder's number.
    pub(crate) placeholder: char,
    /// Whether placeholders are numbered, so that a parameter is bound once however often it
    /// stands in a statement; else each place is bound in its turn.
    pub(crate) numbered: bool,
}

impl Dialect {
    /// The name as the dialect quotes it.
    pub(crate) fn quoted(self, name: &str) -> String {
        let doubled = name.replace(self.quote, &format!("{0}{0}", self.quote));
        format!("{0}{doubled}{0}", self.quote)
    }

    /// A table's name whose dot separates the schema.
    pub(crate) fn quoted_path(self, name: &str) -> String {
        let parts: Vec<String> = name.split('.').map(|part| self.quoted(part)).collect();
        parts.join(".")
    }
}

/// A statement ready to be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) params: Vec<Param>,
}

/// A statement's file with what the table has, and each of its variants once it was asked for.
#[derive(Debug)]
pub(crate) struct Variants {
    file: &'static str,
    choices: &'static [Flag],
    table: Flags,
    rendered: Box<[OnceLock<Statement>]>,
}

impl Variants {
    /// `choices` are the flags by which calls differ; `table` is what the table has.
    pub(crate) fn new(file: &'static str, choices: &'static [Flag], table: Flags) -> Self {
        let rendered = (0..1_usize << choices.len()).map(|_| OnceLock::new()).collect();
        Self { file, choices, table, rendered }
    }

    /// The variant of these call flags, rendered at its first use and kept.
    pub(crate) fn get(
        &self,
        dialect: Dialect,
        names: &[(&'static str, String)],
        call: Flags,
    ) -> Result<&Statement> {
        let slot = &self.rendered[call.index(self.choices)];
        if let Some(statement) = slot.get() {
            return Ok(statement);
        }
        let statement = render(self.file, dialect, names, self.table.join(call))?;
        Ok(slot.get_or_init(|| statement))
    }
}

/// Renders one variant of a statement's file.
///
/// # Errors
///
/// When the file has a tag, a name or a parameter that nobody knows: a mistake in the file, which
/// the golden tests find.
pub(crate) fn render(
    file: &str,
    dialect: Dialect,
    names: &[(&'static str, String)],
    flags: Flags,
) -> Result<Statement> {
    let is_timed =
        [Flag::Idle, Flag::Lifetime, Flag::ExpiresAt].iter().any(|flag| flags.has(*flag));
    let flags = flags.with(Flag::Timed, is_timed);
    let mut lines = Vec::new();
    for line in file.lines() {
        if let Some(kept) = kept(line, flags)? {
            lines.push(kept);
        }
    }
    let mut statement = Statement { sql: String::new(), params: Vec::new() };
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).map_or("", |next| next.trim_start());
        let line = if ends_list(next) { line.trim_end_matches(',') } else { line };
        substitute(line, dialect, names, &mut statement)?;
        statement.sql.push('\n');
    }
    statement.sql.truncate(statement.sql.trim_end().len());
    Ok(statement)
}

/// The line without its tag, or `None` if the tag drops it. Comments and empty lines go too.
fn kept(line: &str, flags: Flags) -> Result<Option<&str>> {
    let Some((code, comment)) = line.split_once("--") else {
        return Ok((!line.trim().is_empty()).then(|| line.trim_end()));
    };
    let code = code.trim_end();
    if code.is_empty() {
        return Ok(None);
    }
    let keep = match comment.trim().split_once(' ') {
        Some(("if", tags)) => holds(tags, flags)?,
        Some(("unless", tags)) => !holds(tags, flags)?,
        _ => return Err(fault(format!("a comment that is no tag: {comment}"))),
    };
    Ok(keep.then_some(code))
}

/// Whether all of the tags, joined by `and`, hold.
fn holds(tags: &str, flags: Flags) -> Result<bool> {
    let mut all = true;
    for tag in tags.split(" and ") {
        let known = FLAGS.iter().find(|(name, _)| *name == tag.trim());
        let (_, flag) = known.ok_or_else(|| fault(format!("an unknown tag: {tag}")))?;
        all &= flags.has(*flag);
    }
    Ok(all)
}

/// Whether a list cannot go on with this line, so that a comma before it has to go.
fn ends_list(next: &str) -> bool {
    next.is_empty()
        || next.starts_with(')')
        || next.starts_with("FROM")
        || next.starts_with("WHERE")
}

fn substitute(
    line: &str,
    dialect: Dialect,
    names: &[(&'static str, String)],
    out: &mut Statement,
) -> Result<()> {
    let mut rest = line;
    while let Some(at) = rest.find(['{', ':']) {
        let (before, token) = rest.split_at(at);
        out.sql.push_str(before);
        let word_end = token[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = &token[1..][..word_end.unwrap_or(token.len() - 1)];
        rest = &token[1 + word.len()..];
        if token.starts_with('{') {
            let name = names.iter().find(|(name, _)| *name == word);
            let (_, text) = name.ok_or_else(|| fault(format!("an unknown name: {word}")))?;
            out.sql.push_str(text);
            rest = rest.strip_prefix('}').ok_or_else(|| fault("a brace left open".into()))?;
        } else {
            let param = PARAMS.iter().find(|(name, _)| *name == word);
            let (_, param) = param.ok_or_else(|| fault(format!("an unknown parameter: {word}")))?;
            push_placeholder(*param, dialect, out);
        }
    }
    out.sql.push_str(rest);
    Ok(())
}

/// Numbers a parameter at its first appearance; a later one refers to the same number.
fn push_placeholder(param: Param, dialect: Dialect, out: &mut Statement) {
    out.sql.push(dialect.placeholder);
    if !dialect.numbered {
        out.params.push(param);
        return;
    }
    let known = out.params.iter().position(|known| *known == param);
    let number = known.unwrap_or_else(|| {
        out.params.push(param);
        out.params.len() - 1
    }) + 1;
    out.sql.push_str(&number.to_string());
}

fn fault(problem: String) -> Error {
    Error::config("rendering a statement", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQLITE: Dialect = Dialect { quote: '"', placeholder: '?', numbered: true };

    fn text(file: &str, flags: Flags) -> Result<Statement> {
        render(file, SQLITE, &[("table", SQLITE.quoted("a\"b"))], flags)
    }

    #[test]
    fn lines_are_kept_by_their_tags_and_lists_stay_well_formed() {
        let file = "UPDATE {table} SET\n  a = :now, -- if touch\n  b = :id, -- unless touch\nWHERE c = :id\n";
        let on = text(file, Flags::default().with(Flag::Touch, true)).unwrap();
        assert_eq!(on.sql, "UPDATE \"a\"\"b\" SET\n  a = ?1\nWHERE c = ?2");
        assert_eq!(on.params, [Param::Now, Param::Id]);
        let off = text(file, Flags::default()).unwrap();
        assert_eq!(off.sql, "UPDATE \"a\"\"b\" SET\n  b = ?1\nWHERE c = ?1");
    }

    #[test]
    fn mistakes_in_a_file_are_errors() {
        for file in ["{nothing}", ":nothing", "x -- if nothing", "x -- remark", "{table"] {
            assert!(text(file, Flags::default()).unwrap_err().is_config());
        }
    }

    #[test]
    fn variants_come_in_the_order_of_their_index() {
        let choices = [Flag::Guard, Flag::Rekey, Flag::Touch];
        for (at, flags) in Flags::default().variants(&choices).enumerate() {
            assert_eq!(flags.index(&choices), at);
        }
    }
}
