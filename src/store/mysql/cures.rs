//! The cures of a column: they change what ails it, and leave alone what else its table says of it.

use super::statements::DIALECT;
use crate::error::Result;
use crate::store::facts::{Fact, cures, unfilled, unfilled_cure};
use crate::store::statements::{Names, Statements};
use crate::table::{Facts, Table};

/// A private id's characters.
const ID_LEN: u64 = 67;

/// The statements that mend this table, which `creation` makes.
pub(super) fn cures_of(
    table: &Table,
    statements: &Statements,
    facts: &Facts,
    creation: &str,
) -> Result<Vec<Fact>> {
    let setting = |name| facts.setting(name).unwrap_or_default();
    let version = setting("version");
    let id = Column::of(creation, table.session_id());
    let data = Column::of(creation, table.data());
    let collation = setting("id_collation");
    let for_ids = || id.as_ref().and_then(|id| id.for_ids(collation));
    let time = |name| Column::of(creation, name).map(|column| column.of_times());
    let (created, updated) = (time("created_at"), time("updated_at"));
    let modified = |definition: Option<String>| match definition {
        Some(definition) => format!("MODIFY {definition}, "),
        None => String::new(),
    };
    let own: Names = vec![
        ("new_key", DIALECT.quoted(table.named_primary_key().unwrap_or("id"))),
        ("modify_id", modified(for_ids())),
        ("id_definition", for_ids().unwrap_or_default()),
        ("created_definition", created.clone().unwrap_or_default()),
        ("updated_definition", updated.clone().unwrap_or_default()),
        ("data_definition", data.as_ref().map(|data| data.wide(version)).unwrap_or_default()),
        // Others know no expression as a default, and have a default in the session's zone.
        // What is written into a TIMESTAMP is taken for a time of the session's zone.
        ("utc", "SET time_zone = '+00:00'; ".into()),
        ("in_utc", if has_expressions(version) { "" } else { "SET time_zone = '+00:00'; " }.into()),
        (
            "utc_now",
            if has_expressions(version) { "(UTC_TIMESTAMP(6))" } else { "CURRENT_TIMESTAMP(6)" }
                .into(),
        ),
        ("grantee", setting("user").to_owned()),
        ("missing_rights", setting("missing_rights").to_owned()),
    ];
    let mut cures = cures(include_str!("../../../sql/mysql/cures.sql"), statements, &own)?;
    // What is not known cannot be kept.
    cures.retain(|(_, name, _)| match name.as_str() {
        "id_collation" | "id_length" => id.is_some(),
        "data_length" => data.is_some(),
        "created_type" => created.is_some(),
        "updated_type" => updated.is_some(),
        _ => true,
    });
    cures.extend(unfilled(facts).filter_map(|name| {
        let table = DIALECT.quoted_path(table.name());
        let sql = format!("ALTER TABLE {table} MODIFY {}", Column::of(creation, name)?.nullable());
        Some(("cure".into(), unfilled_cure(name), sql))
    }));
    Ok(cures)
}

/// The statement that makes a column of something else one of users.
pub(super) fn cure_of_users(table: &Table, creation: &str) -> Option<String> {
    let column = Column::of(creation, table.user()?)?;
    let comment = column.rest.find(" COMMENT '").map_or("", |at| &column.rest[at..]);
    Some(format!(
        "ALTER TABLE {} MODIFY {} varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin{comment}",
        DIALECT.quoted_path(table.name()),
        column.name,
    ))
}

/// A column's line in the statement that makes its table.
#[derive(Debug, PartialEq)]
struct Column<'a> {
    /// As it is quoted.
    name: &'a str,
    /// With its size.
    data_type: &'a str,
    /// A number's own words, which no other type takes.
    number: &'a str,
    /// Character set and collation, as far as they are told.
    charset: &'a str,
    /// NOT NULL, default, comment and whatever else there is.
    rest: &'a str,
}

