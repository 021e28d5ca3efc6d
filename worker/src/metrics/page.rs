//! The text format: families of samples, each with its help and its type, each sample with the job's name.

use std::fmt::{Display, Write};

/// A page under way.
pub(super) struct Page {
    out: String,
    job: String,
}

impl Page {
    pub(super) fn new(job: &str) -> Self {
        Self { out: String::new(), job: escape(job) }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: &str, help: &str) -> Family<'a> {
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { page: self, name }
    }

    /// A number without labels of its own that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help).sample(&[], value);
    }

    /// A number without labels of its own that only grows.
    #[cfg(feature = "grpc")]
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help).sample(&[], value);
    }

    pub(super) fn text(self) -> String {
        self.out
    }
}

/// A family of samples.
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.of("", labels, value);
    }

    /// A sample whose name has an ending, as those of a histogram have.
    pub(super) fn of(&mut self, ending: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let Page { out, job } = &mut *self.page;
        let _ = write!(out, "{}{ending}{{job=\"{job}\"", self.name);
        for (label, of) in labels {
            let _ = write!(out, ",{label}=\"{}\"", escape(&of.to_string()));
        }
        let _ = writeln!(out, "}} {value}");
    }
}

/// A label's value may not hold these as they are.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
