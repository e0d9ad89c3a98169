//! CPU time of this process.

use std::time::Duration;

/// User and system time of all threads since the start of the process.
///
/// # Errors
/// Where the system has no such clock.
#[cfg(unix)]
pub fn used() -> anyhow::Result<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(now.tv_sec.try_into()?, now.tv_nsec.try_into()?))
}

/// User and system time of all threads since the start of the process.
///
/// # Errors
/// Always: only Unix is measured.
#[cfg(not(unix))]
pub fn used() -> anyhow::Result<Duration> {
    anyhow::bail!("CPU time is measured on Unix only")
}
