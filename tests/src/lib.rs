//! What the tests, the demo and the benchmark share: servers, processes, a client, and waiting for
//! a condition instead of for a time.

pub mod client;
pub mod fleet;
pub mod forge;
pub mod lab;
pub mod load;
pub mod process;
pub mod samples;
pub mod stack;
pub mod usage;
pub mod wait;

pub use client::{Answer, Client};
pub use fleet::{Fleet, Role};
pub use load::Load;
pub use process::Process;
pub use stack::Stack;
pub use wait::until;
