//! A log, its owners and two malls, in steps of a millisecond.

use std::collections::VecDeque;

use super::*;
use crate::body;

const STEP: Duration = Duration::from_millis(1);
const SECOND: usize = 1000;
const PARTITIONS: i64 = 6;

struct World {
    gate: Gate<()>,
    malls: [MallId; 2],
    now: Instant,
    steps: usize,
    appended: i64,
    log: VecDeque<Undecided>,
    took: [Vec<Duration>; 2],
    refused: [Vec<Refused>; 2],
}

#[derive(Debug, PartialEq)]
enum Refused {
    Arriving(Refusal),
    Ownerless,
}

struct Undecided {
    mall: usize,
    offset: i64,
    sent: (Instant, Sent),
}

/// The usual one.
const TARGET: Duration = Duration::from_millis(15);
const QUIET: usize = 0;
const FLOOD: usize = 1;

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            gate: Gate::new(TARGET, now),
            malls: ["quiet", "flood"].map(|mall| mall.parse().unwrap()),
            now,
            steps: 0,
            appended: 0,
            log: VecDeque::new(),
            took: [vec![], vec![]],
            refused: [vec![], vec![]],
        }
    }

    /// For so many milliseconds the malls ask, and `owned` partitions decide, so often in a second.
    fn run(&mut self, steps: usize, asked: [usize; 2], decided: usize, owned: i64) {
        for _ in 0..steps {
            self.steps += 1;
            self.now += STEP;
            for mall in [QUIET, FLOOD] {
                (0..self.times(asked[mall])).for_each(|_| self.ask(mall));
            }
            (0..self.times(decided)).for_each(|_| self.decide(owned));
            self.gate.turn(self.now, |()| true);
            while let Some((mall, ())) = self.gate.next(self.now) {
                self.append(usize::from(mall == self.malls[FLOOD]));
            }
        }
    }

    /// How often something happens in this step that happens so often in a second.
    fn times(&self, in_a_second: usize) -> usize {
        self.steps * in_a_second / SECOND - (self.steps - 1) * in_a_second / SECOND
    }

    fn ask(&mut self, mall: usize) {
        if let Err(refusal) = self.gate.arrive(&self.malls[mall], 0, self.now) {
            self.refused[mall].push(Refused::Arriving(refusal));
        } else if self.gate.enter(&self.malls[mall], (), self.now) {
            self.append(mall);
        }
    }

    fn append(&mut self, mall: usize) {
        self.gate.comes_no_more(&self.malls[mall]);
        if self.gate.is_full(&self.malls[mall], partition(self.appended), self.now) {
            // The next one goes elsewhere.
            self.appended += 1;
            self.gate.leave(&self.malls[mall], None);
            return self.refused[mall].push(Refused::Ownerless);
        }
        let (offset, sent) = (self.appended, (self.now, self.gate.sends(self.now)));
        self.appended += 1;
        self.gate.appended(&self.malls[mall], partition(offset), offset, self.now);
        self.log.push_back(Undecided { mall, offset, sent });
    }

    fn decide(&mut self, owned: i64) {
        let is_owned = |command: &Undecided| i64::from(partition(command.offset)) < owned;
        let Some(at) = self.log.iter().position(is_owned) else { return };
        let Some(Undecided { mall, offset, sent }) = self.log.remove(at) else { return };
        let took = self.now - sent.0;
        self.took[mall].push(took);
        self.gate.decided(partition(offset), offset, (took, sent.1), self.now);
        self.gate.leave(&self.malls[mall], Some(partition(offset)));
    }
}

fn partition(offset: i64) -> i32 {
    i32::try_from(offset % PARTITIONS).unwrap()
}

#[test]
fn a_flood_is_refused_and_nobody_else() {
    let mut world = World::new();
    world.run(5 * SECOND, [20, 0], 1000, PARTITIONS);
    world.run(20 * SECOND, [20, 10_000], 1000, PARTITIONS);
    assert_eq!(world.refused[QUIET], []);
    assert!(world.refused[FLOOD].len() > 150_000);
    assert!(
        world.refused[FLOOD]
            .iter()
            .all(|refused| *refused == Refused::Arriving(Refusal::OverShare))
    );
    // All that could be decided was.
    assert!(world.took[FLOOD].len() > 19_000, "{}", world.took[FLOOD].len());
    // Once the window has found its size.
    let late = world.took[QUIET].len() - 200;
    let longest = world.took[QUIET][late..].iter().max().unwrap();
    assert!(*longest < Duration::from_millis(100), "{longest:?}");
    world.run(2 * SECOND, [20, 10], 1000, PARTITIONS);
    assert!(world.gate.in_all() <= 2);
}

