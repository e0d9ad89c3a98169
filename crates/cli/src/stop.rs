//! Ctrl-C, and the request to end that services get (SIGTERM): a run stops reading, and what it found is still written.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Exit;

/// Says whether somebody asked the run to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    heeded: Arc<AtomicBool>,
}

impl Stop {
    /// Listens to Ctrl-C from now on. Whoever asks twice does not want to wait for the end.
    pub fn of_process() -> Self {
        static STOP: OnceLock<Stop> = OnceLock::new();
        let listen = || {
            let stop = Self::default();
            let asked = stop.clone();
            let again = move || {
                if asked.ask() {
                    std::process::exit(Exit::Stopped.code().into());
                }
            };
            // Without it Ctrl-C ends the program at once, as it does by default.
            ctrlc::set_handler(again).ok();
            stop
        };
        STOP.get_or_init(listen).clone()
    }

    /// Asks to stop; whether somebody had already.
    pub fn ask(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed)
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Notes that reading ended because somebody asked.
    pub fn heed(&self) {
        self.heeded.store(true, Ordering::Relaxed);
    }

    /// Whether reading ended before the end. Who asks when everything was read stops nothing.
    pub fn was_heeded(&self) -> bool {
        self.heeded.load(Ordering::Relaxed)
    }
}
