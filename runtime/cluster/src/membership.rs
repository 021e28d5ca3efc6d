//! Membership: the workers of a job by number, and what follows from it.
//!
//! A worker's number is the one at the end of its name (`worker-2` is 2, as a pod of a stateful set is called). It owns the slots
//! `number * each` to `number * each + each - 1`, so who owns what needs no table beside the names, and a replacement takes its
//! predecessor's place. A worker is *lost* when its connection has been gone for [`Patience::gone`] or nothing has been heard of it for
//! [`Patience::silent`]. A process that was thought lost and comes back is a newcomer: what it had is void, and it begins with nothing.
//!
//! Law: of two processes with one name the one that registered later has it for good. The earlier one is refused for as long as this
//! manager lives, and ends. Without that both would take the name from each other for ever, each time ending the run of all (a pod that was
//! deleted by force and goes on, beside its successor).
//!
//! A worker that was told to end *leaves*: it takes part until others have what it has, and its slots are not among the target's. A missing
//! worker is not waited for meanwhile: a node that is emptied does not wait for a worker that died elsewhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::rules::RuleSet;

use crate::messages::Member;
use crate::patience::Patience;

/// The number of replaced processes that are remembered for a name: more than can be alive at a time.
const REPLACED: usize = 16;

/// A worker that wants to take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// The job it was started for.
    pub job: String,
    /// The worker's name.
    pub name: String,
    /// The process: no other process has the same.
    pub incarnation: String,
    /// Slots that it has room for.
    pub slots: u32,
    /// The address at which other workers reach it.
    pub address: String,
    /// The memory for state in bytes; 0 if unlimited or unknown.
    pub memory_bytes: u64,
    /// The fingerprint of its dataflow, and the dataflow as text.
    pub fingerprint: u64,
    /// See there.
    pub shape: String,
}

/// The reason why a worker is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The worker was started for another job.
    Job,
    /// The worker runs another dataflow.
    Fingerprint,
    /// A newer process has its name: it ends.
    Replaced,
    /// The registration makes no sense.
    Malformed,
    /// The job is over.
    Over,
}

/// The number of slots that a job is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The number of workers; all slots of theirs take part.
    Workers(u32),
    /// The number of slots, for one worker that has room for any number.
    Slots(u16),
}

/// The processes that have borne a name.
#[derive(Clone, Debug, Default)]
struct Incarnations {
    /// The process that registered last under the name.
    now: String,
    /// Earlier processes, oldest first.
    before: VecDeque<String>,
}
impl Incarnations {
    /// Gives the name to a process, unless it was replaced before: then the result is false. The predecessor loses the name for good.
    fn pass_to(&mut self, incarnation: &str) -> bool {
        if self.before.iter().any(|i| i == incarnation) {
            return false;
        }
        if self.now != incarnation {
            let before = std::mem::replace(&mut self.now, incarnation.to_owned());
            self.before.extend(Some(before).filter(|b| !b.is_empty()));
            if self.before.len() > REPLACED {
                self.before.pop_front();
            }
        }
        true
    }
}

/// A worker's place in leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Stays,
    /// The worker leaves once others have what it has.
    Leaves,
    /// The worker has been told that it may go.
    Released,
}

/// One worker.
#[derive(Clone, Debug)]
struct Entry {
    member: Member,
    connected: bool,
    /// The time at which the connection came or went.
    since: i64,
    /// The time of the last message or heartbeat.
    heard: i64,
    /// The memory for state in bytes; 0 if unlimited or unknown.
    memory: u64,
    leave: Leave,
}

/// All workers of a job.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Slots a worker has; fixed by the first one.
    each: Option<u16>,
    workers: BTreeMap<u32, Entry>,
    /// The processes that have had each number, lost ones too.
    incarnations: BTreeMap<u32, Incarnations>,
    /// Key groups of the job: a slot without one would have nothing to do.
    groups: usize,
    patience: Patience,
    rules: RuleSet,
}

/// The outcome of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A new worker, with its number.
    New(u32),
    /// A worker that takes the place of its predecessor, which is lost by this.
    Instead(u32),
    /// The registration is refused, with a reason.
    Refused(Refusal, String),
}

