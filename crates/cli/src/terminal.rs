//! What standard output and standard error are connected to, and the colours that may be used there.

use std::io::{IsTerminal as _, Write, stderr, stdout};

use anstyle::{AnsiColor, Style};
use khien_detect::rule::Level;

use crate::args::Color;
use crate::safe;
use crate::text::Text;

/// Columns when the width is not known.
const DEFAULT_COLUMNS: usize = 100;

/// How something for people is written.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether escape sequences for colours may be used.
    pub colors: bool,
    /// Columns.
    pub columns: usize,
}

impl Look {
    /// For standard output.
    pub fn of_stdout(color: Color) -> Self {
        let auto = || anstream::AutoStream::choice(&stdout()) != anstream::ColorChoice::Never;
        Self { colors: wanted(color, auto), columns: columns() }
    }

    /// For standard error.
    pub fn of_stderr(color: Color) -> Self {
        let auto = || anstream::AutoStream::choice(&stderr()) != anstream::ColorChoice::Never;
        Self { colors: wanted(color, auto), columns: columns() }
    }

    /// Without colours.
    pub fn plain(columns: usize) -> Self {
        Self { colors: false, columns }
    }

    /// `text` in `style`, if colours may be used.
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colors && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// `text` in the colour of `level`. The level is always written out too: nothing is told by colour alone.
    pub fn level(self, level: Level, text: &str) -> String {
        let style = match level {
            Level::Informational => AnsiColor::BrightBlack.on_default(),
            Level::Low => AnsiColor::Blue.on_default(),
            Level::Medium => AnsiColor::Yellow.on_default(),
            Level::High => AnsiColor::Red.on_default().bold(),
            Level::Critical => AnsiColor::BrightWhite.on(AnsiColor::Red).bold(),
        };
        self.paint(style, text)
    }

    /// `text` as a heading.
    pub fn strong(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// `text` as something less important.
    pub fn faint(self, text: &str) -> String {
        self.paint(AnsiColor::BrightBlack.on_default(), text)
    }

    /// `text` as something good.
    pub fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// `text` as something bad.
    pub fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }
}

/// Where a command writes.
pub struct Console<'a> {
    /// Standard output.
    pub out: &'a mut (dyn Write + Send + 'a),
    /// Standard error.
    pub err: &'a mut (dyn Write + 'a),
    /// How text looks on standard output.
    pub out_look: Look,
    /// How text looks on standard error.
    pub err_look: Look,
    /// Whether standard output is a terminal.
    pub out_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub err_is_terminal: bool,
    /// The language.
    pub text: Text,
}

impl Console<'_> {
    /// Writes a line to standard error. When that fails nobody is left to tell.
    pub fn tell(&mut self, line: &str) {
        drop(writeln!(self.err, "{line}"));
    }

    /// Tells what went wrong without ending.
    pub fn warn(&mut self, what: &str) {
        let warning = self.err_look.bad(self.text.warning());
        self.tell(&format!("{warning} {}", safe::line(what)));
    }
}

fn wanted(color: Color, auto: impl Fn() -> bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => auto(),
    }
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    stderr().is_terminal()
}

fn columns() -> usize {
    terminal_size::terminal_size().map_or(DEFAULT_COLUMNS, |(width, _)| usize::from(width.0).max(40))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_may_be() {
        let plain = Look::plain(80);
        assert_eq!(plain.level(Level::High, "cao"), "cao");
        let coloured = Look { colors: true, columns: 80 };
        assert_eq!(coloured.good("x"), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(coloured.good(""), "");
    }
}
