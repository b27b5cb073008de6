//! Where settings come from, and which one wins.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Write},
};

use super::{SETTINGS, Setting, value::Value};

/// The settings that every process is given.
const FOR_ALL: &[&str] = &["kafka", "registry", "mysql", "opensearch", "log"];

/// What a command is about, and the flags that it has beside the settings.
pub struct Usage {
    /// One sentence for `--help`.
    pub about: &'static str,
    /// The settings that it uses, by their names, beside the servers and the log.
    pub settings: &'static [&'static str],
    /// Its own flags.
    pub flags: &'static [Flag],
}

/// A flag of one command.
pub struct Flag {
    /// Its name without the dashes.
    pub name: &'static str,
    /// What its value is called; `None` for a switch.
    pub value: Option<&'static str>,
    /// One sentence for `--help`.
    pub meaning: &'static str,
}

/// The flags of a command that were given.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<&'static str, String>);

/// Every setting that is missing, wrong or unknown.
#[derive(Debug)]
pub struct ConfigError(pub(super) Vec<String>);

/// The winning text of each setting, and what is wrong with the sources.
pub(super) struct Values {
    found: HashMap<&'static str, (String, String)>,
    pub(super) faults: Vec<String>,
}

impl Given {
    /// Whether the switch or flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of the flag, if it was given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Usage {
    /// The text of `--help`: the command's flags, then the settings that it uses.
    pub fn help(&self) -> String {
        let mut text = format!("{}\n", self.about);
        if !self.flags.is_empty() {
            text.push_str("\nFlags\n");
        }
        for flag in self.flags {
            let name = flag.value.map_or(flag.name.to_owned(), |v| format!("{} {v}", flag.name));
            let _ = writeln!(text, "  --{name:<19} {}", flag.meaning);
        }
        text.push_str(
            "\nSettings: --flag VALUE, over JANGBU_<NAME> in the environment, over the file. What \
             is meant\nfor other processes may stand there too.\n  \
             --config FILE         A TOML file with names as below (JANGBU_CONFIG)\n",
        );
        Self::list(&mut text, "Servers and log, of every process", FOR_ALL);
        if !self.settings.is_empty() {
            Self::list(&mut text, "Of this one", self.settings);
        }
        text
    }

    fn list(text: &mut String, heading: &str, keys: &[&str]) {
        let _ = writeln!(text, "\n{heading}");
        for setting in SETTINGS.iter().filter(|setting| keys.contains(&setting.key)) {
            let default = match setting.default {
                None => "required".to_owned(),
                Some("") => "default: none".to_owned(),
                Some(default) => format!("default: {default}"),
            };
            let _ = writeln!(text, "  {:<21}{}", flag_of(setting), setting.meaning);
            let _ = writeln!(text, "  {:<22}{} ({default})", "", variable_of(setting.key));
        }
    }
}

impl Values {
    pub(super) fn gather(
        usage: &Usage,
        arguments: &[String],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> (Self, Given) {
        let is_known = |key: &&str| SETTINGS.iter().any(|setting| setting.key == *key);
        debug_assert!(usage.settings.iter().all(is_known), "{:?}", usage.settings);
        let mut values = Self { found: HashMap::new(), faults: vec![] };
        let mut given = Given::default();
        let from_flag = values.read_flags(usage, arguments, &mut given);
        for setting in SETTINGS {
            let variable = variable_of(setting.key);
            if let Some(text) = environment(&variable) {
                values.found.entry(setting.key).or_insert((text, variable));
            }
        }
        if let Some(path) = from_flag.or_else(|| environment("JANGBU_CONFIG")) {
            values.read_file(&path);
        }
        (values, given)
    }

    /// The value of a setting; a fault is kept, so that the next one can be looked at.
    pub(super) fn take<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
        let (text, source) = match (self.found.remove(key), setting.default) {
            (Some(found), _) => found,
            (None, Some(default)) => (default.to_owned(), "default".to_owned()),
            (None, None) => {
                let (flag, variable) = (flag_of(setting), variable_of(key));
                let fault = format!("{key} is missing: give {flag}, {variable} or a file");
                self.faults.push(fault);
                return None;
            }
        };
        T::read(&text).map_err(|why| self.faults.push(format!("{key} ({source}) {why}"))).ok()
    }

    /// Takes the flags apart; returns the file to read, if one is named.
    fn read_flags(
        &mut self,
        usage: &Usage,
        arguments: &[String],
        given: &mut Given,
    ) -> Option<String> {
        let mut file = None;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(flag) = argument.strip_prefix("--") else {
                self.faults.push(format!("{argument:?} is not expected here"));
                continue;
            };
            let (name, joined) = flag.split_once('=').map_or((flag, None), |(n, v)| (n, Some(v)));
            let own = usage.flags.iter().find(|own| own.name == name);
            if let Some(Flag { name, value: None, .. }) = own {
                given.0.insert(name, String::new());
                continue;
            }
            let setting = SETTINGS.iter().find(|setting| flag_of(setting)[2..] == *name);
            if own.is_none() && setting.is_none() && name != "config" {
                self.faults.push(format!("there is no flag --{name}; see --help"));
                continue;
            }
            let Some(value) = joined.map(str::to_owned).or_else(|| rest.next().cloned()) else {
                self.faults.push(format!("--{name} needs a value"));
                continue;
            };
            match (own, setting) {
                (Some(own), _) => drop(given.0.insert(own.name, value)),
                (_, Some(at)) => drop(self.found.insert(at.key, (value, format!("--{name}")))),
                _ => file = Some(value),
            }
        }
        file
    }

    fn read_file(&mut self, path: &str) {
        let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
        // The parser's message would quote the line, and with it perhaps a key.
        let table = read.and_then(|text| {
            text.parse::<toml::Table>().map_err(|error| error.message().to_owned())
        });
        let table = match table {
            Ok(table) => table,
            Err(error) => return self.faults.push(format!("{path}: {error}")),
        };
        for (key, value) in table {
            match (SETTINGS.iter().find(|setting| setting.key == key), text_of(&value)) {
                (None, _) => self.faults.push(format!("{path}: there is no setting {key}")),
                (_, None) => self.faults.push(format!("{path}: {key} cannot hold such a value")),
                (Some(setting), Some(text)) => {
                    self.found.entry(setting.key).or_insert((text, path.to_owned()));
                }
            }
        }
    }
}

/// The text that a flag would hold: lists with commas, tables as name=value with commas.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
        }
        toml::Value::Table(table) => {
            let pair = |(key, value)| Some(format!("{key}={}", text_of(value)?));
            table.iter().map(pair).collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) => None,
    }
}

fn flag_of(setting: &Setting) -> String {
    format!("--{}", setting.key.replace('_', "-"))
}

fn variable_of(key: &str) -> String {
    format!("JANGBU_{}", key.to_uppercase())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigError {}
