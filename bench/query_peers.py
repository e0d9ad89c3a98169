"""The asking part of query.py: the engines, and how each says the same."""

import json
import time


def indicators(engine):
    """A hundred thousand addresses, of which some were talked to."""
    divide = {"khien": "({} / {})", "duckdb": "({} // {})", "chdb": "intDiv({}, {})"}[engine]
    numbers = {
        "khien": "SELECT value * 30 AS h FROM generate_series(0, 99999)",
        "duckdb": "SELECT range * 30 AS h FROM range(100000)",
        "chdb": "SELECT number * 30 AS h FROM numbers(100000)",
    }[engine]
    parts = ["h % 90 + 100", divide.format("h", 65536) + " % 256", divide.format("h", 256) + " % 256", "h % 254 + 1"]
    text = " || '.' || ".join(f"CAST({part} AS VARCHAR)" for part in parts)
    return f"(SELECT {text} AS indicator FROM ({numbers}) AS numbers)"


def worded(sql, engine):
    before, behind = {
        "khien": ("arrow_cast(", ", 'Timestamp(Microsecond, Some(\"UTC\"))')"),
        "duckdb": ("TIMESTAMPTZ ", ""),
        "chdb": ("toDateTime64(", ", 6, 'UTC')"),
    }[engine]
    sql = sql.replace("JOIN indicators", f"JOIN {indicators(engine)} AS i")
    return sql.replace("{time}", before).replace("{end}", behind)


class Khien:
    def __init__(self, options, server):
        import subprocess

        argv = [options.khien, "admin", "operator", "add", "--data", options.data, "--name", f"bench-{time.time_ns()}"]
        self.token = subprocess.run([str(part) for part in argv], check=True, capture_output=True, text=True).stdout.strip()
        self.server = server

    def ask(self, sql):
        status, text = self.server.call("POST", "/v1/query", self.token, json.dumps({"sql": worded(sql, "khien")}))
        if status != 200:
            raise SystemExit(text.decode())
        return [list(row.values()) for row in json.loads(text)]

    def search(self, query):
        body = json.dumps({"query": query, "limit": 50})
        status, text = self.server.call("POST", "/v1/search", self.token, body)
        if status != 200:
            raise SystemExit(text.decode())
        return json.loads(text)["total"]


class DuckDb:
    def __init__(self, options, files, columns):
        import duckdb

        self.base = duckdb.connect()
        self.base.execute(f"SET threads = {options.threads}; SET TimeZone = 'UTC'")
        source = f"read_parquet({files!r}, hive_partitioning = true)"
        kind = "TABLE" if options.peers_own else "VIEW"
        self.base.execute(f"CREATE {kind} events AS SELECT {columns} FROM {source}")

    def ask(self, sql):
        return [list(row) for row in self.base.execute(worded(sql, "duckdb")).fetchall()]


class ChDb:
    def __init__(self, options, files, columns):
        from chdb import session

        self.base = session.Session()
        self.base.query(f"SET max_threads = {options.threads}")
        # Its dialect: joins keep types, and a column of the path is read from it.
        folder = options.data / "lake" / "events"
        names = ",".join(file.removeprefix(f"{folder}/") for file in files)
        source = f"file('{folder}/{{{names}}}', 'Parquet') SETTINGS use_hive_partitioning = 1, max_threads = {options.threads}"
        self.base.query("CREATE DATABASE bench")
        if options.peers_own:
            self.base.query(
                f"CREATE TABLE bench.events ENGINE = MergeTree ORDER BY (class_uid, time) AS SELECT {columns} FROM {source}"
            )
        else:
            self.base.query(f"CREATE VIEW bench.events AS SELECT {columns} FROM {source}")
        self.end = f" SETTINGS max_threads = {options.threads}"

    def ask(self, sql):
        sql = worded(sql, "chdb").replace("FROM events", "FROM bench.events").replace("VARCHAR", "String")
        answer = str(self.base.query(sql + self.end, "JSONCompactEachRow"))
        return [json.loads(line) for line in answer.splitlines()]


