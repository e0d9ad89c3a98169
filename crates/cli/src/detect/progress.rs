//! The progress bar.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::Meter;
use crate::glob::Input;
use crate::text::Text;

/// How long a run may take before a bar is drawn.
const QUIET: Duration = Duration::from_millis(400);

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(120);

/// A bar on standard error that follows a [`Meter`] until it is dropped, and then disappears.
pub struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to draw.
    pub fn start(inputs: &[Input], meter: Arc<Meter>, text: Text) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let bar = bar(total(inputs));
        let seen = stop.clone();
        let thread =
            std::thread::Builder::new().name("progress".to_owned()).spawn(move || draw(&bar, &meter, &seen, text)).ok();
        Self { stop, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

/// Bytes of all inputs; `None` when one of them does not say.
fn total(inputs: &[Input]) -> Option<u64> {
    inputs.iter().map(Input::size).sum()
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:30} {percent:>3}% {bytes}/{total_bytes} · {wide_msg}",
        None => "{spinner} {bytes} · {wide_msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = match total {
        Some(bytes) => ProgressBar::new(bytes),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(style.progress_chars("━━╌"))
}

fn draw(bar: &ProgressBar, meter: &Meter, stop: &AtomicBool, text: Text) {
    let started = Instant::now();
    // A run that is over at once needs no bar, which would only flicker.
    std::thread::park_timeout(QUIET);
    while !stop.load(Ordering::Relaxed) {
        let (bytes, events, findings) = meter.read();
        bar.set_position(bytes);
        bar.set_message(message(events, findings, started.elapsed(), text));
        std::thread::park_timeout(TICK);
    }
    bar.finish_and_clear();
}

fn message(events: u64, findings: u64, elapsed: Duration, text: Text) -> String {
    let rate = events as f64 / elapsed.as_secs_f64().max(0.001);
    text.progress(&text.count(events), &text.count(rate as u64), &text.count(findings))
}

#[cfg(test)]
mod tests {
    use khien_base::lang::Lang;

    use super::*;

    #[test]
    fn the_message_has_the_speed() {
        let text = message(50_000, 3, Duration::from_millis(500), Text(Lang::Vi));
        assert_eq!(text, "50.000 sự kiện, 100.000 sự kiện/giây, 3 phát hiện");
    }

    #[test]
    fn the_total_is_unknown_when_one_part_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "12345").unwrap();
        let file = Input::File(file.path().to_owned());
        assert_eq!(total(&[file.clone(), file.clone()]), Some(10));
        assert_eq!(total(&[file, Input::Standard]), None);
    }

    #[test]
    fn the_bar_stops_when_dropped() {
        let meter = Arc::new(Meter::default());
        meter.add(1, 2, 3);
        drop(Progress::start(&[Input::Standard], meter.clone(), Text(Lang::En)));
        assert_eq!(meter.read(), (1, 2, 3));
    }
}
