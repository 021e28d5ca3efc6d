//! A YAML text as a tree of nodes that remember where they stood.
//!
//! Refused are, each with a place and a reason: duplicate keys, keys that are not plain words, tags, merge keys, and texts that unfold
//! without bound (aliases are copied, so depth and number of nodes are limited before anything is copied). Built with a stack, not by
//! recursion: the depth of a hostile text is bounded by [`DEPTH`] before any recursive reader sees it.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::scalar::{self, Scalar};
use crate::problem::{Position, Problem, Why};

/// The greatest depth of a manifest, aliases unfolded. A pod template needs about a dozen levels.
const DEPTH: usize = 64;
/// The most nodes that a text may unfold to.
const NODES: usize = 100_000;

/// A value and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    /// Byte offset of the value's first character.
    pub(crate) offset: usize,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar { text: String, is: Scalar, style: ScalarStyle },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A mapping's key and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) at: Position,
    pub(crate) name: String,
}

impl Node {
    /// The value under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.name == key).map(|(_, node)| node),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, is, .. } if *is != Scalar::Null => Some(text),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// True if nothing is written here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { is: Scalar::Null, .. })
    }

    /// The node at a path such as `spec.env[2].name`, if it is there.
    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        let (found, whole) = self.descend(path);
        whole.then_some(found)
    }

    /// The position of the node at a path, or of the nearest enclosing one that is there.
    pub(crate) fn place(&self, path: &str) -> Position {
        self.descend(path).0.at
    }

    fn descend(&self, path: &str) -> (&Self, bool) {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|s| !s.is_empty()) {
            let next = match (&node.value, step.strip_suffix(']')) {
                (Value::List(items), Some(index)) => index.parse::<usize>().ok().and_then(|i| items.get(i)),
                (Value::Map(_), None) => node.get(step),
                (Value::Scalar { .. } | Value::List(_) | Value::Map(_), _) => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }
}

/// The documents of a text; empty ones are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Problem> {
    // Said outright: another crate of the build may switch the parser's comments on, and they would come as events.
    let options = granit_parser::options! { block_nesting_limit: DEPTH, flow_nesting_limit: DEPTH, emit_comments: false };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|e| {
            let marker = e.marker();
            Why::new(format!("not YAML: {}", e.info())).at(Position::new(marker.line(), marker.col() + 1), "")
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.done)
}

/// A node with what it costs to copy it.
#[derive(Clone)]
struct Weighed {
    node: Node,
    depth: usize,
    nodes: usize,
}

/// A collection whose end has not come.
struct Open {
    at: Position,
    offset: usize,
    anchor: usize,
    items: Items,
    depth: usize,
    nodes: usize,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        /// The line of each key so far: a list alone would make finding duplicates quadratic.
        lines: HashMap<String, u32>,
        /// The key whose value has not come.
        waiting: Option<Key>,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Weighed>,
    nodes: usize,
    done: Vec<Node>,
}

