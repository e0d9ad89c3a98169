//! How much processor time this process has used.

use std::time::Duration;

/// CPU time of all threads so far, user and system; `None` where the system has no such clock.
pub fn cpu() -> Option<Duration> {
    #[cfg(unix)]
    {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::try_from(used).ok()
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(unix)]
    fn it_goes_forward() {
        let before = super::cpu().expect("a clock");
        let spent = (0..1_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        assert!(super::cpu().expect("a clock") > before, "{spent}");
    }
}
