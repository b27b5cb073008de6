//! Schemas in the registry against the records of this build.

use ::schemas::{Registry, Schema, TOPICS, Topic, full_name};

use super::{Change, Report};

/// Every version must read every other: the log is kept for ever and replayed by any build.
pub(super) const COMPATIBILITY: &str = "FULL_TRANSITIVE";

pub(super) async fn compare(base: &str, report: &mut Report) -> anyhow::Result<()> {
    let registry = Registry::new(base)?;
    let present = registry.compatibility().await?;
    if present != COMPATIBILITY {
        report.changes.push(Change::Compatibility { present });
    }
    for (subject, schema) in needed() {
        if registry.id_of(&subject, &schema).await?.is_some() {
            continue;
        }
        let versions = registry.versions(&subject).await?;
        if versions > 0 && !registry.accepts(&subject, &schema).await? {
            report.refusals.push(format!("schema {subject}: not {COMPATIBILITY} compatible"));
        } else {
            report.changes.push(Change::Register { subject, versions });
        }
    }
    Ok(())
}

pub(super) async fn carry_out(base: &str, change: &Change) -> anyhow::Result<()> {
    let registry = Registry::new(base)?;
    match change {
        Change::Compatibility { .. } => registry.set_compatibility(COMPATIBILITY).await?,
        Change::Register { subject, .. } => {
            for (_, schema) in needed().filter(|(needed, _)| needed == subject) {
                registry.register(subject, &schema).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Every subject that this build writes, with its schema.
fn needed() -> impl Iterator<Item = (String, Schema)> {
    let subject = |topic: &Topic, schema: &Schema| format!("{}-{}", topic.name, full_name(schema));
    TOPICS.into_iter().flat_map(move |topic| {
        (topic.records)().into_iter().map(move |schema| (subject(&topic, &schema), schema))
    })
}
