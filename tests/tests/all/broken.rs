//! Each rule of `jangbu verify`, broken on purpose: exactly what was broken is found.
//!
//! What is broken in a store is mended again. What is broken in the log stays there, so those tests
//! come last, and each is judged by what was appended since it began.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use domain::Timestamp;
use schemas::{CATALOG, event_id, partition_of};
use serde_json::{Value, json};
use sqlx::MySqlPool;
use tests::{
    Role,
    forge::{Forged, Forger},
    process::Signal,
    samples, until,
    wait::until_true,
};
use uuid::Uuid;

use crate::{expired, verify::finds_nothing, world::World};

const SOON: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = schemas::topic::PARTITIONS;

/// The numbers of the rules that do not hold, and what is printed.
pub(crate) fn broken(world: &World, flags: &[&str]) -> Result<(Vec<u64>, String)> {
    let (_, printed) = world.fleet.jangbu(&[&["verify", "--json"], flags].concat())?;
    let mut values = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let report = values.next().context("nothing printed")?.with_context(|| printed.clone())?;
    let checks = report["checks"].as_array().context("no checks")?;
    let is_broken = |check: &&Value| check["broken"].as_u64() != Some(0);
    let broken = checks.iter().filter(is_broken).filter_map(|check| check["invariant"].as_u64());
    Ok((broken.collect(), printed))
}

/// Expects these rules and no others to be broken.
fn finds(world: &World, flags: &[&str], expected: &[u64]) -> Result<()> {
    let (found, printed) = broken(world, flags)?;
    ensure!(found == expected, "{found:?} instead of {expected:?}: {printed}");
    Ok(())
}

/// A product that everybody has seen.
async fn seen(world: &World) -> Result<String> {
    let (id, token) = world.client.register(&samples::vacuum()).await?;
    world.client.see(&format!("/products/{id}"), &token).await?;
    finds_nothing(world).await?;
    Ok(id)
}

/// Past everybody else: changes rows and says how many.
async fn change(world: &World, text: &'static str, id: &str) -> Result<u64> {
    let db = MySqlPool::connect(world.stack.address("JANGBU_MYSQL")?).await?;
    Ok(sqlx::query(text).bind(id).execute(&db).await?.rows_affected())
}

