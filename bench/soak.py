"""Lets many SOCs send for an hour, as unevenly as real ones do, and compares end to end what they sent and what is there.

    bench/soak.py --khien PROGRAM --events FILE.jsonl [--rules FOLDER] [--seconds S] [--rate N] [--socs N] [--data FOLDER]

Every event gets a number of its own, so that no two are alike. Some batches are sent twice, some late, and connections are
made anew from time to time. In the end an engine that knows nothing of Khiên (DuckDB) reads the table from its own log:
for each SOC the number of events and the sum of their hashes must be those of its sender, and a hundredth of all records
is hashed again. Prints one JSON object, with the memory of the server by quarters of the time. Needs Linux, Python 3 and
the packages `duckdb` and `deltalake`.
"""

import argparse
import asyncio
import hashlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import serve

RESENT, LATE, RECONNECTED = 50, 40, 100
BITS = 1 << 64


def arguments():
    parser = argparse.ArgumentParser(prog="bench/soak.py", description=__doc__.splitlines()[0])
    parser.add_argument("--khien", type=Path, required=True, help="the program")
    parser.add_argument("--events", type=Path, required=True, help="one JSON object a line")
    parser.add_argument("--rules", type=Path, help="Sigma rules; none when not given")
    parser.add_argument("--seconds", type=int, default=3_600)
    parser.add_argument("--rate", type=int, default=12_500, help="events a second, of all SOCs together")
    parser.add_argument("--socs", type=int, default=120)
    parser.add_argument("--data", type=Path, help="data folder that stays; a temporary one otherwise")
    return parser.parse_args()


class Soc:
    """One sender, and what it knows was acknowledged."""

    def __init__(self, number, token, address, lines, rate, count):
        self.number, self.token, self.address, self.lines, self.rate, self.count = number, token, address, lines, rate, count
        self.random = random.Random(number)
        self.sent = self.batches = self.sum = 0
        self.stream = None

    def batch(self, size):
        body, total = [], 0
        for _ in range(size):
            event = b'{"soak":"%d-%d",' % (self.number, self.sent) + self.lines[self.random.randrange(len(self.lines))][1:]
            self.sent += 1
            total += int.from_bytes(hashlib.sha256(event).digest()[:8], "big")
            body.append(b'{"create":{"_index":"soak"}}\n' + event + b"\n")
        self.batches += 1
        return b"".join(body), total, size, f"idempotency-key: {self.number}-{self.batches}\r\n"

    async def post(self, body, key):
        """Until it is acknowledged."""
        while True:
            try:
                if self.stream is None:
                    self.stream = await asyncio.open_connection(*self.address)
                more = key + "content-type: application/x-ndjson\r\n"
                status, _ = await serve.call(*self.stream, "POST", "/_bulk", self.token, body, more)
                if status == 200:
                    return
                self.count["slowed"] += 1
            except (OSError, asyncio.IncompleteReadError):
                self.close()
                self.count["broken"] += 1
            await asyncio.sleep(0.2)

    def close(self):
        if self.stream is not None:
            self.stream[1].close()
            self.stream = None

    async def deliver(self, batch):
        body, total, size, key = batch
        await self.post(body, key)
        self.sum = (self.sum + total) % BITS
        self.count["acknowledged"] += size
        self.count["bytes"] += len(body)
        if self.random.randrange(RESENT) == 0:
            self.count["resent"] += 1
            await self.post(body, key)

    async def run(self, end):
        held, owed, due = [], 0.0, time.monotonic() + self.random.random()
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            pause = 0.5 + self.random.random()
            due += pause
            owed += pause * self.rate
            batch = self.batch(int(owed))
            owed -= int(owed)
            if self.batches % RECONNECTED == 0:
                self.close()
            if self.random.randrange(LATE) == 0:
                self.count["late"] += 1
                held.append((due + self.random.uniform(2, 60), batch))
                continue
            await self.deliver(batch)
            for late in [late for late in held if late[0] <= due]:
                held.remove(late)
                await self.deliver(late[1])
        for _, batch in held:
            await self.deliver(batch)
        self.close()


