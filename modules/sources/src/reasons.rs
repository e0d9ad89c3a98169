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
    certificate(fault) { vi: "không dùng được chứng thư số: {fault}", en: "the certificate cannot be used: {fault}" }
    certificate_exists() { vi: "đã có SOC đăng ký chứng thư số này", en: "a SOC has registered it already" }
    no_certificate() { vi: "tệp không phải chứng thư số dạng PEM", en: "the file is no certificate in PEM" }
    several_certificates() {
        vi: "tệp có nhiều chứng thư số; chỉ để lại chứng thư của bên gửi",
        en: "the file has several certificates; leave only the sender's own"
    }
    has_key() {
        vi: "tệp có khóa bí mật; khóa không được rời khỏi bên gửi",
        en: "the file has a private key, which must not leave the sender"
    }
    certificate_over() { vi: "chứng thư số đã hết hạn", en: "it has ended" }
    certificate_of_ca() {
        vi: "đây là chứng thư số của tổ chức chứng thực (CA), không phải của bên gửi",
        en: "it is a certificate authority's, not a sender's"
    }
    network_exists(network) { vi: "dải mạng {network} đã thuộc một SOC", en: "the network {network} belongs to a SOC already" }
    no_network(network, name) {
        vi: "dải mạng {network} không phải của SOC `{name}`",
        en: "the network {network} is none of the SOC `{name}`"
    }
    no_source(source, name) {
        vi: "SOC `{name}` chưa khai báo nguồn `{source}`",
        en: "the SOC `{name}` has not declared a source `{source}`"
    }
    no_soc(name) { vi: "không có SOC tên `{name}`", en: "there is no SOC called `{name}`" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn phrases_are_whole() {
        assert_eq!(khien_base::message::faults(super::REASONS), [""; 0]);
    }
}
