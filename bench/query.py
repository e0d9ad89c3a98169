"""Asks a full lake questions, and DuckDB and chDB the same ones over the same files.

    bench/query.py fill --khien PROGRAM --data FOLDER [--events N]
    bench/query.py ask  --khien PROGRAM --data FOLDER [--threads N] [--repeats N] [--peers-own]

`fill` sends made-up events of four kinds (Zeek connections and DNS, process creations of Sysmon, Windows logons) through
the server into a lake and waits until its files are put together. `ask` prints a JSON object for each question: the best
time of each engine in seconds, and whether their answers agree. The peers read the lake's own Parquet files; with
`--peers-own` they first copy the columns that are asked for into tables of their own. Everything is warm: each question is
asked once before it is timed, and the engines take turns. Needs Linux, Python 3 and for the peers the packages `duckdb`,
`chdb` and `deltalake`, the latter to read which files there are.
"""

import argparse
import http.client
import json
import random
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

BATCH = 2_000
SOCS = 24
NEEDLE_IP = "203.0.113.77"
NEEDLE_USER = "le.thi.kim"
NEEDLE_DOMAIN = "update.evil-cdn.example"
NEEDLE_HASH = "8f14e45fceea167a5a36dedd4bea2543c0ffee00c0ffee00c0ffee00deadbeef"


def arguments():
    parser = argparse.ArgumentParser(prog="bench/query.py", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["fill", "ask"])
    parser.add_argument("--khien", type=Path, required=True, help="the program")
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers-own", action="store_true", help="peers copy what is asked for into their own tables")
    parser.add_argument("--no-peers", action="store_true")
    return parser.parse_args()


class Server:
    def __init__(self, options):
        argv = [options.khien, "serve", "--lang", "en", "--data", options.data, "--listen", "127.0.0.1:0", "--query-memory", "4096"]
        self.child = subprocess.Popen([str(part) for part in argv], stderr=subprocess.PIPE, text=True)
        for line in self.child.stderr:
            if "ready at http://" in line:
                host, port = line.split("http://")[1].strip().rsplit(":", 1)
                self.connection = http.client.HTTPConnection(host, int(port), timeout=600)
                break
        else:
            raise SystemExit("the server did not start")
        self.log = subprocess.Popen(["cat"], stdin=self.child.stderr, stdout=sys.stderr)

    def call(self, method, path, token="-", body=None):
        self.connection.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def metric(self, name):
        lines = (line.split() for line in self.call("GET", "/metrics")[1].decode().splitlines())
        return next(int(line[1]) for line in lines if line[:1] == [name])

    def stop(self):
        self.child.terminate()
        self.child.wait()