impl Builder {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "which events the parser has depends on its features, which a build unites"
    )]
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = position(&span);
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => Ok(()),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is = match (tag.as_deref(), style) {
                    (None, ScalarStyle::Plain) => scalar::resolve(&text),
                    (None, _) => Scalar::Text,
                    (Some(tag), _) if tag.is_yaml_core_schema_tag("str") => Scalar::Text,
                    (Some(_), _) => return Err(tagged(at)),
                };
                let value = Value::Scalar { text: text.into_owned(), is, style };
                let node = Node { at, offset: span.start.byte_offset().unwrap_or(0), value };
                self.put(Weighed { node, depth: 1, nodes: 1 }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => self.open(span, anchor, tag.is_some(), Items::List(Vec::new())),
            Event::MappingStart(_, anchor, tag) => {
                self.open(span, anchor, tag.is_some(), Items::Map { entries: Vec::new(), lines: HashMap::new(), waiting: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(target) => {
                    let cost = target.nodes;
                    self.put(target, 0, cost)
                }
                None => Err(Why::new("an alias to a value that contains it").advise("write the value out").at(at, "")),
            },
            Event::UnresolvedAlias(name) => Err(Why::new(format!("nothing is anchored as `&{name}`")).at(at, "")),
            // The parser may learn new events; what is not understood is refused, never skipped.
            _ => Err(Why::new("a construct of YAML that is not read").at(at, "")),
        }
    }

    fn open(&mut self, span: Span, anchor: usize, tagged_node: bool, items: Items) -> Result<(), Problem> {
        let at = position(&span);
        if tagged_node {
            return Err(tagged(at));
        }
        let offset = span.start.byte_offset().unwrap_or(0);
        self.open.push(Open { at, offset, anchor, items, depth: 0, nodes: 1 });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { at, offset, anchor, items, depth, nodes }) = self.open.pop() else { return Ok(()) };
        let value = match items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => Value::Map(entries),
        };
        self.put(Weighed { node: Node { at, offset, value }, depth: depth + 1, nodes }, anchor, 1)
    }

    /// Puts a finished node where the innermost open collection wants it; `cost` is how many nodes it adds to the text.
    fn put(&mut self, weighed: Weighed, anchor: usize, cost: usize) -> Result<(), Problem> {
        let at = weighed.node.at;
        self.nodes += cost;
        if self.nodes > NODES || weighed.depth + self.open.len() > DEPTH {
            return Err(Why::new(format!("the text unfolds to more than {NODES} values or nests deeper than {DEPTH} levels"))
                .advise("write fewer aliases (`*name`)")
                .at(at, ""));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, weighed.clone());
        }
        let expects_a_key = matches!(self.open.last(), Some(Open { items: Items::Map { waiting: None, .. }, .. }));
        let path = if expects_a_key { self.path() } else { String::new() };
        let Some(open) = self.open.last_mut() else {
            if !weighed.node.is_null() {
                self.done.push(weighed.node);
            }
            return Ok(());
        };
        open.depth = open.depth.max(weighed.depth);
        open.nodes += weighed.nodes;
        match &mut open.items {
            Items::List(items) => items.push(weighed.node),
            Items::Map { entries, lines, waiting } => match waiting.take() {
                Some(key) => entries.push((key, weighed.node)),
                None => *waiting = Some(key(weighed.node, lines, &path)?),
            },
        }
        Ok(())
    }

    /// The field path of the innermost open collection; what a duplicate key is reported under.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.items {
                Items::List(items) => path.push_str(&format!("[{}]", items.len())),
                Items::Map { waiting: Some(key), .. } if path.is_empty() => path.push_str(&key.name),
                Items::Map { waiting: Some(key), .. } => path.push_str(&format!(".{}", key.name)),
                Items::Map { .. } => {}
            }
        }
        path
    }
}

/// A node as a mapping's key: a word, and a new one.
fn key(node: Node, lines: &mut HashMap<String, u32>, parent: &str) -> Result<Key, Problem> {
    let at = node.at;
    let Value::Scalar { text: name, style, .. } = node.value else {
        return Err(Why::new("a key that is not a word").advise("quote it if it is meant as text").at(at, parent));
    };
    if name == "<<" && style == ScalarStyle::Plain {
        return Err(Why::new("merge keys (`<<`) are not read").advise("write the fields out").at(at, parent));
    }
    if let Some(line) = lines.insert(name.clone(), at.line) {
        let path = if parent.is_empty() { name } else { format!("{parent}.{name}") };
        return Err(Why::new(format!("given twice, first in line {line}")).advise("keep one of the two").at(at, path));
    }
    Ok(Key { at, name })
}

fn tagged(at: Position) -> Problem {
    Why::new("YAML tags (`!…`) are not read").advise("leave the tag out; quote a value to make it text").at(at, "")
}

fn position(span: &Span) -> Position {
    Position::new(span.start.line(), span.start.col() + 1)
}
