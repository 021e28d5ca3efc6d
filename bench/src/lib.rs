//! Benchmarks of Watershed beside a hand-written loop.
