//! Faults, and the order in which they strike: a deck with every fault that this machine can do, shuffled by the seed, dealt to its
//! end and shuffled again.

use std::time::Duration;

use crate::net::{Machine, WORKERS};
use crate::random::Random;

/// A fault. Times are how long it lasts; workers are taken modulo those there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    KillWorker(u32),
    KillCoordinator,
    /// SIGTERM: the worker hands over what it has, and ends.
    TellToEnd(u32),
    /// A stop is requested, and a worker is killed before it is done; after that the job is started again.
    StopAsWorkerDies(u32),
    /// All of them at once, as a power cut does.
    KillAll,
    FreezeWorker(u32, Duration),
    FreezeCoordinator(Duration),
    CutWorkers(u32, u32, Duration),
    CutFromCoordinator(u32, Duration),
    CutFromStorage(Machine, Duration),
    Unplug(u32, Duration),
    SlowLine(u32, Duration),
    StorageFrozen(Duration),
    StorageDown(Duration),
    StorageFull(Duration),
    OutputFull(Duration),
    CredentialsExpire(Duration),
    /// To so many workers.
    Rescale(u32),
    /// Another coordinator begins elsewhere while this one sleeps, and wakes.
    CoordinatorReplaced(Duration),
}

impl Fault {
    /// The fault's name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KillWorker(_) => "worker killed",
            Self::KillCoordinator => "coordinator killed",
            Self::TellToEnd(_) => "worker told to end",
            Self::StopAsWorkerDies(_) => "job stopped while a worker dies",
            Self::KillAll => "all killed",
            Self::FreezeWorker(..) => "worker frozen",
            Self::FreezeCoordinator(_) => "coordinator frozen",
            Self::CutWorkers(..) => "two workers cut apart",
            Self::CutFromCoordinator(..) => "worker cut from coordinator",
            Self::CutFromStorage(..) => "process cut from storage",
            Self::Unplug(..) => "worker unplugged",
            Self::SlowLine(..) => "slow line",
            Self::StorageFrozen(_) => "storage frozen",
            Self::StorageDown(_) => "storage down",
            Self::StorageFull(_) => "storage full",
            Self::OutputFull(_) => "output disk full",
            Self::CredentialsExpire(_) => "credentials expired",
            Self::Rescale(_) => "rescale",
            Self::CoordinatorReplaced(_) => "coordinator replaced",
        }
    }

    /// The time for which the fault lasts.
    pub(crate) fn lasts(self) -> Duration {
        match self {
            Self::KillWorker(_)
            | Self::KillCoordinator
            | Self::KillAll
            | Self::TellToEnd(_)
            | Self::StopAsWorkerDies(_)
            | Self::Rescale(_) => Duration::ZERO,
            Self::FreezeWorker(_, d)
            | Self::FreezeCoordinator(d)
            | Self::CutWorkers(_, _, d)
            | Self::CutFromCoordinator(_, d)
            | Self::CutFromStorage(_, d)
            | Self::Unplug(_, d)
            | Self::SlowLine(_, d)
            | Self::StorageFrozen(d)
            | Self::StorageDown(d)
            | Self::StorageFull(d)
            | Self::OutputFull(d)
            | Self::CredentialsExpire(d)
            | Self::CoordinatorReplaced(d) => d,
        }
    }
}

/// Abilities of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Able {
    pub(crate) cut: bool,
    pub(crate) server: bool,
    pub(crate) storage_disk: bool,
    pub(crate) output_disk: bool,
}

impl Able {
    /// Everything.
    pub(crate) const ALL: Self = Self { cut: true, server: true, storage_disk: true, output_disk: true };
}

/// Deals faults.
#[derive(Debug)]
pub(crate) struct Deck {
    random: Random,
    able: Able,
    /// The longest that storage is away.
    outage: Duration,
    /// Words of which a fault's name has to have one; none: every fault.
    only: Vec<String>,
    cards: Vec<Fault>,
}

impl Deck {
    pub(crate) fn new(seed: u64, able: Able, outage: Duration) -> Self {
        Self { random: Random::new(seed), able, outage, only: Vec::new(), cards: Vec::new() }
    }

    /// Deals only faults whose names have one of these words.
    #[must_use]
    pub(crate) fn only(mut self, words: &str) -> Self {
        self.only = words.split(',').map(str::to_owned).collect();
        self
    }

    /// For how long the job is left in peace before the next fault.
    pub(crate) fn peace(&mut self) -> Duration {
        Duration::from_millis(self.random.between(200, 3000))
    }

    /// The next fault.
    pub(crate) fn next(&mut self) -> Fault {
        if self.cards.is_empty() {
            self.cards = self.shuffled();
        }
        self.cards.pop().unwrap_or(Fault::KillCoordinator)
    }

    /// Now and then a second one strikes while the first lasts, or right behind it.
    pub(crate) fn second(&mut self, first: Fault) -> Option<Fault> {
        if !self.random.one_in(3) || matches!(first, Fault::StopAsWorkerDies(_)) {
            return None;
        }
        let other = (0..8).map(|_| self.next()).find(|f| !same_ground(*f, first))?;
        Some(other)
    }