def same(rows):
    """Rows as they compare: times and numbers are written differently."""

    def value(cell):
        text = str(cell).replace("T", " ").replace("Z", "").split("+")[0]
        return text.split(".")[0] if text[:2] == "20" and ":" in text else text

    return [[value(cell) for cell in row] for row in rows]


def timed(ask, repeats, more):
    """The best time of each engine, all taking turns."""
    best = dict.fromkeys(ask, float("inf"))
    for _ in range(repeats):
        for name, question in ask.items():
            began = time.monotonic()
            question(more)
            best[name] = min(best[name], time.monotonic() - began)
    return best


HUNTS = [
    ("hunt: a tool that nobody ran", "CommandLine|contains: 'nltest /domain_trusts'"),
    ("hunt: a word that is nearly everywhere, and a rare one", "Image|endswith: '\\\\cmd.exe'\n    CommandLine|contains: 'task61 '"),
    ("hunt: a frequent command", "Image|endswith: '\\\\rundll32.exe'\n    CommandLine|contains: ' task10'"),
]


def hunt(khien, detection):
    """Seconds until a hunt for one rule is done, and what it found."""
    rule = (
        "title: t\nid: 6d1a2a7e-0000-4000-8000-000000000001\nlevel: high\n"
        "logsource:\n  category: process_creation\n  product: windows\n"
        f"detection:\n  selection:\n    {detection}\n  condition: selection\n"
    )
    began = time.monotonic()
    body = json.dumps({"title": "bench", "rules": rule, "from_ms": 0, "to_ms": 4_000_000_000_000})
    status, text = khien.server.call("POST", "/v1/hunts", khien.token, body)
    if status not in (200, 201, 202):
        raise SystemExit(text.decode())
    address = f"/v1/hunts/{json.loads(text)['hunt']['id']}"
    while True:
        state = json.loads(khien.server.call("GET", address, khien.token)[1])["hunt"]
        if state["stage"] not in ("waiting", "running"):
            return time.monotonic() - began, state
        time.sleep(0.02)


def ask(options, server_of, questions, needles, columns, live):
    server = server_of(options)
    try:
        khien = Khien(options, server)
        engines = {"khien": khien.ask}
        if not options.no_peers:
            files = live(options.data)
            engines["duckdb"] = DuckDb(options, files, columns).ask
            engines["chdb"] = ChDb(options, files, columns).ask
        start, end = (khien.ask(f"SELECT {f}(time) FROM events")[0][0] for f in ("min", "max"))
        middle = [start[:10] + "T12:00:00Z", end[:10] + "T06:00:00Z"]
        for name, sql in questions(middle):
            answers = {engine: same(question(sql)) for engine, question in engines.items()}
            best = timed(engines, options.repeats, sql)
            agree = all(answer == answers["khien"] for answer in answers.values())
            others = [seconds for engine, seconds in best.items() if engine != "khien"]
            ratio = {"of_the_better": round(best["khien"] / min(others), 2)} if others else {}
            rounded = {engine: round(seconds, 3) for engine, seconds in best.items()}
            print(json.dumps({"question": name, **rounded, **ratio, "agree": agree}), flush=True)
            if not agree:
                print(json.dumps({engine: answer[:3] for engine, answer in answers.items()}))
        for name, query in needles:
            began = time.monotonic()
            found = khien.search(query)
            first = time.monotonic() - began
            best = timed({"khien": khien.search}, options.repeats, query)["khien"]
            print(json.dumps({"question": name, "first": round(first, 3), "khien": round(best, 3), "found": found}), flush=True)
        for name, detection in HUNTS:
            seconds, state = hunt(khien, detection)
            told = {key: state[key] for key in ("stage", "events", "findings")}
            print(json.dumps({"question": name, "khien": round(seconds, 3), **told}), flush=True)
    finally:
        server.stop()