impl<'a> Column<'a> {
    fn of(creation: &'a str, name: &str) -> Option<Self> {
        let quoted = DIALECT.quoted(name);
        creation.lines().find_map(|line| {
            let line = line.strip_prefix("  ")?;
            let line = line.strip_suffix(',').unwrap_or(line);
            let (name, definition) = line.split_at_checked(quoted.len())?;
            let definition = definition.strip_prefix(' ')?;
            name.eq_ignore_ascii_case(&quoted).then(|| Self::parse(name, definition))
        })
    }

    fn parse(name: &'a str, definition: &'a str) -> Self {
        let word = definition.find([' ', '(']).unwrap_or(definition.len());
        let size = definition[word..].starts_with('(').then(|| definition.find(')')).flatten();
        let (data_type, after) = definition.split_at(size.map_or(word, |end| end + 1));
        let mut rest = after;
        while let Some(named) =
            rest.strip_prefix(" CHARACTER SET ").or_else(|| rest.strip_prefix(" COLLATE "))
        {
            rest = &named[named.find(' ').unwrap_or(named.len())..];
        }
        let charset = &after[..after.len() - rest.len()];
        let from = rest;
        while let Some(after) =
            rest.strip_prefix(" unsigned").or_else(|| rest.strip_prefix(" zerofill"))
        {
            rest = after;
        }
        let number = &from[..from.len() - rest.len()];
        Self { name, data_type, number, charset, rest }
    }

    /// The definition of one that holds and compares private ids; `None` if it does. `collation` is the
    /// one that it has, whether its table has it too or not.
    fn for_ids(&self, collation: &str) -> Option<String> {
        let (word, size) = self.data_type.split_once('(').unwrap_or((self.data_type, ""));
        let holds_ids = size.trim_end_matches(')').parse().is_ok_and(|size: u64| size >= ID_LEN);
        let is_binary = word.ends_with("binary") || word.ends_with("blob");
        let data_type = match word {
            "varchar" | "char" | "varbinary" if holds_ids => self.data_type,
            _ if is_binary => "varbinary(255)",
            _ => "varchar(255)",
        };
        let charset = match is_binary {
            true => "",
            false if collation.ends_with("_bin") => self.charset,
            false => " CHARACTER SET ascii COLLATE ascii_bin",
        };
        let Self { name, rest, .. } = self;
        let is_so = (data_type, charset) == (self.data_type, self.charset);
        (!is_so).then(|| format!("{name} {data_type}{charset}{rest}"))
    }

    /// The definition of one of times; a default of another type goes.
    fn of_times(&self) -> String {
        let (words, comment) = self.rest.split_at(self.comment());
        let null = if words.contains(" NOT NULL") { "NOT NULL" } else { "NULL" };
        format!("{} datetime(6) {null}{comment}", self.name)
    }

    /// The definition of one that may be NULL.
    fn nullable(&self) -> String {
        let (words, comment) = self.rest.split_at(self.comment());
        let Self { name, data_type, charset, .. } = self;
        let words = words.replacen(" NOT NULL", " NULL", 1);
        format!("{name} {data_type}{}{charset}{words}{comment}", self.number)
    }

    /// Where the comment begins, which is the last of what may hold any word.
    fn comment(&self) -> usize {
        self.rest.find(" COMMENT '").unwrap_or(self.rest.len())
    }

    /// The definition of one with room for 16 MiB.
    fn wide(&self, version: &str) -> String {
        let (word, _) = self.data_type.split_once('(').unwrap_or((self.data_type, ""));
        let is_binary = word.ends_with("binary") || word.ends_with("blob");
        let data_type = if is_binary { "mediumblob" } else { "mediumtext" };
        let Self { name, charset, .. } = self;
        format!("{name} {data_type}{charset}{}", self.rest_of_text(version))
    }

    /// What else is told, as far as a text may have it: on MySQL a default is an expression there, and
    /// before it knew these there was none.
    fn rest_of_text(&self, version: &str) -> String {
        const DEFAULT: &str = " DEFAULT ";
        let comment = self.rest.find(" COMMENT '").unwrap_or(self.rest.len());
        let start = self.rest[..comment].find(" DEFAULT '");
        let (Some(start), false) = (start, version.contains("MariaDB")) else {
            return self.rest.to_owned();
        };
        let literal = &self.rest[start + DEFAULT.len()..];
        let literal = &literal[..end_of_literal(literal)];
        let (before, after) =
            (&self.rest[..start], &self.rest[start + DEFAULT.len() + literal.len()..]);
        match has_expressions(version) {
            true => format!("{before}{DEFAULT}({literal}){after}"),
            false => format!("{before}{after}"),
        }
    }
}

