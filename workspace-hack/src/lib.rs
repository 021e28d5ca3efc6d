//! The same features of dependencies for every program of the workspace. All of it is in `Cargo.toml`, with the reason.