/// Breaks a row, looks, and mends it.
async fn in_mysql(world: &World, [spoil, mend]: [&'static str; 2], expected: &[u64]) -> Result<()> {
    let id = seen(world).await?;
    ensure!(change(world, spoil, &id).await? == 1, "nothing to change of {id}");
    let found = broken(world, &["--wait", "20"]);
    change(world, mend, &id).await?;
    let (found, printed) = found?;
    ensure!(found == expected && printed.contains(&id), "{found:?}: {printed}");
    finds_nothing(world).await
}

pub(crate) async fn a_changed_state_is_found(world: &mut World) -> Result<()> {
    let spoil = "UPDATE snapshot_v1 SET last_offset = last_offset + 1 \
                 WHERE aggregate_id = UUID_TO_BIN(?)";
    let mend = "UPDATE snapshot_v1 SET last_offset = last_offset - 1 \
                WHERE aggregate_id = UUID_TO_BIN(?)";
    in_mysql(world, [spoil, mend], &[9]).await
}

pub(crate) async fn a_missing_row_is_found(world: &mut World) -> Result<()> {
    let spoil = "UPDATE products_v1 SET id = REPEAT('x', 16) WHERE id = UUID_TO_BIN(?)";
    let mend = "UPDATE products_v1 SET id = UUID_TO_BIN(?) WHERE id = REPEAT('x', 16)";
    in_mysql(world, [spoil, mend], &[10, 14]).await?;
    let spoil = "UPDATE history_v1 SET version = -1 WHERE aggregate_id = UUID_TO_BIN(?)";
    let mend = "UPDATE history_v1 SET version = 1 WHERE aggregate_id = UUID_TO_BIN(?)";
    in_mysql(world, [spoil, mend], &[10, 14]).await
}

pub(crate) async fn a_changed_row_is_found(world: &mut World) -> Result<()> {
    let spoil = "UPDATE products_v1 SET list_price_minor = 1 WHERE id = UUID_TO_BIN(?)";
    let mend = "UPDATE products_v1 SET list_price_minor = 199000 WHERE id = UUID_TO_BIN(?)";
    // The document is no longer that of the row either.
    in_mysql(world, [spoil, mend], &[10, 11]).await?;
    let spoil = "UPDATE history_v1 SET at = at + 1 WHERE aggregate_id = UUID_TO_BIN(?)";
    let mend = "UPDATE history_v1 SET at = at - 1 WHERE aggregate_id = UUID_TO_BIN(?)";
    in_mysql(world, [spoil, mend], &[10]).await
}

pub(crate) async fn a_changed_status_is_found(world: &mut World) -> Result<()> {
    let spoil = "UPDATE command_status_v1 SET version = version + 1 \
                 WHERE aggregate_id = UUID_TO_BIN(?)";
    let mend = "UPDATE command_status_v1 SET version = version - 1 \
                WHERE aggregate_id = UUID_TO_BIN(?)";
    let id = seen(world).await?;
    ensure!(change(world, spoil, &id).await? == 1, "no status of {id}");
    // What the caller was told is not what the status says.
    let found = finds(world, &["--wait", "20"], &[3, 10]);
    let asked = finds(world, &["--api", world.fleet.base()], &[3, 10]);
    change(world, mend, &id).await?;
    found.and(asked)?;
    finds_nothing(world).await
}

pub(crate) async fn a_missing_document_is_found(world: &mut World) -> Result<()> {
    let id = seen(world).await?;
    let search = world.stack.address("JANGBU_OPENSEARCH")?;
    let url = format!("{search}/products_v1/_delete_by_query?refresh=true");
    let query = json!({"query": {"term": {"id": id}}});
    let gone = reqwest::Client::new().post(url).json(&query).send().await?.error_for_status()?;
    let gone: Value = gone.json().await?;
    ensure!(gone["deleted"] == 1, "{gone}");
    finds(world, &["--wait", "20"], &[11, 14])?;
    let path = format!("/products/{id}/reprice");
    world.client.post(&path, &samples::reprice(1)).send().await?.expect(200)?;
    finds_nothing(world).await
}

pub(crate) async fn a_forged_checkpoint_is_found(world: &mut World) -> Result<()> {
    let id = seen(world).await?;
    for role in [Role::Indexer, Role::Projector] {
        stop(world, role).await?;
    }
    let found = forge_checkpoints(world, &id).await;
    world.fleet.mend().await?;
    found?;
    finds_nothing(world).await
}

async fn forge_checkpoints(world: &World, id: &str) -> Result<()> {
    let at = partition_of(id, PARTITIONS);
    let db = MySqlPool::connect(world.stack.address("JANGBU_MYSQL")?).await?;
    let read = "SELECT offsets FROM checkpoints WHERE projection = 'products' AND partition_no = ?";
    let write = "UPDATE checkpoints SET offsets = ? WHERE projection = 'products' \
                 AND partition_no = ?";
    let honest: String = sqlx::query_scalar(read).bind(at).fetch_one(&db).await?;
    let forged = async |next: Option<i64>, topic: Option<&str>, expected: &[u64]| {
        let mut value: Value = serde_json::from_str(&honest)?;
        let of_events = &mut value[CATALOG.events.name];
        next.into_iter().for_each(|next| of_events["next"] = json!(next));
        topic.into_iter().for_each(|topic| of_events["topic_id"] = json!(topic));
        sqlx::query(write).bind(value.to_string()).bind(at).execute(&db).await?;
        let found = finds(world, &[], expected);
        sqlx::query(write).bind(&honest).bind(at).execute(&db).await?;
        found.with_context(|| value.to_string())
    };
    forged(Some(0), None, &[10]).await?;
    forged(Some(999_999_999), None, &[10]).await?;
    forged(None, Some("another"), &[10]).await?;
    let path = format!("/products/{id}/reprice");
    world.client.post(&path, &samples::reprice(2)).send().await?.expect(200)?;
    let events = forger(world)?.records(CATALOG.events.name, at, id)?;
    let next = events.last().context("no event")?.offset + 1;
    // It passes the new price, which no row shows.
    forged(Some(next), None, &[10, 14]).await
}

async fn stop(world: &mut World, role: Role) -> Result<()> {
    world.fleet.process(role)?.signal(Signal::Terminate)?;
    world.fleet.process(role)?.until_ended(SOON).await.map(drop)
}

pub(crate) async fn an_open_transaction_is_found(world: &mut World) -> Result<()> {
    let id = seen(world).await?;
    let (forger, at) = (forger(world)?, partition_of(&id, PARTITIONS));
    let event = forger.records(CATALOG.events.name, at, &id)?.pop().context("no event")?;
    let decided = forger.records(CATALOG.commands.name, at, &id)?.pop().context("no command")?;
    // Of another command that would have to stand there.
    let path = format!("/commands/{}?at={at}.{}", Uuid::now_v7(), decided.offset);
    world.client.get(&path).send().await?.expect(404)?;
    let hanging = forger.begin(&event)?;
    let found = finds(world, &["--wait", "5"], &[13]);
    let answer = world.client.get(&path).send().await;
    let told = is_held_back(world, true).await;
    hanging.abort()?;
    found?;
    told?;
    is_held_back(world, false).await?;
    // What is decided may be what is open.
    answer?.expect(202)?;
    finds_nothing(world).await
}

/// Waits until the metrics say whether something is held back.
async fn is_held_back(world: &mut World, expected: bool) -> Result<()> {
    let projector = world.fleet.process(Role::Projector)?;
    until_true("its metrics say so", SOON, async || {
        Ok((projector.metric("jangbu_held_back_since_seconds").await? > 0.0) == expected)
    })
    .await
}

fn forger(world: &World) -> Result<Forger> {
    Ok(Forger::new(world.stack.address("JANGBU_KAFKA")?))
}

/// The partitions that the projector does not go on with.
async fn stopped(world: &mut World) -> Result<Vec<i32>> {
    let (projector, mut stopped) = (world.fleet.process(Role::Projector)?, vec![]);
    for at in 0..PARTITIONS {
        let there = format!("partition=\"{at}\"");
        if projector.metric_of("jangbu_partition_stopped", &there).await? > 0.0 {
            stopped.push(at);
        }
    }
    Ok(stopped)
}

/// What is judged when it begins now, in one partition.
struct Scene {
    forger: Forger,
    since: String,
    /// A product that has been repriced to what it cost, so one of its commands left no event.
    id: String,
    partition: i32,
}

impl Scene {
    async fn begin(world: &mut World) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let since = Timestamp(i64::try_from(now)? + 1).to_string();
        until("the next moment", SOON, async || {
            let later = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
            Ok((later > now + 1).then_some(()))
        })
        .await?;
        let stopped = stopped(world).await?;
        let whole = |at| at != expired::PARTITION && !stopped.contains(&at);
        let (id, _) = expired::product(&world.client, whole, &samples::vacuum()).await?;
        let partition = partition_of(&id, PARTITIONS);
        let scene = Self { forger: forger(world)?, since, id, partition };
        scene.wish(world, false).await?;
        Ok(scene)
    }

    /// Asks for the price that it has; without a handler the command stays in the log.
    async fn wish(&self, world: &World, pending: bool) -> Result<()> {
        let path = format!("/products/{}/reprice", self.id);
        let request = world.client.post(&path, &samples::reprice(199_000));
        if pending {
            request.header("prefer", "respond-async").send().await?.expect(202)?;
        } else {
            request.send().await?.expect(200)?;
        }
        Ok(())
    }

    fn commands(&self) -> Result<Vec<Forged>> {
        self.forger.records(CATALOG.commands.name, self.partition, &self.id)
    }

    fn event(&self) -> Result<Forged> {
        let events = self.forger.records(CATALOG.events.name, self.partition, &self.id)?;
        events.into_iter().next_back().context("no event")
    }

    /// The decision that nothing changes, as if it were of that command.
    fn decide(&self, command: &Forged) -> Result<()> {
        let decisions = self.forger.records(CATALOG.decisions.name, self.partition, &self.id)?;
        let decision = decisions.into_iter().next_back().context("no decision")?;
        let id: Uuid = command.header("ce_id")?.parse()?;
        let own = domain::id::derive(&["decision", &id.to_string()]).to_string();
        let decision = decision.with("ce_commandid", &id.to_string()).with("ce_id", &own);
        self.forger.write(&decision.with("ce_bodyhash", &command.header("ce_bodyhash")?))
    }

    /// Says that the handler has passed the command.
    fn accept(&self, command: &Forged) -> Result<()> {
        let (group, topic) = ("jangbu-catalog-handler", CATALOG.commands.name);
        self.forger.move_group(group, topic, self.partition, command.offset + 1)
    }

    /// Waits until the projector does not go on with its partition.
    async fn stops(&self, world: &mut World) -> Result<()> {
        until_true("the projector stops the partition", SOON, async || {
            Ok(stopped(world).await?.contains(&self.partition))
        })
        .await
    }

    fn finds(&self, world: &World, expected: &[u64]) -> Result<()> {
        let partition = self.partition.to_string();
        let flags = ["--since", &self.since, "--partition", &partition];
        finds(world, &flags, expected)
    }
}

