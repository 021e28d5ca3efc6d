//! A slot and the clock of its process, which need not go forward.

use super::*;

/// A source with one split that has nothing to say yet.
#[derive(Debug)]
struct Silent;

impl TypedSource for Silent {
    type Row = u32;
}

impl Source for Silent {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered::default())
    }
    fn open(&self, _split: &SplitId, _position: &[u8]) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(Self))
    }
    fn bounded(&self) -> bool {
        false
    }
}

impl SplitReader for Silent {
    fn read(&mut self, _max_rows: usize, _waker: &Waker) -> Result<crate::env::Read> {
        Ok(crate::env::Read::Pending)
    }
    fn position(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn a_clock_that_goes_back_starts_no_waiting_anew_and_makes_none_longer() {
    let job = Job::new();
    let rows = job.source("silent", Silent).event_time(|_| Time(0), Duration::ZERO).idle_after(Duration::from_micros(100));
    rows.sink("notes", Notes::default());
    let config = SlotConfig {
        id: SlotId(0),
        term: 1,
        graph: Arc::new(job.build().unwrap()),
        assignment: Assignment::even(SPACE, 1),
        members: vec![SlotId(0)],
        epoch: 1,
        window: 100,
        segment: 1,
        joins_at: None,
        waker: Waker::noop().clone(),
        tuning: Tuning::default(),
    };
    let (mut slot, mut said) = (Slot::new(config).unwrap(), Said::default());
    slot.start(&[]).unwrap();
    let mut idle = |now, slot: &mut Slot| loop {
        if let Status::Idle(until) = slot.run(now, &mut said) {
            return until;
        }
    };
    idle(10_000, &mut slot);
    let split = vec![(SplitId::from("one"), Vec::new(), Time::MIN)];
    slot.handle(Event::Command(Command::Splits(NodeIndex(0), split)), 10_000, &mut Said::default());
    assert_eq!(idle(10_000, &mut slot), Some(10_100));
    assert_eq!(idle(10_030, &mut slot), Some(10_100));
    assert_eq!(idle(5_000, &mut slot), Some(5_070), "of a hundred thirty have passed, wherever the clock stands now");
    assert_eq!(idle(5_069, &mut slot), Some(5_070));
    assert_eq!(idle(5_070, &mut slot), None, "whoever waited has waited long enough");
}
