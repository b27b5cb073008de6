//! What a process has used so far, as proc(5) has it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};

/// Processor time of a process so far, of all its threads.
///
/// # Errors
/// When it has ended.
pub fn processor_time(pid: u32) -> Result<Duration> {
    Ok(spent(Path::new(&format!("/proc/{pid}/stat")))?.1)
}

/// What the compilers of a JVM have spent so far.
///
/// # Errors
/// When it has ended.
pub fn compile_time(pid: u32) -> Result<Duration> {
    let mut time = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has ended meanwhile says nothing any more.
        let Ok((name, spent)) = spent(&thread?.path().join("stat")) else { continue };
        if name.starts_with("C1 ") || name.starts_with("C2 ") {
            time += spent;
        }
    }
    Ok(time)
}

/// The name of a process or thread, and its processor time, as proc_pid_stat(5) has them.
fn spent(stat: &Path) -> Result<(String, Duration)> {
    let stat = fs::read_to_string(stat)?;
    let (name, fields) = stat.rsplit_once(')').context("an unknown form of /proc/<pid>/stat")?;
    let (_, name) = name.split_once('(').context("an unknown form of /proc/<pid>/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = [fields[11], fields[12]].map(str::parse::<u64>);
    // USER_HZ is 100 on every Linux platform that Rust supports.
    Ok((name.to_owned(), Duration::from_millis((user? + system?) * 10)))
}

/// The most memory that a process has had resident, in bytes.
///
/// # Errors
/// When it has ended.
pub fn memory_peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.context("no VmHWM in /proc/<pid>/status")? << 10)
}
