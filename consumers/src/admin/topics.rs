//! Topics on the brokers against the table of topics.

use std::{collections::HashMap, time::Duration};

use ::schemas::topic::{CATALOG, Retention, TOPICS, Topic};
use anyhow::{Context, anyhow, bail};
use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigSource, NewTopic,
        ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
};

use super::{Change, Report};
use crate::log::Kafka;

type Admin = AdminClient<DefaultClientContext>;

const WAIT: Duration = Duration::from_secs(15);

/// Days for which brokers should remember the place of a group that is away: longer than any
/// outage, since whoever has lost his place has to be given it by hand.
const REMEMBERED_DAYS: i64 = 30;

/// What a topic must be set to. Sizes are written down although they are Kafka's defaults, because
/// clients are sized by them and a broker's own default must not shorten the history.
fn settings_of(topic: &Topic, replication: i32) -> Vec<(&'static str, String)> {
    let retention = match topic.retention {
        Retention::Forever => "-1".to_owned(),
        Retention::Hours(hours) => (hours * 3_600_000).to_string(),
    };
    // A dead letter is a command and more, and a decision may quote one: only what is accepted from
    // outside is held to Kafka's usual size.
    let from_outside = CATALOG.takes_commands_by(topic.name);
    let largest = if from_outside { "1048588" } else { "2097152" };
    let mut settings = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention),
        ("retention.bytes", "-1".to_owned()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("max.message.bytes", largest.to_owned()),
        // What comes compressed is stored as it is read, and measured so: else 10 MB might come in 40
        // KB, or by a codec that a reader does not have.
        ("compression.type", "uncompressed".to_owned()),
    ];
    if let Retention::Hours(hours) = topic.retention {
        // Only whole segments expire: without this a quiet partition keeps its records twice as long.
        let segment = (hours * 3_600_000 / 7).max(600_000);
        settings.push(("segment.ms", segment.to_string()));
    }
    if replication >= 3 {
        settings.push(("min.insync.replicas", "2".to_owned()));
        settings.push(("unclean.leader.election.enable", "false".to_owned()));
    }
    settings
}

pub(super) async fn compare(
    kafka: &Kafka,
    replication: i32,
    report: &mut Report,
) -> anyhow::Result<()> {
    let admin = open(kafka)?;
    let metadata = admin.inner().fetch_metadata(None, WAIT).context("the brokers do not answer")?;
    if let Some(broker) = metadata.brokers().first() {
        report.warnings.extend(forgets_groups(&admin, broker.id()).await?);
    }
    for topic in &TOPICS {
        let settings = settings_of(topic, replication);
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic.name) else {
            let partitions = topic.partitions;
            report.changes.push(Change::CreateTopic { topic: topic.name, partitions, settings });
            continue;
        };
        if found.partitions().len() != usize::try_from(topic.partitions)? {
            report.refusals.push(format!(
                "{} has {} partitions and needs {}: keys would move away from their history; \
                 copy it into a new generation of the topic instead",
                topic.name,
                found.partitions().len(),
                topic.partitions
            ));
        }
        let present = describe(&admin, ResourceSpecifier::Topic(topic.name)).await?;
        let differs = |(name, new): (&'static str, String)| {
            let old = present.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
            (old != new).then_some((name, old, new))
        };
        let settings: Vec<_> = settings.into_iter().filter_map(differs).collect();
        if !settings.is_empty() {
            report.changes.push(Change::Configure { topic: topic.name, settings });
        }
    }
    Ok(())
}

pub(super) async fn carry_out(
    kafka: &Kafka,
    replication: i32,
    change: &Change,
) -> anyhow::Result<()> {
    let admin = open(kafka)?;
    match change {
        Change::CreateTopic { topic, partitions, settings } => {
            let copies = TopicReplication::Fixed(replication);
            let mut new = NewTopic::new(topic, *partitions, copies);
            for (name, value) in settings {
                new = new.set(name, value);
            }
            let made = admin.create_topics([&new], &options()).await?;
            for result in made {
                result.map_err(|(topic, code)| anyhow!("{topic} was not created: {code}"))?;
            }
            settle(&admin, topic).await
        }
        Change::Configure { topic, settings } => configure(&admin, topic, settings).await,
        _ => Ok(()),
    }
}