/// What a zombie would do: it decides, and its offsets are not accepted, or come behind another's.
pub(crate) async fn what_a_zombie_would_write_is_found(world: &mut World) -> Result<()> {
    let scene = Scene::begin(world).await?;
    scene.finds(world, &[])?;
    stop(world, Role::Handler).await?;
    for _ in 0..4 {
        scene.wish(world, true).await?;
    }
    let pending = scene.commands()?.split_off(2);
    let [first, second, third, lost] = &pending[..] else { anyhow::bail!("{pending:?}") };
    scene.finds(world, &[])?;
    scene.decide(first)?;
    scene.finds(world, &[15])?;
    scene.accept(first)?;
    scene.finds(world, &[])?;
    scene.decide(third)?;
    scene.decide(second)?;
    scene.accept(third)?;
    scene.finds(world, &[15])?;
    // Passed, and nothing was concluded of it.
    scene.accept(lost)?;
    scene.finds(world, &[1, 15])?;
    world.fleet.mend().await
}

pub(crate) async fn another_decision_than_the_rules_give_is_found(world: &mut World) -> Result<()> {
    let (scene, other) = (Scene::begin(world).await?, Scene::begin(world).await?);
    let reprice = |id: &str, won| {
        let path = format!("/products/{id}/reprice");
        world.client.post(&path, &samples::reprice(won))
    };
    reprice(&other.id, 7).send().await?.expect(200)?;
    let waiting = reprice(&scene.id, 5).header("prefer", "respond-async");
    stop(world, Role::Handler).await?;
    waiting.send().await?.expect(202)?;
    let commands = scene.commands()?;
    let wish = commands.last().context("no command")?;
    // 5 was wished, and 7 is what came of it.
    let own = event_id(scene.id.parse()?, 2).to_string();
    let event = other.event()?.with("ce_id", &own).with("ce_subject", &scene.id);
    let event = event.with("ce_commandid", &wish.header("ce_id")?);
    let event = event.with("ce_bodyhash", &wish.header("ce_bodyhash")?);
    let (partition, key) = (scene.partition, scene.id.clone().into_bytes());
    scene.forger.write(&Forged { partition, key, ..event })?;
    scene.accept(wish)?;
    scene.finds(world, &[8])?;
    world.fleet.mend().await
}

