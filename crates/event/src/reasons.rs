//! Why a record cannot be decoded, in both languages. The codes are a contract: they stand in summaries.

use khien_base::message::Phrase;
use khien_base::phrases;

/// Defines what can be wrong at one byte of a record, with a list of all.
macro_rules! faults {
    ($($name:ident $code:literal { vi: $vi:literal, en: $en:literal })*) => {
        $(
            #[doc = concat!("“", $en, "”")]
            pub const $name: &Phrase = &Phrase {
                code: $code,
                values: &["byte"],
                vi: concat!($vi, ", ở byte {byte}"),
                en: concat!($en, " at byte {byte}"),
            };
        )*
        /// All of them.
        pub const FAULTS: &[&Phrase] = &[$($name),*];
    };
}

faults! {
    TOO_LONG "record_too_long" { vi: "bản ghi dài quá giới hạn", en: "record longer than the limit" }
    TOO_DEEP "nested_too_deep" { vi: "JSON lồng nhau sâu quá giới hạn", en: "JSON nested deeper than the limit" }
    TOO_MANY_FIELDS "too_many_fields" { vi: "nhiều trường quá giới hạn", en: "more fields than the limit" }
    TOO_MANY_BYTES "names_too_large" { vi: "tên và đối tượng lớn quá giới hạn", en: "names and objects too large" }
    NOT_UTF8 "not_utf8" { vi: "có byte không phải là UTF-8", en: "bytes that are not UTF-8" }
    NOT_JSON "not_json" { vi: "không phải là JSON", en: "not JSON" }
    NOT_AN_OBJECT "not_an_object" { vi: "không phải là đối tượng JSON", en: "not a JSON object" }
    MORE_BEHIND "more_behind" { vi: "còn dữ liệu sau đối tượng JSON", en: "something follows the JSON object" }
    OPEN_STRING "open_string" { vi: "chuỗi JSON không có chỗ kết thúc", en: "a JSON string does not end" }
    CONTROL_CHARACTER "control_character" { vi: "có ký tự điều khiển trong chuỗi JSON", en: "a control character in a JSON string" }
    UNKNOWN_ESCAPE "unknown_escape" { vi: "có ký hiệu thoát lạ trong chuỗi JSON", en: "unknown escape in a JSON string" }
    KEY_EXPECTED "key_expected" { vi: "cần một khóa trong đối tượng JSON", en: "expected a key in a JSON object" }
    COLON_EXPECTED "colon_expected" { vi: "cần ':' sau khóa", en: "expected ':' behind a key" }
    OBJECT_GOES_ON "object_goes_on" { vi: "thiếu dấu phẩy hoặc ngoặc đóng trong đối tượng", en: "expected a comma or a closing brace in a JSON object" }
    ARRAY_GOES_ON "array_goes_on" { vi: "cần ',' hoặc ']' trong mảng JSON", en: "expected ',' or ']' in a JSON array" }
    VALUE_EXPECTED "value_expected" { vi: "cần một giá trị JSON", en: "expected a JSON value" }
    LITERAL_EXPECTED "literal_expected" { vi: "cần true, false hoặc null", en: "expected true, false or null" }
    DIGIT_EXPECTED "digit_expected" { vi: "cần một chữ số", en: "expected a digit" }
    NOT_TEXT "not_text" { vi: "không phải là dòng chữ", en: "not a line of text" }
    NOT_AUDITD "not_auditd" { vi: "không phải là dòng auditd", en: "not a line of auditd" }
    NOT_SYSLOG "not_syslog" { vi: "không phải là dòng syslog", en: "not a line of syslog" }
    NOT_CEF "not_cef" { vi: "không phải là sự kiện CEF", en: "not a CEF event" }
    NOT_LEEF "not_leef" { vi: "không phải là sự kiện LEEF", en: "not a LEEF event" }
    NOT_KEY_VALUE "not_key_value" { vi: "không phải là dòng gồm các cặp khóa=giá trị", en: "not a line of key=value pairs" }
    NOT_ZEEK "not_zeek" { vi: "không có các cột mà phần đầu Zeek khai báo", en: "does not have the columns of its Zeek header" }
    NOT_W3C "not_w3c" { vi: "không có các cột mà dòng #Fields khai báo", en: "does not have the columns of its #Fields header" }
    NOT_ACCESS "not_access" { vi: "không phải là dòng của nhật ký truy cập web", en: "not a line of an access log" }
}

phrases! {
    /// What can be wrong with a stretch of a file.
    pub static STRETCHES;
    record_skipped(bytes) { vi: "bản ghi {bytes} byte dài quá giới hạn", en: "record of {bytes} bytes is longer than the limit" }
    damaged_chunk(chunk, error) { vi: "khối {chunk}: {error}", en: "chunk {chunk}: {error}" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_reason_is_whole() {
        let all: Vec<_> = super::FAULTS.iter().chain(super::STRETCHES).copied().collect();
        assert_eq!(khien_base::message::faults(&all), Vec::<String>::new());
    }
}