#[test]
fn whoever_floods_alone_is_told_that_it_is_all_there_is() {
    let mut world = World::new();
    world.run(2 * SECOND, [0, 10_000], 1000, PARTITIONS);
    assert!(world.refused[FLOOD].len() > 10_000);
    assert!(
        world.refused[FLOOD]
            .iter()
            .all(|refused| *refused == Refused::Arriving(Refusal::Overloaded))
    );
}

#[test]
fn the_window_follows_whoever_asks_how_much() {
    for quiet in [0, 1] {
        let mut world = World::new();
        world.run(5 * SECOND, [20, 0], 1000, PARTITIONS);
        world.run(20 * SECOND, [quiet, 10_000], 100, PARTITIONS);
        assert!((32..72).contains(&world.gate.size()), "{} beside {quiet}", world.gate.size());
        world.run(20 * SECOND, [quiet, 10_000], 8_000, PARTITIONS);
        assert!((100..600).contains(&world.gate.size()), "{} beside {quiet}", world.gate.size());
        assert_eq!(world.refused[QUIET], []);
    }
}

#[test]
fn more_malls_than_places_are_all_served() {
    let (mut gate, now) = (Gate::new(TARGET, Instant::now()), Instant::now());
    let malls: Vec<MallId> = (0..200).map(|n| format!("m{n}").parse().unwrap()).collect();
    let (mut log, mut served, mut offset) = (VecDeque::new(), vec![0; malls.len()], 0);
    let (mut admit, mut left) = (vec![], 0);
    for round in 0..100 {
        for (number, mall) in malls.iter().enumerate().filter(|(n, _)| n % 4 == round % 4) {
            if gate.arrive(mall, 0, now).is_ok() && gate.enter(mall, number, now) {
                admit.push(number);
            }
        }
        for _ in 0..50 {
            for number in admit.drain(..) {
                gate.comes_no_more(&malls[number]);
                gate.appended(&malls[number], 0, offset, now);
                log.push_back((number, offset));
                offset += 1;
            }
            let Some((number, at)) = log.pop_front() else { continue };
            gate.decided(0, at, (STEP, Sent::default()), now);
            gate.leave(&malls[number], Some(0));
            served[number] += 1;
            left += 1;
            admit.extend(std::iter::from_fn(|| gate.next(now)).map(|(_, number)| number));
        }
    }
    assert!(left > 3_000 && served.iter().all(|times| *times > 0), "{left} {served:?}");
}

#[test]
fn the_decision_of_a_copy_says_nothing_of_what_stands_before_the_other() {
    let mut world = World::new();
    let mall = world.malls[FLOOD].clone();
    for offset in 0..10 {
        assert!(world.gate.enter(&mall, (), world.now));
        world.gate.appended(&mall, 0, offset, world.now);
    }
    world.gate.answered(0, 9, world.now);
    assert_eq!(world.gate.in_all(), 9);
}

#[test]
fn nobody_is_refused_while_partitions_change_owners() {
    for (absent, left) in [(SECOND, 0), (6 * SECOND, 0), (7 * SECOND, 3)] {
        let mut world = World::new();
        world.run(10 * SECOND, [500, 0], 1000, PARTITIONS);
        world.run(absent, [500, 0], 1000, left);
        world.run(20 * SECOND, [500, 0], 1000, PARTITIONS);
        assert_eq!(world.refused[QUIET], [], "{absent} {left}");
        assert!(world.gate.in_all() < 10);
    }
}

#[test]
fn a_flood_gains_little_by_an_absent_owner() {
    let mut world = World::new();
    world.run(10 * SECOND, [20, 10_000], 1000, PARTITIONS);
    world.run(2 * SECOND, [20, 10_000], 1000, 0);
    // A quarter more than would have been decided, and what was undecided before.
    assert!(world.gate.in_all() < 2_700, "{}", world.gate.in_all());
    world.run(60 * SECOND, [20, 10_000], 1000, 0);
    assert!(world.gate.in_all() <= 1_100 * 6, "{}", world.gate.in_all());
    world.run(60 * SECOND, [20, 10_000], 1000, PARTITIONS);
    assert!(world.gate.in_all() < 200, "{}", world.gate.in_all());
}

