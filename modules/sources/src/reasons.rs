//! Why something was not done. The codes are a contract.

use khien_base::phrases;

phrases! {
    /// All of it.
    pub(crate) static REASONS;

    name(name, fault) { vi: "không dùng được tên `{name}`: {fault}", en: "the name `{name}` cannot be used: {fault}" }
    soc_exists(name) { vi: "đã có SOC tên `{name}`", en: "there is a SOC called `{name}` already" }
    no_reason() { vi: "cần nêu lý do hoặc căn cứ pháp lý", en: "a reason or legal basis is needed" }
    no_days() { vi: "số ngày phải từ 1", en: "the days must be at least 1" }
    no_keep_rule(id) { vi: "không có quy tắc lưu giữ `{id}`", en: "there is no retention rule `{id}`" }
    no_hold(id) { vi: "không có lệnh giữ `{id}` còn hiệu lực", en: "there is no hold `{id}` that is not lifted" }
    period_backwards() { vi: "ngày bắt đầu không được sau ngày kết thúc", en: "the period must not end before it begins" }
    no_soc(name) { vi: "không có SOC tên `{name}`", en: "there is no SOC called `{name}`" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
