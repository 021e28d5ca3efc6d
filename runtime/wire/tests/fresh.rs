//! The checked-in code is what the generator makes of the `.proto` files. `WATERSHED_GENERATE=1 cargo test -p watershed-wire --test
//! fresh` writes it anew.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::path::{Path, PathBuf};

use tonic_build::manual::{Builder, Method, Service};

/// The files of the package, in order.
const PROTOS: &[&str] = &["watershed/v1/control.proto", "watershed/v1/job.proto"];

fn generate(out: &Path) {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(PROTOS, [protos]).expect("the .proto files compile");
    tonic_prost_build::configure()
        .bytes(".")
        .emit_rerun_if_changed(false)
        .out_dir(out)
        .compile_fds(files)
        .expect("the generator takes what protox compiled");
    let link = Method::builder()
        .name("link")
        .route_name("Link")
        .input_type("crate::frame::Frame")
        .output_type("crate::frame::Frame")
        .codec_path("crate::frame::FrameCodec")
        .client_streaming()
        .server_streaming()
        .build();
    let data = Service::builder()
        .name("Data")
        .package("watershed.v1")
        .comment("Worker to worker: one stream of frames in each direction, a connection for data and one for bulk state.")
        .method(link)
        .build();
    Builder::new().out_dir(out).compile(&[data]);
}

#[test]
fn the_generated_code_is_fresh() {
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    if std::env::var_os("WATERSHED_GENERATE").is_some() {
        return generate(&kept);
    }
    let made = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("generated");
    std::fs::create_dir_all(&made).expect("a folder for the generated code");
    generate(&made);
    for file in ["watershed.v1.rs", "watershed.v1.Data.rs"] {
        let read = |dir: &Path| std::fs::read_to_string(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(read(&made) == read(&kept), "{file} is stale: run this test with WATERSHED_GENERATE=1");
    }
}
