//! From a file to a job: which document it is, which version, then typed text, then the judged job.
//!
//! The rules, in order:
//!
//! 1. A file whose name ends in `.sql` is the program of a default job named after the file. Anything else is a manifest.
//! 2. A manifest file may hold several documents; exactly one of them is a `StreamJob`. Documents of other kinds (a Secret, a
//!    ConfigMap, a Namespace, a StreamSnapshot) are left to `kubectl` and noticed; a second `StreamJob` is refused, since nobody
//!    could say which one to run.
//! 3. The version is judged before anything else of the document, since a newer version may mean anything by any field.
//! 4. Unknown fields are all reported together with a first wrong type, or with every broken rule.

use std::cell::RefCell;

use crate::job::{Fault, Job, JobName, Origin, Program, SqlText};
use crate::manifest::{GROUP, KIND, Metadata, Spec, StreamJob, VERSIONS};
use crate::near;
use crate::problem::{Position, Problem, Refusal, Why};
use crate::yaml::{de, tree};

/// The most bytes of a file: an API server takes about 1.5 MiB.
const BYTES: usize = 1_500_000;

/// Fields that only Kubernetes acts on: a local run says so instead of ignoring them in silence.
const KUBERNETES_ONLY: &[&str] = &[
    "spec.image",
    "spec.imagePullPolicy",
    "spec.imagePullSecrets",
    "spec.env",
    "spec.envFrom",
    "spec.resources",
    "spec.serviceAccountName",
    "spec.podTemplate",
    "spec.podDisruptionBudget",
    "spec.networkPolicy",
    "spec.tls",
    "spec.snapshots.storage.persistentVolumeClaim",
];

/// A file that holds a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The job.
    pub job: Job,
    /// Documents of the file that were left alone.
    pub notices: Vec<Problem>,
    /// Fields that are given and that only Kubernetes acts on.
    pub kubernetes_only: Vec<Problem>,
}

/// Reads a file's content. `file` is how the user named it: it decides between SQL and manifest, and stands in messages.
pub fn read(file: &str, bytes: &[u8]) -> Result<Document, Refusal> {
    let refuse = |why: Why, position: Position| Refusal::one(file, why.at(position, ""));
    if bytes.len() > BYTES {
        let why = Why::new(format!("the file has {} bytes, at most {BYTES} are read", bytes.len()));
        return Err(refuse(why.advise("a job is a small text: is this the right file?"), Position::START));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file, text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(e) => {
            let good = String::from_utf8_lossy(bytes.get(..e.valid_up_to()).unwrap_or_default());
            let line = good.lines().count().max(1) + usize::from(good.ends_with('\n'));
            let column = good.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            Err(refuse(Why::new("not UTF-8 text").advise("save the file as UTF-8"), Position::new(line, column)))
        }
    }
}

fn parse(file: &str, text: &str) -> Result<Document, Refusal> {
    let is_sql = file.len() >= 4 && file.get(file.len() - 4..).is_some_and(|end| end.eq_ignore_ascii_case(".sql"));
    if is_sql { parse_sql(file, text) } else { parse_manifest(file, text) }
}

/// Reads SQL text: a default job, named after the file.
pub fn parse_sql(file: &str, text: &str) -> Result<Document, Refusal> {
    let stem = file.rsplit(['/', '\\']).next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let Some(name) = JobName::suggest(stem) else {
        let why = Why::new("a job is named after its file, and this name has no letter")
            .advise("rename the file, such as `clicks.sql`");
        return Err(Refusal::one(file, why.at(Position::START, "")));
    };
    let manifest = StreamJob {
        api_version: format!("{GROUP}/{}", VERSIONS.first().copied().unwrap_or_default()),
        kind: KIND.to_owned(),
        metadata: Metadata { name: name.to_string(), ..Metadata::default() },
        spec: Spec { sql: Some(text.to_owned()), ..Spec::default() },
        status: None,
    };
    match Job::from_manifest(manifest) {
        Ok(job) => Ok(Document { job, notices: Vec::new(), kubernetes_only: Vec::new() }),
        Err(faults) => {
            Err(Refusal::new(file, faults.into_iter().map(|Fault { path: _, why }| why.at(Position::START, "")).collect()))
        }
    }
}

/// Reads a manifest: YAML or JSON.
pub fn parse_manifest(file: &str, text: &str) -> Result<Document, Refusal> {
    let documents = tree::documents(text).map_err(|p| Refusal::one(file, p))?;
    let (node, notices) = choose(&documents).map_err(|p| Refusal::one(file, p))?;
    let notes = de::Notes { problems: RefCell::default() };
    let read = de::read::<StreamJob>(node, &notes).map_err(|wrong| vec![wrong.into_problem(node)]);
    let judged = read.and_then(|manifest| {
        let place = |Fault { path, why }: Fault| why.at(node.place(&path), path);
        Job::from_manifest(manifest).map_err(|faults| faults.into_iter().map(place).collect::<Vec<_>>())
    });
    let mut problems = notes.problems.into_inner();
    match judged {
        Ok(mut job) if problems.is_empty() => {
            if let (Program::Sql { text: SqlText { text: _, origin }, .. }, Some(sql)) = (&mut job.program, node.find("spec.sql"))
            {
                *origin = Origin::of(sql, text);
            }
            Ok(Document { kubernetes_only: kubernetes_only(&job, node), job, notices })
        }
        Ok(_) => Err(Refusal::new(file, problems)),
        Err(more) => {
            problems.extend(more);
            Err(Refusal::new(file, problems))
        }
    }
}

