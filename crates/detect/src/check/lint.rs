//! What the linter of the Sigma parser finds, with our codes and in both languages. Its own words, which are English and
//! hold the details, follow the Vietnamese sentence.

use khien_base::message::Message;
use khien_base::phrases;
use rsigma_parser::LintRule;

/// The message for what the linter says in `text`.
pub(super) fn message(rule: LintRule, text: &str) -> Message {
    let name = rule.to_string();
    let phrase = LINTS.iter().find(|phrase| phrase.code.strip_prefix("lint_") == Some(name.as_str()));
    phrase.map_or_else(|| lint_other(text), |phrase| Message::new(phrase, vec![text.to_owned()]))
}

phrases! {
    /// All that can be found.
    pub static LINTS;
    lint_other(text) { vi: "trình kiểm tra Sigma báo: {text}", en: "{text}" }
    lint_missing_title(text) { vi: "thiếu `title` ({text})", en: "{text}" }
    lint_empty_title(text) { vi: "`title` rỗng ({text})", en: "{text}" }
    lint_title_too_long(text) { vi: "`title` dài quá 256 ký tự ({text})", en: "{text}" }
    lint_invalid_status(text) { vi: "`status` không thuộc các giá trị cho phép ({text})", en: "{text}" }
    lint_missing_level(text) { vi: "thiếu `level` ({text})", en: "{text}" }
    lint_invalid_level(text) { vi: "`level` không thuộc các giá trị cho phép ({text})", en: "{text}" }
    lint_invalid_date(text) { vi: "`date` không phải là ngày dạng YYYY-MM-DD ({text})", en: "{text}" }
    lint_invalid_modified(text) { vi: "`modified` không phải là ngày dạng YYYY-MM-DD ({text})", en: "{text}" }
    lint_modified_before_date(text) { vi: "`modified` sớm hơn `date` ({text})", en: "{text}" }
    lint_description_too_long(text) { vi: "`description` quá dài ({text})", en: "{text}" }
    lint_name_too_long(text) { vi: "`name` dài quá 256 ký tự ({text})", en: "{text}" }
    lint_taxonomy_too_long(text) { vi: "`taxonomy` dài quá 256 ký tự ({text})", en: "{text}" }
    lint_non_lowercase_key(text) { vi: "khóa phải viết chữ thường ({text})", en: "{text}" }
    lint_missing_logsource(text) { vi: "thiếu `logsource` ({text})", en: "{text}" }
    lint_missing_detection(text) { vi: "thiếu `detection` ({text})", en: "{text}" }
    lint_missing_condition(text) { vi: "`detection` thiếu `condition` ({text})", en: "{text}" }
    lint_empty_detection(text) { vi: "`detection` không có nhóm nào ({text})", en: "{text}" }
    lint_invalid_related_type(text) { vi: "một mục `related` có loại quan hệ không hợp lệ ({text})", en: "{text}" }
    lint_invalid_related_id(text) { vi: "`id` của một mục `related` không phải là UUID ({text})", en: "{text}" }
    lint_related_missing_required(text) { vi: "một mục `related` thiếu `id` hoặc `type` ({text})", en: "{text}" }
    lint_deprecated_without_related(text) { vi: "luật đã bỏ mà không có `related` chỉ luật thay thế ({text})", en: "{text}" }
    lint_invalid_tag(text) { vi: "nhãn không đúng dạng ({text})", en: "{text}" }
    lint_unknown_tag_namespace(text) { vi: "nhãn thuộc không gian tên chưa biết ({text})", en: "{text}" }
    lint_duplicate_tags(text) { vi: "danh sách `tags` có mục trùng ({text})", en: "{text}" }
    lint_duplicate_references(text) { vi: "danh sách `references` có mục trùng ({text})", en: "{text}" }
    lint_duplicate_fields(text) { vi: "danh sách `fields` có mục trùng ({text})", en: "{text}" }
    lint_falsepositive_too_short(text) { vi: "một mục `falsepositives` quá ngắn ({text})", en: "{text}" }
    lint_scope_too_short(text) { vi: "một mục `scope` quá ngắn ({text})", en: "{text}" }
    lint_logsource_value_not_lowercase(text) { vi: "giá trị của `logsource` phải viết chữ thường ({text})", en: "{text}" }
    lint_missing_correlation(text) { vi: "thiếu `correlation` ({text})", en: "{text}" }
    lint_missing_correlation_type(text) { vi: "`correlation` thiếu `type` ({text})", en: "{text}" }
    lint_invalid_correlation_type(text) { vi: "loại tương quan chưa biết ({text})", en: "{text}" }
    lint_missing_correlation_rules(text) { vi: "`correlation` thiếu `rules` ({text})", en: "{text}" }
    lint_empty_correlation_rules(text) { vi: "`rules` của luật tương quan rỗng ({text})", en: "{text}" }
    lint_missing_correlation_timespan(text) { vi: "`correlation` thiếu `timespan` ({text})", en: "{text}" }
    lint_invalid_timespan_format(text) { vi: "`timespan` không phải là khoảng thời gian hợp lệ ({text})", en: "{text}" }
    lint_invalid_window_mode(text) { vi: "`window` phải là sliding, tumbling hoặc session ({text})", en: "{text}" }
    lint_missing_session_gap(text) { vi: "cửa sổ theo phiên cần `gap` ({text})", en: "{text}" }
    lint_gap_without_session(text) { vi: "`gap` chỉ dùng với cửa sổ theo phiên ({text})", en: "{text}" }
    lint_invalid_gap_format(text) { vi: "`gap` không phải là khoảng thời gian hợp lệ ({text})", en: "{text}" }
    lint_missing_group_by(text) { vi: "loại tương quan này cần `group-by` ({text})", en: "{text}" }
    lint_missing_correlation_condition(text) { vi: "loại tương quan này cần `condition` ({text})", en: "{text}" }
    lint_missing_condition_field(text) { vi: "điều kiện của luật tương quan cần `field` ({text})", en: "{text}" }
    lint_invalid_condition_operator(text) { vi: "điều kiện của luật tương quan có phép so sánh không hợp lệ ({text})", en: "{text}" }
    lint_condition_value_not_numeric(text) { vi: "giá trị trong điều kiện của luật tương quan phải là số ({text})", en: "{text}" }
    lint_generate_not_boolean(text) { vi: "`generate` phải là true hoặc false ({text})", en: "{text}" }
    lint_missing_filter(text) { vi: "bộ lọc thiếu `filter` ({text})", en: "{text}" }
    lint_missing_filter_rules(text) { vi: "`rules` của bộ lọc sai dạng ({text})", en: "{text}" }
    lint_empty_filter_rules(text) { vi: "`rules` của bộ lọc rỗng ({text})", en: "{text}" }
    lint_missing_filter_selection(text) { vi: "bộ lọc thiếu `selection` ({text})", en: "{text}" }
    lint_missing_filter_condition(text) { vi: "bộ lọc thiếu `condition` ({text})", en: "{text}" }
    lint_filter_has_level(text) { vi: "bộ lọc không nên có `level` ({text})", en: "{text}" }
    lint_filter_has_status(text) { vi: "bộ lọc không nên có `status` ({text})", en: "{text}" }
    lint_missing_filter_logsource(text) { vi: "bộ lọc thiếu `logsource` ({text})", en: "{text}" }
    lint_single_value_all_modifier(text) { vi: "`|all` dùng với chỉ một giá trị ({text})", en: "{text}" }
    lint_empty_value_list(text) { vi: "danh sách giá trị rỗng ({text})", en: "{text}" }
    lint_wildcard_only_value(text) { vi: "giá trị chỉ có ký tự đại diện ({text})", en: "{text}" }
    lint_unsupported_sigma_version(text) { vi: "phiên bản Sigma chưa được hỗ trợ ({text})", en: "{text}" }
    lint_array_matching_without_version(text) { vi: "so khớp mảng cần khai báo phiên bản Sigma ({text})", en: "{text}" }
    lint_sigma_version_mismatch(text) { vi: "phiên bản Sigma không khớp với nội dung ({text})", en: "{text}" }
    lint_flattened_array_correlation(text) { vi: "luật tương quan dùng mảng đã làm phẳng ({text})", en: "{text}" }
}
