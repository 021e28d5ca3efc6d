//! The rules of the protocols, one name each, and a switch for each that only mutants have.
//!
//! A rule that can be removed without anything failing is not needed, or not tested. So every rule below has a name; under the
//! feature `mutants` the roles consult a [`RuleSet`] handed to them, and the model checker and the simulator remove one rule at a
//! time and must then find a counterexample (`docs/mutants.md` is the table). Without the feature [`RuleSet`] has no size and
//! each of its functions is the constant `true`: production pays nothing and cannot be misconfigured.

/// Makes [`Rules`], its names and the functions of [`RuleSet`] from one list.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident => $fails:literal;)*) => {
        /// The rules that hold; one switch a rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Rules { $($(#[doc = $doc])+ pub $name: bool,)* }

        impl Rules {
            /// All rules hold: the protocol as it is.
            pub const ALL: Self = Self { $($name: true),* };
            /// Every rule: its name, its text, and what fails without it.
            pub const TABLE: &'static [(&'static str, &'static str, &'static str)] =
                &[$((stringify!($name), concat!($($doc),+), $fails)),*];

            /// All rules but the named one; `None` if there is no such rule.
            #[must_use]
            pub fn without(name: &str) -> Option<Self> {
                let mut rules = Self::ALL;
                match name {
                    $(stringify!($name) => rules.$name = false,)*
                    _ => return None,
                }
                Some(rules)
            }
        }

        #[cfg(not(feature = "mutants"))]
        impl RuleSet { $($(#[doc = $doc])+ #[inline(always)] #[must_use] pub const fn $name(self) -> bool { true })* }

        #[cfg(feature = "mutants")]
        impl RuleSet { $($(#[doc = $doc])+ #[inline] #[must_use] pub const fn $name(self) -> bool { self.0.$name })* }
    };
}

/// The rules that the roles consult. Without the feature `mutants`: nothing, and every answer is `true`.
#[cfg(not(feature = "mutants"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct RuleSet;

/// The rules that the roles consult: those that hold in this run.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleSet(Rules);

#[cfg(not(feature = "mutants"))]
impl RuleSet {
    /// All rules hold.
    pub const ALL: Self = Self;
}

#[cfg(feature = "mutants")]
impl RuleSet {
    /// All rules hold.
    pub const ALL: Self = Self(Rules::ALL);

    /// The given rules hold.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self(rules)
    }
}

#[cfg(feature = "mutants")]
impl Default for RuleSet {
    fn default() -> Self {
        Self::ALL
    }
}

rules! {
    // S, the source of a batch.
    /// S goes on until it has every fence of every stage's inputs.
    source_continues => "I1: a row sent before the fence reaches a frozen S";
    /// At S the watermark of a fenced channel stands still for the batch.
    freeze_at_source => "I6: timers fire early, gated rows are late";
    /// The frozen value of a channel is taken at that channel's own fence, not once at the first.
    freeze_per_channel => "I6: F is too low, timers that S has fired or emitted past fire again or late";
    /// S's output watermark stays at or below the batch's until it has put Drained on its channels.
    source_holds_watermark => "I6: rows that X sets aside become late";
    /// One Final a batch for all stages of the slot, after the last fence of the last stage.
    one_final => "I1: the first stage's new owner sends to a second stage that is frozen";
    /// Drained goes onto each output channel before the watermark it releases.
    drained_then_watermark => "I6: rows that X sets aside become late";
    /// S keeps its undo images after Final.
    undo_stays => "I2: a crash before the next manifest finds no state to go back to";
    /// Frozen state is dropped only with a manifest that carries the cut.
    frozen_with_table => "I2: a crash finds no state to go back to";
    /// Final names every entry dirty since the last barrier, and they are T's dirty entries from then on.
    dirty_moves => "I2: the next manifest lacks them";
    /// Base, stream and Final together cover every write since the manifest that T warmed up from.
    final_covers => "I2: a dirty entry of an aligned but unpublished epoch is lost";
    // T, its target.
    /// T gates rows of the batch from the first fence until it is Active.
    gate => "I1: rows reach a group that T does not have yet";
    /// Rows that arrive while the gate drains or timers fire join the gate's tail.
    gate_tail => "I3: a row overtakes an older one of its key";
    /// Gated rows have given their credits back.
    gate_credits => "I12: with two stages, deadlock";
    /// The gate drains under Final's watermark.
    drain_under_final => "I6: gated rows are late";
    /// T's output watermark is held from the first fence on.
    hold_output => "I6: output below an emitted watermark";
    /// The hold of the output watermark is counted by batch.
    hold_by_batch => "I6: the first batch that ends releases the watermark of the others";
    /// A fence that comes after Final starts no gate.
    late_fence_ignored => "I12: T gates for ever";
    /// T takes Final up only when its routers know every cut that S's knew.
    final_after_table => "I3: with two stages, rows of T go to a second stage's old owner when those of S before them have gone to its new one";
    /// The batch's timers fire before the output watermark is released.
    timers_then_release => "I6: a timer's output is below an emitted watermark";
    /// The batch's timers fire up to the watermark as of the empty gate, not as of the firing.
    fire_as_of_empty_gate => "I6: rows that come to the gate meanwhile are late";
    /// Timers fire round by round until they are level with the slot's own watermark; then the output is released.
    fires_until_level => "I6: the watermark rose while timers fired, and goes out before those in between";
    /// A stage of T stops tagging at its own barrier, neither before nor after.
    tag_ends_by_stage => "I12: a tag behind the barrier waits for a Drained that has been forgotten";
    /// The first word of a cut drops an older frozen copy of its groups, whether or not its publication has been heard of.
    fence_implies_publication => "I1: two copies of a group, and a late Published drops the wrong one";
    // X, a consumer.
    /// X sets tagged rows of T aside until S's Drained has come on this edge.
    drained_at_consumer => "I3: X sees T's effect before S's";
    /// A tag waits for its own Drained, not for those of other batches.
    tag_waits_for_its_own => "I6: rows stay set aside after their S has released its watermark, and become late";
    /// Rows set aside and then released go before any later item of their edge.
    released_first => "I3, I6: a later row of T or S's released watermark overtakes them";
    /// Rows set aside have given their credits back.
    set_aside_credits => "nothing but latency: T's other rows wait; the Drained is already on its way, since S puts it in the step of Final";
    // The coordinator and the channels.
    /// I9, first half: no barrier is injected while a cut is open.
    no_barrier_in_cut => "I2: the manifest has neither or both owners' writes";
    /// I9, second half: no cut starts while a barrier is aligning.
    no_cut_in_alignment => "I2: the manifest has neither or both owners' writes";
    /// An alignment ends when every stage of every slot has aligned, sinks included.
    align_all => "I2: rows are set aside at X across a barrier";
    /// A cut is open until its target has reported Active.
    cut_ends_at_active => "I2: a barrier finds rows in the gate";
    /// I11: a group is cut only while the last published manifest carries its previous cut.
    previous_cut_published => "I2: a crash finds no state to go back to";
    /// Manifest e carries the table as of barrier e, not as of its publication.
    table_at_barrier => "I2: recovery restores the owner that did not write the files";
    /// Control items bypass credits.
    control_bypass => "nothing that the models show, alone or where gated rows keep their credits in the base world";
    /// The next barrier is due an interval from now at the latest, wherever the clock has gone.
    due_within_interval => "I12: a clock that goes back stops epochs until it is where it was";
    /// In one epoch a sink commits the segments of a group in assignment-version order.
    commit_in_version_order => "I3: the new owner's output is overwritten by the old owner's";
    // Event time and output in a slot, and what a restart reads.
    /// At S a channel that was quiet at its fence holds the batch back no more than it held its target.
    idle_at_fence => "I6: T fires timers below its own promise";
    /// A stage comes to the highest promise of its channels before it goes quiet.
    highest_before_idle => "I6: a stage that heard in another order fires timers that nobody waits for any more";
    /// A newcomer learns from Final how far channels are that have said nothing to it yet.
    newcomer_trusts_final => "I2: what has fired for a group fires again at its next owner";
    /// Timers that are due for a group are found again when it arrives.
    arrival_finds_timers => "I2: timers of moved groups never fire";
    /// Operators give up what they hold back before S puts Drained.
    flush_before_drained => "I1, I3: S says something of a batch after it has given it away";
    /// Operators give up what they hold back before a barrier passes them.
    flush_before_barrier => "I2: rows before a barrier count neither in its manifest nor after it";
    /// Rows that a sink gets behind its own barrier belong to the next epoch, however far the slot's other nodes are.
    epoch_by_node => "I2: output of an epoch that is replayed is in the manifest before";
    /// T's output segment comes after S's.
    segment_rises => "I3: the new owner's output is committed before the old owner's";
    /// An epoch's output is durable before the slot hands its part of the manifest over.
    output_before_part => "I2: output that no manifest names";
    /// A manifest is published after the state files that it names.
    upload_before_publish => "I2, I5: a manifest lacks what its epoch changed";
    /// Receivers, where a split changes its reader, let the new reader's channel stand no higher than the old one's.
    moved_split_lowers => "I6: rows of a moved split are late";
    /// The new reader of a split begins where the old one stopped.
    split_handed_over => "I2: rows are read twice";
    /// After a restart each split is read from where the manifest says.
    split_rewinds => "I2: rows are read twice";
    /// After a restart a stage stands where the manifest says.
    watermark_restored => "I2: what has fired fires again";
    /// After a restart groups whose owner was further than others stand where that owner stood.
    ahead_restored => "I2: what has fired fires again";
    /// Output that the last manifest owes its sinks is committed at a restart.
    owed_is_committed => "I7: output of a published epoch never appears";
    // A coordinator that takes running slots over.
    /// Whoever gives its book to a coordinator obeys no older one from then on.
    obeys_newest => "I4, I9: slots hear words that the successor does not know of, beside its own";
    /// Slots are taken over only if the last manifest is of their run, or the one it began from.
    adopts_its_own_run => "I2: an epoch is published that follows a manifest these slots know nothing of";
    /// Slots are taken over only if all who take part are there.
    adopts_only_all => "I12: everybody waits for one who is gone";
    /// Words that only some slots have heard are said to the others.
    adopter_repeats => "I4, I9, I12: some slots route by a table, or wait for a barrier, that others do not know";
    /// Parts of epochs that were said to the predecessor count.
    adopts_parts => "I12: epochs wait for parts that were said long ago";
    /// A barrier that some slot has not aligned is aligning still.
    adopts_alignment => "I9: a cut is made while a barrier aligns";
    /// A cut whose target has not reported it active is open still.
    adopts_open_cuts => "I9: a barrier is injected while a cut is open";
    /// I11 holds for the cuts of the predecessor too.
    adopts_cut_versions => "I2, I11: a group is given on while no manifest carries its last cut";
    /// Warm-ups that were under way are dropped where they are.
    adopter_forgets => "I2: what came of a warm-up that nobody counts any more stays, and is taken for newer than it is";
    /// A coordinator deals the splits of a source when it has looked through it itself, unless the manifest has all of them.
    discovery_first => "I6: rows of a split that only its predecessor knew are late";
    /// Splits that nobody reads go to slots that hold event time for them.
    unread_hold_time => "I6: rows of a split that was to be read and is read later are late";
    /// No slot leaves while one waits to hear which splits of a source are its own.
    awaiting_slots_stay => "I6: it leaves with the event time that it held for splits that are found later";
    /// Splits that slots read are theirs.
    adopts_readers => "I2, I5: two slots read one split";
    // The slots that are let go.
    /// A slot that has left is released only when no epoch waits for its part and its output is committed.
    needed_till_over => "I8: an epoch waits for ever for its part, or its output is nobody's";
    /// A worker is needed whose slots are about to join.
    joiner_is_needed => "I8: a slot is made in a worker that was let go, and its barrier waits for ever";
    // Survivors of a run that is over.
    /// A survivor's tables are taken over only if the manifest is of its own run, or the one that it began from.
    own_history_only => "I2: tables of another history are taken for the manifest's";
    /// A survivor undoes what it has done since the manifest's barrier.
    survivor_undoes => "I2: rows that are read again count twice";
    /// A survivor forgets every group that it is not to have, what a warm-up had begun to bring included.
    survivor_forgets => "I2: the next move of such a group adds to what is left of this one";
    // A drain.
    /// Behind the barrier at which a source ends a slot reads nothing of it.
    drain_at_barrier => "I15: rows are read and forgotten, or come out twice";
    /// The manifest of that barrier says that all splits have ended, also those that nobody read then.
    drain_in_manifest => "I15: the job is over and a later start reads on";
    /// A coordinator that takes slots over goes on with the drain that they have heard of.
    successor_drains => "I12, I15: it waits for rows that nobody reads";
    // The life of a job: membership, beginning, leaving, retry.
    /// A process whose name a newer one has taken never gets it back.
    replaced_for_good => "I12: two processes take one name from each other for ever, and each time the run ends";
    /// A manager that was not stepped for long lets silence begin anew.
    excuses_silence => "a manager that slept takes all workers for lost, and the run ends for nothing";
    /// A manager without a run looks for newer terms.
    looks_for_newer_term => "I12: workers that have heard of a newer term never come to it, and it waits for them for ever";
    /// A first run begins when each worker that is there has said what it remembers.
    journal_first => "I12: a run begins over slots that were to be taken over";
    /// A report that comes between a journal and its adoption is noted in it.
    reports_into_journal => "I12: an epoch waits for a part that was said";
    /// A stop that was accepted holds when the run ends before it is done.
    stop_is_kept => "a job that was told to stop begins again";
    /// Each run that begins hears of a drain that is wished.
    drain_is_renewed => "a drain that was accepted is forgotten";
    /// A run that fails for something that is away is begun again after a rest.
    rests_and_retries => "the job fails for a store that was away for a moment";
    /// The slots of a worker that leaves are not among the target's.
    leaver_is_no_target => "I12: it keeps what it has, and never goes";
    /// A worker that leaves is released only when the coordinator has been asked for slots without its own.
    struck_out_first => "I12: a slot that is about to join is waited for when its worker has gone";
    // The manifest log.
    /// A coordinator claims a Term before it publishes anything.
    term_first => "I10: two coordinators publish in turns";
    /// After an ambiguous put the slot is read back, and only the same uid is success.
    read_back => "I7: an epoch is taken for published that is not";
    /// A writer never tries again at the following slot.
    never_next_slot => "I10: a deposed coordinator publishes behind its successor";
    /// Sinks commit only after the manifest exists.
    commit_after_manifest => "I7: output of an epoch that never was";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_can_be_removed_alone() {
        for (name, text, fails) in Rules::TABLE {
            assert!(!text.is_empty() && !fails.is_empty());
            let without = Rules::without(name).unwrap();
            assert_ne!(without, Rules::ALL, "{name}");
        }
        assert_eq!(Rules::without("no such rule"), None);
    }

    #[cfg(not(feature = "mutants"))]
    #[test]
    fn production_pays_nothing() {
        assert_eq!(size_of::<RuleSet>(), 0);
    }
}
