//! What a setting may hold, and how it is read from text.

use std::{collections::BTreeMap, fmt, net::SocketAddr, ops::Deref};

use domain::MallId;

/// A kind of setting. A fault never repeats the text, which may be a secret.
pub(super) trait Value: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

/// Text that is never printed.
#[derive(Clone)]
pub struct Secret(String);

/// Names, with commas between them.
#[derive(Clone, Debug)]
pub struct List(Vec<String>);

/// The bearer key of each mall. A key opens one mall only.
#[derive(Clone, Default)]
pub struct Keys(BTreeMap<String, MallId>);

impl Keys {
    /// The mall that `key` opens.
    pub fn mall_of(&self, key: &str) -> Option<&MallId> {
        self.0.get(key)
    }

    /// Each key with the mall that it opens.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MallId)> {
        self.0.iter().map(|(key, mall)| (key.as_str(), mall))
    }

    /// Whether no mall can be reached at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The malls that have a key.
    pub fn malls(&self) -> impl Iterator<Item = &MallId> {
        self.0.values()
    }
}

impl Secret {
    /// Keeps `text` from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Deref for Secret {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Deref for List {
    type Target = [String];
    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} secret keys)", self.0.len())
    }
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Value for Secret {
    fn read(text: &str) -> Result<Self, String> {
        String::read(text).map(Self)
    }
}

impl Value for List {
    fn read(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(|name| name.trim().to_owned());
        Ok(Self(names.filter(|name| !name.is_empty()).collect()))
    }
}

impl Value for Keys {
    fn read(text: &str) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (mall, key) = pair.split_once('=').ok_or("must be mall=key, with commas")?;
            let mall: MallId = mall.trim().parse().map_err(|error| format!("{error}"))?;
            if key.trim().is_empty() {
                return Err(format!("the key of {mall} is empty"));
            }
            if let Some(other) = keys.insert(key.trim().to_owned(), mall.clone()) {
                return Err(format!("{mall} and {other} have the same key"));
            }
        }
        Ok(Self(keys))
    }
}

impl Value for Option<SocketAddr> {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { SocketAddr::read(text).map(Some) }
    }
}

/// Kinds that the standard library reads.
macro_rules! standard_values {
    ($($kind:ty: $meaning:literal),+) => {$(
        impl Value for $kind {
            fn read(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| concat!("must be ", $meaning).to_owned())
            }
        }
    )+};
}

standard_values!(
    SocketAddr: "an address such as 127.0.0.1:8080",
    i32: "a whole number",
    u32: "a whole number, not negative",
    u64: "a whole number, not negative",
    usize: "a whole number, not negative"
);
