//! The enumerations of the directory, kept and told as text.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// Makes an enum that is text everywhere outside.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $value,)+
        }

        impl $name {
            /// Its name outside.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$value),)+
                    other => Err(format!("{other:?} is not known")),
                }
            }
        }
    };
}

text! {
    /// What an entry is.
    EntryKind {
        /// A seller.
        Partner = "partner",
        /// A brand.
        Brand = "brand",
        /// A category of the mall's tree.
        Category = "category",
        /// All synonyms of a mall.
        Synonyms = "synonyms",
    }
}

text! {
    /// Whether new products may refer to an entry.
    EntryState {
        /// They may.
        Active = "ACTIVE",
        /// The partner may not sell for the moment.
        Suspended = "SUSPENDED",
        /// It is out of use; products that refer to it go on to.
        Retired = "RETIRED",
    }
}
