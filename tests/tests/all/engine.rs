//! The projection engine on a real MySQL, in versions of its own that nobody reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use domain::{MallId, ProductId};
use projections::{
    ALL, Batch, Checkpoint, Engine, EngineError, Error, Fault, Filling, Part, Pool, Refused, Share,
    Tables, apply_as_one, history, products,
};
use schemas::CATALOG;

use crate::world::World;

mod scene;

use scene::{Scene, aggregate, batch, event, events, log};

const PARTITION: i32 = 2;

/// Two owners that both find no checkpoint end with one, and only one of them moves it.
pub(crate) async fn of_two_first_owners_one_goes_on(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    for round in 0..20 {
        let scene = Scene::set(db, 9001).await?;
        let (one, other) = (scene.engine("products")?, scene.engine("products")?);
        let (log, events) = (log(1000), events(1 + round, 3)?);
        let (a, b) = tokio::join!(one.take(PARTITION, &log), other.take(PARTITION, &log));
        let (a, b) = (a?, b?);
        ensure!(a == b, "{a:?} is not {b:?}");
        let batch = batch(&events);
        let (a, b) =
            tokio::join!(one.apply(PARTITION, &a, &batch), other.apply(PARTITION, &b, &batch));
        ensure!(a.is_ok() != b.is_ok(), "{a:?} and {b:?}");
        ensure!(matches!(a.err().or(b.err()), Some(EngineError::Superseded)));
        scene.strike().await?;
    }
    Ok(())
}

/// A worker that was away while another went on finds the checkpoint moved.
pub(crate) async fn a_zombie_writes_nothing(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9002).await?;
    let (zombie, owner) = (scene.engine("products")?, scene.engine("products")?);
    let events = events(5, 4)?;
    let believed = zombie.take(PARTITION, &log(1000)).await?;
    let owned = owner.take(PARTITION, &log(1000)).await?;
    let owned = owner.apply(PARTITION, &owned, &batch(&events[..10])).await?;
    let late = zombie.apply(PARTITION, &believed, &batch(&events[..5])).await;
    ensure!(matches!(late, Err(EngineError::Superseded)), "{late:?}");
    owner.apply(PARTITION, &owned, &batch(&events[10..])).await?;
    let checkpoint = zombie.take(PARTITION, &log(1000)).await?;
    ensure!(checkpoint.next(CATALOG.events.name) == 20);
    let twice = zombie.apply(PARTITION, &checkpoint, &batch(&events[..5])).await;
    ensure!(matches!(twice, Err(EngineError::Refused(Refused::OutOfOrder { .. }))), "{twice:?}");
    scene.strike().await
}

static HELD: AtomicBool = AtomicBool::new(true);
static REACHED: AtomicBool = AtomicBool::new(false);

fn hold(_: &'static str) {
    REACHED.store(true, Ordering::SeqCst);
    while HELD.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
}

/// One that is paused in front of its commit holds the lock: the other waits, and then finds the
/// checkpoint moved.
pub(crate) async fn whoever_waits_for_the_lock_finds_the_checkpoint_moved(
    world: &mut World,
) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9003).await?;
    let slow = scene.engine("snapshot")?.with_points(hold);
    let other = scene.engine("snapshot")?;
    let believed = slow.take(PARTITION, &log(1000)).await?;
    let events = events(3, 2)?;
    let (first, start) = (events.clone(), believed.clone());
    let slow = tokio::spawn(async move { slow.apply(PARTITION, &start, &batch(&first)).await });
    while !REACHED.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let waiting =
        tokio::spawn(async move { other.apply(PARTITION, &believed, &batch(&events)).await });
    // Past one lock wait time-out, so the retry is seen, too.
    tokio::time::sleep(Duration::from_secs(6)).await;
    ensure!(!waiting.is_finished(), "it did not wait for the lock");
    HELD.store(false, Ordering::SeqCst);
    slow.await??;
    let waited = waiting.await?;
    ensure!(matches!(waited, Err(EngineError::Superseded)), "{waited:?}");
    scene.strike().await
}

