//! What may be done to a record's fields, and whether every version then still reads every other.

use serde_json::{Value, json};

/// A kind of change.
pub(crate) struct Change {
    pub(crate) what: &'static str,
    pub(crate) is_compatible: bool,
    /// Whether an old reader finds in new data all that it found in old data.
    pub(crate) keeps_all: bool,
    /// Makes it; nothing where the record does not allow for it.
    pub(crate) make: fn(&mut Vec<Value>, &mut Dice) -> Option<()>,
}

const fn harmless(
    what: &'static str,
    make: fn(&mut Vec<Value>, &mut Dice) -> Option<()>,
) -> Change {
    Change { what, is_compatible: true, keeps_all: true, make }
}

const fn harmful(what: &'static str, make: fn(&mut Vec<Value>, &mut Dice) -> Option<()>) -> Change {
    Change { what, is_compatible: false, keeps_all: false, make }
}

/// Every kind.
pub(crate) const CHANGES: &[Change] = &[
    harmless("an optional field is added", |fields, dice| {
        let kind = dice.pick(&["string", "long", "boolean", "double", "bytes"]);
        add(fields, dice, json!({"type": ["null", kind], "default": null}))
    }),
    harmless("a field with a default is added", |fields, dice| {
        let (kind, default) = dice
            .pick(&[("string", json!("")), ("long", json!(7)), ("boolean", json!(true))])
            .clone();
        add(fields, dice, json!({"type": kind, "default": default}))
    }),
    harmless("a list with a default is added", |fields, dice| {
        let list = json!({"type": "array", "items": "string"});
        add(fields, dice, json!({"type": list, "default": []}))
    }),
    harmless("a documentation is changed", |fields, dice| {
        let field = dice.pick_mut(fields)?;
        field["doc"] = json!(format!("Otherwise said, {}.", dice.next()));
        Some(())
    }),
    harmless("the fields stand in another order", |fields, _| {
        (fields.len() > 1).then(|| fields.reverse())
    }),
    harmless("a field has a further name", |fields, dice| {
        dice.pick_mut(fields)?["aliases"] = json!(["also_called"]);
        Some(())
    }),
    harmless("a required text gets a default", |fields, dice| {
        let field = dice.pick_where(fields, |field| field["type"] == "string")?;
        field["default"] = json!("unknown");
        Some(())
    }),
    harmless("a default is another", |fields, dice| {
        let list = |field: &Value| field.get("default").is_some_and(Value::is_array);
        dice.pick_where(fields, list)?["default"] = json!(["unknown"]);
        Some(())
    }),
    // What was optional for all readers may go: they take their default.
    Change {
        what: "a field with a default is removed",
        is_compatible: true,
        keeps_all: false,
        make: |fields, dice| remove(fields, dice, |field| field.get("default").is_some()),
    },
    harmful("a field without a default is added", |fields, dice| {
        let kind = dice.pick(&["string", "long", "boolean"]);
        add(fields, dice, json!({"type": kind}))
    }),
    harmful("a field without a default is removed", |fields, dice| {
        remove(fields, dice, |field| field.get("default").is_none())
    }),
    harmful("a field without a default is renamed", |fields, dice| {
        let field = dice.pick_where(fields, |field| field.get("default").is_none())?;
        field["name"] = json!("renamed");
        Some(())
    }),
    harmful("a text becomes a number", |fields, dice| {
        dice.pick_where(fields, |field| field["type"] == "string")?["type"] = json!("long");
        Some(())
    }),
    harmful("a number becomes a wider one", |fields, dice| {
        dice.pick_where(fields, |field| field["type"] == "long")?["type"] = json!("double");
        Some(())
    }),
    harmful("an int becomes a long", |fields, dice| {
        dice.pick_where(fields, |field| field["type"] == "int")?["type"] = json!("long");
        Some(())
    }),
    harmful("a required text may be null", |fields, dice| {
        let field = dice.pick_where(fields, |field| field["type"] == "string")?;
        field["type"] = json!(["null", "string"]);
        field["default"] = Value::Null;
        Some(())
    }),
    harmful("an optional text is required", |fields, dice| {
        let optional = json!(["null", "string"]);
        let field = dice.pick_where(fields, |field| field["type"] == optional)?;
        field["type"] = json!("string");
        field["default"] = json!("");
        Some(())
    }),
    harmful("a text becomes an enumeration", |fields, dice| {
        let field = dice.pick_where(fields, |field| field["type"] == "string")?;
        field["type"] = json!({"type": "enum", "name": "Listed", "symbols": ["A", "B"]});
        Some(())
    }),
];

fn add(fields: &mut Vec<Value>, dice: &mut Dice, mut field: Value) -> Option<()> {
    field["name"] = json!(format!("added_{}", dice.next() % 1000));
    let at = dice.below(fields.len() + 1);
    fields.insert(at, field);
    Some(())
}

fn remove(fields: &mut Vec<Value>, dice: &mut Dice, which: fn(&Value) -> bool) -> Option<()> {
    let name = dice.pick_where(fields, which)?["name"].clone();
    fields.retain(|field| field["name"] != name);
    Some(())
}

/// Random numbers that come again from the same seed (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % (count as u64)).unwrap_or(0)
    }

    pub(crate) fn pick<'s, T>(&mut self, all: &'s [T]) -> &'s T {
        &all[self.below(all.len())]
    }

    fn pick_mut<'f>(&mut self, fields: &'f mut [Value]) -> Option<&'f mut Value> {
        self.pick_where(fields, |_| true)
    }

    fn pick_where<'f>(
        &mut self,
        fields: &'f mut [Value],
        which: impl Fn(&Value) -> bool,
    ) -> Option<&'f mut Value> {
        let mut found: Vec<&mut Value> = fields.iter_mut().filter(|field| which(field)).collect();
        let at = if found.is_empty() { return None } else { self.below(found.len()) };
        Some(found.swap_remove(at))
    }
}
