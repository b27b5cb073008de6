//! Books that balance, and books with one entry wrong.

use domain::{
    CommandId, Currency, Money, Timestamp,
    catalog::{Command, Event},
    product::{NewSku, ProductRepriced, RegisterProduct, RepriceProduct},
};
use projections::{Fact, Logged};
use schemas::{
    CATALOG, CommandMessage, Decision, DecisionMessage, EventMessage, Lane, Origin, Traceparent,
    Verdict, event_id,
};
use uuid::Uuid;

use super::{
    Scope,
    checks::{Checks, Rule},
    fate::Asked,
    history::History,
    kept::Kept,
    ledger::Ledger,
    order::Order,
};

const LAMP: Uuid = Uuid::from_u128(1);
const REGISTER: CommandId = CommandId(Uuid::from_u128(11));
const REPRICE: CommandId = CommandId(Uuid::from_u128(12));
const REPRICE_AGAIN: CommandId = CommandId(Uuid::from_u128(13));

fn origin(command: CommandId) -> Origin {
    Origin {
        aggregate: LAMP,
        mall: "demo".parse().unwrap(),
        command,
        body_hash: "hash".to_owned(),
        actor: "key:demo".to_owned(),
        correlation: Uuid::from_u128(9),
        trace: Traceparent::start(Uuid::from_u128(9)),
    }
}

fn won(minor: i64) -> Money {
    Money { minor, currency: "KRW".parse::<Currency>().unwrap() }
}

fn wish(command: CommandId, body: Command) -> CommandMessage {
    let (expected_version, reply_partition) = (None, None);
    CommandMessage { origin: origin(command), expected_version, reply_partition, body }
}

fn register() -> CommandMessage {
    let sku = NewSku { code: "A".to_owned(), choices: vec![], price: None };
    let body = RegisterProduct {
        partner_id: None,
        external_id: None,
        name: "lamp".to_owned(),
        description: String::new(),
        options: vec![],
        skus: vec![sku],
        list_price: won(10),
        images: vec![],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    };
    wish(REGISTER, Command::Product(body.into()))
}

fn reprice(command: CommandId, minor: i64) -> CommandMessage {
    wish(command, Command::Product(RepriceProduct { list_price: won(minor) }.into()))
}

fn registered() -> Event {
    let blank = History::new("demo".parse().unwrap());
    blank.conclude(&register(), Timestamp(5)).unwrap().remove(0)
}

fn repriced(previous: i64, minor: i64) -> Event {
    let fact = ProductRepriced { list_price: won(minor), previous: won(previous) };
    Event::Product(fact.into())
}

/// A pass over one partition.
struct Pass {
    ledger: Ledger<'static>,
    checks: Checks,
    offset: i64,
}

impl Pass {
    fn over(commands: &[CommandMessage]) -> Self {
        Self::once_decided(commands.len(), commands)
    }

    /// When the first `due` commands have been decided.
    fn once_decided(due: usize, commands: &[CommandMessage]) -> Self {
        Self::within(Scope::default(), due, commands)
    }

    fn within(scope: Scope, due: usize, commands: &[CommandMessage]) -> Self {
        Self::of_what_is(Kept::ALL, scope, due, commands)
    }

    fn of_what_is(kept: Kept, scope: Scope, due: usize, commands: &[CommandMessage]) -> Self {
        let (scope, accepted) = (Box::leak(Box::new(scope)), i64::try_from(due).ok());
        let order = Order::new([accepted; 2], kept.lanes == [true; 2]);
        let mut ledger = Ledger::new(0, scope, kept, order);
        for (offset, wish) in (0..).zip(commands) {
            let appended = Timestamp(offset);
            let asked = Asked {
                lane: Lane::Interactive,
                offset,
                appended,
                aggregate: LAMP,
                is_due: Some(offset) < accepted,
                is_judged: scope.is_of(&wish.origin.mall) && scope.is_then(appended),
                wish: Some(wish.clone()),
            };
            ledger.take_command(wish.origin.command, asked);
        }
        Self { ledger, checks: Checks::default(), offset: 0 }
    }

    fn logged(&mut self, topic: &str, fact: Fact) -> Logged {
        self.offset += 1;
        let (partition, appended) = (0, Timestamp(self.offset));
        let (topic, offset) = (topic.to_owned(), self.offset);
        Logged { topic, partition, offset, appended, fact, as_written: None }
    }

