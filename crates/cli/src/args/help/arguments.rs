//! What arguments mean.

use super::ArgumentHelp;

const PATH: [&str; 2] = ["ĐƯỜNG_DẪN", "PATH"];
const FILE: [&str; 2] = ["TỆP", "FILE"];
const LEVEL: [&str; 2] = ["MỨC", "LEVEL"];
const NUMBER: [&str; 2] = ["SỐ", "N"];
const ADDRESS: [&str; 2] = ["ĐỊA_CHỈ", "ADDRESS"];
const NAME: [&str; 2] = ["TÊN", "NAME"];
const SWITCH: [&str; 2] = ["", ""];

/// A row of [`ARGUMENTS`].
const fn argument(
    command: &'static str,
    id: &'static str,
    value: [&'static str; 2],
    help: [&'static str; 2],
) -> ArgumentHelp {
    ArgumentHelp { command, id, value, help }
}

/// All of them; those of one command before those of every.
pub(super) const ARGUMENTS: &[ArgumentHelp] = &[
    argument(
        "*",
        "lang",
        ["NGÔN_NGỮ", "LANG"],
        [
            "Ngôn ngữ: vi, en [mặc định: theo LC_ALL, LC_MESSAGES, LANG; nếu không rõ thì vi]",
            "Language: vi, en [default: by LC_ALL, LC_MESSAGES, LANG; vi when they say neither]",
        ],
    ),
    argument(
        "*",
        "color",
        ["KHI", "WHEN"],
        [
            "Dùng màu: auto, always, never [mặc định: auto, theo NO_COLOR]",
            "Use colours: auto, always, never [default: auto, which respects NO_COLOR]",
        ],
    ),
    argument("*", "help", SWITCH, ["In hướng dẫn", "Print help"]),
    argument("*", "version", SWITCH, ["In phiên bản", "Print version"]),
    argument(
        "*",
        "rules",
        PATH,
        ["Luật Sigma: tệp, thư mục, zip hoặc gói đã đóng", "Sigma rules: files, folders, zip archives or packs"],
    ),
    argument(
        "*",
        "format",
        ["ĐỊNH_DẠNG", "FORMAT"],
        [
            "Định dạng đầu vào: auto, evtx, jsonl, json, eve, zeek, syslog, auditd, cef, leef, kv, webserver, w3c [mặc định: auto, tự nhận ra từng tệp]",
            "Format of the input: auto, evtx, jsonl, json, eve, zeek, syslog, auditd, cef, leef, kv, webserver, w3c [default: auto, recognised for each file]",
        ],
    ),
    argument(
        "detect",
        "output",
        ["ĐỊNH_DẠNG", "FORMAT"],
        [
            "Định dạng phát hiện: ndjson, ocsf, table, csv [mặc định: table trên màn hình, ngoài ra ndjson]",
            "Format of findings: ndjson, ocsf, table, csv [default: table on a terminal, else ndjson]",
        ],
    ),
    argument(
        "detect",
        "indicators",
        FILE,
        [
            "Tệp chỉ dấu tấn công (văn bản, CSV, STIX 2.1): IP, CIDR, tên miền, URL, mã băm, thư điện tử; khi có, không cần --rules",
            "Files of indicators (plain, CSV, STIX 2.1): IPs, CIDRs, domains, URLs, hashes, e-mail addresses; with them --rules is not needed",
        ],
    ),
    argument(
        "*",
        "placeholders",
        FILE,
        ["Giá trị cho %tên% trong luật có |expand", "Values for the %names% of rules with |expand"],
    ),
    argument(
        "detect",
        "threads",
        NUMBER,
        [
            "Số luồng xử lý; 0 là mỗi bộ xử lý một luồng [mặc định: 0]. Kết quả luôn như nhau",
            "Worker threads; 0 means one per processor [default: 0]. Findings are always the same",
        ],
    ),
    argument(
        "detect",
        "level",
        LEVEL,
        [
            "Chỉ lấy phát hiện từ mức này: informational, low, medium, high, critical [mặc định: informational]",
            "Only findings of at least this level: informational, low, medium, high, critical [default: informational]",
        ],
    ),
    argument(
        "list",
        "level",
        LEVEL,
        [
            "Chỉ liệt kê luật từ mức này: informational, low, medium, high, critical",
            "Only rules of at least this level: informational, low, medium, high, critical",
        ],
    ),
    argument(
        "detect",
        "fail_on",
        LEVEL,
        [
            "Thoát với mã 1 khi có phát hiện từ mức này",
            "Exit with code 1 when there is a finding of at least this level",
        ],
    ),
    argument(
        "detect",
        "strict",
        SWITCH,
        [
            "Thoát với mã 3 khi có tệp không đọc được, bản ghi hỏng hoặc luật không dùng được",
            "Exit with code 3 when a file is unreadable, a record malformed or a rule unusable",
        ],
    ),
    argument("check", "strict", SWITCH, ["Coi cảnh báo như lỗi", "Take warnings for errors"]),
    argument(
        "import",
        "strict",
        SWITCH,
        ["Không tạo gói khi có luật không dùng được", "Make no pack when a rule cannot be used"],
    ),
    argument(
        "detect",
        "explain",
        ["MÃ_LUẬT", "RULE_ID"],
        [
            "Giải thích vì sao luật này khớp hay không khớp, theo từng trường",
            "Explain, field by field, why this rule matches or does not",
        ],
    ),
    argument(
        "*",
        "position",
        NUMBER,
        ["Chỉ giải thích sự kiện ở dòng hoặc bản ghi số này", "Explain only the event at this line or record number"],
    ),
    argument(
        "detect",
        "max_malformed_reported",
        NUMBER,
        ["Số bản ghi hỏng được nêu rõ [mặc định: 5]", "How many malformed records to describe [default: 5]"],
    ),
    argument(
        "list",
        "logsource",
        ["NGUỒN", "SOURCE"],
        [
            "Chỉ luật của nguồn log này: product=…,category=…,service=…",
            "Only rules for this log source: product=…,category=…,service=…",
        ],
    ),
    argument(
        "*",
        "logsource",
        ["NGUỒN", "SOURCE"],
        [
            "Coi mọi sự kiện thuộc nguồn log này: product=…,category=…,service=…",
            "Take all events to be of this log source: product=…,category=…,service=…",
        ],
    ),
    argument(
        "detect",
        "summary_json",
        FILE,
        ["Ghi bản tổng kết dạng JSON vào tệp này", "Write the summary as JSON to this file"],
    ),
    argument("detect", "no_progress", SWITCH, ["Không hiện thanh tiến độ", "Show no progress bar"]),
    argument(
        "detect",
        "input",
        ["ĐẦU_VÀO", "INPUT"],
        [
            "Tệp, thư mục hoặc mẫu như '**/*.evtx', kể cả nén gzip, zstd; - là đầu vào chuẩn",
            "Files, folders or patterns such as '**/*.evtx', gzip and zstd too; - is standard input",
        ],
    ),
    argument(
        "explain",
        "input",
        ["ĐẦU_VÀO", "INPUT"],
        ["Tệp sự kiện để giải thích luật trên đó", "Event files to explain the rule on"],
    ),
    argument("explain", "rule", ["MÃ_LUẬT", "RULE_ID"], ["Mã (id) của luật", "Id of the rule"]),
    argument(
        "*",
        "path",
        PATH,
        ["Luật Sigma: tệp, thư mục, zip hoặc gói đã đóng", "Sigma rules: files, folders, zip archives or packs"],
    ),
    argument("import", "output", ["GÓI", "PACK"], ["Tệp gói sẽ ghi", "The pack to write"]),
    argument(
        "*",
        "output",
        ["ĐỊNH_DẠNG", "FORMAT"],
        ["Định dạng kết quả: text, json [mặc định: text]", "Format of the result: text, json [default: text]"],
    ),
    argument(
        "list",
        "tag",
        ["NHÃN", "TAG"],
        [
            "Chỉ luật có nhãn này hoặc nhãn con, như attack.t1059",
            "Only rules with this tag or one below it, such as attack.t1059",
        ],
    ),
    argument(
        "list",
        "status",
        ["TRẠNG_THÁI", "STATUS"],
        ["Chỉ luật có trạng thái này, như stable", "Only rules with this status, such as stable"],
    ),
    argument(
        "list",
        "search",
        ["TỪ", "WORDS"],
        ["Chỉ luật có các từ này trong mã hoặc tên", "Only rules with these words in id or title"],
    ),
    argument(
        "*",
        "data",
        ["THƯ_MỤC", "FOLDER"],
        ["Thư mục dữ liệu [mặc định: khien-data]", "Data folder [default: khien-data]"],
    ),
    argument(
        "serve",
        "listen",
        ADDRESS,
        ["Địa chỉ HTTP [mặc định: 127.0.0.1:8514]", "Where HTTP is spoken [default: 127.0.0.1:8514]"],
    ),
    argument(
        "serve",
        "rules",
        PATH,
        [
            "Luật Sigma cho mọi sự kiện: tệp, thư mục, zip hoặc gói đã đóng",
            "Sigma rules for all events: files, folders, zip archives or packs",
        ],
    ),
    argument(
        "serve",
        "indicators",
        FILE,
        [
            "Tệp chỉ dấu tấn công được tìm trong mọi sự kiện (văn bản, CSV, STIX 2.1)",
            "Files of indicators that are looked for in all events (plain, CSV, STIX 2.1)",
        ],
    ),
    argument(
        "demo",
        "data",
        ["THƯ_MỤC", "FOLDER"],
        ["Thư mục dữ liệu [mặc định: thư mục tạm]", "Data folder [default: a temporary one]"],
    ),
    argument(
        "simulate",
        "data",
        ["THƯ_MỤC", "FOLDER"],
        ["Thư mục dữ liệu của máy chủ, để thêm các SOC mô phỏng", "Data folder of the server, to enter the SOCs in"],
    ),
    argument("demo", "socs", NUMBER, ["Số SOC mô phỏng [mặc định: 12]", "How many SOCs are simulated [default: 12]"]),
    argument(
        "simulate",
        "socs",
        NUMBER,
        ["Số SOC mô phỏng [mặc định: 120]", "How many SOCs are simulated [default: 120]"],
    ),
    argument(
        "demo",
        "rate",
        NUMBER,
        ["Tổng số sự kiện mỗi giây [mặc định: 600]", "Events a second, of all together [default: 600]"],
    ),
    argument(
        "simulate",
        "rate",
        NUMBER,
        ["Tổng số sự kiện mỗi giây [mặc định: 1000]", "Events a second, of all together [default: 1000]"],
    ),
    argument(
        "demo",
        "seconds",
        ["GIÂY", "SECONDS"],
        ["Chạy trong bao nhiêu giây [mặc định: 20]", "How many seconds it runs [default: 20]"],
    ),
    argument(
        "simulate",
        "seconds",
        ["GIÂY", "SECONDS"],
        ["Chạy trong bao nhiêu giây [mặc định: đến khi Ctrl-C]", "How many seconds it runs [default: until Ctrl-C]"],
    ),
    argument(
        "demo",
        "listen",
        ADDRESS,
        ["Địa chỉ HTTP [mặc định: 127.0.0.1, cổng trống]", "Where HTTP is spoken [default: a free port of 127.0.0.1]"],
    ),
    argument("simulate", "to", ["URL", "URL"], ["Địa chỉ máy chủ", "Address of the server"]),
    argument(
        "simulate",
        "tokens",
        FILE,
        ["Mã truy cập của các SOC, mỗi dòng một mã", "Tokens of the SOCs, one a line"],
    ),
    argument(
        "*",
        "events",
        PATH,
        [
            "Tệp hoặc thư mục sự kiện, mỗi dòng một sự kiện; thời gian được đổi thành bây giờ",
            "Files or folders of events, one a line; their times are changed to now",
        ],
    ),
    argument("serve", "https", ADDRESS, ["Nơi lắng nghe HTTPS (TLS)", "Where HTTPS is spoken"]),
    argument(
        "serve",
        "owners",
        FILE,
        [
            "Chủ sở hữu của dải mạng và tên miền, tệp CSV: dải hoặc tên miền, tên tổ chức",
            "Owners of networks and domains, as CSV: network or domain, organisation",
        ],
    ),
    argument(
        "serve",
        "geoip",
        FILE,
        [
            "Cơ sở dữ liệu quốc gia và số hiệu mạng (ASN) dạng MaxMind (.mmdb)",
            "Databases of countries and autonomous systems in MaxMind's format (.mmdb)",
        ],
    ),
    argument(
        "serve",
        "query_memory",
        ["MIB", "MIB"],
        [
            "Bộ nhớ cho mỗi truy vấn, tính bằng MiB; thiếu thì dùng đĩa [mặc định: 512]",
            "Memory of one query in MiB; beyond it the disk is used [default: 512]",
        ],
    ),
    argument(
        "*",
        "file",
        FILE,
        ["Chứng thư số dạng PEM, không kèm khóa riêng", "The certificate as PEM, without its private key"],
    ),
    argument("network", "remove", SWITCH, ["Bỏ các dải địa chỉ này", "Remove these networks"]),
    argument("source", "remove", SWITCH, ["Bỏ khai báo các nguồn này", "Take the declarations back"]),
    argument(
        "source",
        "silence",
        ["PHÚT", "MINUTES"],
        [
            "Số phút im lặng thì cảnh báo [mặc định: theo nhịp đã thấy của nguồn]",
            "Minutes of silence before an alert [default: learned from the source]",
        ],
    ),
    argument(
        "*",
        "sources",
        ["NGUỒN", "SOURCE"],
        ["Tên nguồn, như bên gửi ghi", "Sources, as their sender calls them"],
    ),
    argument("*", "networks", ["DẢI", "NETWORK"], ["Dải địa chỉ IP: 10.0.0.0/8", "Networks: 10.0.0.0/8"]),
    argument("serve", "syslog_udp", ADDRESS, ["Nhận syslog qua UDP", "Take syslog over UDP"]),
    argument("serve", "syslog_tcp", ADDRESS, ["Nhận syslog qua TCP", "Take syslog over TCP"]),
    argument("serve", "syslog_tls", ADDRESS, ["Nhận syslog qua TLS", "Take syslog over TLS"]),
    argument("serve", "tls_cert", FILE, ["Chuỗi chứng thư (PEM)", "Certificate chain (PEM)"]),
    argument("serve", "tls_key", FILE, ["Khóa riêng (PEM)", "Private key (PEM)"]),
    argument(
        "serve",
        "syslog_source",
        NAME,
        [
            "SOC của các thông điệp syslog mà chứng thư và địa chỉ không cho biết",
            "The SOC of syslog messages when neither certificate nor address says it",
        ],
    ),
    argument(
        "serve",
        "threads",
        NUMBER,
        [
            "Số luồng xử lý; 0 là mỗi bộ xử lý một luồng [mặc định: 0]",
            "Worker threads; 0 means one per processor [default: 0]",
        ],
    ),
    argument(
        "query",
        "output",
        ["ĐỊNH_DẠNG", "FORMAT"],
        [
            "Định dạng câu trả lời: json, ndjson, csv, arrow [mặc định: csv trên màn hình, ngoài ra json]",
            "Format of the answer: json, ndjson, csv, arrow [default: csv on a terminal, else json]",
        ],
    ),
    argument(
        "query",
        "timeout",
        ["GIÂY", "SECONDS"],
        ["Thời gian tối đa [mặc định: 300]", "Most seconds it may take [default: 300]"],
    ),
    argument(
        "query",
        "sql",
        ["SQL", "SQL"],
        ["Câu hỏi bằng SQL (chỉ truy vấn đọc)", "The question, in SQL (queries only)"],
    ),
    argument(
        "forward",
        "data",
        ["THƯ_MỤC", "FOLDER"],
        ["Nơi lưu tạm [mặc định: khien-forward]", "Where it keeps what was not sent yet [default: khien-forward]"],
    ),
    argument("forward", "to", ["URL", "URL"], ["Địa chỉ máy chủ", "Address of the server"]),
    argument("forward", "token_file", FILE, ["Tệp chứa mã truy cập của SOC", "File with the token of the SOC"]),
    argument(
        "forward",
        "follow",
        PATH,
        ["Tệp và thư mục được đọc liên tục", "Files and folders that are read as they grow"],
    ),
    argument(
        "forward",
        "source",
        NAME,
        ["Tên nguồn của các tệp [mặc định: tên tệp]", "Source of the events of files [default: the file's name]"],
    ),
    argument("forward", "syslog_udp", ADDRESS, ["Nhận syslog qua UDP", "Take syslog over UDP"]),
    argument("forward", "syslog_tcp", ADDRESS, ["Nhận syslog qua TCP", "Take syslog over TCP"]),
    argument(
        "forward",
        "ca",
        FILE,
        ["Chứng thư gốc (PEM) được tin thêm", "A certificate authority (PEM) to trust besides the usual ones"],
    ),
    argument(
        "search",
        "limit",
        NUMBER,
        ["Số sự kiện tối đa [mặc định: 20]", "Most events that are shown [default: 20]"],
    ),
    argument(
        "search",
        "facet",
        ["TRƯỜNG", "FIELD"],
        [
            "Hiện các giá trị thường gặp của trường này; có thể lặp lại",
            "Show frequent values of this field; may be repeated",
        ],
    ),
    argument("search", "query", ["CÂU_TÌM", "QUERY"], ["Điều cần tìm", "What is looked for"]),
    argument("*", "soc", NAME, ["Chỉ của SOC này [mặc định: mọi SOC]", "Of this SOC only [default: all SOCs]"]),
    argument("*", "class", NUMBER, ["Chỉ của lớp OCSF này, như 4003", "Of this OCSF class only, such as 4003"]),
    argument("*", "days", NUMBER, ["Số ngày lưu giữ", "How many days"]),
    argument("*", "reason", ["LÝ_DO", "REASON"], ["Lý do hoặc căn cứ pháp lý", "Why, or the legal basis"]),
    argument("*", "from", ["NGÀY", "DATE"], ["Ngày đầu, như 2026-11-20", "First day, such as 2026-11-20"]),
    argument("*", "until", ["NGÀY", "DATE"], ["Ngày cuối", "Last day"]),
    argument("*", "id", ["MÃ", "ID"], ["Mã trong danh sách", "The number in the list"]),
    argument("*", "name", NAME, ["Tên", "Name"]),
    argument(
        "add",
        "file",
        FILE,
        ["Luật Sigma: tệp zip, gói đã đóng hoặc YAML", "Sigma rules: a zip archive, a compiled pack or YAML"],
    ),
    argument("live", "version", NUMBER, ["Phiên bản [mặc định: mới nhất]", "Version [default: the newest]"]),
    argument(
        "live",
        "organisation",
        NAME,
        [
            "Chỉ áp dụng cho SOC này; có thể lặp lại [mặc định: mọi SOC]",
            "For this SOC only; may be repeated [default: all SOCs]",
        ],
    ),
    argument(
        "add",
        "kind",
        ["LOẠI", "KIND"],
        [
            "Của ai: ministry (bộ, ngành), province (tỉnh), infrastructure (hạ tầng), foreign (nước ngoài)",
            "Whose it is: ministry, province, infrastructure, foreign",
        ],
    ),
    argument(
        "add",
        "events_per_second",
        NUMBER,
        ["Số sự kiện tối đa mỗi giây [mặc định: không giới hạn]", "Most events a second [default: no limit]"],
    ),
    argument(
        "add",
        "bytes_per_second",
        NUMBER,
        ["Số byte tối đa mỗi giây [mặc định: không giới hạn]", "Most bytes a second [default: no limit]"],
    ),
    argument(
        "add",
        "events_per_day",
        NUMBER,
        ["Số sự kiện tối đa mỗi ngày [mặc định: không giới hạn]", "Most events on a day [default: no limit]"],
    ),
];
