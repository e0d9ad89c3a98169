//! Why a rule, a correlation or an indicator cannot be used, and what to do about it.
//!
//! The codes are a contract: they stand in JSON and in packs, and none changes its meaning.

use khien_base::message::Message;
use khien_base::phrases;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

phrases! {
    /// All reasons and hints.
    pub static REASONS;

    // Files and documents.
    document_too_long(bytes) { vi: "tài liệu dài hơn {bytes} byte", en: "the document is longer than {bytes} bytes" }
    more_problems(count) { vi: "còn {count} vấn đề khác", en: "{count} more problems" }
    unknown_action(action) { vi: "không có lệnh gộp `{action}` (chỉ có global, reset và repeat)", en: "unknown collection action `{action}` (global, reset and repeat exist)" }
    nothing_to_repeat() { vi: "`action: repeat` không có tài liệu nào đứng trước để lặp lại", en: "`action: repeat` has no document before it to repeat" }
    merge_not_written(error) { vi: "không viết lại được tài liệu đã gộp: {error}", en: "the merged document cannot be written: {error}" }
    merge_too_large() { vi: "các lệnh gộp làm tệp này lớn quá mọi giới hạn", en: "collection actions multiply this file beyond all bounds" }
    nested_too_deep(depth) { vi: "các ánh xạ lồng nhau sâu hơn {depth} lớp", en: "mappings nest deeper than {depth}" }
    parser(text) { vi: "trình đọc Sigma báo: {text}", en: "{text}" }
    condition_unreadable(text) { vi: "không đọc được điều kiện: {text}", en: "the condition cannot be read: {text}" }
    other_version(code) { vi: "gói luật do phiên bản khác tạo ra ghi lý do `{code}`", en: "a pack made by another version gives the reason `{code}`" }

    // The rule as a whole.
    sigma_3() { vi: "luật cần Sigma 3, phiên bản này chưa biết", en: "the rule asks for Sigma 3, which this version does not know" }
    value_expected() { vi: "danh sách, ánh xạ hoặc thẻ YAML đứng ở chỗ cần một giá trị", en: "a list, a map or a tag stands where a value belongs" }
    unused_detection(name) { vi: "điều kiện không dùng đến nhóm `{name}`", en: "the condition does not use the detection `{name}`" }
    no_logsource() { vi: "luật không có logsource nên được thử trên mọi sự kiện", en: "the rule has no logsource and is tried on every event" }
    unknown_taxonomy(name) { vi: "không biết taxonomy `{name}`; tên trường được dùng nguyên như viết", en: "the taxonomy `{name}` is unknown; fields are taken as they are" }
    duplicate_id(file, line) { vi: "mã định danh đã thuộc về {file} dòng {line}; luật này không được dùng", en: "the id is already taken by {file} line {line}; this one is not used" }
    duplicate_rule(file, line) { vi: "mã định danh đã thuộc về {file} dòng {line} với cùng nội dung; luật này không được dùng", en: "the id is already taken by {file} line {line}, which says the same; this one is not used" }
    filter_without_rule() { vi: "bộ lọc không áp dụng cho luật nào đã nạp", en: "the filter applies to no rule that is loaded" }

    // Conditions.
    no_condition() { vi: "luật không có điều kiện", en: "the rule has no condition" }
    condition_too_deep(depth) { vi: "điều kiện lồng nhau sâu hơn {depth} lớp", en: "the condition nests deeper than {depth}" }
    undefined_detection(name) { vi: "điều kiện nhắc đến `{name}` nhưng không có nhóm nào tên như vậy", en: "the condition names `{name}`, which is not defined" }
    rule_too_large(nodes) { vi: "luật trở nên lớn hơn {nodes} nút", en: "the rule becomes larger than {nodes} nodes" }
    empty_selector(selector) { vi: "`{selector}` không ứng với nhóm nào", en: "`{selector}` means no detection" }
    impossible_selector(selector, count) { vi: "`{selector}` không bao giờ đúng: chỉ ứng với {count} nhóm", en: "`{selector}` can never hold: {count} detections are meant" }
    no_aggregation(text) { vi: "phép gộp `{text}` không viết được thành luật tương quan", en: "the aggregation `{text}` cannot be expressed as a correlation" }
    no_timeframe() { vi: "điều kiện đếm sự kiện nhưng luật không có `timeframe`, nên không biết đếm trong bao lâu", en: "the condition counts events but the rule has no `timeframe`, so that nobody can say how long to count" }

    // Detections.
    empty_detection() { vi: "nhóm rỗng", en: "the detection is empty" }
    array_matching() { vi: "so khớp mảng (`field[any]`) không thuộc Sigma 2.1", en: "array matching (`field[any]`) is no part of Sigma 2.1" }
    key_not_text() { vi: "khóa rỗng hoặc không phải chữ (đặt số và true/false trong dấu nháy)", en: "a key is empty or is no text (quote numbers and true/false)" }
    too_many_tests(count) { vi: "các giá trị khai triển thành hơn {count} phép thử", en: "the values expand to more than {count} tests" }
    too_many_values(count) { vi: "một giá trị khai triển thành hơn {count} giá trị", en: "one value expands to more than {count}" }
    second_comparison(modifier) { vi: "bổ từ `{modifier}` không đứng sau một phép so sánh khác được", en: "modifier `{modifier}` cannot follow another comparison" }
    takes_plain_value(modifier) { vi: "bổ từ `{modifier}` lấy giá trị nguyên như viết, không lấy giá trị đã mã hóa", en: "modifier `{modifier}` takes the value as it is, not an encoded one" }
    flag_without_re(modifier) { vi: "bổ từ `{modifier}` là cờ của `re` và phải đứng sau nó", en: "modifier `{modifier}` is a flag of `re` and must follow it" }
    text_only_steps() { vi: "các phép mã hóa, `windash` và `expand` chỉ đi cùng phép so sánh chữ", en: "encodings, `windash` and `expand` only go with text comparisons" }
    exists_alone() { vi: "bổ từ `exists` phải đứng một mình", en: "modifier `exists` stands alone" }
    cased_needs_text() { vi: "bổ từ `cased` chỉ đi cùng chữ", en: "modifier `cased` only goes with text" }
    cased_against_i() { vi: "bổ từ `cased` và `i` trái ngược nhau", en: "modifiers `cased` and `i` contradict each other" }
    before_encodings() { vi: "`windash` và `expand` phải đứng trước các phép mã hóa", en: "`windash` and `expand` must stand before the encodings" }
    encodings_before_text() { vi: "các phép mã hóa phải đứng trước `contains`, `startswith` hoặc `endswith`", en: "encodings must stand before `contains`, `startswith` or `endswith`" }
    utf16_before_base64() { vi: "UTF-16 phải đứng trước base64", en: "UTF-16 must stand before base64" }
    encoded_twice() { vi: "một giá trị chỉ mã hóa UTF-16 một lần và base64 một lần", en: "a value can be encoded as UTF-16 once and as base64 once" }
    needs_field() { vi: "phép so sánh này cần tên trường trước các bổ từ", en: "this comparison needs a field name before the modifiers" }
    exists_needs_truth() { vi: "bổ từ `exists` cần true hoặc false, không có dấu nháy", en: "modifier `exists` needs true or false, without quotes" }
    number_expected(value) { vi: "phép so sánh số cần một số, không phải `{value}`", en: "a comparison of numbers needs a number, not `{value}`" }
    null_needs_field() { vi: "null cần có trường", en: "null needs a field" }
    null_modified() { vi: "null không dùng với bổ từ được", en: "null cannot be modified" }
    field_name_expected() { vi: "tham chiếu trường cần tên một trường, không có ký tự đại diện", en: "a field reference needs the name of a field, without wildcards" }
    regex_not_text() { vi: "biểu thức chính quy phải là chữ", en: "a regular expression must be text" }
    not_a_network(value) { vi: "`{value}` không phải là mạng như 10.0.0.0/8 hoặc 2001:db8::/32", en: "`{value}` is not a network such as 10.0.0.0/8 or 2001:db8::/32" }
    out_of_range(value, least, most) { vi: "`{value}` không phải là số nguyên từ {least} đến {most}", en: "`{value}` is not a whole number between {least} and {most}" }
    too_short_for_offset() { vi: "giá trị quá ngắn cho `base64offset`", en: "the value is too short for `base64offset`" }
    utf16_needs_text() { vi: "chỉ chữ mới chuyển thành UTF-16 được", en: "only text can become UTF-16" }
    no_placeholder_values(name) { vi: "chỗ điền %{name}% không có giá trị", en: "placeholder %{name}% has no values" }
    windash_needs_text() { vi: "`windash` đổi chữ, không đổi byte đã mã hóa", en: "`windash` changes text, not encoded bytes" }
    wildcards_encoded() { vi: "giá trị có ký tự đại diện (wildcards) không mã hóa được", en: "a value with wildcards cannot be encoded" }
    encoded_no_text() { vi: "giá trị đã mã hóa không phải là chữ; hãy thêm `base64` hoặc `base64offset` phía sau", en: "the encoded value is no text; let `base64` or `base64offset` follow" }

    // Regular expressions.
    regex_too_long(bytes, most) { vi: "biểu thức chính quy dài {bytes} byte, quá {most}", en: "the regular expression is {bytes} bytes long, more than {most}" }
    regex_too_big(bytes) { vi: "biểu thức chính quy cần hơn {bytes} byte bộ nhớ", en: "the regular expression needs more than {bytes} bytes of memory" }
    regex_wrong(error) { vi: "biểu thức chính quy sai: {error}", en: "the regular expression is wrong: {error}" }
    regex_ends_with_backslash() { vi: "biểu thức chính quy kết thúc bằng dấu gạch chéo ngược", en: "the regular expression ends with a backslash" }
    regex_double_repetition() { vi: "biểu thức chính quy lặp lại một phép lặp", en: "the regular expression repeats a repetition" }
    regex_repeats_nothing() { vi: "biểu thức chính quy có phép lặp mà không có gì để lặp", en: "the regular expression has a repetition of nothing" }
    regex_open_class() { vi: "biểu thức chính quy có `[` mà thiếu `]`", en: "the regular expression has a `[` without its `]`" }
    regex_unsupported(feature) { vi: "biểu thức chính quy dùng {feature}, điều mà bộ máy thời gian tuyến tính không có", en: "the regular expression uses {feature}, which no linear-time engine offers" }

    // Correlations.
    no_rules() { vi: "luật tương quan không nhắc đến luật nào", en: "the correlation refers to no rule" }
    too_many_rules(count) { vi: "luật tương quan nhắc đến hơn {count} luật", en: "the correlation refers to more than {count} rules" }
    circular(name) { vi: "luật tương quan nhắc đến `{name}`, luật này nhắc ngược lại hoặc không dùng được", en: "the correlation refers to `{name}`, which refers back to it or cannot be used itself" }
    rule_not_loaded(name) { vi: "luật tương quan nhắc đến `{name}` nhưng luật này chưa nạp", en: "the correlation refers to `{name}`, which is not loaded" }
    rule_unusable(name) { vi: "luật tương quan nhắc đến `{name}` nhưng luật này không dùng được", en: "the correlation refers to `{name}`, which cannot be used" }
    refers_to_itself() { vi: "luật tương quan nhắc đến chính nó, trực tiếp hoặc qua luật khác", en: "the correlation refers to itself, directly or through others" }
    too_many_ordered(count) { vi: "temporal_ordered có tối đa {count} luật", en: "temporal_ordered can have at most {count} rules" }
    empty_timespan(text) { vi: "timespan `{text}` bằng không", en: "timespan `{text}` is empty" }
    long_timespan(text) { vi: "timespan `{text}` quá dài", en: "timespan `{text}` is too long" }
    bad_timespan(error) { vi: "timespan không hợp lệ: {error}", en: "the timespan is wrong: {error}" }
    session_needs_gap() { vi: "cửa sổ theo phiên cần `gap`", en: "a session window needs a gap" }
    percentile_range(value) { vi: "phân vị {value} không nằm giữa 0 và 100", en: "percentile {value} is not between 0 and 100" }
    value_needs_field() { vi: "điều kiện của luật tương quan theo giá trị cần `field`", en: "the condition of a value correlation needs a `field`" }
    several_fields(count) { vi: "chỉ value_count xét nhiều trường được, ở đây có {count}", en: "only value_count can look at several fields, {count} are given" }
    expression_needs_temporal() { vi: "chỉ luật tương quan temporal có điều kiện là biểu thức", en: "only temporal correlations can have an expression as condition" }
    ordered_needs_required() { vi: "điều kiện của temporal_ordered phải nói luật nào là cần: chỉ dùng được `and`, `not` và `all of`", en: "the condition of temporal_ordered must say which rules are needed: only `and`, `not` and `all of` can be used" }
    compares_nothing() { vi: "điều kiện không so sánh với gì cả", en: "the condition compares with nothing" }
    ordered_needs_all(count) { vi: "temporal_ordered cần đủ {count} luật của nó; điều kiện cho ít hơn không dùng được", en: "temporal_ordered needs all of its {count} rules; a condition for fewer cannot be used" }
    correlation_too_deep() { vi: "điều kiện lồng nhau quá sâu", en: "the condition is nested too deeply" }
    not_among_rules(name) { vi: "điều kiện nhắc đến `{name}`, không có trong `rules`", en: "the condition names `{name}`, which `rules` does not" }
    pattern_fits_none(pattern) { vi: "mẫu `{pattern}` của điều kiện không ứng với luật nào trong `rules`", en: "the condition's `{pattern}` fits none of `rules`" }
    count_too_large(count) { vi: "{count} là quá nhiều", en: "{count} is too many" }

    // What a writer of rules should know.
    no_id() { vi: "luật không có mã định danh (id)", en: "the rule has no id" }
    id_no_uuid(id) { vi: "mã định danh `{id}` không phải là UUID", en: "the id `{id}` is no UUID" }
    no_status() { vi: "luật không có trạng thái (status) hợp lệ", en: "the rule has no valid status" }
    no_title() { vi: "luật không có tiêu đề", en: "the rule has no title" }
    unknown_logsource(source) { vi: "phiên bản này không giải mã sự kiện nào có logsource {source}", en: "no event that this version decodes has the logsource {source}" }
    leading_any(field) { vi: "{field}: biểu thức chính quy bắt đầu bằng `.*`, chỉ tốn thời gian", en: "{field}: the regular expression begins with `.*`, which only costs time" }
    lone_wildcard(field) { vi: "{field}: giá trị `*` khớp với mọi thứ trường này có", en: "{field}: the value `*` matches whatever the field holds" }
    repeated_value(field, value) { vi: "{field}: giá trị {value} ghi hai lần", en: "{field}: the value {value} stands there twice" }
    bad_attack_tag(tag) { vi: "nhãn `{tag}` không phải là chiến thuật, kỹ thuật, nhóm hay phần mềm của ATT&CK", en: "the tag `{tag}` names no tactic, technique, group or software of ATT&CK" }
    unknown_technique(id) { vi: "bảng ATT&CK của phiên bản này không có kỹ thuật {id}", en: "the ATT&CK table of this version has no technique {id}" }
    placeholders_unreadable(error) { vi: "không đọc được bảng giá trị thay thế: {error}", en: "the table of placeholders cannot be read: {error}" }
    placeholder_value(name) { vi: "giá trị thay thế `{name}` phải là một giá trị hoặc một danh sách giá trị", en: "the placeholder `{name}` needs a value or a list of values" }

    // Indicators.
    unknown_indicator(text) { vi: "`{text}` không phải là chỉ báo thuộc loại đã biết", en: "`{text}` is no indicator of a known kind" }
    not_of_kind(text, kind) { vi: "`{text}` không phải là {kind}", en: "`{text}` is no {kind}" }
    every_address(text) { vi: "`{text}` là mọi địa chỉ", en: "`{text}` is every address" }
    indicators_full() { vi: "tập chỉ báo đã đầy", en: "the set of indicators is full" }
    line_too_long(bytes) { vi: "dòng dài hơn {bytes} byte", en: "the line is longer than {bytes} bytes" }
    line_not_utf8() { vi: "dòng không phải là UTF-8", en: "the line is not UTF-8" }
    row_without_value() { vi: "hàng không có giá trị", en: "the row has no value" }
    unmatchable_type(kind) { vi: "chỉ báo loại `{kind}` không đối chiếu được", en: "indicators of type `{kind}` cannot be matched" }
    unreadable_from_here(error) { vi: "từ đây trở đi không đọc được: {error}", en: "not readable from here on: {error}" }
    objects_no_list() { vi: "`objects` không phải là danh sách", en: "`objects` is no list" }
    object_without_value(kind) { vi: "đối tượng {kind} không có giá trị", en: "the {kind} has no value" }
    revoked() { vi: "chỉ báo đã bị thu hồi", en: "the indicator is revoked" }
    other_pattern_language(language) { vi: "mẫu viết bằng {language} không phải là chỉ báo để tra cứu", en: "patterns in {language} are not indicators to look up" }
    no_pattern() { vi: "chỉ báo không có mẫu", en: "the indicator has no pattern" }
    pattern_needs_more(word, pattern) { vi: "mẫu cần tra cứu nhiều giá trị cùng lúc (`{word}`): {pattern}", en: "the pattern needs more than one value to look up (`{word}`): {pattern}" }
    pattern_comparison(operator, pattern) { vi: "mẫu so sánh bằng `{operator}`, không tra cứu được: {pattern}", en: "the pattern compares with `{operator}`, which cannot be looked up: {pattern}" }
    pattern_unreadable(pattern) { vi: "không đọc được mẫu: {pattern}", en: "the pattern cannot be read: {pattern}" }
    pattern_open_text() { vi: "một đoạn chữ trong mẫu không có chỗ kết thúc", en: "a text in the pattern does not end" }
    nothing_to_look_up(path, pattern) { vi: "`{path}` không phải là thứ tra cứu được: {pattern}", en: "`{path}` is nothing that can be looked up: {pattern}" }

    // What to do.
    hint_correlation() { vi: "hãy viết thành luật tương quan (đặc tả tương quan 2.1)", en: "write a correlation rule (correlation specification 2.1)" }
    hint_own_id() { vi: "cho mỗi luật một mã định danh riêng", en: "give every rule an id of its own" }
    hint_placeholder_file() { vi: "cho giá trị của nó bằng tệp chỗ điền (--placeholders)", en: "give its values with a placeholder file (--placeholders)" }
    hint_compare_filter() { vi: "so `rules` và `logsource` của bộ lọc với của các luật", en: "compare its `rules` and `logsource` with those of the rules" }
    hint_small_letters() { vi: "viết `and`, `or`, `not` và `of` bằng chữ thường", en: "write `and`, `or`, `not` and `of` in small letters" }
    hint_random_uuid() { vi: "cho luật một UUID ngẫu nhiên (phiên bản 4), để các phát hiện luôn gọi tên được nó", en: "give it a random UUID (version 4), so that findings can name it for ever" }
    hint_no_leading_any() { vi: "bỏ `.*` ở đầu; phép khớp bắt đầu ở đâu cũng được", en: "leave the leading `.*` out; a match may begin anywhere" }
    hint_exists() { vi: "dùng bổ từ `exists`", en: "use the modifier `exists`" }
    hint_linter(text) { vi: "trình kiểm tra gợi ý: {text}", en: "{text}" }
}