    fn refused(mut self, command: CommandId, verdict: Verdict, version: i64) -> Self {
        let body =
            Decision { verdict, code: None, detail: None, version, last_event_offset: version - 1 };
        let decision = DecisionMessage { origin: origin(command), time: Timestamp(5), body };
        let logged = self.logged(CATALOG.decisions.name, Fact::Decision(decision));
        self.ledger.take_decision(&logged, &mut self.checks);
        self
    }

    fn event(self, command: CommandId, version: i64, body: Event) -> Self {
        self.event_called(event_id(LAMP, version), command, version, body)
    }

    fn event_called(mut self, id: Uuid, command: CommandId, version: i64, body: Event) -> Self {
        let (origin, time) = (origin(command), Timestamp(5));
        let event = EventMessage { origin, version, time, observed_at: None, body };
        let logged = self.logged(CATALOG.events.name, Fact::Event(event));
        self.ledger.take_event(&logged, Some(id), true, &mut self.checks);
        self
    }

    /// The rules that do not hold.
    fn broken(mut self) -> Vec<Rule> {
        self.ledger.close(&mut self.checks);
        let broken = self.checks.into_list().into_iter().filter(|check| check.broken > 0);
        broken.map(|check| check.rule).collect()
    }
}

fn balanced() -> Pass {
    Pass::over(&[register(), reprice(REPRICE, 20), reprice(REPRICE_AGAIN, 20), register()])
        .refused(REPRICE_AGAIN, Verdict::Unchanged, 2)
        .event(REGISTER, 1, registered())
        .event(REPRICE, 2, repriced(10, 20))
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(balanced().broken(), []);
}

#[test]
fn a_command_without_a_decision_is_found_once_it_had_to_be_decided() {
    let commands = [register(), reprice(REPRICE, 20)];
    let pass = |due| Pass::once_decided(due, &commands).event(REGISTER, 1, registered());
    assert_eq!(pass(1).broken(), []);
    assert_eq!(pass(2).broken(), [Rule::OneDecision]);
}

#[test]
fn a_decision_that_may_have_expired_is_not_missed() {
    let again = CommandId(domain::id::derive(&["sent", "again"]));
    let missed = |since, command| {
        let kept = Kept { decisions: Timestamp(since), ..Kept::ALL };
        let commands = [register(), reprice(command, 10)];
        let pass = Pass::of_what_is(kept, Scope::default(), 2, &commands);
        pass.event(REGISTER, 1, registered()).broken()
    };
    assert_eq!(missed(2, REPRICE), []);
    assert_eq!(missed(1, REPRICE), [Rule::OneDecision]);
    // Its first copy may have been decided before.
    assert_eq!(missed(1, again), []);
    assert_eq!(missed(0, again), [Rule::OneDecision]);
}

#[test]
fn a_command_that_has_expired_is_not_missed() {
    let strange = |first, lanes| {
        let kept = Kept { lanes, ..Kept::ALL };
        let pass = Pass::of_what_is(kept, Scope::default(), 1, &[register()]);
        let decided = |pass: Pass, id| pass.refused(id, Verdict::Unchanged, 1);
        let pass = if first { decided(pass, REPRICE) } else { pass };
        let pass = decided(pass, REGISTER);
        let pass = if first { pass } else { decided(pass, REPRICE) };
        pass.broken().contains(&Rule::OneDecision)
    };
    // Behind a command that is kept, those of its lane are kept, and those of the other may not be.
    assert!(strange(true, [true; 2]));
    assert!(!strange(true, [false, true]));
    assert!(strange(false, [false, true]));
    assert!(!strange(false, [true, false]));
}

#[test]
fn one_key_with_two_bodies_is_decided_by_either() {
    let other = |mut wish: CommandMessage| {
        wish.origin.body_hash = "other".to_owned();
        wish
    };
    // Both lanes hold a body under the key, and the second one in this reading was decided.
    let commands = [register(), other(reprice(REPRICE, 30)), reprice(REPRICE, 20)];
    let pass = || Pass::over(&commands).event(REGISTER, 1, registered());
    assert_eq!(pass().event(REPRICE, 2, repriced(10, 20)).broken(), []);
    assert_eq!(pass().event(REPRICE, 2, repriced(10, 30)).broken(), [Rule::DecidedAgain]);
}

