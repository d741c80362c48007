//! Checks, vectors and benchmarks of the project.
fn main() {}
