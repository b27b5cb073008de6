//! End to end, faults, contract and benchmarks, against the real servers.
