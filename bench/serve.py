"""Measures a server under load: many senders of the Elasticsearch bulk API, real events, rules, until all is in the lake.

    bench/serve.py --khien PROGRAM --events FILE.jsonl --rules FOLDER [--total N] [--connections N] [--rate N]
        [--rsigma PROGRAM] [--tenzir PROGRAM]

Prints one JSON object: CPU seconds of the server for a million events, events a second, peak memory, bytes in the lake for
each byte that was sent, and how long an event takes until its alert can be seen. The sender runs on the same machine; its
CPU is not counted. Events are sent as often as it takes; `repeats` says how often, because repeated events flatter
compression and caches. Needs Linux and Python 3.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 500
TICKS = os.sysconf("SC_CLK_TCK")


def arguments():
    parser = argparse.ArgumentParser(prog="bench/serve.py", description=__doc__.splitlines()[0])
    parser.add_argument("--khien", type=Path, required=True, help="the program")
    parser.add_argument("--events", type=Path, required=True, help="one JSON object a line")
    parser.add_argument("--rules", type=Path, help="Sigma rules; none when not given")
    parser.add_argument("--total", type=int, default=500_000, help="events")
    parser.add_argument("--connections", type=int, default=120)
    parser.add_argument("--rate", type=int, help="events a second; as fast as it goes when not given")
    parser.add_argument("--socs", type=int, default=12)
    parser.add_argument("--data", type=Path, help="data folder that stays; a temporary one otherwise")
    parser.add_argument("--rsigma", type=Path, help="program of that peer, to be measured behind it")
    parser.add_argument("--tenzir", type=Path, help="program of that peer, to be measured behind it")
    parser.add_argument("--peer-events", type=int, default=30_000, help="events for each peer")
    return parser.parse_args()


def khien(options, *more):
    return subprocess.run([options.khien, *more], check=True, capture_output=True, text=True).stdout.strip()


class Server:
    """The measured process."""

    def __init__(self, options, data):
        rules = ["--rules", options.rules] if options.rules else []
        argv = [options.khien, "serve", "--lang", "en", "--data", data, "--listen", "127.0.0.1:0", *rules]
        self.child = subprocess.Popen([str(part) for part in argv], stderr=subprocess.PIPE, text=True)
        for line in self.child.stderr:
            if "ready at http://" in line:
                host, port = line.split("http://")[1].strip().rsplit(":", 1)
                self.address = (host, int(port))
                break
        else:
            raise SystemExit("the server did not start")
        # What it logs goes where nobody waits for it.
        self.log = subprocess.Popen(["cat"], stdin=self.child.stderr, stdout=sys.stderr)

    def cpu(self):
        fields = Path(f"/proc/{self.child.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self):
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def stop(self):
        self.child.terminate()
        self.child.wait()


def bodies(path):
    """Batches of the bulk API, each of BATCH events, with the bytes of the events alone."""
    lines = path.read_bytes().splitlines()
    action = b'{"index":{"_index":"windows"}}\n'
    made = []
    for start in range(0, len(lines) - BATCH + 1, BATCH):
        events = lines[start : start + BATCH]
        made.append((b"".join(action + event + b"\n" for event in events), sum(map(len, events))))
    return made, len(made) * BATCH


async def call(reader, writer, method, path, token, body, more=""):
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{more}content-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    head = answer.decode("latin-1").lower()
    if "transfer-encoding: chunked" in head:
        text = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            text += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        text = await reader.readexactly(int(head.split("content-length:")[1].split()[0]))
    return int(head.split(" ", 2)[1]), text


async def send(number, address, tokens, made, share, total, rate, count):
    reader, writer = await asyncio.open_connection(*address)
    token = tokens[number % len(tokens)]
    while count["sent"] < total:
        at = count["batches"]
        count["batches"] += 1
        count["sent"] += BATCH
        body, size = made[at % len(made)]
        if rate:
            due = count["began"] + at * BATCH / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        key = f"idempotency-key: {at}\r\ncontent-type: application/x-ndjson\r\n"
        while True:
            status, _ = await call(reader, writer, "POST", "/_bulk", token, body, key)
            if status == 200:
                break
            count["slowed"] += 1
            await asyncio.sleep(0.2)
        count["bytes"] += size
    writer.close()


async def behind(address):
    """Batches that are not in the lake yet."""
    reader, writer = await asyncio.open_connection(*address)
    _, text = await call(reader, writer, "GET", "/metrics", "-", b"")
    writer.close()
    lines = (line.split() for line in text.decode().splitlines())
    return next(int(line[1]) for line in lines if line[:1] == ["khien_journal_behind_batches"])


async def committed(address):
    """Waits until everything is in the lake."""
    while await behind(address):
        await asyncio.sleep(0.05)


async def measure(options, server, tokens):
    made, whole = bodies(options.events)
    count = {"sent": 0, "batches": 0, "bytes": 0, "slowed": 0, "began": time.monotonic()}
    before, began = server.cpu(), time.monotonic()
    senders = [
        send(number, server.address, tokens, made, options.connections, options.total, options.rate, count)
        for number in range(options.connections)
    ]
    await asyncio.gather(*senders)
    acknowledged = time.monotonic() - began
    await committed(server.address)
    seconds, cpu = time.monotonic() - began, server.cpu() - before
    return count, whole, acknowledged, seconds, cpu


def stored(data):
    return sum(file.stat().st_size for file in (data / "lake" / "events").rglob("*.parquet"))


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary)
        tokens = [
            khien(options, "admin", "soc", "add", "--data", str(data), "--kind", "ministry", "--name", f"soc-{number}")
            for number in range(options.socs)
        ]
        server = Server(options, data)
        try:
            count, whole, acknowledged, seconds, cpu = asyncio.run(measure(options, server, tokens))
            events = count["batches"] * BATCH
            peak = server.peak_mib()
            time.sleep(5)
            later = server.cpu()
        finally:
            server.stop()
        result = {
            "events": events,
            "repeats": round(events / whole, 2),
            "bytes_per_event": round(count["bytes"] / events),
            "seconds": round(seconds, 2),
            "acknowledged_after": round(acknowledged, 2),
            "events_per_second": round(events / seconds),
            "cpu_seconds_per_million": round(cpu / events * 1e6, 2),
            "cpu_seconds_with_upkeep": round(later, 2),
            "peak_mib": round(peak),
            "slowed": count["slowed"],
            "stored_share": round(stored(data) / count["bytes"], 4),
        }
        for peer in ("rsigma", "tenzir"):
            if getattr(options, peer):
                import serve_peers

                result[peer] = getattr(serve_peers, peer)(options)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
