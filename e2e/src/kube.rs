//! kubectl in one namespace, as a user would call it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::command::run;
use crate::until::until;

/// kubectl in a namespace.
#[derive(Clone, Debug)]
pub(crate) struct Kube {
    /// The namespace.
    pub(crate) namespace: String,
}

impl Kube {
    /// In a namespace that is there.
    #[must_use]
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// kubectl with arguments.
    pub(crate) fn run(&self, args: &[&str]) -> Result<String> {
        run("kubectl", &[&["--namespace", self.namespace.as_str()], args].concat(), None)
    }

    /// The same with words in one text.
    pub(crate) fn words(&self, words: &str) -> Result<String> {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// A command that is still to be started, for what runs along.
    #[must_use]
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", &self.namespace]).args(args);
        command
    }

    /// Applies an object.
    pub(crate) fn apply(&self, object: &Value) -> Result<String> {
        self.apply_text(&object.to_string())
    }

    /// Applies a text with objects.
    pub(crate) fn apply_text(&self, text: &str) -> Result<String> {
        run("kubectl", &["--namespace", &self.namespace, "apply", "-f", "-"], Some(text))
    }

    /// An object, or a list; `None` where there is none.
    pub(crate) fn get(&self, what: &str) -> Result<Option<Value>> {
        let text = self.words(&format!("get {what} --ignore-not-found -o json"))?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).context("kubectl's JSON")
    }

    /// The objects of a kind with labels.
    pub(crate) fn list(&self, kind: &str, selector: &str) -> Result<Vec<Value>> {
        let list = self.get(&format!("{kind} -l {selector}"))?.unwrap_or_else(|| json!({}));
        Ok(list.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Waits until an object is as it should be.
    pub(crate) fn wait(&self, what: &str, wanted: &str, within: Duration, is: impl Fn(&Value) -> bool) -> Result<Value> {
        until(&format!("{what} to be {wanted}"), within, || Ok(self.get(what)?.filter(|o| is(o))))
    }

    /// Applies something that must be refused, and gives the refusal.
    pub(crate) fn refused(&self, object: &Value) -> Result<String> {
        match self.apply(object) {
            Ok(_) => bail!("it was not refused: {object}"),
            Err(e) => Ok(format!("{e:#}")),
        }
    }

    /// Merges a patch into an object.
    pub(crate) fn patch(&self, what: &str, patch: &Value) -> Result<String> {
        let mut args = vec!["patch"];
        args.extend(what.split_whitespace());
        let patch = patch.to_string();
        args.extend(["--type", "merge", "-p", &patch]);
        self.run(&args)
    }
}

/// A text of an object, by its JSON pointer; empty where there is none.
#[must_use]
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A number of an object.
#[must_use]
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// An object's name.
#[must_use]
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Status, reason and message of a condition.
#[must_use]
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let it = all.iter().find(|c| text(c, "/type") == kind)?;
    Some((text(it, "/status"), text(it, "/reason"), text(it, "/message")))
}

/// Whether a condition is true.
#[must_use]
pub(crate) fn is(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c.0 == "True")
}
