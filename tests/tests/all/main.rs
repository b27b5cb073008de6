//! Every test that needs the whole: real servers and real processes.
fn main() {}
