//! What is wrong with a file of owners. The codes are a contract.

use khien_base::phrases;

phrases! {
    /// All of it.
    pub(crate) static REASONS;

    owner_columns() {
        vi: "mỗi dòng gồm dải mạng hoặc tên miền, dấu phẩy, tên tổ chức",
        en: "write a network or domain, a comma, and the organisation"
    }
    owner_missing() { vi: "thiếu tên tổ chức", en: "the organisation is missing" }
    owner_target(target) {
        vi: "`{target}` không phải dải mạng như 10.0.0.0/8, cũng không phải tên miền",
        en: "`{target}` is neither a network such as 10.0.0.0/8 nor a domain"
    }
    owner_taken(target, other) { vi: "`{target}` đã thuộc `{other}`", en: "`{target}` belongs to `{other}` already" }
    owner_unreadable(error) { vi: "không đọc được: {error}", en: "it cannot be read: {error}" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