/// Messages in packs.
pub(crate) mod stored {
    use super::{Deserialize, Deserializer, Message, REASONS, Serialize, Serializer, other_version};
    use crate::check::lint::LINTS;

    /// Code, values and place.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Stored(String, Vec<String>, Option<String>);

    impl Stored {
        fn new(message: &Message) -> Self {
            Self(message.code().to_owned(), message.values().to_vec(), message.place().map(str::to_owned))
        }

        fn restore(self) -> Message {
            let Self(code, values, place) = self;
            let known = REASONS.iter().chain(LINTS).find(|phrase| phrase.code == code);
            let message = match known.filter(|phrase| phrase.values.len() == values.len()) {
                Some(phrase) => Message::new(phrase, values),
                None => other_version(code),
            };
            match place {
                Some(place) => message.at(place),
                None => message,
            }
        }
    }

    pub(crate) fn serialize<S: Serializer>(message: &Message, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::new(message).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        Stored::deserialize(deserializer).map(Stored::restore)
    }

    /// The same where there may be none.
    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Message, Serialize, Serializer, Stored};

        #[expect(clippy::ref_option, reason = "serde hands over a reference to the member")]
        pub(crate) fn serialize<S: Serializer>(message: &Option<Message>, serializer: S) -> Result<S::Ok, S::Error> {
            message.as_ref().map(Stored::new).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Message>, D::Error> {
            Ok(Option::<Stored>::deserialize(deserializer)?.map(Stored::restore))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_whole() {
        let all: Vec<_> = REASONS.iter().chain(crate::check::lint::LINTS).copied().collect();
        assert_eq!(khien_base::message::faults(&all), Vec::<String>::new());
    }
}
