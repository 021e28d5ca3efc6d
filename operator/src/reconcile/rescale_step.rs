//! The steps of a change of the number of workers, as `status.rescale.step` names them.

use watershed_crds::RescaleStatus;

/// A step of a rescale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RescaleStep {
    /// New workers are awaited; nothing moves yet.
    Provisioning,
    /// Key groups move.
    Moving,
    /// Workers that are to go still own key groups, or a manifest needs them.
    Releasing,
    /// The rescale waits for the cool-down of the last one.
    Cooldown,
    /// The rescale is complete.
    Done,
    /// The rescale was given up.
    Failed,
}

impl RescaleStep {
    /// The step's name in the status.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "Provisioning",
            Self::Moving => "Moving",
            Self::Releasing => "Releasing",
            Self::Cooldown => "Cooldown",
            Self::Done => "Done",
            Self::Failed => "Failed",
        }
    }

    /// A reported rescale is at this step.
    pub(crate) fn is_of(self, rescale: &RescaleStatus) -> bool {
        rescale.step == self.word()
    }
}

/// A rescale is over: it was completed or given up, and no key group moves for it any more.
pub(crate) fn is_over(rescale: &RescaleStatus) -> bool {
    rescale.completion_time.is_some() || RescaleStep::Failed.is_of(rescale)
}
