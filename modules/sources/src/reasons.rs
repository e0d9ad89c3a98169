//! Why something was not done. The codes are a contract.

use khien_base::phrases;

phrases! {
    /// All of it.
    pub(crate) static REASONS;

    name(name, fault) { vi: "không dùng được tên `{name}`: {fault}", en: "the name `{name}` cannot be used: {fault}" }
    soc_exists(name) { vi: "đã có SOC tên `{name}`", en: "there is a SOC called `{name}` already" }
    no_soc(name) { vi: "không có SOC tên `{name}`", en: "there is no SOC called `{name}`" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
