//! What `--help` says, in both languages.

use clap::{Arg, ArgAction, Command};

use crate::text::Text;

/// Help of one command.
struct CommandHelp {
    /// Names from the root, joined by a space.
    path: &'static str,
    /// One sentence, Vietnamese and English.
    about: [&'static str; 2],
    /// What stands after the name in the usage line.
    usage: [&'static str; 2],
    /// Examples and notes.
    after: [&'static str; 2],
}

/// Help of one argument.
struct ArgumentHelp {
    /// Last name of the command, or `*` for arguments that mean the same everywhere.
    command: &'static str,
    /// Id of the argument.
    id: &'static str,
    /// Name of its value, Vietnamese and English; empty for a switch.
    value: [&'static str; 2],
    /// What it does.
    help: [&'static str; 2],
}

const EXIT_CODES: [&str; 2] = [
    "Mã thoát: 0 xong · 1 có phát hiện từ mức --fail-on · 2 sai cách dùng · 3 lỗi dữ liệu · 130 bị dừng",
    "Exit codes: 0 done · 1 findings of the --fail-on level · 2 usage · 3 data error · 130 stopped",
];

const COMMANDS: &[CommandHelp] = &[
    CommandHelp {
        path: "khien",
        about: [
            "Khiên: tìm dấu hiệu tấn công trong log bằng luật Sigma",
            "Khiên: finds signs of attacks in logs with Sigma rules",
        ],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: ["Xem thêm: khien <LỆNH> --help", "See also: khien <COMMAND> --help"],
    },
    CommandHelp {
        path: "khien detect",
        about: [
            "Chạy luật Sigma và chỉ dấu tấn công trên tệp log, in ra các phát hiện",
            "Runs Sigma rules and indicators over log files and prints findings",
        ],
        usage: ["--rules <ĐƯỜNG_DẪN>... [TÙY CHỌN] [--] <ĐẦU_VÀO>...", "--rules <PATH>... [OPTIONS] [--] <INPUT>..."],
        after: [
            "Ví dụ:\n  khien detect nhat-ky/ --rules luat/\n  khien detect '**/*.evtx' --rules sigma.pack --level high --fail-on critical\n  zcat eve.json.gz | khien detect - --format eve --rules luat/ --output ndjson",
            "Examples:\n  khien detect logs/ --rules rules/\n  khien detect '**/*.evtx' --rules sigma.pack --level high --fail-on critical\n  zcat eve.json.gz | khien detect - --format eve --rules rules/ --output ndjson",
        ],
    },
    CommandHelp {
        path: "khien rules",
        about: ["Kiểm tra, liệt kê, đóng gói và giải thích luật", "Checks, lists, packs and explains rules"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien rules check",
        about: [
            "Kiểm tra luật như một bước CI: in từng vấn đề với tệp và dòng",
            "Checks rules as a CI step: prints each problem with file and line",
        ],
        usage: ["[TÙY CHỌN] <ĐƯỜNG_DẪN>...", "[OPTIONS] <PATH>..."],
        after: [
            "Mã thoát: 0 mọi luật dùng được · 3 có luật không dùng được (với --strict: có cảnh báo)",
            "Exit codes: 0 every rule can be used · 3 a rule cannot (with --strict: or there are warnings)",
        ],
    },
    CommandHelp {
        path: "khien rules list",
        about: [
            "Liệt kê luật với mã, mức, nguồn log, ATT&CK và tên",
            "Lists rules with id, level, log source, ATT&CK and title",
        ],
        usage: ["[TÙY CHỌN] <ĐƯỜNG_DẪN>...", "[OPTIONS] <PATH>..."],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien rules import",
        about: [
            "Đóng gói một thư mục hoặc tệp zip luật (như SigmaHQ) thành gói nạp tức thì",
            "Packs a folder or zip of rules (such as SigmaHQ's) into a file that loads in an instant",
        ],
        usage: ["[TÙY CHỌN] --output <GÓI> <ĐƯỜNG_DẪN>...", "[OPTIONS] --output <PACK> <PATH>..."],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien rules explain",
        about: [
            "Trình bày một luật cho dễ đọc; có tệp sự kiện thì giải thích vì sao luật khớp hay không",
            "Shows a rule in readable form; with an event file, why it matches or does not",
        ],
        usage: [
            "<MÃ_LUẬT> --rules <ĐƯỜNG_DẪN>... [TÙY CHỌN] [--] [ĐẦU_VÀO]...",
            "<RULE_ID> --rules <PATH>... [OPTIONS] [--] [INPUT]...",
        ],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien serve",
        about: [
            "Chạy máy chủ: nhận sự kiện từ các SOC, phát hiện tấn công, lưu giữ và trả lời truy vấn",
            "Runs the server: takes events in from SOCs, detects attacks, keeps everything and answers queries",
        ],
        usage: ["[TÙY CHỌN]", "[OPTIONS]"],
        after: [
            "Nhận: POST /v1/ingest, /_bulk (Elasticsearch), /services/collector/event (Splunk HEC), syslog. Hỏi: POST /v1/query.\nVí dụ:\n  khien admin soc add --name bo-tai-chinh --kind ministry\n  khien serve --rules luat/ --syslog-udp 0.0.0.0:5514 --syslog-source bo-tai-chinh",
            "Takes in: POST /v1/ingest, /_bulk (Elasticsearch), /services/collector/event (Splunk HEC), syslog. Answers: POST /v1/query.\nExamples:\n  khien admin soc add --name treasury --kind ministry\n  khien serve --rules rules/ --syslog-udp 0.0.0.0:5514 --syslog-source treasury",
        ],
    },
    CommandHelp {
        path: "khien demo",
        about: [
            "Chạy thử cả hệ thống: một máy chủ và nhiều SOC mô phỏng, mỗi giây in một dòng",
            "Shows the whole platform at work: a server and simulated SOCs, with a line every second",
        ],
        usage: [
            "--rules <ĐƯỜNG_DẪN>... --events <ĐƯỜNG_DẪN>... [TÙY CHỌN]",
            "--rules <PATH>... --events <PATH>... [OPTIONS]",
        ],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien simulate",
        about: [
            "Gửi sự kiện như nhiều SOC thật: không đều, có lúc gửi lại, gửi muộn, đứt kết nối",
            "Sends events as many real SOCs do: unevenly, sometimes twice, late, over connections that break",
        ],
        usage: ["--to <URL> [TÙY CHỌN] <SỰ_KIỆN>...", "--to <URL> [OPTIONS] <EVENTS>..."],
        after: [
            "Ví dụ:\n  khien simulate --to http://127.0.0.1:8514 --socs 120 --rate 5000 --data khien-data su-kien.jsonl",
            "Examples:\n  khien simulate --to http://127.0.0.1:8514 --socs 120 --rate 5000 --data khien-data events.jsonl",
        ],
    },
    CommandHelp {
        path: "khien query",
        about: [
            "Truy vấn SQL trên các bảng events và findings của một thư mục dữ liệu",
            "Asks the tables events and findings of a data folder with SQL",
        ],
        usage: ["[TÙY CHỌN] <SQL>", "[OPTIONS] <SQL>"],
        after: [
            "Ví dụ:\n  khien query \"SELECT organisation, count(*) FROM events GROUP BY 1\"",
            "Examples:\n  khien query \"SELECT organisation, count(*) FROM events GROUP BY 1\"",
        ],
    },
    CommandHelp {
        path: "khien forward",
        about: [
            "Đọc tệp và syslog tại SOC, lưu tạm trên đĩa rồi gửi đến máy chủ",
            "Reads files and syslog on a SOC's site, keeps them on disk and sends them to a server",
        ],
        usage: ["--to <URL> --token-file <TỆP> [TÙY CHỌN]", "--to <URL> --token-file <FILE> [OPTIONS]"],
        after: [
            "Không mất và không gửi trùng dù tiến trình, máy hay đường truyền dừng lúc nào. Trong thư mục, bỏ qua tệp cũ hoặc đã nén (.1, .gz).\nVí dụ:\n  khien forward --to https://trung-tam:8514 --token-file ma.txt --follow /var/log/audit /var/log/auth.log",
            "Nothing is lost or sent twice whenever the process, the machine or the line ends. In folders, old and packed files (.1, .gz) are left out.\nExamples:\n  khien forward --to https://centre:8514 --token-file token.txt --follow /var/log/audit /var/log/auth.log",
        ],
    },
    CommandHelp {
        path: "khien search",
        about: [
            "Tìm sự kiện bằng ngôn ngữ tìm kiếm: trường:giá_trị, khoảng, ký tự đại diện, AND OR NOT",
            "Searches events: field:value, ranges, wildcards, words, AND OR NOT",
        ],
        usage: ["[TÙY CHỌN] <CÂU_TÌM>", "[OPTIONS] <QUERY>"],
        after: [
            "Ví dụ:\n  khien search 'cmd:*powershell* NOT user:admin'\n  khien search --facet device.hostname 'ip:10.0.0.0/8 port:(22 OR 3389) time:2026-11-20'",
            "Examples:\n  khien search 'cmd:*powershell* NOT user:admin'\n  khien search --facet device.hostname 'ip:10.0.0.0/8 port:(22 OR 3389) time:2026-11-20'",
        ],
    },
    CommandHelp {
        path: "khien admin",
        about: ["Quản trị một thư mục dữ liệu", "Administers a data folder"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin soc",
        about: ["Quản lý các SOC gửi sự kiện", "Manages the SOCs that send events"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin soc add",
        about: [
            "Thêm một SOC và in mã truy cập của nó, chỉ một lần này",
            "Enters a SOC and prints its token, this one time only",
        ],
        usage: ["--name <TÊN> --kind <LOẠI> [TÙY CHỌN]", "--name <NAME> --kind <KIND> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin soc list",
        about: ["Liệt kê các SOC", "Lists the SOCs"],
        usage: ["[TÙY CHỌN]", "[OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin soc token",
        about: ["Cấp thêm một mã truy cập cho SOC", "Gives a SOC one more token"],
        usage: ["--name <TÊN> [TÙY CHỌN]", "--name <NAME> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin soc revoke",
        about: ["Thu hồi mọi mã truy cập và chứng thư số của SOC", "Revokes all tokens and certificates of a SOC"],
        usage: ["--name <TÊN> [TÙY CHỌN]", "--name <NAME> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin soc certificate",
        about: ["Cho SOC gửi bằng chứng thư số của bên gửi (TLS)", "Lets a SOC send with a client certificate (TLS)"],
        usage: ["--name <TÊN> <TỆP>", "--name <NAME> <FILE>"],
        after: [
            "Chứng thư được nhận ra theo dấu vân tay SHA-256, không cần CA. Ví dụ:\n  khien admin soc certificate --name bo-tai-chinh ben-gui.pem",
            "It is known by its SHA-256 fingerprint; no authority is needed. Example:\n  khien admin soc certificate --name treasury sender.pem",
        ],
    },
    CommandHelp {
        path: "khien admin soc network",
        about: ["Nêu dải địa chỉ mà SOC gửi syslog", "Says from which addresses a SOC sends syslog"],
        usage: ["--name <TÊN> <DẢI>... [TÙY CHỌN]", "--name <NAME> <NETWORK>... [OPTIONS]"],
        after: [
            "Dải nhỏ nhất chứa địa chỉ được áp dụng. Ví dụ:\n  khien admin soc network --name bo-tai-chinh 10.20.0.0/16 2001:db8:20::/48",
            "The smallest network with an address counts. Example:\n  khien admin soc network --name treasury 10.20.0.0/16 2001:db8:20::/48",
        ],
    },
    CommandHelp {
        path: "khien admin operator",
        about: ["Quản lý những người trực tại trung tâm", "Manages the operators of the centre"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: [
            "Người trực thấy dữ liệu của mọi SOC: cảnh báo, gói luật, truy vấn.",
            "An operator sees what all SOCs send: alerts, packs of rules, queries.",
        ],
    },
    CommandHelp {
        path: "khien admin operator add",
        about: [
            "Thêm một người trực và in mã truy cập của người đó, chỉ một lần này",
            "Enters an operator and prints the token, this one time only",
        ],
        usage: ["--name <TÊN> [TÙY CHỌN]", "--name <NAME> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin operator list",
        about: ["Liệt kê những người trực", "Lists the operators"],
        usage: ["[TÙY CHỌN]", "[OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin operator revoke",
        about: ["Thu hồi mã truy cập của người trực", "Revokes the token of an operator"],
        usage: ["--name <TÊN> [TÙY CHỌN]", "--name <NAME> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin retention",
        about: ["Quản lý thời hạn lưu giữ sự kiện", "Manages how long events are kept"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: [
            "Mặc định: 366 ngày. Quy tắc cụ thể nhất được áp dụng: SOC và lớp, SOC, lớp.",
            "By default 366 days. The rule that says most counts: SOC and class, SOC, class.",
        ],
    },
    CommandHelp {
        path: "khien admin retention list",
        about: ["Liệt kê các quy tắc lưu giữ", "Lists the rules of retention"],
        usage: ["[TÙY CHỌN]", "[OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin retention set",
        about: [
            "Đặt thời hạn lưu giữ, thay cho quy tắc trước",
            "Says how long events are kept, instead of what was said before",
        ],
        usage: ["--days <SỐ> --reason <LÝ_DO> [TÙY CHỌN]", "--days <N> --reason <REASON> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin retention remove",
        about: ["Xóa một quy tắc lưu giữ", "Removes a rule of retention"],
        usage: ["--id <MÃ> [TÙY CHỌN]", "--id <ID> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin hold",
        about: ["Quản lý lệnh giữ dữ liệu (legal hold)", "Manages legal holds"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: [
            "Dữ liệu đang bị giữ không bị xóa dù đã hết thời hạn lưu giữ.",
            "What is on hold is not removed although its time is over.",
        ],
    },
    CommandHelp {
        path: "khien admin hold list",
        about: ["Liệt kê các lệnh giữ", "Lists the holds"],
        usage: ["[TÙY CHỌN]", "[OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin hold add",
        about: ["Giữ dữ liệu của một khoảng thời gian", "Puts events of a period on hold"],
        usage: [
            "--from <NGÀY> --until <NGÀY> --reason <LÝ_DO> [TÙY CHỌN]",
            "--from <DATE> --until <DATE> --reason <REASON> [OPTIONS]",
        ],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin hold lift",
        about: ["Dỡ một lệnh giữ", "Lifts a hold"],
        usage: ["--id <MÃ> --reason <LÝ_DO> [TÙY CHỌN]", "--id <ID> --reason <REASON> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin pack",
        about: ["Quản lý các gói luật và phiên bản của chúng", "Manages packs of rules and their versions"],
        usage: ["<LỆNH> [TÙY CHỌN]", "<COMMAND> [OPTIONS]"],
        after: [
            "Máy chủ đang chạy áp dụng thay đổi trong vòng một giây, không mất và không lặp sự kiện nào.",
            "A server that runs follows within a second, and loses or repeats no event.",
        ],
    },
    CommandHelp {
        path: "khien admin pack add",
        about: ["Thêm một phiên bản của gói, ở dạng nháp", "Adds a version of a pack, as a draft"],
        usage: ["--name <TÊN> [TÙY CHỌN] <TỆP>", "--name <NAME> [OPTIONS] <FILE>"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin pack list",
        about: ["Liệt kê các gói và phiên bản", "Lists packs and their versions"],
        usage: ["[TÙY CHỌN]", "[OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin pack live",
        about: [
            "Đưa một phiên bản vào áp dụng, thay cho phiên bản trước",
            "Puts a version in force, instead of the one that was",
        ],
        usage: ["--name <TÊN> [TÙY CHỌN]", "--name <NAME> [OPTIONS]"],
        after: ["", ""],
    },
    CommandHelp {
        path: "khien admin pack retire",
        about: ["Ngừng áp dụng một gói", "Takes a pack out of force"],
        usage: ["--name <TÊN> [TÙY CHỌN]", "--name <NAME> [OPTIONS]"],
        after: ["", ""],
    },
];

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

const ARGUMENTS: &[ArgumentHelp] = &[
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
    argument("*", "remove", ["", ""], ["Bỏ các dải địa chỉ này", "Remove these networks"]),
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

/// The help of argument `id` of the command called `command`.
fn of_argument(command: &str, id: &str) -> Option<&'static ArgumentHelp> {
    let named = |name: &str| ARGUMENTS.iter().find(|a| a.command == name && a.id == id);
    named(command).or_else(|| named("*"))
}

/// `command` with every text in the language of `text`.
pub fn localise(command: Command, text: Text) -> Command {
    let root = command.get_name().to_owned();
    localise_at(command, &root, text)
}

fn localise_at(command: Command, path: &str, text: Text) -> Command {
    let name = command.get_name().to_owned();
    let is_root = path == name;
    let mut command = command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .subcommand_help_heading(text.commands())
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::Help));
    if is_root {
        command = command.arg(Arg::new("version").short('V').long("version").action(ArgAction::Version));
    }
    command = describe(command, path, text);
    let mut order = 0;
    command = command.mut_args(|argument| {
        order += 1;
        let order = if is_everywhere(&argument) { LAST + order } else { order };
        describe_argument(argument, &name, text).display_order(order)
    });
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for sub in names {
        let below = format!("{path} {sub}");
        command = command.mut_subcommand(sub, |c| localise_at(c, &below, text));
    }
    command
}

/// Where the arguments stand in help that every command has: after its own.
const LAST: usize = 1_000;

fn is_everywhere(argument: &Arg) -> bool {
    argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version")
}

/// Sets what the help of a command says beside its arguments.
fn describe(command: Command, path: &str, text: Text) -> Command {
    let Some(help) = COMMANDS.iter().find(|c| c.path == path) else {
        return command;
    };
    let pick = |texts: [&'static str; 2]| text.0.pick(texts[0], texts[1]);
    let notes = match (pick(help.after), path) {
        (after, "khien detect") => format!("{after}\n\n{}", pick(EXIT_CODES)),
        (after, _) => after.to_owned(),
    };
    command
        .about(pick(help.about))
        .override_usage(format!("{path} {}", pick(help.usage)))
        .after_help(notes)
        .help_template(format!("{{about}}\n\n{} {{usage}}\n\n{{all-args}}{{after-help}}\n", text.usage()))
}

fn describe_argument(argument: Arg, command: &str, text: Text) -> Arg {
    let Some(help) = of_argument(command, argument.get_id().as_str()) else {
        return argument;
    };
    let pick = |texts: [&'static str; 2]| text.0.pick(texts[0], texts[1]);
    let heading = if argument.is_positional() {
        text.0.pick("Đối số", "Arguments")
    } else {
        text.0.pick("Tùy chọn", "Options")
    };
    let described = argument.help(pick(help.help)).help_heading(heading);
    if pick(help.value).is_empty() {
        return described;
    }
    // Clap would say both in English; the help texts say them.
    described.value_name(pick(help.value)).hide_default_value(true).hide_possible_values(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory as _;
    use khien_base::lang::Lang;

    fn walk(command: &Command, path: &str, see: &mut impl FnMut(&Command, &str)) {
        see(command, path);
        for sub in command.get_subcommands() {
            walk(sub, &format!("{path} {}", sub.get_name()), see);
        }
    }

    #[test]
    fn every_command_and_argument_has_help_in_both_languages() {
        walk(&Cli::command(), "khien", &mut |command, path| {
            let help = COMMANDS.iter().find(|c| c.path == path);
            let help = help.unwrap_or_else(|| panic!("no help for {path}"));
            assert!(help.about.iter().chain(&help.usage).all(|t| !t.is_empty()), "{path}");
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let help = of_argument(command.get_name(), id);
                let help = help.unwrap_or_else(|| panic!("no help for {path} {id}"));
                assert!(help.help.iter().all(|t| !t.is_empty()), "{path} {id}");
                assert_eq!(help.value[0].is_empty(), help.value[1].is_empty(), "{path} {id}");
                let takes_value = argument.get_action().takes_values();
                assert_eq!(takes_value, !help.value[1].is_empty(), "{path} {id}");
            }
        });
    }

    #[test]
    fn help_lists_every_value_that_is_accepted() {
        walk(&Cli::command(), "khien", &mut |command, path| {
            for argument in command.get_arguments() {
                let values = argument.get_possible_values();
                if values.len() < 2 || !argument.get_action().takes_values() {
                    continue;
                }
                let id = argument.get_id().as_str();
                if id == "fail_on" {
                    continue; // The same as `level`, which lists them.
                }
                let help = of_argument(command.get_name(), id).unwrap();
                for value in values {
                    for text in help.help {
                        assert!(text.contains(value.get_name()), "{path} {id}: {}", value.get_name());
                    }
                }
            }
        });
    }

    #[test]
    fn the_command_is_well_formed_in_both_languages() {
        for lang in [Lang::Vi, Lang::En] {
            localise(Cli::command(), Text(lang)).debug_assert();
        }
    }

    fn rendered(lang: Lang, path: &[&str]) -> String {
        let mut command = localise(Cli::command(), Text(lang)).term_width(100);
        command.build();
        let mut at = &mut command;
        for name in path {
            at = at.find_subcommand_mut(name).unwrap();
        }
        at.render_help().to_string()
    }

    #[test]
    fn help_reads_well() {
        for (lang, language) in [(Lang::Vi, "vi"), (Lang::En, "en")] {
            for path in [&[][..], &["detect"], &["rules"], &["rules", "check"], &["rules", "explain"]] {
                let name = format!("help_{language}_{}", path.join("_"));
                insta::assert_snapshot!(name, rendered(lang, path));
            }
        }
    }
}
