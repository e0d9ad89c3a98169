//! What is said when the arguments were not understood, or when help was asked for.

use std::io::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::{Exit, complain};
use crate::safe;
use crate::text::{Text, append};

/// Why there are no arguments to work with.
#[derive(Debug)]
pub struct Refused(pub clap::Error);

impl Refused {
    /// Tells the person and gives the exit code: help goes to standard output, a complaint to standard error.
    pub fn report(&self, text: Text) -> Exit {
        match self.0.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let help = self.0.render().to_string();
                drop(std::io::stdout().lock().write_all(help.as_bytes()));
                Exit::Done
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                complain(&self.0.render().to_string());
                Exit::Usage
            }
            _ => {
                complain(&self.complaint(text));
                Exit::Usage
            }
        }
    }

    /// The complaint in the language of `text`: what is wrong, what could be meant, where help is.
    pub fn complaint(&self, text: Text) -> String {
        let mut out = format!("{} {}\n", text.error(), self.reason(text));
        if let Some(values) = self.get(ContextKind::ValidValue) {
            append(&mut out, format_args!("{} {}\n", text.hint(), text.usage_values(&values)));
        }
        let similar = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
        if let Some(name) = similar.into_iter().find_map(|k| self.get(k)) {
            append(&mut out, format_args!("{} {}\n", text.hint(), text.usage_similar(&name)));
        }
        out.push_str(text.help_hint());
        out.push('\n');
        out
    }

    fn reason(&self, text: Text) -> String {
        let argument = self.get(ContextKind::InvalidArg).unwrap_or_default();
        let value = self.get(ContextKind::InvalidValue).unwrap_or_default();
        match self.0.kind() {
            ErrorKind::UnknownArgument => text.usage_unknown_argument(&argument),
            ErrorKind::InvalidSubcommand => {
                text.usage_unknown_command(&self.get(ContextKind::InvalidSubcommand).unwrap_or_default())
            }
            ErrorKind::InvalidValue | ErrorKind::NoEquals if value.is_empty() => text.usage_missing_value(&argument),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => text.usage_bad_value(&value, &argument),
            ErrorKind::MissingRequiredArgument => text.usage_missing(&argument),
            ErrorKind::MissingSubcommand => text.usage_missing_subcommand().to_owned(),
            ErrorKind::ArgumentConflict => self.conflict(&argument, text),
            _ => text.usage_unknown().to_owned(),
        }
    }

    /// An argument that does not go with another, or with itself.
    fn conflict(&self, argument: &str, text: Text) -> String {
        match self.get(ContextKind::PriorArg) {
            Some(other) if other != argument => text.usage_conflict(argument, &other),
            _ => text.usage_twice(argument),
        }
    }

    /// What clap knows of the error, as text that is safe to show: the values come from the command line.
    fn get(&self, kind: ContextKind) -> Option<String> {
        let shown = match self.0.get(kind)? {
            ContextValue::String(s) => s.clone(),
            ContextValue::Strings(list) => list.join(", "),
            ContextValue::Number(n) => n.to_string(),
            ContextValue::StyledStr(s) => s.to_string(),
            _ => return None,
        };
        (!shown.is_empty()).then(|| safe::line(&shown).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use khien_base::lang::Lang;

    use super::*;

    fn complaint(lang: Lang, argv: &[&str]) -> String {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let refused = crate::args::parse(&argv, Text(lang)).unwrap_err();
        refused.complaint(Text(lang))
    }

    #[test]
    fn complaints_teach() {
        let both = |argv: &[&str]| format!("{}---\n{}", complaint(Lang::Vi, argv), complaint(Lang::En, argv));
        let all = [
            both(&["khien", "detect", "--rule", "r", "x"]),
            both(&["khien", "detekt"]),
            both(&["khien", "detect", "x"]),
            both(&["khien", "detect", "--rules", "r", "--level", "hgh", "--", "x"]),
            both(&["khien", "detect", "x", "--rules"]),
            both(&["khien", "detect", "--position", "3", "x", "--rules", "r"]),
            both(&["khien", "detect", "x", "--rules", "r", "--logsource", "host=a\x1b[2J"]),
            both(&["khien", "detect", "x", "--rules", "r", "--strict", "--strict"]),
            both(&["khien", "detect", "x", "--rules", "r", "--threads", "many"]),
        ];
        insta::assert_snapshot!("complaints", all.join("\n======\n"));
    }
}
