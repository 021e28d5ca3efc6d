//! Coverage: rows of the failure table and transitions of the protocols that a run came across. A simulator that never gets there proves
//! nothing, so every seed records its coverage, and the table over many seeds must have no zero.

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
    Drained => "a job is drained while there are rows to read";
    DrainMoving => "a drain is wished while groups move";
    CrashDraining => "the coordinator dies with a drain that no manifest carries";
    CrashDrained => "the coordinator dies after the manifest of a drain, before the end";
    Stopped => "a job is stopped with a snapshot and started again";
    Adopted => "a new coordinator takes running slots over";
    AdoptedAgain => "a new coordinator takes slots over that were taken over before";
    AdoptWarming => "the coordinator dies while a batch warms up, and its successor goes on";
    AdoptFenced => "the coordinator dies during a cut, before Final, and its successor goes on";
    AdoptFinal => "the coordinator dies during a cut, between Final and active, and its successor goes on";
    AdoptCut => "the coordinator dies after a cut that no manifest carries, and its successor goes on";
    AdoptJoining => "the coordinator dies before the barrier at which slots join has aligned, and its successor goes on";
    AdoptLeaving => "the coordinator dies before slots that left are released, and its successor goes on";
    AdoptAligning => "the coordinator dies while a barrier aligns, and its successor goes on";
    AdoptParts => "the coordinator dies with parts of epochs that are not published, and its successor goes on";
    AdoptUnheard => "the coordinator dies between the put of a manifest and its publication, and its successor goes on";
    AdoptOwed => "a coordinator that takes slots over commits what its predecessor owed";
    AdoptRefused => "slots cannot be taken over: a new run begins";
    Repeated => "words that only some slots have heard are said to the others";
    StartedAgain => "a slot that was to join is made by the successor";
    HandedAgain => "a split between two readers is given on by the successor";
    OrdersLost => "words of a coordinator are lost with it";
    Inherited => "a survivor goes back to the manifest in memory";
    NotInherited => "a survivor's tables are of another history: it reads the files";
    StrayRefused => "a word of an old coordinator comes after the book was given away, and is refused";
    WorkerWarming => "a worker dies while a batch warms up";
    WorkerFenced => "a worker dies during a cut, before Final";
    WorkerFinal => "a worker dies during a cut, between Final and active";
    WorkerCut => "a worker dies after a cut that no manifest carries";
    WorkerJoining => "a worker dies before the barrier at which slots join has aligned";
    WorkerLeaving => "a worker dies before slots that left are released";
    WorkerAligning => "a worker dies while a barrier aligns";
    WorkerUploading => "a worker dies while a state file is written";
    WorkerElsewhere => "a worker dies at some other moment";
    BothDied => "coordinator and worker die together";
    AllDied => "all processes die";
    Survivors => "a run begins with fewer slots than the last one had";
    LostDuringRecovery => "a worker is lost while a run begins";
    ScaleDuringRecovery => "another number of workers is wanted while a run begins";
    CutOff => "coordinator and worker hear nothing of each other for a while";
    ThoughtLost => "a worker that was thought lost goes on, and comes back";
    OldRun => "slots of an old run go on beside those of the next";
    Rivals => "two coordinators have workers at once";
    ClockAhead => "the coordinator's clock jumps ahead";
    ClockBack => "the coordinator's clock goes back";
    WorkerClockAhead => "a worker's clock jumps ahead";
    WorkerClockBack => "a worker's clock goes back";
    AdoptDraining => "slots have heard the barrier of a drain and not all of its output is out, and the next coordinator goes on";
    OldCollects => "a coordinator that was replaced deletes files";
    LeaveAsked => "a worker is told to end";
    Released => "a worker that leaves is released";
    Left => "a worker that was told to end has ended";
    Flap => "a connection drops and comes back, and what was on its way is sent again";
    Silent => "a worker says nothing for a while, and its connection seems to stand";
    GhostRefused => "a process that was replaced registers again, and is refused";
    StoreAway => "a question to the store fails, and is not asked again";
    RunEnded => "a run ends before the job does, and another begins";
    GaveUp => "a coordinator gives up for a store that is away, and is started again";
    Named => "a snapshot gets a name";
    TooLittleMemory => "the workers have too little memory for the state, and the user gives more";
}

impl Cover {
    /// True if a job in many processes must come across it.
    #[must_use]
    pub fn of_cluster(self) -> bool {
        // A process that dies there is a worker or a coordinator; late rows wait for one process.
        !matches!(self, Self::ClockJump | Self::Late | Self::Gate | Self::StallCoordinator)
    }

    /// True if a job in one process must come across it.
    #[must_use]
    pub fn of_process(self) -> bool {
        self < Self::Adopted || matches!(self, Self::StoreAway | Self::RunEnded | Self::GaveUp | Self::Named)
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered(u128);

impl Covered {
    /// Puts one in.
    #[inline]
    pub fn see(&mut self, what: Cover) {
        self.0 |= 1 << what as u64;
    }

    /// True if the set contains it.
    #[must_use]
    pub fn has(self, what: Cover) -> bool {
        self.0 >> (what as u64) & 1 == 1
    }
}
