//! Two failures that another engine has on the way from two workers to three and back, by name: state of moved keys was begun anew by
//! their new owner (counts start again at one), and a key that was taken over while it was given away panicked the worker.
//!
//! Both need many keys that are written while they move, which is what is done here, again and again, and with the wish changed in the
//! middle.

use std::path::Path;

use crate::check;
use crate::party::Party;

pub(crate) fn scaling_out_from_two_to_three_loses_no_state(dir: &Path) {
    let mut party = Party::start(dir, 2);
    for _ in 0..3 {
        // Every key has state before it moves, and is written while it does.
        party.until_workers_own(2);
        party.manifests(4);
        party.scale(3);
        party.until_workers_own(3);
        party.scale(2);
    }
    // A key that had been begun anew would have its first numbers twice.
    check(dir, party.until_all_is_out());
}

pub(crate) fn scaling_in_from_three_to_two_panics_nobody(dir: &Path) {
    let mut party = Party::start(dir, 3);
    for _ in 0..3 {
        party.until_workers_own(3);
        party.manifests(4);
        // The wish is changed while keys are on their way: some are given back before they have been used.
        let mut client = party.client();
        client.scale(2).expect("the coordinator takes the wish");
        party.manifests(1);
        client.scale(3).expect("the coordinator takes the wish");
        party.until_workers_own(3);
        party.scale(2);
        party.until_workers_own(2);
        party.scale(3);
    }
    let said = party.said();
    assert!(!said.contains("panicked") && !said.contains("has ended with code"), "{said}");
    check(dir, party.until_all_is_out());
}