#[test]
fn a_rejection_with_an_event_is_found() {
    let pass = Pass::over(&[register()]).refused(REGISTER, Verdict::Unchanged, 0);
    let broken = pass.event(REGISTER, 1, registered()).broken();
    assert!(broken.starts_with(&[Rule::OneDecision, Rule::RejectionLeavesNoEvent]), "{broken:?}");
}

#[test]
fn a_doubled_event_is_found() {
    let broken = balanced().event(REPRICE, 2, repriced(10, 20)).broken();
    assert_eq!(broken, [Rule::OneDecision, Rule::Versions]);
}

#[test]
fn a_gap_is_found() {
    let pass = Pass::over(&[register(), reprice(REPRICE, 20)]).event(REGISTER, 1, registered());
    assert_eq!(pass.event(REPRICE, 3, repriced(10, 20)).broken(), [Rule::Versions]);
}

#[test]
fn a_foreign_id_is_found() {
    let pass = Pass::over(&[register()]);
    let pass = pass.event_called(Uuid::from_u128(7), REGISTER, 1, registered());
    assert_eq!(pass.broken(), [Rule::EventIds]);
}

#[test]
fn an_event_of_no_command_is_found() {
    let pass = Pass::over(&[register()]).event(REGISTER, 1, registered());
    assert_eq!(pass.event(REPRICE, 2, repriced(10, 20)).broken(), [Rule::OneDecision]);
}

#[test]
fn another_decision_than_the_rules_give_is_found() {
    let pass = Pass::over(&[register(), reprice(REPRICE, 20)]).event(REGISTER, 1, registered());
    assert_eq!(pass.event(REPRICE, 2, repriced(10, 21)).broken(), [Rule::DecidedAgain]);
    let pass = Pass::over(&[register(), reprice(REPRICE, 20)]);
    let pass = pass.refused(REPRICE, Verdict::Unchanged, 1).event(REGISTER, 1, registered());
    assert_eq!(pass.broken(), [Rule::DecidedAgain]);
}

#[test]
fn decisions_out_of_the_order_of_their_commands_are_found() {
    let commands = [register(), reprice(REPRICE, 10), reprice(REPRICE_AGAIN, 10)];
    let decided = |first, second| {
        let pass = Pass::over(&commands).refused(first, Verdict::Unchanged, 1);
        let pass = pass.refused(second, Verdict::Unchanged, 1);
        pass.event(REGISTER, 1, registered()).broken()
    };
    assert_eq!(decided(REPRICE, REPRICE_AGAIN), []);
    assert_eq!(decided(REPRICE_AGAIN, REPRICE), [Rule::Fenced]);
}

#[test]
fn a_decision_whose_offsets_are_not_accepted_is_found() {
    let commands = [register(), reprice(REPRICE, 20)];
    let pass = Pass::once_decided(1, &commands).event(REGISTER, 1, registered());
    assert_eq!(pass.event(REPRICE, 2, repriced(10, 20)).broken(), [Rule::Fenced]);
}

#[test]
fn a_retry_that_is_decided_anew_is_found() {
    let commands = [register(), reprice(REPRICE, 20), reprice(REPRICE, 20)];
    let pass = Pass::over(&commands).refused(REPRICE, Verdict::Unchanged, 2);
    let pass = pass.event(REGISTER, 1, registered());
    let broken = pass.event(REPRICE, 2, repriced(10, 20)).broken();
    let expected = [Rule::OneDecision, Rule::RejectionLeavesNoEvent, Rule::Resolved];
    assert_eq!(broken, expected);
}

#[test]
fn what_is_out_of_scope_is_folded_and_not_judged() {
    let commands = [register(), reprice(REPRICE, 20)];
    let doubled = |scope| {
        let pass = Pass::within(scope, 2, &commands).event(REGISTER, 1, registered());
        pass.event(REPRICE, 2, repriced(10, 20)).event(REPRICE, 2, repriced(10, 20)).broken()
    };
    let whole = Scope::default;
    assert_eq!(doubled(whole()), [Rule::OneDecision, Rule::Versions]);
    assert_eq!(doubled(Scope { mall: "other".parse().ok(), ..whole() }), []);
    assert_eq!(doubled(Scope { mall: "demo".parse().ok(), ..whole() }).len(), 2);
    assert_eq!(doubled(Scope { since: Some(Timestamp(9)), ..whole() }), []);
    assert_eq!(doubled(Scope { until: Some(Timestamp(1)), ..whole() }), []);
}