/// However the log is cut into batches, and whoever applies them, the tables are the same.
pub(crate) async fn batches_do_not_matter(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let (whole, cut) = (Scene::set(db, 9004).await?, Scene::set(db, 9005).await?);
    let events = events(40, 10)?;
    for projection in ALL {
        let engine = whole.engine(projection.name())?;
        let start = engine.take(PARTITION, &log(1000)).await?;
        let end = engine.apply(PARTITION, &start, &batch(&events)).await?;
        let mut rest = events.as_slice();
        let mut size = 1;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(size.min(rest.len()));
            // Each batch by a new owner.
            let engine = cut.engine(projection.name())?;
            let believed = engine.take(PARTITION, &log(1000)).await?;
            engine.apply(PARTITION, &believed, &batch(now)).await?;
            (rest, size) = (later, size * 2 + 1);
        }
        let found = cut.engine(projection.name())?.take(PARTITION, &log(1000)).await?;
        ensure!(found == end, "{found:?} is not {end:?}");
    }
    let mall: MallId = "demo".parse()?;
    for product in 0..40 {
        let id = aggregate(product);
        let row = products::by_id(db, &whole.tables(), &mall, ProductId(id)).await?;
        ensure!(row.as_ref().is_some_and(|row| row.version == 10), "{row:?}");
        ensure!(row == products::by_id(db, &cut.tables(), &mall, ProductId(id)).await?);
        let told = history::page(db, &whole.tables(), &mall, id, 0, 100).await?;
        ensure!(told.items.len() == 10);
        ensure!(told == history::page(db, &cut.tables(), &mall, id, 0, 100).await?);
        let other = products::by_id(db, &whole.tables(), &"other".parse()?, ProductId(id)).await?;
        ensure!(other.is_none(), "another mall's product");
    }
    pages_are_whole(db, &whole.tables(), &mall).await?;
    whole.strike().await?;
    cut.strike().await
}

async fn pages_are_whole(db: &Pool, tables: &Tables, mall: &MallId) -> Result<()> {
    let (mut seen, mut after) = (vec![], None);
    loop {
        let filter = products::Filter::default();
        let page = products::page(db, tables, mall, &filter, after, 7).await?;
        seen.extend(page.items.into_iter().map(|row| row.id));
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse()?);
    }
    let found = seen.len();
    seen.sort_unstable();
    seen.dedup();
    ensure!((found, seen.len()) == (40, 40), "{found} products, {} different", seen.len());
    Ok(())
}

/// Nothing of a batch with a gap is applied; what stands before the gap can be.
pub(crate) async fn a_gap_stops_before_it(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9006).await?;
    let mut events = events(1, 4)?;
    events.remove(2);
    for name in ["products", "snapshot", "history"] {
        let engine = scene.engine(name)?;
        let believed = engine.take(PARTITION, &log(1000)).await?;
        let Err(EngineError::Stop(stop)) =
            engine.apply(PARTITION, &believed, &batch(&events)).await
        else {
            bail!("{name} did not stop");
        };
        ensure!(
            (stop.place, stop.offset) == (2, 3) && stop.fault == Fault::Gap { at: 2, found: 4 }
        );
        ensure!(engine.take(PARTITION, &log(1000)).await? == believed, "{name} moved");
        engine.apply(PARTITION, &believed, &batch(&events[..stop.place])).await?;
    }
    scene.strike().await
}

/// Whoever fills beside another finds its records applied, which makes no double of them.
pub(crate) async fn whoever_fills_beside_another_is_superseded(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9012).await?;
    let (engine, other) = (Arc::new(scene.engine("products")?), scene.engine("products")?);
    let events = events(1, 5)?;
    let believed = other.take(PARTITION, &log(1000)).await?;
    let believed = other.apply(PARTITION, &believed, &batch(&events[..2])).await?;
    let mut filling = Filling::from(&engine, PARTITION, believed.clone());
    other.apply(PARTITION, &believed, &batch(&events[2..4])).await?;
    let late = filling.fold(&batch(&events[2..4])).await;
    ensure!(matches!(late, Err(EngineError::Superseded)), "{late:?}");

    // Alone it finds what cannot follow, also while what it took is not written yet.
    let believed = engine.take(PARTITION, &log(1000)).await?;
    let mut filling = Filling::from(&engine, PARTITION, believed);
    filling.fold(&batch(&events[4..])).await?;
    let (filled, gap) = (filling.take(), [event(&"demo".parse()?, 5, 0, 9)]);
    let stopped = filling.fold(&batch(&gap)).await;
    ensure!(matches!(stopped, Err(EngineError::Stop(_))), "{stopped:?}");
    filled.write().await?;
    scene.strike().await
}

