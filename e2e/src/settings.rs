//! What the suite needs to know of the cluster it is let loose on. Everything has a variable; the defaults are those of `e2e/cluster`.

use std::path::PathBuf;

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The chart to install.
    pub(crate) chart: PathBuf,
    /// The images, which nodes have already or can pull.
    pub(crate) worker: String,
    /// The operator's.
    pub(crate) operator: String,
    /// The one with the reader of output.
    pub(crate) suite: String,
    /// A program of a user's own.
    pub(crate) program: String,
    /// An S3 service as pods see it, and a bucket of it that exists.
    pub(crate) s3: String,
    /// The bucket.
    pub(crate) bucket: String,
    /// Its credentials.
    pub(crate) s3_key: String,
    /// The secret half.
    pub(crate) s3_secret: String,
    /// A storage class for volumes that pods of several nodes mount at once.
    pub(crate) storage_class: String,
    /// The folder with the scripts that cut a node's power and kill a container, where the nodes are in our hands.
    pub(crate) machine: Option<PathBuf>,
    /// A word of its own for each run: a job must not find what another one of its name has left in the storage.
    pub(crate) run: String,
    /// Where the state of the world is written when a case fails.
    pub(crate) dump: PathBuf,
}

impl Settings {
    /// From the environment.
    #[must_use]
    pub(crate) fn from_environment() -> Self {
        let given = |name: &str| std::env::var(format!("WATERSHED_E2E_{name}")).ok().filter(|v| !v.is_empty());
        let or = |name: &str, default: &str| given(name).unwrap_or_else(|| default.to_owned());
        let image = |part: &str| format!("watershed.test/{part}:e2e");
        Self {
            chart: or("CHART", "charts/watershed").into(),
            worker: or("WORKER_IMAGE", &image("worker")),
            operator: or("OPERATOR_IMAGE", &image("operator")),
            suite: or("SUITE_IMAGE", &image("suite")),
            program: or("PROGRAM_IMAGE", &image("rust-job")),
            s3: or("S3", "http://172.30.0.1:7070"),
            bucket: or("BUCKET", "watershed"),
            s3_key: or("S3_KEY", "watershed"),
            s3_secret: or("S3_SECRET", "watershed-secret"),
            storage_class: or("STORAGE_CLASS", "shared"),
            machine: given("MACHINE").map(PathBuf::from),
            run: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis().to_string(),
            dump: or("DUMP", "target/e2e").into(),
        }
    }
}
