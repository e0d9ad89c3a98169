//! Which language to speak.

use std::ffi::OsString;

use khien_base::lang::Lang;

/// What the process environment says about language.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `LC_ALL`, `LC_MESSAGES`, `LANG`, in this order; unset ones are empty.
    pub locales: [String; 3],
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let read = |name| std::env::var(name).unwrap_or_default();
        Self { locales: [read("LC_ALL"), read("LC_MESSAGES"), read("LANG")] }
    }
}

/// The language for a command line: `--lang` when it is there, else the locale, else Vietnamese.
///
/// Runs before the arguments are parsed, because the help text depends on it; a `--lang` that makes no sense is left for
/// the parser to refuse. As POSIX has it, the first locale variable that is not empty decides. `C` and `POSIX` are what
/// programs without a language run under, and say nothing about the reader: they count as neither.
pub fn choose(argv: &[OsString], environment: &Environment) -> Lang {
    from_arguments(argv).or_else(|| from_locale(environment)).unwrap_or(Lang::Vi)
}

fn from_arguments(argv: &[OsString]) -> Option<Lang> {
    let mut words = argv.iter().skip(1).map(|a| a.to_string_lossy()).take_while(|a| a != "--");
    let mut found = None;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--lang") {
            Some("") => words.next().map(|v| v.to_string()),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        found = match value.as_deref() {
            Some("vi") => Some(Lang::Vi),
            Some("en") => Some(Lang::En),
            _ => found,
        };
    }
    found
}

fn from_locale(environment: &Environment) -> Option<Lang> {
    let locale = environment.locales.iter().find(|l| !l.is_empty())?;
    let language = locale.split(['_', '-', '.', '@']).next()?;
    if language.eq_ignore_ascii_case("c") || language.eq_ignore_ascii_case("posix") {
        return None;
    }
    Lang::of_locale(locale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(argv: &[&str], locales: [&str; 3]) -> Lang {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        choose(&argv, &Environment { locales: locales.map(str::to_owned) })
    }

    #[test]
    fn the_argument_wins_over_the_locale() {
        let english = ["", "", "en_US.UTF-8"];
        assert_eq!(chosen(&["khien", "detect", "--lang", "vi"], english), Lang::Vi);
        assert_eq!(chosen(&["khien", "--lang=vi", "detect"], english), Lang::Vi);
        assert_eq!(chosen(&["khien", "--lang", "fr"], english), Lang::En);
        assert_eq!(chosen(&["khien", "--lang"], english), Lang::En);
        assert_eq!(chosen(&["khien", "--", "--lang=vi"], english), Lang::En);
    }

    #[test]
    fn the_first_locale_that_is_set_decides() {
        assert_eq!(chosen(&["khien"], ["en_GB", "vi_VN", "vi_VN"]), Lang::En);
        assert_eq!(chosen(&["khien"], ["", "vi_VN.UTF-8", "en_US"]), Lang::Vi);
        assert_eq!(chosen(&["khien"], ["", "", "en_US"]), Lang::En);
    }

    #[test]
    fn vietnamese_when_the_locale_says_neither() {
        assert_eq!(chosen(&["khien"], ["", "", ""]), Lang::Vi);
        assert_eq!(chosen(&["khien"], ["C", "", "en_US"]), Lang::Vi);
        assert_eq!(chosen(&["khien"], ["C.UTF-8", "", ""]), Lang::Vi);
        assert_eq!(chosen(&["khien"], ["", "", "fr_FR"]), Lang::Vi);
    }
}
