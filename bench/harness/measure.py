"""Runs programs and measures what they used. Times are CPU seconds (user and system, all threads) unless named otherwise."""

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

# No single run of anything here takes longer than this on a machine worth measuring, seconds.
RUN_LIMIT = 900
# Most samples of one figure.
MOST_SAMPLES = 60
LEAST_SAMPLES = 3
# Limits are medians of many passes already.
LIMIT_SHARE = 0.4


class Failed(Exception):
    """A program that was to be measured did not do its work."""


@dataclass(frozen=True)
class Run:
    """What one run of a program used."""

    cpu: float
    wall: float
    # Peak resident memory, MiB.
    memory: float


def run(argv, cpus, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, codes=(0, 1)):
    """Runs `argv` on the processors `cpus`; an exit code outside `codes` is a failure."""
    started = time.monotonic()
    with subprocess.Popen(
        [str(part) for part in argv],
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    ) as child:
        timer = threading.Timer(RUN_LIMIT, child.kill)
        timer.start()
        tail = _tail(child.stderr)
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if child.returncode not in codes:
        raise Failed(f"`{_short(argv)}` ended with {child.returncode}: {tail}")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def _tail(stream):
    """Reads everything and keeps the last words."""
    kept = b""
    while block := stream.read(65536):
        kept = (kept + block)[-600:]
    return " ".join(kept.decode("utf-8", "replace").split())


def _short(argv):
    return " ".join(os.path.basename(str(part)) if os.sep in str(part) else str(part) for part in argv)


@dataclass
class Job:
    """A program to be measured several times. `take` runs it once and returns (figure, CPU seconds it took)."""

    take: object
    # The part of the time of a full figure that this one needs; less where runs hardly differ.
    share: float = 1.0
    figures: list = field(default_factory=list)
    spent: float = 0.0

    def done(self, seconds):
        return len(self.figures) >= MOST_SAMPLES or (len(self.figures) >= LEAST_SAMPLES and self.spent >= seconds * self.share)

    def step(self):
        figure, spent = self.take()
        self.figures.append(figure)
        self.spent += spent


def process(argv, cpus, what="cpu", share=1.0, **more):
    """A program whose whole run is the figure."""

    def take():
        result = run(argv, cpus, **more)
        return getattr(result, what), result.cpu

    return Job(take, share)


def at_once(argv, cpus, share=1.0):
    """The same program on each of the processors at once; the figure is the wall time of the slowest."""

    def take():
        with ThreadPoolExecutor(len(cpus)) as pool:
            runs = list(pool.map(lambda cpu: run(argv, {cpu}), sorted(cpus)))
        return max(one.wall for one in runs), sum(one.cpu for one in runs)

    return Job(take, share)


def detecting(argv, cpus, share=1.0, idle=0.0):
    """Khiên without loading rules and indicators, as it says itself in its summary; started after `idle` seconds."""

    def take():
        time.sleep(idle)
        with tempfile.NamedTemporaryFile() as summary:
            whole = run([*argv[:-2], "--summary-json", summary.name, *argv[-2:]], cpus)
            used = json.load(summary)["cpu_seconds"]
        return used["detecting"], whole.cpu

    return Job(take, share)


def limit(program, reader, path, cpus, memory=False, seconds=0.6):
    """A limit program; the figure is its median pass."""
    argv = [program, reader, path, "--seconds", str(seconds)] + (["--memory"] if memory else [])

    def take():
        read, write = os.pipe()
        try:
            result = run(argv, cpus, stdout=write)
        finally:
            os.close(write)
        with os.fdopen(read, encoding="utf-8") as stream:
            answer = json.load(stream)
        return answer["cpu_seconds"], result.cpu

    return Job(take, LIMIT_SHARE)


@dataclass(frozen=True)
class Figure:
    """A median with half the distance between its quartiles."""

    value: float
    spread: float
    samples: int

    def __sub__(self, other):
        spread = (self.spread**2 + other.spread**2) ** 0.5
        return Figure(self.value - other.value, spread, min(self.samples, other.samples))


def side_by_side(jobs, seconds):
    """Takes the jobs in turns (A B C A B C ...) until each has used `seconds`; returns the figure of each."""
    while not all(job.done(seconds) for job in jobs.values()):
        for job in jobs.values():
            if not job.done(seconds):
                job.step()
    return {name: _figure(job.figures) for name, job in jobs.items()}


def _figure(values):
    ordered = sorted(values)
    quarter = len(ordered) // 4
    spread = (ordered[-1 - quarter] - ordered[quarter]) / 2
    return Figure(statistics.median(ordered), spread, len(ordered))
