//! The whole of it: start, one fault after the other (now and then two at once), the end of the input, and the last word of the checker.
//!
//! After each fault the job has [`PATIENCE`] to be what it was: all workers that are wanted own key groups, and both outputs go on.
//! What takes longer hangs, and that is a breach like a lost row.

use std::time::{Duration, Instant};

use crate::fault::{Deck, Fault};
use crate::report::Report;
use crate::world::World;

/// The longest time in which the job is well again.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time after which the report says what the job waits for, again and again.
const SLOW: Duration = Duration::from_secs(3);
/// Seconds of event time behind the last window seen that have to be complete at the end.
const BEYOND: u64 = 3;

/// Under fire for so long.
pub(crate) fn run(world: &mut World, deck: &mut Deck, time: Duration, report: &mut Report) -> Result<(), String> {
    let began = Instant::now();
    if !well(world, began, "the job begins", report)? {
        return Ok(());
    }
    while began.elapsed() < time && !world.failed() {
        let peace = deck.peace();
        world.until(peace, |_| false)?;
        let first = deck.next();
        let second = deck.second(first);
        if !blow(world, first, second, report)? {
            return Ok(());
        }
    }
    finish(world, report)
}

/// Strikes that a deck would do: the first so many, in words.
pub(crate) fn plan(deck: &mut Deck, strikes: usize) -> Vec<String> {
    let strike = |_| {
        let _peace = deck.peace();
        let first = deck.next();
        match deck.second(first) {
            Some(second) => format!("{first:?} + {second:?}"),
            None => format!("{first:?}"),
        }
    };
    (0..strikes).map(strike).collect()
}

/// One fault, or two at once, until the job is well again. False: it never was.
fn blow(world: &mut World, first: Fault, second: Option<Fault>, report: &mut Report) -> Result<bool, String> {
    let names: Vec<&str> = [Some(first), second].into_iter().flatten().map(Fault::name).collect();
    let name = names.join(" + ");
    report.say(&format!("{name}: {first:?}{}", second.map_or_else(String::new, |s| format!(", {s:?}"))));
    world.output.listen();
    let generation = world.steward.seen().generation;
    let struck = Instant::now();
    let cure = match world.strike(first) {
        Ok(cure) => cure,
        Err(why) => {
            report.say(&format!("  not done: {why}"));
            return Ok(true);
        }
    };
    world.until(first.lasts() / 2, |_| false)?;
    let other = match second.map(|s| (s, world.strike(s))) {
        Some((s, Ok(cure))) => {
            world.until(s.lasts(), |_| false)?;
            Some(cure)
        }
        Some((_, Err(why))) => {
            report.say(&format!("  second one not done: {why}"));
            None
        }
        None => None,
    };
    world.until(first.lasts() / 2, |_| false)?;
    world.heal(cure)?;
    other.map_or(Ok(()), |cure| world.heal(cure))?;
    let healed = Instant::now();
    let well = well(world, healed, &name, report)?;
    let recovered = world.steward.seen().generation != generation;
    if well && recovered && second.is_none() && matches!(first, Fault::TellToEnd(_)) {
        world.output.ledger.breach(format!("`{name}` cost a recovery: {}", world.state()));
    }
    report.note(&name, world.output.silence(), healed.elapsed(), healed - struck);
    // A replaced coordinator hears nothing more, so it need not end by itself; the next replacement wants its place.
    world.cast.former().iter_mut().for_each(|p| p.signal("KILL"));
    Ok(well)
}

/// Waits until the job is what it is wanted to be, and rows of both kinds come out.
fn well(world: &mut World, since: Instant, name: &str, report: &mut Report) -> Result<bool, String> {
    let (rows, windows) = (world.output.ledger.counted, world.output.ledger.windowed);
    let mut asked = since;
    let well = world.until(PATIENCE, |w| {
        if asked.elapsed() > SLOW {
            asked = Instant::now();
            report.say(&format!("  not yet: {}", w.state()));
        }
        w.settled(since) && w.output.ledger.counted > rows && w.output.ledger.windowed > windows
    })?;
    report.ends(&mut world.cast.ends);
    if !well && !world.failed() {
        let (more, windows) = (world.output.ledger.counted - rows, world.output.ledger.windowed - windows);
        let state = world.state();
        let what = format!("not well {} s after `{name}` ({more} rows, {windows} windows came): {state}", PATIENCE.as_secs());
        world.output.ledger.breach(what);
    }
    Ok(well)
}

/// The end of the input: everything has to come out, and the job has to stop when it is told.
fn finish(world: &mut World, report: &mut Report) -> Result<(), String> {
    report.say("the input ends");
    world.feed.end();
    let (fed, seconds) = (world.feed.rows(), world.output.ledger.last_second() + BEYOND);
    world.until(PATIENCE, |w| {
        w.output.ledger.counted >= fed && w.output.ledger.holes().is_empty() && w.output.ledger.windows_until(seconds)
    })?;
    if !world.failed() {
        world.cast.stopping = true;
        world.steward.stop();
        if !world.until(PATIENCE, |w| w.cast.stopped)? {
            let state = world.state();
            world.output.ledger.breach(format!("the job does not stop: {state}"));
        }
        world.tick()?;
        if let Err(why) = world.cast.snapshot_is_whole(&world.net, &world.storage, true) {
            world.output.ledger.breach(format!("the last snapshot cannot be read: {why}"));
        }
    }
    world.output.ledger.close(fed, seconds);
    report.ends(&mut world.cast.ends);
    Ok(())
}
