//! What a run has come across: rows of the failure table, transitions of the protocols. A simulator that never gets there proves nothing,
//! so every seed says where it was and the table over many seeds must have no zero.

macro_rules! covers {
    ($($name:ident => $text:literal;)*) => {
        /// Something worth coming across.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cover { $(#[doc = $text] $name),* }

        impl Cover {
            /// All of them, in the order of the table.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
        }
    };
}

covers! {
    CrashStarting => "the process dies while it reads the log or claims its term";
    CrashWarming => "a slot dies while a batch warms up";
    CrashFenced => "a slot dies during a cut, before Final";
    CrashFinal => "a slot dies during a cut, between Final and active";
    CrashCut => "a slot dies after a cut that no manifest carries yet";
    CrashJoining => "a new slot dies before the barrier at which it joins";
    CrashLeaving => "a leaving slot dies before it is released";
    CrashAligning => "the coordinator dies while a barrier aligns";
    CrashUploading => "the coordinator dies while a state file is written";
    CrashPublishing => "the coordinator dies while a manifest is put";
    CrashCommitting => "the coordinator dies while output is committed";
    CrashElsewhere => "everything dies at some other moment";
    TwoCoordinators => "two coordinators at once";
    ZombieFenced => "a zombie resumes, writes, and is fenced";
    StoreDown => "the object store is down";
    StoreSlow => "the object store is slow";
    AckLost => "the object store loses an acknowledgement";
    Ambiguous => "a put that did not happen is answered ambiguously";
    LatePut => "a put happens after its caller was told that nobody knows";
    GetFailed => "a get fails";
    Stall => "nothing passes between two slots for a while";
    StallCoordinator => "nothing passes from the coordinator to a slot for a while";
    ClockJump => "the clock jumps";
    Collected => "files are collected with one manifest kept";
    Merged => "state files are merged";
    OneFrame => "channels have room for one frame only";
    Restarted => "a process starts from a manifest";
    RestartedOther => "a process starts from a manifest with another number of slots";
    Owed => "a process commits output that its predecessor owed";
    CommitAgain => "output is committed a second time";
    ScaleOut => "slots join";
    ScaleIn => "slots leave and are released";
    SplitMoved => "a split changes its reader at a barrier";
    Forgotten => "a warm-up is dropped for a newer wish";
    CutMade => "a batch is cut";
    CutOverlap => "several cuts are open at once";
    FinalFirst => "Final comes before the first fence";
    Gated => "rows wait in a gate";
    SetAside => "tagged rows are set aside at a consumer";
    EpochsOverlap => "several epochs are under way";
    Epoch => "a manifest is published";
    Late => "rows are late";
    Gate => "a late row waits until event time has passed";
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered(u64);

impl Covered {
    /// Puts one in.
    #[inline]
    pub fn see(&mut self, what: Cover) {
        self.0 |= 1 << what as u64;
    }

    /// Whether it is in.
    #[must_use]
    pub fn has(self, what: Cover) -> bool {
        self.0 >> (what as u64) & 1 == 1
    }
}