#[test]
fn who_asks_little_is_not_refused_because_a_flood_fills_what_has_no_owner() {
    for left in [0, 3] {
        let mut world = World::new();
        world.run(10 * SECOND, [20, 10_000], 1000, PARTITIONS);
        world.run(7 * SECOND, [20, 10_000], 1000, left);
        world.run(10 * SECOND, [20, 10_000], 1000, PARTITIONS);
        assert_eq!(world.refused[QUIET], [], "{left}");
    }
}

#[test]
fn an_owner_that_is_slow_is_none_that_is_away() {
    let mut world = World::new();
    world.run(10 * SECOND, [20, 10_000], 1000, PARTITIONS);
    for _ in 0..100 {
        world.run(450, [20, 10_000], 0, PARTITIONS);
        // A hundred decisions at once.
        world.run(1, [0, 0], 100 * SECOND, PARTITIONS);
    }
    assert!(world.gate.in_all() < 400, "{}", world.gate.in_all());
}

#[test]
fn a_long_flood_of_a_slow_log_leaves_the_window_small() {
    let mut world = World::new();
    world.run(5 * SECOND, [20, 0], 1000, PARTITIONS);
    for _ in 0..20 {
        world.run(10 * SECOND, [2, 1_000], 100, PARTITIONS);
        assert!(world.gate.size() < 90, "{}", world.gate.size());
    }
}

#[test]
fn many_malls_that_ask_little_leave_one_that_asks_much_what_they_do_not_use() {
    let mut world = World::new();
    let others: Vec<MallId> = (0..50).map(|n| format!("m{n}").parse().unwrap()).collect();
    for mall in &others {
        world.gate.arrive(mall, 0, world.now).unwrap();
        world.gate.comes_no_more(mall);
    }
    let mall = world.malls[FLOOD].clone();
    let coming = (0..1000).filter(|_| world.gate.arrive(&mall, 0, world.now).is_ok()).count();
    assert_eq!(coming, COMING);
    assert!(world.gate.arrive(&others[0], 0, world.now).is_ok());
}

#[test]
fn a_partition_without_owner_costs_the_others_nothing() {
    let mut world = World::new();
    world.run(10 * SECOND, [20, 10_000], 1000, PARTITIONS);
    world.took[FLOOD].clear();
    world.run(40 * SECOND, [20, 10_000], 1000, PARTITIONS - 1);
    // All that the owners could decide.
    assert!(world.took[FLOOD].len() > 38_000, "{}", world.took[FLOOD].len());
    assert!(world.refused[FLOOD].contains(&Refused::Ownerless));
}

#[test]
fn an_outcome_that_never_came_holds_no_place() {
    let mut world = World::new();
    let (mall, took) = (world.malls[FLOOD].clone(), STEP);
    for offset in 0..10 {
        assert!(world.gate.enter(&mall, (), world.now));
        world.gate.appended(&mall, 0, offset, world.now);
    }
    world.gate.decided(0, 8, (took, Sent::default()), world.now);
    assert_eq!(world.gate.in_all(), 1);
    // What was decided before its append was acknowledged.
    assert!(world.gate.enter(&mall, (), world.now));
    world.gate.appended(&mall, 0, 5, world.now);
    assert_eq!(world.gate.in_all(), 1);
}

#[test]
fn a_request_that_came_to_nothing_gives_its_place_back() {
    let mut world = World::new();
    let mall = world.malls[FLOOD].clone();
    world.gate.arrive(&mall, 0, world.now).unwrap();
    let admitted = (0..200).filter(|_| world.gate.enter(&mall, (), world.now)).count();
    assert_eq!((admitted, world.gate.in_all()), (32, 32));
    (0..32).for_each(|_| world.gate.leave(&mall, None));
    let next = std::iter::from_fn(|| world.gate.next(world.now)).count();
    assert_eq!((next, world.gate.in_all()), (32, 32));
}

#[test]
fn bodies_take_room_by_mall() {
    let (mut world, most) = (World::new(), body::LIMIT);
    let [quiet, flood] = world.malls.clone();
    let now = world.now;
    let taken = (0..100).filter(|_| world.gate.arrive(&flood, most, now).is_ok()).count();
    assert_eq!(taken, HELD / most);
    // Its share is another mall's all the same.
    let beside = (0..100).filter(|_| world.gate.arrive(&quiet, most, now).is_ok()).count();
    assert_eq!(beside, HELD / most / 2);
    for _ in 0..taken {
        world.gate.comes_no_more(&flood);
        world.gate.let_go(&flood, most);
    }
    let again = (0..100).filter(|_| world.gate.arrive(&flood, most, now).is_ok()).count();
    assert_eq!(again, HELD / most / 2);
}
