//! Columns in and out of our types.

use std::{fmt::Display, io, str::FromStr};

use domain::{Currency, MallId, Money, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Arguments, error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow};
use sqlx::{Decode, Encode, MySql, Row as _, Type};
use uuid::Uuid;

use crate::error::Error;

/// Reads a row's columns by name, for [`Projection::read`](crate::Projection::read). Each fails
/// where the column is not there or holds something else.
pub struct Columns<'r>(pub &'r MySqlRow);

impl<'r> Columns<'r> {
    /// A value of a type that MySQL knows.
    pub fn get<T: Decode<'r, MySql> + Type<MySql>>(
        &self,
        column: &'static str,
    ) -> Result<T, Error> {
        Ok(self.0.try_get(column)?)
    }

    /// A key or a reference.
    pub fn uuid(&self, column: &'static str) -> Result<Uuid, Error> {
        self.optional_uuid(column)?.ok_or_else(|| Error::corrupt(column, "NULL"))
    }

    /// The same, where there may be none.
    pub fn optional_uuid(&self, column: &'static str) -> Result<Option<Uuid>, Error> {
        let bytes: Option<&[u8]> = self.get(column)?;
        bytes.map(|b| Uuid::from_slice(b).map_err(|e| Error::corrupt(column, e))).transpose()
    }

    /// A mall.
    pub fn mall(&self, column: &'static str) -> Result<MallId, Error> {
        self.get::<String>(column)?.parse().map_err(|e| Error::corrupt(column, e))
    }

    /// A value of an enumeration, kept by its name.
    pub fn text<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, Error> {
        self.get::<&str>(column)?.parse().map_err(|e| Error::corrupt(column, e))
    }

    /// A time.
    pub fn time(&self, column: &'static str) -> Result<Timestamp, Error> {
        self.get(column).map(Timestamp)
    }

    /// An amount, of the columns that hold its minor units and its currency.
    pub fn money(&self, minor: &'static str, currency: &'static str) -> Result<Money, Error> {
        let code: Currency =
            self.get::<&str>(currency)?.parse().map_err(|e| Error::corrupt(currency, e))?;
        Ok(Money { minor: self.get(minor)?, currency: code })
    }

    /// A value kept as JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        serde_json::from_str(self.get(column)?).map_err(|e| Error::corrupt(column, e))
    }
}

/// Adds values in the order of a statement's columns, for
/// [`Projection::write`](crate::Projection::write).
pub struct Values<'a>(pub &'a mut MySqlArguments);

impl Values<'_> {
    /// Any value that MySQL knows.
    pub fn add<'t, T: Encode<'t, MySql> + Type<MySql>>(
        &mut self,
        value: T,
    ) -> Result<&mut Self, BoxDynError> {
        self.0.add(value)?;
        Ok(self)
    }

    /// A key or a reference.
    pub fn uuid(&mut self, id: &Uuid) -> Result<&mut Self, BoxDynError> {
        self.add(id.as_bytes().as_slice())
    }

    /// A value to be kept as JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<&mut Self, BoxDynError> {
        self.add(serde_json::to_string(value)?)
    }
}

/// How many bytes a value takes as JSON.
pub(crate) fn json_size(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // What cannot be written is refused when it is.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