/// What a change costs does not grow with the history of what it changes.
pub(crate) async fn of_a_long_history_only_the_end_is_read(world: &mut World) -> Result<()> {
    // Of one connection, so that its session counts all that is read.
    let db = &projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let scene = Scene::set(db, 9011).await?;
    let (engine, events) = (scene.engine("history")?, events(3, 500)?);
    let (before, last) = events.split_at(events.len() - 3);
    let believed = engine.take(PARTITION, &log(2000)).await?;
    let believed = engine.apply(PARTITION, &believed, &batch(before)).await?;
    let read = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM performance_schema.session_status \
                WHERE variable_name IN ('Handler_read_next', 'Handler_read_prev')";
    let first: i64 = sqlx::query_scalar(read).fetch_one(db).await?;
    engine.apply(PARTITION, &believed, &batch(last)).await?;
    let read = sqlx::query_scalar::<_, i64>(read).fetch_one(db).await? - first;
    ensure!(read < 100, "{read} rows were read for three events");
    scene.strike().await
}

/// Partitions that share a transaction move together; one that cannot holds the others up no longer
/// than until they are applied alone.
pub(crate) async fn partitions_move_together_or_not_at_all(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9009).await?;
    let engine = scene.engine("snapshot")?;
    let (mut left, right): (Vec<_>, Vec<_>) =
        events(4, 3)?.into_iter().partition(|logged| logged.offset % 4 < 2);
    let believed = [engine.take(2, &log(1000)).await?, engine.take(3, &log(1000)).await?];
    let first = [batch(&left[..2]), batch(&right[..2])];
    let moved = engine.apply_together(&shares(&believed, &first)).await?;
    let [(2, one), (3, other)] = moved.as_slice() else { bail!("{moved:?}") };
    left.remove(2);
    let (believed, next) = ([one.clone(), other.clone()], [batch(&left[2..]), batch(&right[2..])]);
    let stopped = engine.apply_together(&shares(&believed, &next)).await;
    ensure!(matches!(stopped, Err(EngineError::Stop(_))), "{stopped:?}");
    ensure!(engine.take(3, &log(1000)).await? == believed[1], "the other partition moved");
    engine.apply(3, &believed[1], &next[1]).await?;
    let again = engine.apply_together(&shares(&believed, &next)).await;
    ensure!(matches!(again, Err(EngineError::Superseded)), "{again:?}");
    scene.strike().await
}

/// Projections that share a transaction move together; one that was moved by somebody else, or that
/// cannot go on, leaves all of them where they were.
pub(crate) async fn projections_move_together_or_not_at_all(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9010).await?;
    let set = [scene.engine("products")?, scene.engine("snapshot")?, scene.engine("history")?];
    let mut believed = vec![];
    for engine in &set {
        believed.push(engine.take(PARTITION, &log(1000)).await?);
    }
    let mut events = events(1, 5)?;
    let (first, second) = (batch(&events[..2]), batch(&events[2..4]));
    let moved = apply_as_one(&parts(&set, &believed, &first)).await?;
    let believed: Vec<_> = moved.into_iter().flatten().map(|(_, at)| at).collect();
    ensure!(believed.len() == 3 && believed.iter().all(|at| at.next(CATALOG.events.name) == 2));

    let ahead = set[1].apply(PARTITION, &believed[1], &second).await?;
    let refused = apply_as_one(&parts(&set, &believed, &second)).await;
    ensure!(matches!(refused, Err(EngineError::Superseded)), "{refused:?}");
    let rest = [&set[0], &set[2]].into_iter().zip([&believed[0], &believed[2]]);
    for (engine, believed) in rest.clone() {
        ensure!(engine.take(PARTITION, &log(1000)).await? == *believed, "it moved");
    }
    // Whoever stands further back reads again what the others have.
    let mut level = vec![];
    for (engine, believed) in rest {
        level.push(engine.apply(PARTITION, believed, &second).await?);
    }
    level.insert(1, ahead);
    events[4] = event(&"demo".parse()?, 4, 0, 9);
    let broken = apply_as_one(&parts(&set, &level, &batch(&events[4..]))).await;
    ensure!(matches!(broken, Err(EngineError::Stop(_))), "{broken:?}");
    for (engine, believed) in set.iter().zip(&level) {
        ensure!(engine.take(PARTITION, &log(1000)).await? == *believed, "it moved");
    }
    scene.strike().await
}

