//! Why a name cannot be used, or something was not done. The codes are a contract.

use khien_base::phrases;

phrases! {
    /// All of it.
    pub(crate) static REASONS;

    name_empty() { vi: "tên để trống", en: "it is empty" }
    name_blank() { vi: "tên bắt đầu hoặc kết thúc bằng dấu cách", en: "it begins or ends with a blank" }
    name_long(most) { vi: "tên dài hơn {most} ký tự", en: "it is longer than {most} characters" }
    name_control() { vi: "tên có ký tự điều khiển", en: "it has control characters" }
    name(name, fault) { vi: "không dùng được tên `{name}`: {fault}", en: "the name `{name}` cannot be used: {fault}" }
    operator_exists(name) { vi: "đã có người trực tên `{name}`", en: "there is an operator called `{name}` already" }
    no_operator(name) { vi: "không có người trực tên `{name}`", en: "there is no operator called `{name}`" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
