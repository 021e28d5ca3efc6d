//! The driver's parts: running a program and measuring it, checking what it wrote, the cases, the report.

pub(crate) mod cases;
pub(crate) mod check;
pub(crate) mod latencies;
pub(crate) mod report;
pub(crate) mod run;