    fn shuffled(&mut self) -> Vec<Fault> {
        use Fault::{
            CoordinatorReplaced, CredentialsExpire, CutFromCoordinator, CutFromStorage, CutWorkers, FreezeCoordinator,
            FreezeWorker, KillAll, KillCoordinator, KillWorker, OutputFull, Rescale, SlowLine, StopAsWorkerDies, StorageDown,
            StorageFrozen, StorageFull, TellToEnd, Unplug,
        };
        let mut random = self.random.clone();
        let mut worker = || random.below(u64::from(WORKERS)) as u32;
        let (one, two, three, four) = (worker(), worker(), worker(), worker());
        let mut millis = |least, most| Duration::from_millis(random.between(least, most));
        let (short, long) = (millis(200, 900), millis(6_000, 12_000));
        let (outage, brief) = (self.outage, millis(3_000, 8_000));
        let mut sizes = [1, 2, 3, 4, 5, 6];
        random.shuffle(&mut sizes);
        let [a, b, c, d, ..] = sizes;
        let mut cards = vec![Rescale(a), Rescale(b), Rescale(c), Rescale(d)];
        cards.extend([KillWorker(one), KillWorker(two), KillCoordinator, KillAll]);
        cards.extend([TellToEnd(three), TellToEnd(four), StopAsWorkerDies(one)]);
        cards.extend([FreezeWorker(three, long), FreezeCoordinator(long), FreezeWorker(four, short)]);
        let Able { cut, server, storage_disk, output_disk } = self.able;
        if cut {
            cards.extend([CutWorkers(one, one + 1, short), CutWorkers(two, two + 1, long)]);
            cards.extend([CutFromCoordinator(three, short), CutFromCoordinator(four, long), Unplug(two, long)]);
            cards.extend([SlowLine(one, long), CoordinatorReplaced(brief)]);
        }
        if cut && server {
            let storage = [Machine::Worker(four), Machine::Coordinator];
            cards.extend(storage.map(|m| CutFromStorage(m, brief)));
        }
        if server {
            cards.extend([StorageFrozen(outage), StorageDown(outage), CredentialsExpire(brief)]);
        }
        if storage_disk {
            cards.push(StorageFull(brief));
        }
        if output_disk {
            cards.push(OutputFull(brief));
        }
        cards.retain(|c| self.only.is_empty() || self.only.iter().any(|w| c.name().contains(w.as_str())));
        random.shuffle(&mut cards);
        self.random = random;
        cards
    }
}

/// True if two faults would undo each other.
fn same_ground(a: Fault, b: Fault) -> bool {
    use Fault::{
        CoordinatorReplaced, CredentialsExpire, CutFromCoordinator, CutFromStorage, CutWorkers, FreezeCoordinator, FreezeWorker,
        KillAll, KillCoordinator, KillWorker, OutputFull, Rescale, SlowLine, StopAsWorkerDies, StorageDown, StorageFrozen,
        StorageFull, TellToEnd, Unplug,
    };
    let ground = |f: Fault| match f {
        KillWorker(_) | FreezeWorker(..) | KillAll | TellToEnd(_) => 1,
        KillCoordinator | FreezeCoordinator(_) | CoordinatorReplaced(_) => 2,
        CutWorkers(..) | CutFromCoordinator(..) | CutFromStorage(..) | Unplug(..) => 3,
        SlowLine(..) => 4,
        StorageFrozen(_) | StorageDown(_) | CredentialsExpire(_) => 5,
        StorageFull(_) => 6,
        OutputFull(_) => 7,
        Rescale(_) => 8,
        StopAsWorkerDies(_) => 9,
    };
    // A cut names the machine that holds the coordinator's address: that must not move meanwhile.
    let moves = |x: Fault, y: Fault| matches!(x, CoordinatorReplaced(_)) && ground(y) == 3;
    let all = |x: Fault, y: Fault| matches!(x, KillAll) && ground(y) == 2;
    // A coordinator that is lost forgets a stop that it has accepted.
    let alone = |x: Fault| matches!(x, StopAsWorkerDies(_));
    alone(a) || alone(b) || ground(a) == ground(b) || moves(a, b) || moves(b, a) || all(a, b) || all(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_deals_the_same_faults_and_a_deck_has_all_of_them() {
        let deal = |seed| {
            let mut deck = Deck::new(seed, Able::ALL, Duration::from_secs(30));
            (0..50).map(|_| deck.next()).collect::<Vec<_>>()
        };
        assert_eq!(deal(7), deal(7));
        assert_ne!(deal(7), deal(8));
        let names: std::collections::BTreeSet<_> = deal(7).into_iter().map(Fault::name).collect();
        assert_eq!(names.len(), 19);
    }

    #[test]
    fn what_a_machine_cannot_do_is_not_dealt() {
        let able = Able { cut: false, server: false, storage_disk: false, output_disk: false };
        let mut deck = Deck::new(1, able, Duration::ZERO);
        for fault in (0..40).map(|_| deck.next()) {
            assert!(!["storage", "cut", "full", "line", "credentials"].iter().any(|w| fault.name().contains(w)), "{fault:?}");
        }
    }
}
