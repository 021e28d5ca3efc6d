//! The StreamJob specification and its validation.