impl Membership {
    /// No worker is there yet. `groups`: the number of key groups.
    #[must_use]
    pub fn new(groups: usize, patience: Patience, rules: RuleSet) -> Self {
        Self { each: None, workers: BTreeMap::new(), incarnations: BTreeMap::new(), groups, patience, rules }
    }

    /// A worker registers.
    pub fn register(&mut self, register: &Registration, now: i64) -> Admission {
        let (name, incarnation) = (register.name.clone(), register.incarnation.clone());
        let Some(number) = number_of(&name) else {
            let why = format!("`{name}` does not end in a number: call the workers of a job NAME-0, NAME-1 and so on");
            return Admission::Refused(Refusal::Malformed, why);
        };
        let each = u16::try_from(register.slots).unwrap_or(0);
        let last = usize::try_from(register.slots).unwrap_or(usize::MAX).saturating_mul((number as usize).saturating_add(1));
        if each == 0 || last > self.groups {
            let (slots, groups) = (register.slots, self.groups);
            let why = format!("worker {number} with {slots} slots: a job with {groups} key groups has slots 0 to {}", groups - 1);
            return Admission::Refused(Refusal::Malformed, why);
        }
        if let Some(set) = self.each.filter(|set| *set != each && !self.workers.is_empty()) {
            let why = format!("{name} has {each} slots and the job's other workers have {set}: give all the same number");
            return Admission::Refused(Refusal::Malformed, why);
        }
        if !self.incarnations.entry(number).or_default().pass_to(&incarnation) && self.rules.replaced_for_good() {
            let why = format!("a newer process has registered as {name}: this one has been replaced, and ends");
            return Admission::Refused(Refusal::Replaced, why);
        }
        self.each = Some(each);
        // The same process, too: its session is gone, and with it what it had not been told.
        let instead = self.workers.contains_key(&number);
        let slots = (0..each).map(|k| SlotId(number as u16 * each + k)).collect();
        let member = Member { worker: number, name, incarnation, address: register.address.clone(), slots };
        let (memory, leave) = (register.memory_bytes, Leave::Stays);
        self.workers.insert(number, Entry { member, connected: false, since: now, heard: now, memory, leave });
        if instead { Admission::Instead(number) } else { Admission::New(number) }
    }

    /// A worker's connection came or went.
    pub fn connected(&mut self, worker: u32, connected: bool, now: i64) {
        if let Some(e) = self.workers.get_mut(&worker) {
            (e.connected, e.since, e.heard) = (connected, now, e.heard.max(if connected { now } else { e.heard }));
        }
    }

    /// A worker was told to end.
    pub fn leaves(&mut self, worker: u32) {
        if let Some(e) = self.workers.get_mut(&worker).filter(|e| e.leave == Leave::Stays) {
            e.leave = Leave::Leaves;
        }
    }

    /// A worker has been told that it may go.
    pub fn released(&mut self, worker: u32) {
        if let Some(e) = self.workers.get_mut(&worker) {
            e.leave = Leave::Released;
        }
    }

    /// Workers that leave and have not been released.
    pub fn leaving(&self) -> Vec<u32> {
        self.workers.iter().filter(|(_, e)| e.leave == Leave::Leaves).map(|(w, _)| *w).collect()
    }

    /// Something was heard of a worker.
    pub fn heard(&mut self, worker: u32, now: i64) {
        if let Some(e) = self.workers.get_mut(&worker) {
            e.heard = now;
        }
    }

    /// The manager was not stepped until now (the process slept, or the machine did): what was said meanwhile has not been read, so
    /// silence begins anew.
    pub fn reset_silence(&mut self, now: i64) {
        for e in self.workers.values_mut() {
            e.heard = now;
            if !e.connected {
                e.since = now;
            }
        }
    }

