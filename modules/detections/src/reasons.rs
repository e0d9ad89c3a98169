//! Why something was not done. The codes are a contract.

use khien_base::phrases;

phrases! {
    /// All of it.
    pub(crate) static REASONS;

    name(name, fault) { vi: "không dùng được tên `{name}`: {fault}", en: "the name `{name}` cannot be used: {fault}" }
    name_marks() { vi: "tên có `@` hoặc `/`", en: "it has `@` or `/`" }
    forbidden() { vi: "việc này cần quyền của trung tâm", en: "this needs the rights of the centre" }
    no_pack(name) { vi: "không có gói `{name}`", en: "there is no pack `{name}`" }
    no_pack_in_force(name) { vi: "gói `{name}` không được áp dụng", en: "there is no pack in force called `{name}`" }
    no_list(name) { vi: "không có danh sách `{name}`", en: "there is no list `{name}`" }
    no_exception(name) { vi: "không có ngoại lệ `{name}`", en: "there is no exception `{name}`" }
    no_suppression(name) { vi: "không có lệnh ẩn cảnh báo `{name}`", en: "there is no suppression `{name}`" }
    no_alert(name) { vi: "không có cảnh báo `{name}`", en: "there is no alert `{name}`" }
    same_version(version) { vi: "phiên bản {version} của gói có cùng nội dung", en: "version {version} of the pack is the same" }
    list_needed(exception) { vi: "ngoại lệ {exception} đang dùng danh sách này", en: "exception {exception} needs this list" }
    decided_already(state) { vi: "người khác đã chuyển sang `{state}`; hãy xem lại", en: "somebody has made it `{state}`; look at it again" }
    not_ready() { vi: "không chuẩn bị được luật", en: "making the rules ready failed" }
    no_reason() { vi: "cần nêu lý do", en: "a reason is needed" }
    text_long(most) { vi: "đoạn chữ dài hơn {most} ký tự", en: "a text is longer than {most} characters" }
    in_the_past() { vi: "until_ms ở trong quá khứ", en: "until_ms is in the past" }
    no_organisations() { vi: "nêu tên các SOC, hoặc bỏ trống để áp dụng cho tất cả", en: "name the organisations, or none for all" }
    list_long(most) { vi: "danh sách có tối đa {most} giá trị", en: "a list has at most {most} values" }
    value_empty() { vi: "có giá trị để trống", en: "a value is empty" }
    no_field() { vi: "nêu trường có giá trị cần xét", en: "name the field whose value is looked at" }
    nothing_suppressed() { vi: "nêu cảnh báo nào: luật, SOC hoặc đối tượng", en: "say which alerts: rule, organisation or entity" }
    nothing_changes() { vi: "nêu điều thay đổi: trạng thái, người phụ trách hoặc ghi chú", en: "say what changes: state, assignee or note" }
    period_backwards() { vi: "from_ms không được sau to_ms", en: "from_ms must not be behind to_ms" }
    answer_long(most) { vi: "câu trả lời dài hơn {most} dòng; hỏi ít giờ hoặc ít nguồn hơn", en: "the answer has more than {most} rows; ask for fewer hours or sources" }
    unknown_state(state) { vi: "không có trạng thái `{state}`; có new, triaged, true_positive, false_positive, closed", en: "state `{state}` is not known; new, triaged, true_positive, false_positive and closed are" }
    unknown_level(level) { vi: "không có mức `{level}`; có informational, low, medium, high, critical", en: "level `{level}` is not known; informational, low, medium, high and critical are" }
    page_bounds(most) { vi: "limit phải từ 1 đến {most}", en: "limit must be from 1 to {most}" }
    pack_large(mib) { vi: "gói lớn hơn {mib} MiB", en: "the pack is larger than {mib} MiB" }
    pack_broken(reason) { vi: "không đọc được gói: {reason}", en: "the pack cannot be read: {reason}" }
    pack_not_text() { vi: "không phải chữ UTF-8", en: "it is no UTF-8 text" }
    pack_empty() { vi: "không có luật nào dùng được trong gói", en: "there is no rule in it that can be used" }
    pack_unusable(line, reason) { vi: "không có luật nào dùng được trong gói; dòng {line}: {reason}", en: "there is no rule in it that can be used; line {line}: {reason}" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
