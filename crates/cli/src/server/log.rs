//! Where the server's log goes: standard error, for people on a terminal and as JSON elsewhere.

use tracing_subscriber::EnvFilter;

/// What is logged unless `KHIEN_LOG` says otherwise.
const FILTER: &str = "info,sqlx=warn,sea_orm_migration=warn,deltalake=warn,delta_kernel=warn,buoyant_kernel=warn";

/// Starts logging. A second start changes nothing.
pub(super) fn start(is_terminal: bool) {
    let filter = std::env::var("KHIEN_LOG").ok().and_then(|text| text.parse::<EnvFilter>().ok());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(FILTER)))
        .with_writer(std::io::stderr);
    // An error means that somebody has started it already.
    if is_terminal {
        subscriber.try_init().ok();
    } else {
        subscriber.json().with_ansi(false).try_init().ok();
    }
}

/// Starts logging of what goes wrong only.
pub(super) fn start_quietly() {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("error")).with_writer(std::io::stderr);
    // An error means that somebody has started it already.
    subscriber.try_init().ok();
}
