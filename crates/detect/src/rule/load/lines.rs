//! Where in a document something stands. The parser drops positions, so the text is searched for what it complained of.

/// 1-based line within `text` of the field of a detection, of the detection, or of the condition.
pub(super) fn of_fault(text: &str, detection: Option<&str>, field: Option<&str>) -> Option<u32> {
    let Some(detection) = detection else {
        return of_key(text, "condition", 0);
    };
    let start = of_key(text, detection, of_key(text, "detection", 0).unwrap_or(0))?;
    match field {
        Some(field) => of_key(text, field, start).or(Some(start)),
        None => Some(start),
    }
}

/// 1-based line after line `after` whose key is `key`, with or without modifiers.
pub(super) fn of_key(text: &str, key: &str, after: u32) -> Option<u32> {
    let found = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ").trim_start();
        let line = line.trim_start_matches(['\'', '"']);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches(['\'', '"']).starts_with([':', '|', ' ']))
    };
    find(text, after, found)
}

/// 1-based line that contains `needle`.
pub(super) fn of_text(text: &str, needle: &str) -> Option<u32> {
    find(text, 0, |line| line.contains(needle))
}

fn find(text: &str, after: u32, wanted: impl Fn(&str) -> bool) -> Option<u32> {
    let at = text.lines().skip(after as usize).position(wanted)?;
    Some(after + at as u32 + 1)
}

/// The line an error text of the parser names (`... at line 3 column 7`), and the text without it.
pub(super) fn of_message(message: &str) -> (Option<u32>, String) {
    let Some((before, after)) = message.split_once(" at line ") else {
        return (None, message.to_owned());
    };
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().ok(), before.to_owned())
}

/// Where the parser's complaint about a document stands.
pub(super) fn of_complaint(text: &str, complaint: &str) -> Option<u32> {
    let quoted = complaint.split('\'').nth(1);
    if complaint.starts_with("Unknown modifier") {
        return of_text(text, &format!("|{}", quoted?));
    }
    if complaint.starts_with("`not` is not") {
        return of_text(text, "|not");
    }
    if complaint.starts_with("Condition") {
        return of_key(text, "condition", 0);
    }
    if complaint.starts_with("Invalid timespan") || complaint.contains("timeframe") {
        return of_key(text, "timespan", 0).or_else(|| of_key(text, "timeframe", 0));
    }
    for key in ["status", "level", "related", "sigma-version", "detection", "correlation"] {
        if complaint.to_lowercase().contains(key) {
            return of_key(text, key, 0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        "title: x\nField: no\ndetection:\n  other:\n    Field: 1\n  sel:\n    - 'Field|re': a\n  condition: sel\n";

    #[test]
    fn keys_are_found_inside_their_detection() {
        assert_eq!(of_fault(RULE, Some("sel"), Some("Field")), Some(7));
        assert_eq!(of_fault(RULE, Some("sel"), None), Some(6));
        assert_eq!(of_fault(RULE, Some("sel"), Some("Gone")), Some(6));
        assert_eq!(of_fault(RULE, None, None), Some(8));
    }

    #[test]
    fn the_parsers_words_lead_to_a_line() {
        assert_eq!(of_message("mapping values at line 3 column 7"), (Some(3), "mapping values".into()));
        assert_eq!(of_complaint("a|foo: 1", "Unknown modifier 'foo'"), Some(1));
        assert_eq!(of_complaint(RULE, "Condition parse error: x"), Some(8));
    }
}
