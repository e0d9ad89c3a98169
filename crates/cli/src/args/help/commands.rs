//! What commands do.

use super::CommandHelp;

/// All of them, root first.
pub(super) const COMMANDS: &[CommandHelp] = &[
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
        path: "khien admin soc source",
        about: [
            "Khai báo các nguồn mà SOC gửi: nguồn im lặng hoặc chưa bao giờ gửi sẽ có cảnh báo",
            "Declares the sources that a SOC sends: of one that is silent or never sends there is an alert",
        ],
        usage: ["--name <TÊN> <NGUỒN>... [TÙY CHỌN]", "--name <NAME> <SOURCE>... [OPTIONS]"],
        after: [
            "Nguồn chưa khai báo vẫn được nhận, kèm cảnh báo. Ví dụ:\n  khien admin soc source --name bo-tai-chinh --silence 30 tuong-lua proxy",
            "Others are taken in all the same, with an alert. Example:\n  khien admin soc source --name treasury --silence 30 firewall proxy",
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
