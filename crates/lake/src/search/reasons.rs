//! What can be wrong with a search. The codes are a contract.

use khien_base::phrases;

phrases! {
    /// All of it.
    pub(crate) static REASONS;

    too_long(most) { vi: "câu tìm có tối đa {most} ký tự", en: "a search has at most {most} characters" }
    too_many_terms(most) { vi: "câu tìm có tối đa {most} điều kiện", en: "a search has at most {most} terms" }
    too_deep(most) { vi: "ngoặc lồng nhau sâu hơn {most} lớp", en: "parentheses go deeper than {most}" }
    too_many_nots(most) { vi: "NOT đứng liền nhau hơn {most} lần", en: "NOT stands more than {most} times in a row" }
    closes_nothing() { vi: "dấu đóng ngoặc thừa", en: "a closing parenthesis closes nothing" }
    not_closed() { vi: "thiếu dấu đóng ngoặc", en: "a closing parenthesis is missing" }
    quote_not_closed() { vi: "thiếu dấu nháy đóng", en: "a closing quote is missing" }
    nothing_before(word) { vi: "thiếu điều kiện trước `{word}`; đặt trong dấu nháy nếu muốn tìm chính từ đó", en: "something is missing before `{word}`; put quotes around it to look for the word" }
    no_value() { vi: "thiếu giá trị", en: "a value is missing" }
    no_field() { vi: "thiếu tên trường", en: "a field is missing" }
    range_form() { vi: "khoảng được viết là [từ TO đến]", en: "a range is written [from TO to]" }
    range_end() { vi: "khoảng kết thúc bằng ] hoặc }", en: "a range ends with ] or }" }
    unknown_field(name) { vi: "không có trường `{name}`; đặt trong dấu nháy nếu muốn tìm chính đoạn chữ đó", en: "there is no field `{name}`; put quotes around it to look for the text" }
    unknown_facet(name) { vi: "không có trường `{name}` để thống kê", en: "there is no field `{name}` whose values could be counted" }
    no_wildcards(column) { vi: "`{column}` không phải chữ nên không dùng được ký tự đại diện", en: "`{column}` is no text, so it takes no wildcards" }
    not_a_level(text, column) { vi: "`{text}` không phải giá trị của `{column}`; viết 1 đến 6, hoặc low, medium, high, critical", en: "`{text}` is no value of `{column}`; write 1 to 6, or low, medium, high, critical" }
    not_a_number(text, column) { vi: "`{text}` không phải giá trị của `{column}`; viết một số nguyên", en: "`{text}` is no value of `{column}`; write a whole number" }
    not_a_truth(text, column) { vi: "`{text}` không phải giá trị của `{column}`; viết true hoặc false", en: "`{text}` is no value of `{column}`; write true or false" }
    not_a_time(text, column) { vi: "`{text}` không phải giá trị của `{column}`; viết 2026-11-20 hoặc 2026-11-20T10:00:00Z", en: "`{text}` is no value of `{column}`; write 2026-11-20 or 2026-11-20T10:00:00Z" }
    not_searchable(column) { vi: "không tìm được theo `{column}`", en: "`{column}` cannot be searched" }
    page_bounds(hits, buckets, facets) { vi: "một trang có 1 đến {hits} sự kiện, tối đa {buckets} khoảng thời gian và {facets} trường thống kê", en: "a page has 1 to {hits} hits, at most {buckets} parts of time and {facets} facets" }
    at_character(at, what) { vi: "ký tự thứ {at}: {what}", en: "character {at}: {what}" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
