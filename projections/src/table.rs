//! Names of versioned tables, and the only place where text becomes SQL.

use std::{collections::BTreeMap, fmt};

use sqlx::{AssertSqlSafe, MySqlExecutor, SqlSafeStr, SqlStr};

use crate::{error::Error, known::named, version};

/// What is live, read once for an answer, so that none mixes two versions.
#[derive(Clone, Debug)]
pub struct Tables(BTreeMap<String, i32>);

/// The name of one version of a projection's table, such as `products_v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl Tables {
    /// Reads which versions are live, as far as this build can read them: of a projection whose
    /// active version another build has shaped, the one that was filled for this build.
    ///
    /// # Errors
    /// [`Error::Db`] when the server refuses or does not answer.
    pub async fn active(db: impl MySqlExecutor<'_>) -> Result<Self, Error> {
        Ok(Self(version::read_by_this_build(&version::all(db).await?)))
    }

    /// Names the version of one projection and of no other; for processes that are told theirs.
    pub fn only(projection: &str, version: i32) -> Self {
        Self(BTreeMap::from([(projection.to_owned(), version)]))
    }

    /// The same, with another version of one projection.
    #[must_use]
    pub fn with(mut self, projection: &str, version: i32) -> Self {
        self.0.insert(projection.to_owned(), version);
        self
    }

    /// The live version of a projection; 0 where there is none.
    pub fn version(&self, projection: &str) -> i32 {
        self.0.get(projection).copied().unwrap_or_default()
    }

    /// That there is something to read of each of `projections`.
    ///
    /// # Errors
    /// [`Error::NotActive`] naming the first of which there is not.
    pub fn require(&self, projections: &[&str]) -> Result<(), Error> {
        projections.iter().try_for_each(|projection| self.table(projection).map(drop))
    }

    /// The table of the live version of a projection.
    ///
    /// # Errors
    /// [`Error::NotActive`] where there is none.
    pub fn table(&self, projection: &str) -> Result<TableName, Error> {
        match self.version(projection) {
            0 => Err(Error::NotActive(projection.to_owned())),
            version => TableName::of(projection, version),
        }
    }
}

/// A placeholder of a VALUES is text unless it is told otherwise.
const KEY: &str = "ROW(CAST(? AS BINARY(16)))";

impl TableName {
    /// The table of `version` of a projection that this process knows.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`] for any other name, and for versions below 1.
    pub fn of(projection: &str, version: i32) -> Result<Self, Error> {
        match named(projection) {
            Some(known) if version > 0 => Ok(Self(format!("{}_v{version}", known.name()))),
            _ => Err(Error::NoSuchTable(format!("{projection}_v{version}"))),
        }
    }

    /// `template` with `{table}` named and `{values}` spelled out as `rows` times `width`
    /// placeholders, `{keys}` as `rows` rows of one id. Templates are literals and names are
    /// checked, so no text of a caller gets in.
    pub fn statement(&self, template: &'static str, width: usize, rows: usize) -> SqlStr {
        let row = match width {
            1 => "?".to_owned(),
            _ => format!("({})", vec!["?"; width].join(",")),
        };
        let mut text = template.replace("{table}", &self.0);
        for (list, row) in [("{values}", &*row), ("{keys}", KEY)] {
            if text.contains(list) {
                text = text.replace(list, &vec![row; rows].join(","));
            }
        }
        AssertSqlSafe(text).into_sql_str()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_projections_of_this_build_have_tables() {
        assert_eq!(TableName::of("products", 7).unwrap().to_string(), "products_v7");
        for (name, version) in [("products", 0), ("products", -1), ("mysql.user", 1), ("", 1)] {
            assert!(TableName::of(name, version).is_err(), "{name} {version}");
        }
    }

    #[test]
    fn a_template_is_filled_in() {
        let table = TableName::of("history", 2).unwrap();
        let text = table.statement("INSERT INTO {table} VALUES {values}", 2, 2);
        assert_eq!(text.as_str(), "INSERT INTO history_v2 VALUES (?,?),(?,?)");
        let text = table.statement("SELECT 1 FROM {table} WHERE id IN ({values})", 1, 3);
        assert_eq!(text.as_str(), "SELECT 1 FROM history_v2 WHERE id IN (?,?,?)");
        let text = table.statement("SELECT 1 FROM (VALUES {keys}) AS wanted", 1, 2);
        let rows = "ROW(CAST(? AS BINARY(16))),ROW(CAST(? AS BINARY(16)))";
        assert_eq!(text.as_str(), format!("SELECT 1 FROM (VALUES {rows}) AS wanted"));
    }
}
