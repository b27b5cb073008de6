//! Schemas in the registry against the records of this build.

use std::time::Duration;

use ::schemas::{Registry, RegistryError, Schema, TOPICS, Topic, full_name};
use tokio::time::sleep;

use super::{Change, Report};

/// How often a registry is asked that does not answer: one that has just started takes long over
/// its first requests. Whatever is asked here may be asked twice.
const TRIES: u32 = 3;

/// Every version must read every other: the log is kept for ever and replayed by any build.
pub(super) const COMPATIBILITY: &str = "FULL_TRANSITIVE";

pub(super) async fn compare(base: &str, report: &mut Report) -> anyhow::Result<()> {
    let registry = Registry::new(base)?;
    let present = patiently(|| registry.compatibility()).await?;
    if present != COMPATIBILITY {
        report.changes.push(Change::Compatibility { present });
    }
    for (subject, schema) in needed() {
        if patiently(|| registry.id_of(&subject, &schema)).await?.is_some() {
            continue;
        }
        let versions = patiently(|| registry.versions(&subject)).await?;
        if versions > 0 && !patiently(|| registry.accepts(&subject, &schema)).await? {
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
        Change::Compatibility { .. } => {
            patiently(|| registry.set_compatibility(COMPATIBILITY)).await?;
        }
        Change::Register { subject, .. } => {
            for (_, schema) in needed().filter(|(needed, _)| needed == subject) {
                patiently(|| registry.register(subject, &schema)).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn patiently<T, A>(ask: impl Fn() -> A) -> Result<T, RegistryError>
where
    A: Future<Output = Result<T, RegistryError>>,
{
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if error.may_pass() => tracing::warn!(%error, "asked again"),
            answer => return answer,
        }
        sleep(Duration::from_secs(1)).await;
    }
    ask().await
}

/// Every subject that this build writes, with its schema.
fn needed() -> impl Iterator<Item = (String, Schema)> {
    let subject = |topic: &Topic, schema: &Schema| format!("{}-{}", topic.name, full_name(schema));
    TOPICS.into_iter().flat_map(move |topic| {
        (topic.records)().into_iter().map(move |schema| (subject(&topic, &schema), schema))
    })
}
