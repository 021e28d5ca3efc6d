//! The cases, in the order in which they run: later ones may use what earlier ones have left (each makes what it misses).
//!
//! A case is a function; its rule is what a user may rely on. Those marked `smoke` are the short run of continuous integration.

mod autoscale;
mod deaths;
mod delete;
mod drain;
mod foreign;
mod install;
mod look;
mod nodes;
mod operator;
mod program;
mod readme;
mod refused;
mod scale;
mod stored;
mod suspend;
mod two;

use crate::suite::{Case, Needs};

const fn case(name: &'static str, rule: &'static str, run: fn(&mut crate::world::World) -> anyhow::Result<()>) -> Case {
    Case { name, rule, smoke: false, needs: Needs::Cluster, run }
}

const fn smoke(case: Case) -> Case {
    Case { smoke: true, ..case }
}

const fn machine(case: Case) -> Case {
    Case { needs: Needs::Machine, ..case }
}

/// Every case.
pub(crate) const CASES: &[Case] = &[
    smoke(case("install", "helm installs the operator, and it becomes ready", install::install)),
    smoke(case("readme", "the first job of the README runs, word by word", readme::first_job)),
    smoke(case("first", "a job that is applied writes its first row within seconds", scale::first)),
    smoke(case("look", "get, describe, explain and wait say what is the case", look::look)),
    case("snapshot", "a snapshot under a name is taken, or says why not", look::snapshot),
    smoke(case("zero", "replicas 0 is refused, with what to do instead", refused::zero)),
    smoke(case("scale", "1, 3, 2 workers under load: nothing lost, doubled or late", scale::one_three_two)),
    case("scale-four", "2 to 4 workers under load, timed", scale::two_four),
    case(
        "worker-deleted",
        "a deleted worker pod hands its key groups over and comes back: nothing is begun anew",
        deaths::deleted,
    ),
    smoke(machine(case("worker-killed", "kill -9 of a worker: output again within seconds", deaths::killed))),
    case("coordinator", "the coordinator is deleted in the middle of a rescale, which ends all the same", deaths::coordinator),
    case("operator", "the operator is deleted at random while the job is scaled", operator::deleted),
    case("drain", "a drained node gives its workers up one by one, and nothing is begun anew", drain::drain),
    machine(case("power", "a node without power: the job goes on without it, and has all workers again", nodes::worker)),
    machine(case("power-coord", "the coordinator's node loses its power", nodes::coordinator)),
    case("suspend", "a suspended job has no pods, and goes on where it stood", suspend::suspend),
    case("autoscale", "an autoscaler on CPU adds workers and takes them away", autoscale::autoscale),
    smoke(case("delete", "a deleted job takes all with it", delete::running)),
    case("absent", "what has no effect in this version is refused by name", refused::absent),
    case("bad-sql", "a job whose SQL is wrong says where", refused::bad_sql),
    case("bad-image", "a job whose image cannot be had says so", refused::bad_image),
    case("bad-storage", "a job whose storage cannot be used says so", refused::bad_storage),
    case("unschedulable", "a job that no node has room for says so", refused::unschedulable),
    case("foreign", "a pod that is not of the job is refused by its coordinator", foreign::refused),
    case("two", "two jobs in one namespace do not know each other", two::two),
    case("program", "a program of a user's own runs from its image", program::program),
    case("deletions", "deleting ends in every phase, also when the storage is gone", delete::phases),
    case("stored", "a job that was stored before the definitions were applied again reads the same after", stored::stored),
    case("rest", "an operator with 20 jobs at rest writes nothing", operator::rest),
];
