"""The peers of serve.py: what rsigma's daemon and a pipeline of tenzir take for the same events over HTTP.

rsigma looks for the same rules and stores nothing. Its events are labelled with their log source, which Khiên finds out by
itself, so that its routing works. tenzir receives the bulk API and writes its own binary format (its Parquet takes events of
one shape only), without rules and without knowing what the events are. Both get fewer events than Khiên, because they are slower; what they take before the first event is taken
off. Their CPU is counted until they have ended in order.
"""

import asyncio
import http.client
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import serve

CONNECTIONS = 8
# rsigma takes one megabyte at once; an event that is larger is left out.
BATCH_BYTES = 900_000

# Sigma's categories of Sysmon's events, and its services of channels.
CATEGORIES = {
    1: "process_creation", 2: "file_change", 3: "network_connection", 5: "process_termination", 6: "driver_load",
    7: "image_load", 8: "create_remote_thread", 9: "raw_access_thread", 10: "process_access", 11: "file_event",
    12: "registry_event", 13: "registry_set", 14: "registry_rename", 15: "create_stream_hash", 17: "pipe_created",
    18: "pipe_created", 19: "wmi_event", 20: "wmi_event", 21: "wmi_event", 22: "dns_query", 23: "file_delete",
    25: "process_tampering", 26: "file_delete_detected",
}  # fmt: skip
SERVICES = {
    "Security": "security", "System": "system", "Application": "application", "Windows PowerShell": "powershell-classic",
    "Microsoft-Windows-PowerShell/Operational": "powershell", "Microsoft-Windows-TaskScheduler/Operational": "taskscheduler",
    "Microsoft-Windows-WMI-Activity/Operational": "wmi", "Microsoft-Windows-Windows Defender/Operational": "windefend",
}  # fmt: skip


def labelled(line):
    """An event with its log source as fields."""
    event = json.loads(line)
    event["product"] = "windows"
    channel, number = event.get("Channel"), int(event.get("EventID") or 0)
    if channel == "Microsoft-Windows-Sysmon/Operational":
        event["service"] = "sysmon"
        if number in CATEGORIES:
            event["category"] = CATEGORIES[number]
    elif channel in SERVICES:
        event["service"] = SERVICES[channel]
        if number in (4103, 4104) and event["service"] == "powershell":
            event["category"] = "ps_module" if number == 4103 else "ps_script"
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def batches(path, count, action, change):
    """At most `count` events in batches, each event behind an action if there is one."""
    lines = (change(line) for line in path.read_bytes().splitlines()[:count] if line.startswith(b"{"))
    made, events, size = [[]], 0, 0
    for line in lines:
        if len(line) > BATCH_BYTES:
            continue
        if size + len(line) > BATCH_BYTES or len(made[-1]) == serve.BATCH:
            made.append([])
            size = 0
        made[-1].append(action + line + b"\n")
        events, size = events + 1, size + len(line) + len(action)
    return [b"".join(batch) for batch in made], events


async def send(address, path, made):
    todo = list(made)

    async def one():
        while todo:
            body = todo.pop()
            # tenzir closes a connection behind an answer.
            reader, writer = await asyncio.open_connection(*address)
            status, text = await serve.call(reader, writer, "POST", path, "-", body, "content-type: application/x-ndjson\r\n")
            writer.close()
            if status in (429, 503):
                todo.append(body)
                await asyncio.sleep(0.2)
            elif not 200 <= status < 300:
                raise SystemExit(f"a peer answers {status} {text[:200]}")

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / serve.TICKS


def settled(pid):
    """The CPU seconds of a process that has nothing more to do."""
    before = -1.0
    while (now := cpu(pid)) > before + 0.03:
        before = now
        time.sleep(1.0)
    return now


def answers(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except OSError:
        return False


def measure(argv, port, ready, path, made, events):
    with subprocess.Popen([str(part) for part in argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            for _ in range(600):
                if answers(port, ready):
                    break
                if child.poll() is not None:
                    raise SystemExit(f"{argv[0]} ended before it was ready")
                time.sleep(0.1)
            before, began = settled(child.pid), time.monotonic()
            asyncio.run(send(("127.0.0.1", port), path, made))
            seconds = time.monotonic() - began
            settled(child.pid)
            peak = int(Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) / 1024
            child.terminate()
            _, _, usage = os.wait4(child.pid, 0)
            child.returncode = 0
        finally:
            if child.returncode is None:
                child.kill()
    took = usage.ru_utime + usage.ru_stime - before
    return {
        "events": events,
        "acknowledged_after": round(seconds, 2),
        "cpu_seconds_per_million": round(took / events * 1e6, 1),
        "peak_mib": round(peak),
    }


def rsigma(options):
    port = 9952
    argv = [options.rsigma, "engine", "daemon", "--rules", options.rules, "--input", "http", "--input-format", "json"]
    argv += ["--api-addr", f"127.0.0.1:{port}", "--output", "file:///dev/null", "--logsource-routing", "--cross-rule-ac"]
    made, events = batches(options.events, options.peer_events, b"", labelled)
    return measure(argv, port, "/healthz", "/api/v1/events", made, events)


def tenzir(options):
    port = 9951
    with tempfile.TemporaryDirectory() as folder:
        pipeline = f'accept_opensearch "127.0.0.1:{port}"\nto_file "{folder}/events.bitz" {{ write_bitz }}'
        made, events = batches(options.events, options.peer_events, b'{"index":{"_index":"windows"}}\n', lambda line: line)
        return measure([options.tenzir, pipeline], port, "/", "/_bulk", made, events)
