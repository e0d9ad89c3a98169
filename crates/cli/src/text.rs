//! Every message for people, Vietnamese and English side by side.
//!
//! A message is a function, so a missing argument does not compile and a missing language cannot be written. Help texts
//! of the command line are in `args/help.rs`, as they are looked up by the name of an argument.

use std::fmt::{self, Write as _};

use khien_base::lang::Lang;
use khien_base::message::Message;
use khien_detect::rule::Level;

/// Appends formatted text to `out`.
pub fn append(out: &mut String, formatted: fmt::Arguments<'_>) {
    let written = out.write_fmt(formatted);
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

/// Messages in one language.
#[derive(Clone, Copy, Debug)]
pub struct Text(pub Lang);

/// One message in both languages, for tests.
#[cfg(test)]
type Entry = (&'static str, &'static str, &'static str);

/// Words and sentences that never change.
macro_rules! words {
    ($($name:ident { vi: $vi:literal, en: $en:literal })*) => {
        impl Text {
            $(
                #[doc = concat!("“", $en, "”")]
                pub fn $name(self) -> &'static str {
                    self.0.pick($vi, $en)
                }
            )*
        }

        #[cfg(test)]
        const WORDS: &[Entry] = &[$((stringify!($name), $vi, $en)),*];
    };
}

/// Sentences with values in them. Values come from [`crate::safe::line`] where strangers wrote them.
macro_rules! messages {
    ($($name:ident($($arg:ident),+) { vi: $vi:literal, en: $en:literal })*) => {
        impl Text {
            $(
                #[doc = concat!("“", $en, "”")]
                pub fn $name(self, $($arg: &str),+) -> String {
                    match self.0 {
                        Lang::Vi => format!($vi),
                        Lang::En => format!($en),
                    }
                }
            )*
        }

        #[cfg(test)]
        const MESSAGES: &[Entry] = &[$((stringify!($name), $vi, $en)),*];
    };
}

words! {
    error { vi: "lỗi:", en: "error:" }
    warning { vi: "chú ý:", en: "warning:" }
    hint { vi: "gợi ý:", en: "hint:" }
    usage { vi: "Cách dùng:", en: "Usage:" }
    commands { vi: "Lệnh", en: "Commands" }
    help_hint { vi: "Dùng --help để xem hướng dẫn.", en: "Use --help for help." }

    serve_stopping { vi: "đang dừng: lưu nốt những gì đã nhận", en: "stopping: keeping what was taken in" }
    token_once {
        vi: "Mã truy cập của SOC, chỉ hiện một lần này; hãy cất giữ cẩn thận:",
        en: "The token of the SOC, shown this one time; keep it safe:"
    }
    data_folder_unusable { vi: "không dùng được thư mục dữ liệu", en: "cannot use the data folder" }
    no_certificate { vi: "TLS cần --tls-cert và --tls-key", en: "TLS needs --tls-cert and --tls-key" }
    lake_unusable { vi: "không mở được kho dữ liệu", en: "cannot open the lake" }
    state_unusable { vi: "không mở được cơ sở dữ liệu trạng thái", en: "cannot open the state database" }
    only_queries {
        vi: "chỉ nhận câu truy vấn: SELECT, WITH, EXPLAIN",
        en: "only queries are allowed: SELECT, WITH, EXPLAIN"
    }
    nothing_to_forward {
        vi: "không có gì để gửi: nêu --follow, --syslog-udp hoặc --syslog-tcp",
        en: "there is nothing to send: give --follow, --syslog-udp or --syslog-tcp"
    }
    no_operators {
        vi: "chưa có người trực nào; thêm bằng khien admin operator add",
        en: "there is no operator yet; enter one with khien admin operator add"
    }
    no_packs {
        vi: "chưa có gói luật nào; thêm bằng khien admin pack add",
        en: "there is no pack yet; add one with khien admin pack add"
    }
    no_holds { vi: "không có lệnh giữ nào", en: "there is no hold" }
    lifted { vi: "đã dỡ", en: "lifted" }
    revoked { vi: "đã thu hồi", en: "revoked" }
    pack_draft { vi: "nháp", en: "draft" }
    pack_live { vi: "đang áp dụng", en: "in force" }
    pack_retired { vi: "đã ngừng", en: "retired" }
    pack_all { vi: "mọi SOC", en: "all SOCs" }
    no_socs { vi: "chưa có SOC nào; thêm bằng khien admin soc add", en: "there is no SOC yet; enter one with khien admin soc add" }

    level_informational { vi: "thông tin", en: "informational" }
    level_low { vi: "thấp", en: "low" }
    level_medium { vi: "trung bình", en: "medium" }
    level_high { vi: "cao", en: "high" }
    level_critical { vi: "nghiêm trọng", en: "critical" }

    column_level { vi: "Mức", en: "Level" }
    column_count { vi: "Số lần", en: "Count" }
    column_rule { vi: "Luật", en: "Rule" }
    column_id { vi: "Mã", en: "Id" }
    column_logsource { vi: "Nguồn log", en: "Log source" }
    column_attack { vi: "ATT&CK", en: "ATT&CK" }
    column_title { vi: "Tên luật", en: "Title" }

    no_findings { vi: "Không có phát hiện nào.", en: "No findings." }
    time_unknown { vi: "không rõ thời gian", en: "time unknown" }
    from_indicator { vi: "chỉ dấu tấn công", en: "indicator" }
    from_correlation { vi: "luật tương quan", en: "correlation" }
    standard_input { vi: "đầu vào chuẩn", en: "standard input" }

    summary_title { vi: "Tổng kết", en: "Summary" }
    summary_files { vi: "Tệp", en: "Files" }
    summary_events { vi: "Sự kiện", en: "Events" }
    summary_malformed { vi: "Bản ghi hỏng", en: "Malformed" }
    summary_unrecognised { vi: "Không giải mã được", en: "Not decoded" }
    summary_rules { vi: "Luật", en: "Rules" }
    summary_indicators { vi: "Chỉ dấu", en: "Indicators" }
    summary_findings { vi: "Phát hiện", en: "Findings" }
    summary_correlation { vi: "Tương quan", en: "Correlation" }
    summary_time { vi: "Thời gian", en: "Time" }
    stopped {
        vi: "Đã dừng theo yêu cầu: phần còn lại chưa được đọc.",
        en: "Stopped as asked: the rest was not read."
    }

    matched { vi: "KHỚP", en: "MATCH" }
    not_matched { vi: "KHÔNG KHỚP", en: "NO MATCH" }
    not_applicable { vi: "luật không được thử ở đây: luật dành cho nguồn log khác, hoặc không rõ nguồn của bản ghi này (nêu bằng --logsource)", en: "the rule is not tried here: it is written for another log source, or the source of this record is unknown (--logsource says it)" }
    all_of { vi: "tất cả", en: "all of" }
    any_of { vi: "ít nhất một", en: "any of" }
    none_of { vi: "không được", en: "not" }
    any_field { vi: "(mọi trường)", en: "(any field)" }
    no_condition { vi: "(không có điều kiện)", en: "(no condition)" }

    label_id { vi: "Mã", en: "Id" }
    label_level { vi: "Mức", en: "Level" }
    label_status { vi: "Trạng thái", en: "Status" }
    label_author { vi: "Tác giả", en: "Author" }
    label_logsource { vi: "Nguồn log", en: "Log source" }
    label_tags { vi: "Nhãn", en: "Tags" }
    label_file { vi: "Tệp", en: "File" }
    label_description { vi: "Mô tả", en: "Description" }
    label_false_positives { vi: "Báo nhầm có thể gặp", en: "Known false positives" }
    label_condition { vi: "Điều kiện", en: "Condition" }
    label_type { vi: "Loại", en: "Type" }
    label_group_by { vi: "Nhóm theo", en: "Grouped by" }
    label_timespan { vi: "Trong khoảng", en: "Within" }
    label_rules { vi: "Các luật", en: "Rules" }
    label_aliases { vi: "Tên chung", en: "Aliases" }
    measured_events { vi: "số sự kiện", en: "number of events" }
    measured_rules { vi: "số luật khớp", en: "number of rules that matched" }

    test_null { vi: "vắng mặt hoặc null", en: "is absent or null" }
    test_exists { vi: "có mặt", en: "is present" }
    test_absent { vi: "vắng mặt", en: "is absent" }
    case_matters { vi: "phân biệt hoa thường", en: "case matters" }
    part_minute { vi: "phút", en: "minute" }
    part_hour { vi: "giờ", en: "hour" }
    part_day { vi: "ngày", en: "day" }
    part_week { vi: "tuần", en: "week" }
    part_month { vi: "tháng", en: "month" }
    part_year { vi: "năm", en: "year" }

    no_input { vi: "không có tệp nào để đọc", en: "there is nothing to read" }
    no_rules { vi: "không có luật nào dùng được", en: "no rule can be used" }
    nothing_read { vi: "không đọc được dữ liệu nào", en: "nothing could be read" }
    standard_input_twice { vi: "đầu vào chuẩn (-) chỉ đọc được một lần", en: "standard input (-) can be read only once" }
    indicators_empty { vi: "danh sách chỉ báo rỗng", en: "the list of indicators is empty" }
    check_clean { vi: "không có vấn đề", en: "no problems" }
    any_log_source { vi: "mọi nguồn log", en: "any log source" }

    usage_missing_subcommand { vi: "thiếu tên lệnh", en: "the name of a command is missing" }
    usage_unknown { vi: "dòng lệnh không hợp lệ", en: "the command line makes no sense" }
    try_quotes { vi: "đặt mẫu có * hoặc ? trong dấu nháy nếu shell đã mở rộng nó", en: "put patterns with * or ? in quotes if the shell expands them" }
}

messages! {
    simulated(seconds, events, rate, slowest) {
        vi: "{seconds} giây · đã gửi {events} sự kiện · {rate}/giây · trả lời chậm nhất {slowest} ms",
        en: "{seconds} s · {events} events sent · {rate}/s · slowest answer {slowest} ms"
    }
    simulated_more(repeated, late, slowed, failed) {
        vi: "gửi lại {repeated} lô, gửi muộn {late} lô, phải chờ {slowed} lần, lỗi {failed} lần",
        en: "{repeated} batches sent twice, {late} late, told to wait {slowed} times, failed {failed} times"
    }
    demo_second(seconds, sent, kept, findings, severe, alerts) {
        vi: "{seconds} giây · đã gửi {sent} · trong kho {kept} · phát hiện {findings} · từ mức cao {severe} · cảnh báo {alerts}",
        en: "{seconds} s · {sent} sent · {kept} in the lake · {findings} findings · {severe} high or critical · {alerts} alerts"
    }
    demo_newest(level, time, soc, title) {
        vi: "      mới nhất: [{level}] {time} {soc}: {title}",
        en: "      newest: [{level}] {time} {soc}: {title}"
    }
    demo_end(sent, kept) {
        vi: "Đã gửi {sent} sự kiện, kho có {kept}: không mất, không trùng nếu hai số bằng nhau.",
        en: "{sent} events were sent, the lake has {kept}: nothing lost and nothing doubled if both are the same."
    }
    demo_rule(count, level, title) { vi: "  {count}  [{level}] {title}", en: "  {count}  [{level}] {title}" }
    serve_rules(rules, unusable) {
        vi: "{rules} luật được dùng, {unusable} luật không dùng được",
        en: "{rules} rules are used, {unusable} cannot be used"
    }
    serve_indicators(indicators, unusable) {
        vi: "{indicators} chỉ dấu được dùng, {unusable} chỉ dấu không dùng được",
        en: "{indicators} indicators are used, {unusable} cannot be used"
    }
    serve_ready(address) { vi: "sẵn sàng tại http://{address}", en: "ready at http://{address}" }
    file_unreadable(path) { vi: "không đọc được {path}", en: "cannot read {path}" }
    owners_unusable(path, line, reason) {
        vi: "tệp chủ sở hữu {path}, dòng {line}: {reason}",
        en: "the owners in {path}, line {line}: {reason}"
    }
    geoip_unusable(path, reason) {
        vi: "không dùng được cơ sở dữ liệu GeoIP {path}: {reason}",
        en: "cannot use the GeoIP database {path}: {reason}"
    }
    serve_https(address) { vi: "sẵn sàng tại https://{address}", en: "ready at https://{address}" }
    certificate_added(subject, until) {
        vi: "đã đăng ký chứng thư số {subject}, hiệu lực đến {until}",
        en: "the certificate of {subject} is registered; it is valid until {until}"
    }
    certificates(count) { vi: "{count} chứng thư số", en: "{count} certificates" }
    serve_syslog(protocol, address) { vi: "nhận syslog ({protocol}) tại {address}", en: "takes syslog ({protocol}) at {address}" }
    folder_unusable(path) { vi: "không dùng được thư mục dữ liệu {path}", en: "cannot use the data folder {path}" }
    cannot_listen(address) { vi: "không lắng nghe được tại {address}", en: "cannot listen at {address}" }
    certificate_unusable(path, reason) {
        vi: "không dùng được chứng thư {path}: {reason}",
        en: "cannot use the certificate {path}: {reason}"
    }
    journal_unusable(path) { vi: "không mở được nhật ký tiếp nhận tại {path}", en: "cannot open the journal at {path}" }
    journal_in_use(path) {
        vi: "tiến trình khác đang dùng nhật ký tiếp nhận tại {path}",
        en: "another process uses the journal at {path}"
    }
    no_lake(folder) { vi: "không có kho dữ liệu trong {folder}", en: "there is no lake in {folder}" }
    query_long(seconds) { vi: "truy vấn chạy quá {seconds} giây", en: "the query took longer than {seconds} seconds" }
    query_memory(mib) { vi: "truy vấn cần hơn {mib} MiB bộ nhớ", en: "the query needs more than {mib} MiB of memory" }
    query_rows(most) {
        vi: "câu trả lời có hơn {most} dòng; thêm LIMIT hoặc hỏi ít hơn",
        en: "the answer has more than {most} rows; add a LIMIT, or ask for less"
    }
    forwarding(to) { vi: "đang gửi đến {to}", en: "sending to {to}" }
    forwarded(read, sent, failures) {
        vi: "đã đọc {read} sự kiện từ tệp · máy chủ đã nhận {sent} · lỗi {failures} lần",
        en: "{read} events read from files · {sent} taken by the server · {failures} failures"
    }
    address_unusable(address) {
        vi: "`{address}` không phải địa chỉ máy chủ; viết http://HOST:PORT hoặc https://HOST",
        en: "`{address}` is no address of a server; write http://HOST:PORT or https://HOST"
    }
    kept_by_default(days, legal) {
        vi: "mặc định: {days} ngày ({legal})",
        en: "by default: {days} days ({legal})"
    }
    search_total(count) { vi: "{count} sự kiện", en: "{count} events" }
    tokens(count) { vi: "{count} mã truy cập", en: "{count} tokens" }
    tokens_revoked(count, name) { vi: "đã thu hồi {count} mã truy cập của {name}", en: "revoked {count} tokens of {name}" }
    test_equals(value) { vi: "bằng {value}", en: "is {value}" }
    test_contains(value) { vi: "chứa {value}", en: "contains {value}" }
    test_starts(value) { vi: "bắt đầu bằng {value}", en: "starts with {value}" }
    test_ends(value) { vi: "kết thúc bằng {value}", en: "ends with {value}" }
    test_like(value) { vi: "có dạng {value}", en: "is like {value}" }
    test_regex(value) { vi: "khớp biểu thức chính quy {value}", en: "matches the regular expression {value}" }
    test_cidr(value) { vi: "thuộc mạng {value}", en: "is in the network {value}" }
    test_field(field) { vi: "trường {field}", en: "the field {field}" }
    test_time(part, value) { vi: "{part} là {value}", en: "{part} is {value}" }
    measured_values(fields) { vi: "số giá trị khác nhau của {fields}", en: "number of different values of {fields}" }
    measured_sum(fields) { vi: "tổng của {fields}", en: "sum of {fields}" }
    measured_average(fields) { vi: "trung bình của {fields}", en: "average of {fields}" }
    measured_median(fields) { vi: "trung vị của {fields}", en: "median of {fields}" }
    measured_percentile(fields, percent) { vi: "phân vị {percent}% của {fields}", en: "percentile {percent} of {fields}" }
    unit_days(count) { vi: "{count} ngày", en: "{count} d" }
    unit_hours(count) { vi: "{count} giờ", en: "{count} h" }
    unit_minutes(count) { vi: "{count} phút", en: "{count} min" }
    unit_seconds(count) { vi: "{count} giây", en: "{count} s" }
    detection(name) { vi: "{name}:", en: "{name}:" }

    and_more(count) { vi: "… và {count} nữa", en: "… and {count} more" }
    findings_of_rules(findings, rules) { vi: "{findings} phát hiện từ {rules} luật", en: "{findings} findings from {rules} rules" }
    beyond_table(findings) { vi: "{findings} phát hiện của các luật khác không hiện ở đây; dùng --output ndjson để lấy hết", en: "{findings} findings of further rules are not shown here; use --output ndjson for all" }
    times(count) { vi: "{count} lần", en: "{count}×" }
    at_position(file, position) { vi: "{file}:{position}", en: "{file}:{position}" }
    evidence(places) { vi: "các sự kiện: {places}", en: "events: {places}" }
    at_least(count) { vi: "ít nhất {count}", en: "at least {count} of" }

    progress(events, rate, findings) { vi: "{events} sự kiện, {rate} sự kiện/giây, {findings} phát hiện", en: "{events} events, {rate} events/s, {findings} findings" }

    summary_files_value(read, failed, size) { vi: "{read} đã đọc, {failed} không đọc được, {size}", en: "{read} read, {failed} unreadable, {size}" }
    summary_rules_value(usable, unusable) { vi: "{usable} đã dùng, {unusable} không dùng được", en: "{usable} used, {unusable} unusable" }
    summary_correlation_value(active, evicted, late) { vi: "{active} trạng thái, {evicted} bị bỏ vì giới hạn bộ nhớ, {late} sự kiện đến muộn", en: "states: {active}, dropped by the memory limit: {evicted}, late events: {late}" }
    summary_time_value(seconds, rate) { vi: "{seconds} giây, {rate} sự kiện/giây", en: "{seconds} s, {rate} events/s" }
    malformed_sample(file, position, reason) { vi: "{file}:{position}: {reason}", en: "{file}:{position}: {reason}" }
    unusable_rules(count) { vi: "{count} luật không dùng được; xem bằng: khien rules check", en: "unusable rules: {count}; see them with: khien rules check" }

    cannot_read(path, reason) { vi: "không đọc được {path}: {reason}", en: "cannot read {path}: {reason}" }
    cannot_write(path) { vi: "không ghi được {path}", en: "cannot write {path}" }
    no_match(pattern) { vi: "không có tệp nào khớp với {pattern}", en: "no file matches {pattern}" }
    bad_pattern(pattern, reason) { vi: "mẫu tên tệp {pattern} không hợp lệ: {reason}", en: "the file pattern {pattern} is not valid: {reason}" }
    too_many_files(count) { vi: "hơn {count} tệp; các tệp sau đó bị bỏ qua", en: "more than {count} files; the rest is left out" }
    unknown_rule(id) { vi: "không có luật {id}", en: "there is no rule {id}" }
    similar_rules(ids) { vi: "có phải một trong: {ids}", en: "did you mean one of: {ids}" }
    explain_parts(id, rules) { vi: "{id} là luật tương quan trên nhiều sự kiện; hãy giải thích từng luật của nó: {rules}", en: "{id} is a correlation over many events; explain its rules one by one: {rules}" }
    nothing_to_explain(id) { vi: "không có sự kiện nào để giải thích luật {id}", en: "there is no event to explain rule {id} with" }

    check_summary(rules, errors, warnings) { vi: "{rules} luật: {errors} lỗi, {warnings} cảnh báo", en: "rules: {rules}, errors: {errors}, warnings: {warnings}" }
    list_summary(shown, total) { vi: "{shown} trên {total} luật", en: "{shown} of {total} rules" }
    imported(rules, path, size) { vi: "đã nhập {rules} luật vào {path} ({size})", en: "imported {rules} rules into {path} ({size})" }

    usage_unknown_argument(argument) { vi: "không có tham số {argument}", en: "there is no argument {argument}" }
    usage_unknown_command(command) { vi: "không có lệnh {command}", en: "there is no command {command}" }
    usage_bad_value(value, argument) { vi: "giá trị '{value}' của {argument} không hợp lệ", en: "'{value}' is not a value of {argument}" }
    usage_missing_value(argument) { vi: "{argument} cần một giá trị", en: "{argument} needs a value" }
    usage_missing(arguments) { vi: "thiếu {arguments}", en: "{arguments} is missing" }
    usage_conflict(argument, other) { vi: "{argument} không đi cùng {other}", en: "{argument} cannot be used with {other}" }
    usage_twice(argument) { vi: "{argument} chỉ được ghi một lần", en: "{argument} can be given only once" }
    usage_values(values) { vi: "các giá trị có thể dùng: {values}", en: "possible values: {values}" }
    usage_similar(name) { vi: "có phải {name}?", en: "did you mean {name}?" }
}

impl Text {
    /// A message that was made elsewhere.
    pub fn message(self, message: &Message) -> String {
        message.text(self.0)
    }

    /// The name of a level.
    pub fn level(self, level: Level) -> &'static str {
        match level {
            Level::Informational => self.level_informational(),
            Level::Low => self.level_low(),
            Level::Medium => self.level_medium(),
            Level::High => self.level_high(),
            Level::Critical => self.level_critical(),
        }
    }

    /// A whole number with its digits grouped: `1.234.567` in Vietnamese, `1,234,567` in English.
    pub fn count(self, number: u64) -> String {
        let separator = match self.0 {
            Lang::Vi => '.',
            Lang::En => ',',
        };
        let digits = number.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(separator);
            }
            out.push(digit);
        }
        out
    }

    /// A number with `places` decimals: `1,5` in Vietnamese, `1.5` in English.
    pub fn decimal(self, number: f64, places: usize) -> String {
        let plain = format!("{number:.places$}");
        match self.0 {
            Lang::Vi => plain.replace('.', ","),
            Lang::En => plain,
        }
    }

    /// A size in bytes, in the binary unit that keeps it short: `3,4 MiB`.
    pub fn size(self, bytes: u64) -> String {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let mut value = bytes as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let places = usize::from(unit > 0);
        format!("{} {}", self.decimal(value, places), UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(text: &str) -> Vec<&str> {
        let mut found: Vec<&str> = text.split('{').skip(1).filter_map(|t| t.split('}').next()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn every_message_is_in_both_languages() {
        for (name, vi, en) in WORDS.iter().chain(MESSAGES) {
            assert!(!vi.trim().is_empty() && !en.trim().is_empty(), "{name} is empty");
            assert_eq!(placeholders(vi), placeholders(en), "{name} names different values");
            assert!(!en.chars().any(|c| "ăâđêôơưạảáàã".contains(c)), "{name}: Vietnamese in English");
        }
    }

    #[test]
    fn numbers_are_written_as_the_language_does() {
        let (vi, en) = (Text(Lang::Vi), Text(Lang::En));
        assert_eq!(vi.count(1_234_567), "1.234.567");
        assert_eq!(en.count(1_234_567), "1,234,567");
        assert_eq!(en.count(123), "123");
        assert_eq!(en.count(1_000), "1,000");
        assert_eq!(vi.size(3_565_158), "3,4 MiB");
        assert_eq!(en.size(1_023), "1023 B");
        assert_eq!(en.size(u64::MAX), "16777216.0 TiB");
    }

    #[test]
    fn levels_have_their_words() {
        assert_eq!(Text(Lang::Vi).level(Level::Critical), "nghiêm trọng");
        assert_eq!(Text(Lang::En).level(Level::Medium), "medium");
    }
}
