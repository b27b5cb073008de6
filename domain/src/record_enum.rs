//! Commands and events as records, each of which travels on its own and is known by its name.

use apache_avro::Schema;
use serde::{Serialize, de::DeserializeOwned};

/// An enum whose every variant holds one record.
pub trait RecordEnum: Sized {
    /// The schema of each record.
    fn schemas() -> Vec<Schema>;

    /// The full name of this value's record.
    fn record_name(&self) -> &'static str;

    /// Hands this value's record to `writer`.
    fn write<W: RecordWriter>(&self, writer: W) -> W::Output;

    /// Asks `reader` for the record of that full name; `None` where it is none of this enum.
    fn read<R: RecordReader>(name: &str, reader: &R) -> Option<Result<Self, R::Error>>;
}

/// Takes a record of any kind, such as an encoder.
pub trait RecordWriter {
    /// What becomes of the record.
    type Output;

    /// Takes the record that is called `name`.
    fn write<T: Serialize>(self, name: &'static str, record: &T) -> Self::Output;
}

/// Gives a record of whatever kind is asked for, such as a decoder.
pub trait RecordReader {
    /// Why it cannot.
    type Error;

    /// Gives the record.
    ///
    /// # Errors
    /// What it holds is no `T`.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Self::Error>;
}

/// Makes an enum of records named `namespace.Variant` out of structs of the same names.
macro_rules! record_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident in $namespace:literal {
            $($(#[$doc:meta])* $record:ident,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $($(#[$doc])* $record($record),)+
        }

        $(impl From<$record> for $name {
            fn from(record: $record) -> Self {
                Self::$record(record)
            }
        })+

        impl $crate::RecordEnum for $name {
            fn schemas() -> Vec<apache_avro::Schema> {
                vec![$(<$record as apache_avro::AvroSchema>::get_schema()),+]
            }
            fn record_name(&self) -> &'static str {
                match self {
                    $(Self::$record(_) => concat!($namespace, ".", stringify!($record)),)+
                }
            }
            fn write<W: $crate::RecordWriter>(&self, writer: W) -> W::Output {
                match self {
                    $(Self::$record(record) => writer.write(self.record_name(), record),)+
                }
            }
            fn read<R: $crate::RecordReader>(
                name: &str,
                reader: &R,
            ) -> Option<Result<Self, R::Error>> {
                match name {
                    $(concat!($namespace, ".", stringify!($record)) => {
                        Some(reader.read().map(Self::$record))
                    })+
                    _ => None,
                }
            }
        }
    };
}