/// The request replaces all settings of the topic, so what somebody else set is sent along.
async fn configure(
    admin: &Admin,
    topic: &str,
    settings: &[(&str, String, String)],
) -> anyhow::Result<()> {
    let present = describe(admin, ResourceSpecifier::Topic(topic)).await?;
    let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, entry) in &present {
        let ours = settings.iter().any(|(changed, _, _)| changed == name);
        if let (ConfigSource::DynamicTopic, false, Some(value)) =
            (&entry.source, ours, &entry.value)
        {
            alter = alter.set(name, value);
        }
    }
    for (name, _, new) in settings {
        alter = alter.set(name, new);
    }
    for result in admin.alter_configs([&alter], &options()).await? {
        result.map_err(|(_, code)| anyhow!("{topic} was not configured: {code}"))?;
    }
    Ok(())
}

async fn describe(
    admin: &Admin,
    resource: ResourceSpecifier<'_>,
) -> anyhow::Result<HashMap<String, ConfigEntry>> {
    let mut found = admin.describe_configs([&resource], &options()).await?;
    let described = found.pop().context("no answer")?;
    let described =
        described.map_err(|code| anyhow!("{resource:?} cannot be described: {code}"))?;
    Ok(described.entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect())
}

/// For how many milliseconds at least a topic's records are there; none where they may go sooner,
/// for their size or for a newer one of their key.
///
/// # Errors
/// When the brokers do not answer.
pub(crate) async fn kept_for(kafka: &Kafka, topic: &str) -> anyhow::Result<Option<i64>> {
    let settings = describe(&open(kafka)?, ResourceSpecifier::Topic(topic)).await?;
    let number = |name: &str| settings.get(name)?.value.as_ref()?.parse::<i64>().ok();
    let for_ever = |limit: i64| if limit < 0 { i64::MAX } else { limit };
    let is_of_any_size = number("retention.bytes").is_some_and(|bytes| bytes < 0);
    let policy = settings.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
    let goes_by_time = is_of_any_size && policy == Some("delete");
    Ok(number("retention.ms").filter(|_| goes_by_time).map(for_ever))
}

/// What is to be said of a broker that forgets too soon where a group stood.
async fn forgets_groups(admin: &Admin, broker: i32) -> anyhow::Result<Option<String>> {
    let settings = describe(admin, ResourceSpecifier::Broker(broker)).await?;
    let minutes = settings.get("offsets.retention.minutes").and_then(|entry| entry.value.as_ref());
    let days = minutes.and_then(|text| text.parse::<i64>().ok()).map(|minutes| minutes / 1440);
    let too_soon = days.filter(|days| *days < REMEMBERED_DAYS);
    Ok(too_soon.map(|days| {
        format!(
            "offsets.retention.minutes: after {days} days without a command-handler its group has \
             lost its place in the log; set it to {REMEMBERED_DAYS} days or more"
        )
    }))
}

/// A new topic takes a moment to reach every broker; offsets of it are refused until then.
async fn settle(admin: &Admin, topic: &str) -> anyhow::Result<()> {
    for _ in 0..100 {
        let metadata = admin.inner().fetch_metadata(Some(topic), WAIT)?;
        let found = metadata.topics().first().filter(|found| found.error().is_none());
        let led = |topic: &rdkafka::metadata::MetadataTopic| {
            !topic.partitions().is_empty() && topic.partitions().iter().all(|p| p.leader() >= 0)
        };
        if found.is_some_and(led) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{topic} was created, but its partitions have no leader")
}

fn open(kafka: &Kafka) -> anyhow::Result<Admin> {
    Ok(kafka.asking("read_uncommitted").create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(WAIT)).request_timeout(Some(WAIT))
}