/// Behind the closing quote.
fn end_of_literal(literal: &str) -> usize {
    let mut bytes = literal.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'\'' if bytes.next_if(|(_, next)| *next == b'\'').is_none() => return at + 1,
            _ => {}
        }
    }
    literal.len()
}

/// Whether a column's default may be an expression.
fn has_expressions(version: &str) -> bool {
    let since = if version.contains("MariaDB") { [10, 2, 1] } else { [8, 0, 13] };
    let mut numbers =
        version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version: [u32; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    version >= since
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARIADB: &str = "10.11.6-MariaDB-0+deb12u1";
    const CREATION: &str = "CREATE TABLE `s` (\n  \
        `id` bigint(20) NOT NULL AUTO_INCREMENT,\n  \
        `Sid` varchar(32) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'a,''b' \
        COMMENT 'a (raw) id,',\n  \
        `wide` varchar(300) COLLATE utf8mb4_bin DEFAULT NULL,\n  \
        `bytes` binary(32) NOT NULL,\n  \
        `number` int(9) unsigned zerofill NOT NULL COMMENT 'NOT NULL',\n  \
        `plain` varchar(255) NOT NULL,\n  \
        `data` varchar(100) NOT NULL DEFAULT 'it''s \\' it' COMMENT 'DEFAULT ''x'''\n\
        ) ENGINE=InnoDB";

    fn column(name: &str) -> Column<'static> {
        Column::of(CREATION, name).unwrap()
    }

    #[test]
    fn what_else_is_said_of_a_column_stays() {
        assert_eq!(
            column("sid").for_ids("latin1_swedish_ci").unwrap(),
            "`Sid` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'a,''b' \
             COMMENT 'a (raw) id,'"
        );
        assert_eq!(column("wide").for_ids("utf8mb4_bin"), None);
        assert_eq!(column("bytes").for_ids("").unwrap(), "`bytes` varbinary(255) NOT NULL");
        assert_eq!(column("plain").for_ids("utf8mb4_bin"), None);
        assert_eq!(
            column("number").for_ids("").unwrap(),
            "`number` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'NOT NULL'"
        );
        assert_eq!(
            column("number").nullable(),
            "`number` int(9) unsigned zerofill NULL COMMENT 'NOT NULL'"
        );
        assert_eq!(column("number").of_times(), "`number` datetime(6) NOT NULL COMMENT 'NOT NULL'");
        assert_eq!(Column::of(CREATION, "nosuch"), None);
        let table = Table::default().user_column("sid").unwrap();
        assert_eq!(
            cure_of_users(&table, CREATION).unwrap(),
            "ALTER TABLE `sessions` MODIFY `Sid` varchar(255) CHARACTER SET utf8mb4 COLLATE \
             utf8mb4_bin COMMENT 'a (raw) id,'"
        );
    }

    #[test]
    fn a_text_has_the_default_that_its_server_lets_it_have() {
        let wide = |version| column("data").wide(version);
        let with =
            |default: &str| format!("`data` mediumtext NOT NULL{default} COMMENT 'DEFAULT ''x'''");
        assert_eq!(wide(MARIADB), with(" DEFAULT 'it''s \\' it'"));
        assert_eq!(wide("8.0.36"), with(" DEFAULT ('it''s \\' it')"));
        assert_eq!(wide("5.7.44-log"), with(""));
    }

    #[test]
    fn versions_are_told_apart() {
        for (version, has) in [
            ("5.7.44-log", false),
            ("8.0.12", false),
            ("8.0.13", true),
            ("9.1.0", true),
            ("10.1.48-MariaDB", false),
            (MARIADB, true),
            ("", false),
        ] {
            assert_eq!(has_expressions(version), has, "{version}");
        }
    }
}
