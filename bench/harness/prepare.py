"""Builds the programs, installs the peers, makes the corpora. Everything goes into a cache outside the repository."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RSIGMA_VERSION = "0.23.0"
RSIGMA_FEATURES = "daachorse-index"


class Impossible(Exception):
    """Something without which nothing can be measured is missing."""


@dataclass(frozen=True)
class Setting:
    """Where everything is and how long to measure."""

    cache: Path
    corpora: Path
    manifest: dict
    khien: Path
    # The limit programs as everybody builds them, and for this very processor.
    limit: Path
    limit_native: Path
    # Peers that are there, by name.
    peers: dict
    # Why others are not.
    absent: dict
    # How many processors others used when the measurements began.
    busy: float
    cpu: int
    seconds: float
    quick: bool

    def corpus(self, name):
        return self.manifest["corpora"][name]

    def path(self, name):
        return Path(self.corpus(name)["path"])

    def rules(self, name):
        return self.corpora / "rules" / name

    def pack(self, name):
        """The pack of a rule set; made on first use and again when the program is newer."""
        pack = self.corpora / "rules" / f"{name}.pack"
        if not pack.exists() or pack.stat().st_mtime < self.khien.stat().st_mtime:
            _call([self.khien, "--lang", "en", "rules", "import", self.rules(name), "--output", pack], codes=(0, 1))
        return pack


def everything(options):
    data = _data()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "khien" / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    khien, limit, corpus, native = _programs(cache, options)
    corpora = _corpora(cache, data, corpus, options.quick)
    peers, absent = _peers(cache, options)
    return Setting(
        cache=cache,
        corpora=corpora,
        manifest=json.loads((corpora / "manifest.json").read_text(encoding="utf-8")),
        khien=khien,
        limit=limit,
        limit_native=native,
        peers=peers,
        absent=absent,
        busy=_busy(),
        cpu=max(os.sched_getaffinity(0)) if options.cpu is None else options.cpu,
        seconds=options.seconds or (1.0 if options.quick else 5.0),
        quick=options.quick,
    )


def _busy():
    """Processors in use during one second in which this program only waits."""

    def ticks():
        with open("/proc/stat", encoding="utf-8") as lines:
            user, nice, system, *_ = (int(word) for word in next(lines).split()[1:])
        return user + nice + system

    before = ticks()
    time.sleep(1)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK")


def _data():
    named = os.environ.get("KHIEN_CORPUS")
    beside = ROOT.parent / "shared" / "data"
    data = Path(named) if named else beside
    if not data.is_dir():
        raise Impossible("KHIEN_CORPUS must name the folder of the recordings (bench/README.md says what they are)")
    return data.resolve()


def _programs(cache, options):
    """The measured program, the limits and the maker of the corpora; the limits a second time for this processor."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    native = cache / "native"
    cargo = os.environ.get("CARGO", "cargo")
    if not options.no_build:
        packages = ["-p", "khien-bench"] + ([] if options.khien else ["-p", "khien"])
        _call([cargo, "build", "--release", *packages], cwd=ROOT)
        flags = {"CARGO_TARGET_DIR": str(native), "RUSTFLAGS": "-C target-cpu=native"}
        _call([cargo, "build", "--release", "-p", "khien-bench", "--bin", "limit"], cwd=ROOT, more=flags)
    release = target / "release"
    khien = options.khien.resolve() if options.khien else release / "khien"
    return khien, release / "limit", release / "corpus", native / "release" / "limit"


def _corpora(cache, data, corpus, quick):
    """Made once for each maker and each state of the recordings."""
    state = hashlib.sha256(Path(corpus).read_bytes())
    for path in sorted(data.glob("*")):
        state.update(f"{path.name} {path.stat().st_size}\n".encode())
    folder = cache / ("corpora-quick" if quick else "corpora")
    stamp = folder / "state"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == state.hexdigest()):
        print("bench: making the corpora (a few minutes, once)", file=sys.stderr, flush=True)
        _call([corpus, data, folder] + (["--quick"] if quick else []))
        stamp.write_text(state.hexdigest(), encoding="utf-8")
    return folder


def _peers(cache, options):
    peers, absent = {}, {}
    for name, install in {"rsigma": _rsigma, "tenzir": _tenzir}.items():
        if options.no_peers:
            absent[name] = "not asked for"
            continue
        try:
            peers[name] = install(cache / "peers")
        except (Impossible, OSError) as problem:
            absent[name] = f"could not be installed: {problem}"
    return peers, absent


def _rsigma(folder):
    root = folder / "rsigma"
    program = root / "bin" / "rsigma"
    if not program.exists():
        print("bench: installing rsigma (several minutes, once)", file=sys.stderr, flush=True)
        cargo = os.environ.get("CARGO", "cargo")
        argv = [cargo, "install", "rsigma", "--version", RSIGMA_VERSION, "--locked", "--root", root]
        _call([*argv, "--features", RSIGMA_FEATURES], cwd=folder.parent)
    return program


def _tenzir(folder):
    root = folder / "tenzir"
    program = root / "bin" / "tenzir"
    if not program.exists():
        print("bench: installing tenzir (once)", file=sys.stderr, flush=True)
        shutil.rmtree(root, ignore_errors=True)
        _call([sys.executable, "-m", "venv", root])
        _call([root / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "tenzir"])
    return program


def _call(argv, cwd=None, more=None, codes=(0,)):
    """Runs a step of the preparation; what it prints goes to standard error, because standard output is the page."""
    environment = {**os.environ, **(more or {})}
    argv = [str(part) for part in argv]
    code = subprocess.run(argv, cwd=cwd, env=environment, stdout=sys.stderr, check=False).returncode
    if code not in codes:
        raise Impossible(f"`{' '.join(argv[:4])} ...` ended with {code}")