/// The one `StreamJob`, and notices about the other documents.
fn choose(documents: &[tree::Node]) -> Result<(&tree::Node, Vec<Problem>), Problem> {
    let mut job: Option<&tree::Node> = None;
    let mut notices = Vec::new();
    for node in documents {
        match header(node)? {
            Header::Job => match job {
                None => job = Some(node),
                Some(first) => {
                    let line = first.at.line;
                    return Err(Why::new(format!("a second {KIND} in one file; the first begins in line {line}"))
                        .advise("put each job into a file of its own")
                        .at(node.at, ""));
                }
            },
            Header::Other(kind) => {
                notices.push(Why::new(format!("the document of kind {kind} is not read here")).at(node.at, ""))
            }
        }
    }
    match job {
        Some(job) => Ok((job, notices)),
        None => {
            let advice = format!("a job begins with `apiVersion: {GROUP}/{}` and `kind: {KIND}`", VERSIONS.join("|"));
            Err(Why::new(format!("there is no {KIND} in it")).advise(advice).at(Position::START, ""))
        }
    }
}

enum Header {
    Job,
    Other(String),
}

/// Judges `apiVersion` and `kind`, before anything else is read.
fn header(node: &tree::Node) -> Result<Header, Problem> {
    let newest = format!("{GROUP}/{}", VERSIONS.first().copied().unwrap_or_default());
    let field = |name: &str, example: &str| match node.get(name).map(|value| (value, value.text())) {
        Some((value, Some(text))) => Ok((value.at, text.to_owned())),
        Some((value, None)) => Err(Why::new("expected text").advise(format!("write `{name}: {example}`")).at(value.at, name)),
        None => {
            let why = Why::new(format!("not a manifest: the field `{name}` is missing"));
            Err(why.advise(format!("write `{name}: {example}`")).at(node.at, name))
        }
    };
    let (version_at, version) = field("apiVersion", &newest)?;
    let (kind_at, kind) = field("kind", KIND)?;
    let shown = |text: &str| text.chars().take(80).collect::<String>();
    let (group, number) = version.rsplit_once('/').unwrap_or(("", &version));
    if group != GROUP {
        let meant = kind == KIND || near::nearest(group, [GROUP]).is_some();
        let why = Why::new(format!("`{}` is not a version of {KIND}", shown(&version))).advise(format!("write `{newest}`"));
        return if meant { Err(why.at(version_at, "apiVersion")) } else { Ok(Header::Other(shown(&kind))) };
    }
    match kind.as_str() {
        KIND if VERSIONS.contains(&number) => Ok(Header::Job),
        KIND => {
            let read: Vec<String> = VERSIONS.iter().map(|v| format!("{GROUP}/{v}")).collect();
            Err(Why::new(format!("this build does not read version `{}`; it reads {}", shown(number), read.join(", ")))
                .advise("use a build of Watershed that reads it, or write the manifest in a version that this one reads")
                .at(version_at, "apiVersion"))
        }
        "StreamSnapshot" => Ok(Header::Other(kind)),
        _ => Err(Why::new(format!("`{}` is not a kind of {GROUP}", shown(&kind)))
            .advise(format!("write `{KIND}`"))
            .at(kind_at, "kind")),
    }
}

fn kubernetes_only(job: &Job, node: &tree::Node) -> Vec<Problem> {
    let acts_here = |path: &str| path == "spec.image" && matches!(job.program, Program::Image { .. });
    let given = KUBERNETES_ONLY.iter().filter(|path| !acts_here(path)).filter_map(|path| Some((path, node.find(path)?)));
    given.map(|(path, at)| Why::new("acts in Kubernetes only").at(at.at, *path)).collect()
}

/// For fuzzing: reads any text both ways; must never panic, and every place it names must be in the text.
pub fn fuzz_parse(text: &str) {
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
    for result in [parse_manifest("fuzz.yaml", text), parse_sql("fuzz.sql", text), read("fuzz.json", text.as_bytes())] {
        match result {
            Ok(document) => {
                assert!(document.job.slots() <= document.job.key_groups.get(), "more slots than key groups");
                if let Program::Sql { text, .. } = &document.job.program {
                    let place = text.place(u32::try_from(text.as_str().lines().count()).unwrap_or(u32::MAX), 1);
                    assert!(place.position.line as usize <= lines, "{place:?} is outside the text");
                }
            }
            Err(refusal) => {
                assert!(!refusal.problems().is_empty(), "refused without a reason");
                for problem in refusal.problems() {
                    assert!(problem.position.line as usize <= lines + 1, "{problem} is outside the text");
                }
                drop(refusal.to_string());
            }
        }
    }
}
