//! A small view of Rust source: its code without comments, text literals and tests.

/// What the scanner is inside of.
enum State {
    Code,
    LineComment,
    /// With the depth of nesting.
    BlockComment(u32),
    Text,
    /// With the number of `#`.
    RawText(usize),
}

/// The text with comments and literals blanked; line breaks stay, so that line numbers stay right.
pub(super) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let (next, used) = advance(&state, &chars, at);
        let keep = matches!(state, State::Code) && matches!(next, State::Code) && used == 1;
        for &c in &chars[at..(at + used).min(chars.len())] {
            out.push(if keep || c == '\n' { c } else { ' ' });
        }
        state = next;
        at += used;
    }
    out
}

/// The state after the characters at `at`, and how many were used.
fn advance(state: &State, chars: &[char], at: usize) -> (State, usize) {
    let c = chars[at];
    let following = chars.get(at + 1).copied();
    match state {
        State::Code => advance_code(chars, at),
        State::LineComment if c == '\n' => (State::Code, 1),
        State::LineComment => (State::LineComment, 1),
        State::BlockComment(depth) => match (c, following) {
            ('*', Some('/')) if *depth == 1 => (State::Code, 2),
            ('*', Some('/')) => (State::BlockComment(depth - 1), 2),
            ('/', Some('*')) => (State::BlockComment(depth + 1), 2),
            _ => (State::BlockComment(*depth), 1),
        },
        State::Text if c == '\\' => (State::Text, 2),
        State::Text if c == '"' => (State::Code, 1),
        State::Text => (State::Text, 1),
        State::RawText(hashes) if c == '"' && count_hashes(chars, at + 1) >= *hashes => (State::Code, 1 + hashes),
        State::RawText(hashes) => (State::RawText(*hashes), 1),
    }
}

fn advance_code(chars: &[char], at: usize) -> (State, usize) {
    let before = at.checked_sub(1).and_then(|i| chars.get(i));
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => (State::LineComment, 2),
        ('/', Some('*')) => (State::BlockComment(1), 2),
        ('"', _) => (State::Text, 1),
        ('\'', Some('\\')) => (State::Code, 3),
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => (State::Code, 3),
        ('r', Some('"' | '#')) if !before.is_some_and(|c| c.is_alphanumeric() && *c != 'b') => {
            let hashes = count_hashes(chars, at + 1);
            match chars.get(at + 1 + hashes) {
                Some('"') => (State::RawText(hashes), 2 + hashes),
                _ => (State::Code, 1),
            }
        }
        _ => (State::Code, 1),
    }
}

fn count_hashes(chars: &[char], from: usize) -> usize {
    chars.iter().skip(from).take_while(|c| **c == '#').count()
}

/// Code lines with 1-based numbers, up to the tests at the end of the file.
pub(super) fn product_lines(text: &str) -> Vec<(usize, String)> {
    code_only(text)
        .lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect()
}

/// Whether `code` contains `needle` not as the tail of a longer name.
pub(super) fn names(code: &str, needle: &str) -> bool {
    code.match_indices(needle).any(|(at, _)| {
        let before = code.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = "a(); // b()\n/* c() /* d() */ e() */ f(\"g() \\\" h()\", r#\"i() \" j()\"#, '\"', '\\''); k()\n";
        let code = code_only(text);
        assert_eq!(code.lines().count(), 2);
        for kept in ["a()", "f(", "k()"] {
            assert!(code.contains(kept), "{kept} in {code}");
        }
        for gone in ["b()", "c()", "d()", "e()", "g()", "h()", "i()", "j()"] {
            assert!(!code.contains(gone), "{gone} in {code}");
        }
    }

    #[test]
    fn lifetimes_are_not_literals() {
        assert_eq!(code_only("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn product_lines_end_at_the_tests() {
        let lines = product_lines("one\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(lines, [(1, "one".to_owned())]);
    }

    #[test]
    fn a_needle_is_a_whole_name() {
        assert!(names("println!(1)", "println!"));
        assert!(!names("eprintln!(1)", "println!"));
    }
}