pub(crate) async fn a_refusal_with_an_event_is_found(world: &mut World) -> Result<()> {
    let scene = Scene::begin(world).await?;
    let commands = scene.commands()?;
    // That of the registration, behind that of the later command.
    scene.decide(commands.first().context("no command")?)?;
    scene.finds(world, &[1, 2, 15])
}

pub(crate) async fn a_foreign_id_is_found(world: &mut World) -> Result<()> {
    let scene = Scene::begin(world).await?;
    let command = Uuid::now_v7().to_string();
    let event = scene.event()?.with("ce_commandid", &command).with("ce_aggregateversion", "2");
    // Of no command that anybody sent, and under the name of the event before it.
    scene.forger.write(&event)?;
    scene.finds(world, &[1, 5])
}

pub(crate) async fn a_doubled_event_stops_its_partition_and_is_found(
    world: &mut World,
) -> Result<()> {
    let scene = Scene::begin(world).await?;
    scene.forger.write(&scene.event()?)?;
    scene.stops(world).await?;
    // The status of its command stands where the double does, and its caller was told otherwise.
    until("it is found", SOON, async || scene.finds(world, &[1, 3, 4]).map(Some)).await?;
    let (_, printed) = broken(world, &["--since", &scene.since])?;
    ensure!(printed.contains(&scene.id), "it does not say where: {printed}");
    Ok(())
}

pub(crate) async fn a_gap_is_found(world: &mut World) -> Result<()> {
    let scene = Scene::begin(world).await?;
    let id = event_id(scene.id.parse()?, 3).to_string();
    let event = scene.event()?.with("ce_commandid", &Uuid::now_v7().to_string());
    scene.forger.write(&event.with("ce_aggregateversion", "3").with("ce_id", &id))?;
    scene.finds(world, &[1, 4])
}

/// A record that cannot be read is met before one that cannot follow, though it stands behind it.
pub(crate) async fn of_two_bad_records_the_first_stops(world: &mut World) -> Result<()> {
    let scene = Scene::begin(world).await?;
    stop(world, Role::Projector).await?;
    let event = scene.event()?;
    scene.forger.write(&event)?;
    scene.forger.write(&Forged { payload: b"no event".to_vec(), ..event })?;
    world.fleet.restart(Role::Projector, None)?;
    scene.stops(world).await?;
    let stopped = stopped(world).await?;
    let whole = |at| at != expired::PARTITION && !stopped.contains(&at);
    let (id, token) = expired::product(&world.client, whole, &samples::vacuum()).await?;
    world.client.see(&format!("/products/{id}"), &token).await.map(drop)
}
