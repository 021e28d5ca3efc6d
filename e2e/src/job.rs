//! The jobs of the suite.

use serde_json::{Value, json};

use crate::check::expect::Expect;
use crate::objects::{OUT, credentials};
use crate::settings::Settings;

/// The counting job, whose output is known (see [`crate::check::expect`]): rows as they are, running counts, windows.
#[must_use]
pub(crate) fn sql(expect: Expect) -> String {
    let Expect { rate, width } = expect;
    let keys = expect.keys();
    let files =
        |name: &str, format: &str| format!("WITH ('connector' = 'filesystem', 'path' = '{OUT}/{name}', 'format' = '{format}');");
    format!(
        "CREATE TABLE numbers (\n  seq BIGINT,\n  ts TIMESTAMP(3),\n  k AS seq % {keys},\n  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND\n\
         ) WITH (\n  'connector' = 'datagen',\n  'rows-per-second' = '{rate}',\n  'fields.seq.kind' = 'sequence'\n);\n\
         CREATE TABLE rows_out (seq BIGINT, k BIGINT) {}\n\
         CREATE TABLE totals_out (k BIGINT, n BIGINT, top BIGINT, total BIGINT) {}\n\
         CREATE TABLE windows_out (window_start TIMESTAMP(3), k BIGINT, n BIGINT, low BIGINT, top BIGINT, total BIGINT) {}\n\
         INSERT INTO rows_out SELECT seq, k FROM numbers;\n\
         INSERT INTO totals_out SELECT k, COUNT(*), MAX(seq), SUM(seq) FROM numbers GROUP BY k;\n\
         INSERT INTO windows_out SELECT window_start, k, COUNT(*), MIN(seq), MAX(seq), SUM(seq)\n  \
         FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), INTERVAL '{width}' SECOND)) GROUP BY window_start, window_end, k;\n",
        files("rows", "json"),
        files("totals", "debezium-json"),
        files("windows", "json"),
    )
}

/// A job that does next to nothing, for what is not about rows.
pub(crate) const IDLE: &str = "CREATE TABLE numbers (seq BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10', \
    'fields.seq.kind' = 'sequence');\nCREATE TABLE nowhere (seq BIGINT) WITH ('connector' = 'blackhole');\n\
    INSERT INTO nowhere SELECT seq FROM numbers;\n";

/// A job whose snapshots are in S3, under its name and the run.
#[must_use]
pub(crate) fn stream_job(settings: &Settings, name: &str, replicas: u32, sql: &str) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1", "kind": "StreamJob", "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "sql": sql,
            "env": credentials(),
            "resources": { "requests": { "cpu": "50m", "memory": "64Mi" } },
            "rescale": { "cooldownPeriodSeconds": 0 },
            "snapshots": {
                "epochPeriodMilliseconds": 200,
                "storage": { "s3": {
                    "bucket": settings.bucket, "prefix": format!("{}/{name}", settings.run), "region": "us-east-1", "endpoint": settings.s3,
                } },
            },
        },
    })
}

/// The same with the claim `out` mounted where the output goes.
#[must_use]
pub(crate) fn counting_job(settings: &Settings, name: &str, replicas: u32, expect: Expect) -> Value {
    let mut job = stream_job(settings, name, replicas, &sql(expect));
    let template = json!({ "spec": {
        "containers": [{ "name": "watershed", "volumeMounts": [{ "name": "out", "mountPath": OUT }] }],
        "volumes": [{ "name": "out", "persistentVolumeClaim": { "claimName": "out" } }],
    } });
    if let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("podTemplate".to_owned(), template);
    }
    job
}

/// The labels of a job's workers.
#[must_use]
pub(crate) fn workers(job: &str) -> String {
    format!("watershed.dev/job={job},app.kubernetes.io/component=worker")
}

/// The labels of its coordinator.
#[must_use]
pub(crate) fn coordinator(job: &str) -> String {
    format!("watershed.dev/job={job},app.kubernetes.io/component=coordinator")
}
