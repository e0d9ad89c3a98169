"""Describes the machine and the versions, so that figures can be compared."""

import datetime
import os
import platform
import subprocess


def block(setting):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    rows = [
        ("date", datetime.date.today().isoformat()),
        ("processor", f"{_processor()}, {os.cpu_count()} visible"),
        ("memory", f"{memory:.0f} GiB"),
        ("kernel", platform.release()),
        ("rustc", _first_line(["rustc", "--version"])),
        ("khien", f"{_first_line([setting.khien, '--version'])}, {_commit()}"),
        ("rsigma", _peer(setting, "rsigma", ["--version"])),
        ("tenzir", _peer(setting, "tenzir", None)),
        ("busy with other work at the start", f"{setting.busy:.1f} processors"),
        ("run", f"{'quick' if setting.quick else 'full'}, at least {setting.seconds:g} CPU seconds a figure"),
    ]
    return "\n".join(["| | |", "| --- | --- |"] + [f"| {name} | {value} |" for name, value in rows])


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        facts = dict((key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines))
    model = facts.get("model name", platform.machine())
    flags = facts.get("flags", "").split()
    vectors = [name for name in ("avx512bw", "avx2", "sse4_2") if name in flags][:1]
    return f"{model} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}, {', '.join(vectors)})"


def _peer(setting, name, version):
    if name in setting.absent:
        return setting.absent[name]
    if version is None:
        python = setting.peers[name].parent / "python"
        return _first_line([python, "-c", f"import importlib.metadata as m; print(m.version('{name}'))"])
    return _first_line([setting.peers[name], *version])


def _commit():
    here = os.path.dirname(__file__)
    return "commit " + _first_line(["git", "-C", here, "describe", "--always", "--dirty", "--exclude=*"])


def _first_line(argv):
    try:
        answer = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=60, check=False)
    except OSError as problem:
        return f"unknown ({problem.strerror})"
    return (answer.stdout.strip().splitlines() or ["unknown"])[0]