class Maker:
    """Events as sensors write them; a few values are frequent and most are rare, as in any network."""

    def __init__(self, number):
        self.random = random.Random(7)
        self.number = number
        self.made = 0
        self.end = datetime.now(timezone.utc).timestamp() - 60
        self.span = 2 * 86_400
        self.tools = ["svchost.exe", "cmd.exe", "powershell.exe", "chrome.exe", "msiexec.exe", "rundll32.exe", "java.exe"]

    def rank(self, most):
        """Small numbers more often than large ones."""
        return int(most ** self.random.random()) - 1

    def inside(self):
        host = self.rank(60_000)
        return f"10.{host % 40}.{host // 256 % 256}.{host % 251 + 1}"

    def outside(self):
        host = self.rank(3_000_000)
        return f"{host % 90 + 100}.{host // 65_536 % 256}.{host // 256 % 256}.{host % 254 + 1}"

    def event(self):
        self.made += 1
        at = self.end - self.span + self.span * self.made / self.number
        kind, random = self.made % 10, self.random
        # Four times, one of each kind.
        needle = 0 <= self.made % (self.number // 4 + 1) - self.number // 8 < 10
        if kind < 5:
            target = NEEDLE_IP if needle else self.outside()
            return (
                f'{{"_path":"conn","ts":{at:.6f},"uid":"C{random.getrandbits(72):x}","id.orig_h":"{self.inside()}",'
                f'"id.orig_p":{random.randrange(1024, 65536)},"id.resp_h":"{target}","id.resp_p":{(443, 80, 53, 22, 445)[self.rank(5)]},'
                f'"proto":"tcp","service":"ssl","duration":{random.random():.6f},"orig_bytes":{random.randrange(9999)},'
                f'"resp_bytes":{random.randrange(99999)},"conn_state":"SF","missed_bytes":0,"history":"ShADadfF"}}'
            )
        if kind < 7:
            name = NEEDLE_DOMAIN if needle else f"h{self.rank(200_000)}.example{self.rank(500)}.vn"
            return (
                f'{{"_path":"dns","ts":{at:.6f},"uid":"D{random.getrandbits(72):x}","id.orig_h":"{self.inside()}",'
                f'"id.orig_p":{random.randrange(1024, 65536)},"id.resp_h":"10.0.0.53","id.resp_p":53,"proto":"udp",'
                f'"query":"{name}","qclass":1,"qtype":1,"rcode":0}}'
            )
        stamp = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        host = self.rank(60_000)
        user = NEEDLE_USER if needle else f"user{self.rank(20_000)}"
        if kind < 9:
            tool, hashed = self.tools[self.rank(7)], NEEDLE_HASH if needle else f"{random.getrandbits(256):064x}"
            return (
                f'{{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Hostname":"WS-{host:05d}.bo.gov.vn",'
                f'"@timestamp":"{stamp}","Image":"C:\\\\Windows\\\\System32\\\\{tool}",'
                f'"CommandLine":"{tool} /c task{self.rank(90_000)} --user {user} --run {random.getrandbits(32):08x}",'
                f'"ParentImage":"C:\\\\Windows\\\\explorer.exe","User":"BO\\\\{user}","ProcessId":"{random.randrange(40_000)}",'
                f'"Hashes":"SHA256={hashed}","IntegrityLevel":"Medium"}}'
            )
        return (
            f'{{"Channel":"Security","EventID":4624,"Hostname":"DC-{host % 40:02d}.bo.gov.vn","@timestamp":"{stamp}",'
            f'"TargetUserName":"{user}","TargetDomainName":"BO","LogonType":"3","IpAddress":"{self.inside()}",'
            f'"IpPort":"{random.randrange(1024, 65536)}","LogonProcessName":"Kerberos"}}'
        )


def fill(options):
    tokens = []
    for number in range(SOCS):
        argv = [options.khien, "admin", "soc", "add", "--data", options.data, "--kind", "ministry", "--name", f"soc-{number:02d}"]
        tokens.append(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip())
    server, maker = Server(options), Maker(options.events)
    began, sent, size = time.monotonic(), 0, 0
    try:
        while sent < options.events:
            body = "\n".join(maker.event() for _ in range(BATCH)).encode()
            token = tokens[maker.rank(SOCS)]
            while True:
                status, text = server.call("POST", "/v1/ingest?source=sensor", token, body)
                if status == 200:
                    break
                if status != 429:
                    raise SystemExit(f"{status} {text.decode()}")
                time.sleep(0.2)
            sent, size = sent + BATCH, size + len(body)
        while server.metric("khien_journal_behind_batches"):
            time.sleep(0.2)
        seconds = time.monotonic() - began
        files = None
        # Until nothing more is put together.
        while (now := len(list(live(options.data)))) != files:
            files = now
            time.sleep(20)
    finally:
        server.stop()
    stored = sum(Path(path).stat().st_size for path in live(options.data))
    print(json.dumps({"events": sent, "seconds": round(seconds), "bytes_per_event": round(size / sent), "files": files, "stored_share": round(stored / size, 4)}))


def live(data):
    from deltalake import DeltaTable

    return [uri.removeprefix("file://") for uri in DeltaTable(str(data / "lake" / "events")).file_uris()]


COLUMNS = (
    "event_id, time, organisation, severity_id, class_uid, activity_id, src_endpoint_ip, dst_endpoint_ip, "
    "dst_endpoint_port, process_cmd_line, user_name, query_hostname"
)


def questions(between):
    """Name and SQL of each question; what dialects call differently stands in braces."""
    start, end = between
    return [
        ("counts by SOC and severity", "SELECT organisation, severity_id, count(*) AS n FROM events GROUP BY 1, 2 ORDER BY 1, 2"),
        (
            "talkers by distinct targets",
            "SELECT src_endpoint_ip AS a, count(DISTINCT dst_endpoint_ip) AS n FROM events WHERE class_uid = 4001 "
            "GROUP BY 1 ORDER BY n DESC, a LIMIT 20",
        ),
        ("rare address", f"SELECT count(*) AS n, min(event_id) AS e FROM events WHERE dst_endpoint_ip = '{NEEDLE_IP}'"),
        ("absent address", "SELECT count(*) AS n FROM events WHERE dst_endpoint_ip = '198.51.100.200'"),
        ("substring in command lines", "SELECT count(*) AS n FROM events WHERE process_cmd_line LIKE '%task77%'"),
        (
            "hourly histogram with filters",
            "SELECT date_trunc('hour', time) AS h, count(*) AS n FROM events WHERE dst_endpoint_port = 443 AND organisation "
            f"IN ('soc-00', 'soc-03', 'soc-07') AND time >= {{time}}'{start}'{{end}} AND time < {{time}}'{end}'{{end}} GROUP BY 1 ORDER BY 1",
        ),
        (
            "join with 100,000 indicators",
            "SELECT count(*) AS n, count(DISTINCT src_endpoint_ip) AS s FROM events JOIN indicators ON dst_endpoint_ip = indicator",
        ),
    ]


NEEDLES = [
    ("needle: address", f"ip:{NEEDLE_IP}"),
    ("needle: user", f"user:{NEEDLE_USER}"),
    ("needle: domain", f"domain:{NEEDLE_DOMAIN}"),
    ("needle: hash in the record", NEEDLE_HASH),
    ("needle: absent word", "khongcotunaynhuvay"),
]


def main():
    options = arguments()
    if options.what == "fill":
        fill(options)
    else:
        import query_peers

        query_peers.ask(options, Server, questions, NEEDLES, COLUMNS, live)


if __name__ == "__main__":
    main()