fn parts<'a>(set: &'a [Engine], believed: &'a [Checkpoint], batch: &'a Batch<'a>) -> Vec<Part<'a>> {
    let part = |(engine, believed)| Part {
        engine,
        shares: vec![Share { partition: PARTITION, believed, batch }],
    };
    set.iter().zip(believed).map(part).collect()
}

fn shares<'a>(believed: &'a [Checkpoint; 2], batches: &'a [Batch<'a>; 2]) -> [Share<'a>; 2] {
    let share =
        |partition, at: usize| Share { partition, believed: &believed[at], batch: &batches[at] };
    [share(2, 0), share(3, 1)]
}

/// Tables that another build made are not written.
pub(crate) async fn a_table_of_another_shape_is_refused(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9008).await?;
    let projection = ALL[0];
    projections::create(db, projection, scene.version).await?;
    let table = format!("{}_v{}", projection.name(), scene.version);
    let other = "UPDATE shapes SET shape = 'another' WHERE table_name = ?";
    ensure!(sqlx::query(other).bind(&table).execute(db).await?.rows_affected() == 1);
    let again = projections::create(db, projection, scene.version).await;
    ensure!(matches!(&again, Err(Error::OtherShape(name)) if *name == table), "{again:?}");
    scene.strike().await
}

/// A log that is not the one that was applied is refused.
pub(crate) async fn another_log_is_refused(world: &mut World) -> Result<()> {
    let db = &connect(world).await?;
    let scene = Scene::set(db, 9007).await?;
    let engine = scene.engine("command_status")?;
    let believed = engine.take(PARTITION, &log(1000)).await?;
    engine.apply(PARTITION, &believed, &batch(&events(2, 5)?)).await?;
    let refused = |outcome: Result<Checkpoint, EngineError>| match outcome {
        Err(EngineError::Refused(why)) => Ok(why),
        other => bail!("not refused: {other:?}"),
    };
    let lost = refused(engine.take(PARTITION, &log(9)).await)?;
    ensure!(matches!(lost, Refused::BeyondEnd { next: 10, end: 9, .. }), "{lost}");
    let mut anew = log(1000);
    anew.values_mut().for_each(|extent| extent.topic_id = "another".to_owned());
    let other = refused(engine.take(PARTITION, &anew).await)?;
    ensure!(matches!(other, Refused::OtherTopic { .. }), "{other}");
    let mut expired = log(1000);
    expired.values_mut().for_each(|extent| extent.start = 11);
    let missing = refused(engine.take(PARTITION, &expired).await)?;
    ensure!(matches!(missing, Refused::BeforeStart { start: 11, .. }), "{missing}");
    let mut old = log(1000);
    old.get_mut(CATALOG.decisions.name).context("decisions")?.start = 11;
    let moved = engine.take(PARTITION, &old).await?;
    ensure!(moved.next(CATALOG.decisions.name) == 11 && moved.next(CATALOG.events.name) == 10);
    scene.strike().await
}

async fn connect(world: &World) -> Result<Pool> {
    Ok(projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 4).await?)
}
