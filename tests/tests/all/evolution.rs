//! A hundred random changes of the committed schemas: whether each is taken is judged alike by our
//! own check and by the registry, and what is taken does no harm to readers old and new.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the description of the topics, which uses all of it and may fail"
)]
#[path = "../../../schemas/tests/asyncapi/story.rs"]
mod story;

mod changes;

use anyhow::{Context as _, Result, ensure};
use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value as Avro,
    writer::datum::GenericDatumWriter,
};
use schemas::{
    Codec, CodecError, Records, Registry, TOPICS, compatibility::read_each_other, full_name,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;
use changes::{CHANGES, Change, Dice};
use story::{Body, Told};

const COUNT: usize = 100;

pub(crate) async fn a_hundred_changes_are_judged_rightly(world: &mut World) -> Result<()> {
    let seed = std::env::var("JANGBU_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4);
    println!("JANGBU_SEED={seed}");
    let registry = Registry::new(world.stack.address("JANGBU_REGISTRY")?)?;
    let codec = Codec::load(registry.clone(), &TOPICS).await?;
    let (mut dice, told) = (Dice::new(seed), story::tell());
    let (mut taken, mut tried, mut faults) = (0, 0, vec![]);
    while tried < COUNT {
        let (told, change) = (dice.pick(&told), dice.pick(CHANGES));
        let base = schema_of(told)?;
        let mut changed = json!(base);
        let Some(fields) = changed["fields"].as_array_mut() else { continue };
        if (change.make)(fields, &mut dice).is_none() {
            continue;
        }
        tried += 1;
        let case = Case { told, change, base, changed: Schema::parse(&changed)? };
        match case.judge(&registry, &codec).await {
            Ok(is_taken) => taken += usize::from(is_taken),
            Err(why) => faults.push(format!("{}: {why:#}", case.describe(&changed))),
        }
    }
    println!("{taken} of {tried} changes were taken");
    ensure!(faults.is_empty(), "JANGBU_SEED={seed}\n{}", faults.join("\n"));
    ensure!(taken > COUNT / 5 && taken < COUNT * 4 / 5, "the dice are loaded: {taken}");
    Ok(())
}

/// The schema that the type of an example has now.
fn schema_of(told: &Told) -> Result<Schema> {
    let mut all = TOPICS.iter().flat_map(|topic| (topic.records)());
    all.find(|schema| full_name(schema) == told.record).context("a record without a schema")
}

struct Case<'t> {
    told: &'t Told,
    change: &'t Change,
    base: Schema,
    changed: Schema,
}

impl Case<'_> {
    fn describe(&self, changed: &Value) -> String {
        format!("{} in {}: {changed}", self.change.what, self.told.record)
    }

    /// Whether the change is taken, on which all who judge agree.
    async fn judge(&self, registry: &Registry, codec: &Codec) -> Result<bool> {
        let ours = read_each_other(&self.base, &self.changed).is_ok();
        let subject = format!("evolution-{}-{}", Uuid::now_v7(), self.told.record);
        registry.register(&subject, &self.base).await?;
        let theirs = registry.accepts(&subject, &self.changed).await?;
        let registered = registry.register(&subject, &self.changed).await;
        ensure!(theirs == registered.is_ok(), "asked {theirs}, then {registered:?}");
        ensure!(ours == theirs, "our check says {ours}, the registry {theirs}");
        ensure!(ours == self.change.is_compatible, "both say {ours}, and are wrong");
        if ours {
            let id = registry.id_of(&subject, &self.changed).await?.context("no id")?;
            self.read_both_ways(codec, id).await?;
        }
        Ok(ours)
    }

    /// What the old reader makes of new data, and the new one of old data.
    async fn read_both_ways(&self, codec: &Codec, id: u32) -> Result<()> {
        let old_bytes = self.told.body.encode(codec);
        let old = read(&self.base, &old_bytes[5..])?;
        let as_new = old.clone().resolve(&self.changed).context("new reader, old data")?;
        let mut new_bytes = vec![0];
        new_bytes.extend_from_slice(&id.to_be_bytes());
        let writer = GenericDatumWriter::builder(&self.changed).human_readable(false).build()?;
        writer.write_value(&mut new_bytes, as_new)?;
        let new = read(&self.changed, &new_bytes[5..])?;
        let as_old = new.resolve(&self.base).context("old reader, new data")?;
        ensure!(!self.change.keeps_all || as_old == old, "{as_old:?} was {old:?}");
        self.read_as_the_house_does(codec, id, &new_bytes).await
    }

    /// By the writer's schema, straight into the type of today.
    async fn read_as_the_house_does(&self, codec: &Codec, id: u32, bytes: &[u8]) -> Result<()> {
        codec.learn(id).await?;
        let frame = codec.open(bytes)?;
        let keeps_all = self.change.keeps_all;
        let same = match &self.told.body {
            Body::Command(body) => house(&frame, body, keeps_all),
            Body::Event(body) => house(&frame, body, keeps_all),
            Body::Decision(body) => house(&frame, body, keeps_all),
            Body::Outcome(body) => house(&frame, body, keeps_all),
        };
        ensure!(same.context("the house, new data")?, "the house reads something else");
        Ok(())
    }
}

fn house<T: Records + PartialEq>(
    frame: &schemas::Frame<'_>,
    body: &T,
    keeps_all: bool,
) -> Result<bool, CodecError> {
    Ok(T::decode(frame)?.is_some_and(|read| !keeps_all || read == *body))
}

fn read(schema: &Schema, mut bytes: &[u8]) -> Result<Avro> {
    let reader = GenericDatumReader::builder(schema).human_readable(false).build()?;
    Ok(reader.read_value(&mut bytes)?)
}