def resident_mib(server):
    status = Path(f"/proc/{server.child.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def watch(server, samples, count, began):
    while True:
        samples.append(resident_mib(server))
        if len(samples) % 30 == 0:
            behind = await serve.behind(server.address)
            print(
                f"{time.monotonic() - began:.0f} s: {count['acknowledged']} events, {samples[-1]:.0f} MiB, {behind} behind",
                file=sys.stderr,
                flush=True,
            )
        await asyncio.sleep(10)


async def load(socs, server, samples, count, seconds):
    began = time.monotonic()
    watching = asyncio.create_task(watch(server, samples, count, began))
    await asyncio.gather(*(soc.run(began + seconds) for soc in socs))
    watching.cancel()
    await serve.committed(server.address)
    return time.monotonic() - began


def there(data):
    """Events and the sum of the first eight bytes of their hashes by SOC; records that are not what their hash says."""
    import duckdb
    from deltalake import DeltaTable

    files = [uri.removeprefix("file://") for uri in DeltaTable(str(data / "lake" / "events")).file_uris()]
    base = duckdb.connect()
    base.execute("SET threads = 2; SET memory_limit = '3GB'")
    source = f"read_parquet({files!r}, hive_partitioning = true)"
    rows = base.execute(
        f"SELECT organisation, count(*), count(DISTINCT event_id), "
        f"sum(('0x' || substr(hex(raw_sha256), 1, 16))::UBIGINT::HUGEINT) FROM {source} GROUP BY 1"
    ).fetchall()
    wrong, checked = base.execute(
        f"SELECT count(*) FILTER (WHERE sha256(raw) <> lower(hex(raw_sha256))), count(*) FROM {source} WHERE event_id % 100 = 7"
    ).fetchone()
    return {name: (events, ids, total % BITS) for name, events, ids, total in rows}, wrong, checked


def quarters(samples):
    share = max(1, len(samples) // 4)
    parts = [samples[at * share : (at + 1) * share] for at in range(4)]
    return [round(sum(part) / len(part)) for part in parts if part]


def main():
    options = arguments()
    lines = [line for line in options.events.read_bytes().splitlines() if line.startswith(b"{")]
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary)
        name = "soak-{:03}".format
        add = ["admin", "soc", "add", "--data", str(data), "--kind", "province", "--name"]
        tokens = [serve.khien(options, *add, name(number)) for number in range(options.socs)]
        server = serve.Server(options, data)
        count = {"acknowledged": 0, "bytes": 0, "resent": 0, "late": 0, "slowed": 0, "broken": 0}
        try:
            rate = options.rate / options.socs
            socs = [Soc(number, token, server.address, lines, rate, count) for number, token in enumerate(tokens)]
            samples = []
            seconds = asyncio.run(load(socs, server, samples, count, options.seconds))
            cpu, peak = server.cpu(), server.peak_mib()
        finally:
            server.stop()
        found, wrong, checked = there(data)
        lost = [
            soc.number for soc in socs if soc.sent and found.get(name(soc.number)) != (soc.sent, soc.sent, soc.sum)
        ]
    result = {
        **count,
        "seconds": round(seconds),
        "events_per_second": round(count["acknowledged"] / seconds),
        "in_the_lake": sum(events for events, _, _ in found.values()),
        "socs_that_differ": lost,
        "records_hashed_again": checked,
        "records_not_their_hash": wrong,
        "cpu_seconds_per_million": round(cpu / count["acknowledged"] * 1e6, 2),
        "mib_by_quarter": quarters(samples),
        "peak_mib": round(peak),
    }
    print(json.dumps(result))
    sys.exit(1 if lost or wrong else 0)


if __name__ == "__main__":
    main()