    /// Workers that are lost now, with the reason; they are struck off.
    pub fn lost(&mut self, now: i64) -> Vec<(Member, String)> {
        let mut lost = Vec::new();
        self.workers.retain(|_, e| {
            // A clock that was put back must not make a worker immortal.
            (e.heard, e.since) = (e.heard.min(now), e.since.min(now));
            // A worker that was released and went does not come back.
            let gone = !e.connected && (now - e.since > self.patience.gone || e.leave == Leave::Released);
            let silent = now - e.heard > self.patience.silent;
            if gone || silent {
                let (what, since) = if gone { ("its connection is gone", e.since) } else { ("it says nothing", e.heard) };
                lost.push((e.member.clone(), format!("{what} for {} ms", (now - since) / 1000)));
            }
            !(gone || silent)
        });
        lost
    }

    /// Workers that can take part.
    pub fn present(&self) -> Vec<Member> {
        self.there().map(|e| e.member.clone()).collect()
    }

    /// The memory for state of each worker that is there, in bytes.
    pub fn budgets(&self) -> impl Iterator<Item = u64> {
        self.there().map(|e| e.memory)
    }

    fn there(&self) -> impl Iterator<Item = &Entry> {
        self.workers.values().filter(|e| e.connected && e.leave != Leave::Released)
    }

    /// The worker's connection (true if it is up) and the microseconds since it was last heard of.
    pub fn state(&self, worker: u32, now: i64) -> Option<(bool, i64)> {
        self.workers.get(&worker).map(|e| (e.connected, now - e.heard))
    }

    /// All workers that are known.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.workers.values().map(|e| &e.member)
    }

    /// The workers of a target that are not there.
    #[must_use]
    pub fn missing(&self, target: Target) -> Vec<u32> {
        (0..self.workers_of(target)).filter(|w| self.workers.get(w).is_none_or(|e| !e.connected)).collect()
    }

    /// True if each known worker has a connection. One whose connection has dropped is back in a moment, or lost.
    #[must_use]
    pub fn all_connected(&self) -> bool {
        self.workers.values().all(|e| e.connected || e.leave == Leave::Released)
    }

    fn workers_of(&self, target: Target) -> u32 {
        match target {
            Target::Workers(n) => n,
            Target::Slots(n) => u32::from(n.div_ceil(self.each())),
        }
    }

    /// The slots that a run begins with: those of all workers that are there, up to the target where that counts slots.
    #[must_use]
    pub fn beginning(&self, target: Target) -> BTreeSet<SlotId> {
        let all = self.there().flat_map(|e| e.member.slots.iter().copied());
        match target {
            Target::Workers(_) => all.collect(),
            Target::Slots(n) => all.take(usize::from(n)).collect(),
        }
    }

    /// The slots that are to have everything: those of the target's workers, without those that leave; else the workers that are missing.
    /// None at all if all workers leave.
    pub fn target_slots(&self, target: Target) -> Result<BTreeSet<SlotId>, Vec<u32>> {
        let stays = |e: &Entry| e.leave == Leave::Stays || !self.rules.leaver_is_no_target();
        let some_leave = self.workers.values().any(|e| !stays(e));
        let missing = |w: &u32| match self.workers.get(w) {
            // A dropped connection comes back in a moment, or its worker is lost.
            Some(e) => stays(e) && !e.connected,
            None => !some_leave,
        };
        let workers = self.workers_of(target);
        let missing: Vec<u32> = (0..workers).filter(missing).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let slots_of = |(_, e): (&u32, &Entry)| if stays(e) { e.member.slots.clone() } else { Vec::new() };
        let slots = self.workers.range(0..workers).flat_map(slots_of);
        let slots: BTreeSet<SlotId> = match target {
            Target::Workers(_) => slots.collect(),
            Target::Slots(n) => slots.take(usize::from(n)).collect(),
        };
        // Rather those that are not wanted any more and still there than none.
        Ok(if slots.is_empty() { self.workers.iter().flat_map(slots_of).collect() } else { slots })
    }

    /// Slots of a worker.
    pub fn each(&self) -> u16 {
        self.each.unwrap_or(1)
    }

    /// The worker that has a slot.
    pub fn worker_of(&self, slot: SlotId) -> u32 {
        u32::from(slot.0 / self.each())
    }
}

/// The number that a name ends in.
pub fn number_of(name: &str) -> Option<u32> {
    name.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE_MICROS: i64 = 700_000;
    const SILENT_MICROS: i64 = 5_000_000;

    fn members() -> Membership {
        Membership::new(4096, Patience::default(), RuleSet::ALL)
    }

    fn register(name: &str, incarnation: &str, slots: u32) -> Registration {
        let (name, incarnation, address) = (name.to_owned(), incarnation.to_owned(), format!("{name}:7101"));
        Registration { name, incarnation, slots, address, ..Registration::default() }
    }

    #[test]
    fn a_worker_s_slots_follow_from_its_name() {
        let mut r = members();
        assert_eq!(r.register(&register("w-2", "a", 3), 0), Admission::New(2));
        r.connected(2, true, 0);
        assert_eq!(r.present()[0].slots, [SlotId(6), SlotId(7), SlotId(8)]);
        assert_eq!(r.worker_of(SlotId(8)), 2);
        assert_eq!(r.missing(Target::Workers(3)), vec![0, 1]);
        // No number, no slot, another number of slots, and more slots than there are key groups.
        for bad in [register("worker", "b", 3), register("w-0", "b", 0), register("w-0", "b", 2), register("w-1365", "b", 3)] {
            assert!(matches!(r.register(&bad, 0), Admission::Refused(Refusal::Malformed, _)), "{bad:?}");
        }
    }

    #[test]
    fn a_dropped_connection_is_no_loss_until_it_stays_away_and_silence_is_one_in_the_end() {
        let mut r = members();
        r.register(&register("w-0", "a", 1), 0);
        r.connected(0, true, 0);
        r.heard(0, 1_000_000);
        r.connected(0, false, 1_000_000);
        assert!(r.lost(1_000_000 + GONE_MICROS).is_empty());
        r.connected(0, true, 1_500_000);
        assert!(r.lost(3_000_000).is_empty());
        let lost = r.lost(1_500_001 + SILENT_MICROS);
        assert_eq!(lost.len(), 1);
        assert!(lost[0].1.contains("says nothing"), "{}", lost[0].1);
        // The lost worker's successor is a new process.
        assert_eq!(r.register(&register("w-0", "b", 1), 9), Admission::New(0));
    }

    #[test]
    fn who_was_not_listened_to_is_not_lost_for_it() {
        let mut r = members();
        for name in ["w-0", "w-1"] {
            r.register(&register(name, "a", 1), 0);
        }
        r.connected(0, true, 0);
        let woken = 60_000_000;
        r.reset_silence(woken);
        assert!(r.lost(woken + GONE_MICROS).is_empty());
        assert_eq!(r.lost(woken + GONE_MICROS + 1).len(), 1, "who stays away is lost a moment later");
        assert_eq!(r.lost(woken + SILENT_MICROS + 1).len(), 1);
    }

    #[test]
    fn a_clock_that_jumps_makes_nobody_immortal_and_nobody_lost() {
        let mut r = members();
        r.register(&register("w-0", "a", 1), 7_200_000_000);
        r.connected(0, true, 7_200_000_000);
        let back = 3_600_000_000;
        assert!(r.lost(back).is_empty());
        assert_eq!(r.lost(back + SILENT_MICROS + 1).len(), 1, "an hour is not waited for");
        // Forth: the coordinator sees that it has not looked for an hour, and excuses everybody.
        r.register(&register("w-0", "b", 1), back);
        r.connected(0, true, back);
        let forth = back + 3_600_000_000;
        r.reset_silence(forth);
        assert!(r.lost(forth).is_empty());
    }

    #[test]
    fn who_leaves_is_not_to_have_anything_and_nobody_who_is_missing_is_waited_for_meanwhile() {
        let mut r = members();
        let some = |slots: &[u16]| Ok(slots.iter().copied().map(SlotId).collect::<BTreeSet<_>>());
        for name in ["w-0", "w-1", "w-2"] {
            r.register(&register(name, "a", 1), 0);
            r.connected(number_of(name).unwrap(), true, 0);
        }
        assert_eq!(r.target_slots(Target::Workers(3)), some(&[0, 1, 2]));
        assert_eq!(r.target_slots(Target::Workers(4)), Err(vec![3]), "who is wanted is waited for");
        r.leaves(1);
        assert_eq!(
            (r.target_slots(Target::Workers(3)), r.target_slots(Target::Workers(4)), r.leaving()),
            (some(&[0, 2]), some(&[0, 2]), vec![1])
        );
        assert_eq!(r.present().len(), 3, "it goes on taking part");
        r.connected(2, false, 1);
        assert_eq!(r.target_slots(Target::Workers(3)), Err(vec![2]), "it is back in a moment, or lost");
        r.connected(2, true, 2);
        // Let go: it may not take part in what begins, and its end is no loss to wait for.
        r.released(1);
        assert_eq!((r.present().len(), r.leaving()), (2, vec![]));
        r.connected(1, false, 3);
        assert_eq!(r.lost(3).len(), 1);
        assert_eq!(r.target_slots(Target::Workers(3)), Err(vec![1]), "its successor is waited for");
        assert_eq!(r.register(&register("w-1", "b", 1), 4), Admission::New(1));
        r.connected(1, true, 4);
        assert_eq!(r.target_slots(Target::Workers(3)), some(&[0, 1, 2]));
        r.leaves(0);
        assert_eq!(r.target_slots(Target::Workers(1)), some(&[1, 2]), "those who are still there take over, wanted or not");
        (0..3).for_each(|w| r.leaves(w));
        assert_eq!(r.target_slots(Target::Workers(3)), some(&[]), "nobody stays");
    }

    #[test]
    fn who_registers_under_a_name_that_is_there_takes_its_place() {
        let mut r = members();
        r.register(&register("w-0", "a", 1), 0);
        assert_eq!(r.register(&register("w-0", "b", 1), 1), Admission::Instead(0));
        // Without its session even the same process is a newcomer.
        assert_eq!(r.register(&register("w-0", "b", 1), 2), Admission::Instead(0));
    }

    #[test]
    fn who_has_been_replaced_never_takes_its_name_back() {
        let refused = |a: Admission| matches!(a, Admission::Refused(Refusal::Replaced, _));
        let mut r = members();
        r.register(&register("w-0", "a", 1), 0);
        r.register(&register("w-0", "b", 1), 1);
        assert!(refused(r.register(&register("w-0", "a", 1), 2)));
        // Nor when its successor is lost; that one may come back.
        assert_eq!(r.lost(3 + GONE_MICROS).len(), 1);
        assert!(refused(r.register(&register("w-0", "a", 1), 4 + GONE_MICROS)));
        assert_eq!(r.register(&register("w-0", "b", 1), 5 + GONE_MICROS), Admission::New(0));
        // A process that was lost before its successor came is replaced too; another name is independent.
        r.register(&register("w-1", "c", 1), 0);
        assert!(!r.lost(6 + GONE_MICROS * 2).is_empty());
        assert_eq!(r.register(&register("w-1", "d", 1), 7), Admission::New(1));
        assert!(refused(r.register(&register("w-1", "c", 1), 8)));
        assert_eq!(r.register(&register("w-2", "c", 1), 9), Admission::New(2));
        for n in 0..1000 {
            r.register(&register("w-1", &format!("e{n}"), 1), 10);
        }
        assert_eq!(r.incarnations[&1].before.len(), REPLACED, "a worker that crashes again and again costs no memory");
    }

    #[test]
    fn a_worker_with_room_for_any_number_of_slots_has_as_many_as_are_wanted() {
        let mut r = members();
        r.register(&register("local-0", "a", 4096), 0);
        r.connected(0, true, 0);
        let some = |n: u16| (0..n).map(SlotId).collect::<BTreeSet<_>>();
        assert_eq!((r.missing(Target::Slots(3)), r.beginning(Target::Slots(3))), (vec![], some(3)));
        assert_eq!(r.target_slots(Target::Slots(5)), Ok(some(5)));
    }
}
