"""What is measured, one function a section. Each adds rows to the results; a failure costs its section only."""

import itertools
import math
import os
import sys
import tempfile
from pathlib import Path

from . import findings as compare
from .measure import Failed, at_once, detecting, limit, process, run, side_by_side
from .prepare import ROOT

MICRO = 1e6
RULES = ROOT / "bench" / "rules"
# Most events the slow peers are given, every n-th of the corpus; with --quick half.
RSIGMA_EVENTS = 40_000
TENZIR_EVENTS = 4_000
# Loading hardly differs from run to run.
LOAD_SHARE = 0.5
# Loading five million indicators takes seconds.
INDICATORS_SHARE = 5.0


def khien(setting, rules, path, *more, threads=1):
    """The command line whose speed is published."""
    argv = [setting.khien, "--lang", "en", "detect", "--threads", str(threads), "--output", "ndjson", "--no-progress"]
    rules = [rules] if isinstance(rules, Path) else rules
    return [*argv, *(part for one in rules for part in ("--rules", one)), *more, "--", path]


def empty(setting):
    return setting.corpora / "empty.jsonl"


def cores(setting):
    return {setting.cpu}


def yardsticks(setting, path):
    """The full parse with sonic-rs: in memory and built for this processor; and as an ordinary program reads a file."""
    seconds = min(0.6, setting.seconds / 5)
    return {
        "sonic": limit(setting.limit_native, "sonic-rs", path, cores(setting), memory=True, seconds=seconds),
        "sonic program": limit(setting.limit, "sonic-rs", path, cores(setting), seconds=seconds),
    }


# --- speed -----------------------------------------------------------------------------------------------------------


def speed(setting, results):
    """Telemetry, attack samples and never-repeating process creations, with limits and peers."""
    options = _rsigma_options(setting)
    for name, target in {"otrf": 0.40, "dev": 0.15, "procs-unique": 0.12}.items():
        _speed_of(setting, results, name, target, options, limits=True)
    _tenzir(setting, results)


def categories(setting, results):
    """The ratio for each category of Windows events; with --quick without the peer."""
    options = None if setting.quick else _rsigma_options(setting)
    for name in sorted(setting.manifest["corpora"]):
        if name.startswith("category/"):
            _speed_of(setting, results, name, None, options, limits=False)


def _speed_of(setting, results, name, target, options, limits):
    pack, path, corpus = setting.pack("windows"), setting.path(name), setting.corpus(name)
    jobs = yardsticks(setting, path)
    jobs["khien"] = process(khien(setting, pack, path), cores(setting))
    jobs["load"] = process(khien(setting, pack, empty(setting)), cores(setting), share=LOAD_SHARE)
    if limits:
        jobs["first use"] = process(khien(setting, pack, setting.path("primer")), cores(setting), share=LOAD_SHARE)
        seconds = min(0.6, setting.seconds / 5)
        jobs["lines"] = limit(setting.limit, "lines", path, cores(setting), seconds=seconds)
        # Built as an ordinary program it does without vector instructions, which would be unfair.
        jobs["simd-json"] = limit(setting.limit_native, "simd-json", path, cores(setting), seconds=seconds)
    if options is not None:
        part, events = _slice(setting, name, RSIGMA_EVENTS)
        jobs["rsigma"] = process(_rsigma(setting, part, options), cores(setting))
        jobs["rsigma load"] = process(_rsigma(setting, empty(setting), options), cores(setting), share=LOAD_SHARE)
    figures = side_by_side(jobs, setting.seconds)

    events_khien = corpus["events"]
    sonic = figures["sonic"].value / events_khien
    program = figures["sonic program"].value / events_khien
    table = results.table("speed" if target else "categories")
    row = Row(name, corpus, sonic, program)
    table.add(row.of("Khiên", figures["khien"], figures["load"], events_khien))
    # What is left when the automata of every route are built as well: the figure a long run tends to.
    primed = events_khien - setting.corpus("primer")["events"]
    if "first use" in figures:
        table.add(row.of("Khiên, first use of every route taken off", figures["khien"], figures["first use"], primed))
    if options is not None:
        what = "rsigma" if events == events_khien else f"rsigma ({events:,} of the events)"
        table.add(row.of(what, figures["rsigma"], figures["rsigma load"], events))
    for reader in ("sonic", "sonic program", "simd-json", "lines"):
        if target and reader in figures:
            table.add(row.of(LIMIT_NAMES[reader], figures[reader], None, events_khien))
    if target:
        ratio = sonic * events_khien / (figures["khien"] - figures["load"]).value
        results.target(f"{name}: events per CPU second, of sonic-rs", ratio, target, least=True)


LIMIT_NAMES = {
    "sonic": "limit: sonic-rs, in memory, built for this processor",
    "sonic program": "limit: sonic-rs, reading the file",
    "simd-json": "limit: simd-json, reading the file, built for this processor",
    "lines": "limit: reading the lines only",
}


class Row:
    """Makes the rows of one corpus."""

    def __init__(self, name, corpus, sonic, program):
        self.name, self.corpus, self.sonic, self.program = name, corpus, sonic, program

    def of(self, what, whole, load, events):
        net = whole - load if load else whole
        # Below three spreads a difference says nothing.
        sure = net.value > 3 * net.spread and net.value > 0
        each = net.value / events
        return {
            "corpus": self.name.removeprefix("category/"),
            "events": f"{self.corpus['events']:,}",
            "made": self.corpus["how"],
            "program": what,
            "µs/event": f"{each * MICRO:.2f} ± {net.spread / events * MICRO:.2f}" if sure else "too little to tell",
            "events/CPU s": f"{1 / each:,.0f}" if sure else "—",
            "of sonic-rs": f"{self.sonic / each:.3f}" if sure else "—",
            "of sonic-rs reading": f"{self.program / each:.3f}" if sure else "—",
            "whole run, s": f"{whole.value:.3f}",
            "runs": whole.samples,
        }


# --- peers -----------------------------------------------------------------------------------------------------------


def _slice(setting, name, most):
    """Every n-th event of a corpus as the peers are given it: flat and labelled with its log source."""
    most = max(1, most // 2) if setting.quick else most
    events = setting.corpus(name)["events"]
    source = setting.corpus(name)["prepared"]
    step = -(-events // most)
    if step == 1:
        return source, events
    target = setting.corpora / "slices" / f"{name.replace('/', '-')}-{most}.jsonl"
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        with open(source, "rb") as lines, open(target, "wb") as out:
            out.writelines(itertools.islice(lines, 0, None, step))
    return target, -(-events // step)


def _rsigma(setting, path, options):
    argv = [setting.peers["rsigma"], "engine", "eval", "--rules", setting.rules("windows"), "--event", f"@{path}"]
    return [*argv, "--input-format", "json", *options]


def _rsigma_options(setting):
    """The fastest combination of rsigma's options on this machine, loading taken off; None without rsigma."""
    if "rsigma" not in setting.peers:
        return None
    if not hasattr(_rsigma_options, "chosen"):
        part, _ = _slice(setting, "otrf", RSIGMA_EVENTS // 4)
        prefilters = [[], ["--cross-rule-ac"], ["--bloom-prefilter"], ["--cross-rule-ac", "--bloom-prefilter"]]
        combinations = [["--logsource-routing", *more] for more in prefilters]

        def net(options):
            whole, loading = (run(_rsigma(setting, path, options), cores(setting)).cpu for path in (part, empty(setting)))
            return whole - loading

        _rsigma_options.chosen = min(combinations, key=net)
        print(f"bench: rsigma runs with {' '.join(_rsigma_options.chosen)}", file=sys.stderr, flush=True)
    return _rsigma_options.chosen


def _tenzir(setting, results):
    """A slice, because it is slow; its own start and the loading of the rules are taken off."""
    if "tenzir" not in setting.peers:
        return
    part, events = _slice(setting, "otrf", TENZIR_EVENTS)

    def argv(path):
        rules = setting.rules("windows")
        pipeline = f'from_file "{path}" {{ read_ndjson }}\nsigma path="{rules}", refresh_interval=1d\nwrite_ndjson'
        return [setting.peers["tenzir"], pipeline]

    one, _ = _slice(setting, "otrf", 1)
    jobs = yardsticks(setting, setting.path("otrf"))
    jobs["tenzir"] = process(argv(part), cores(setting))
    jobs["load"] = process(argv(one), cores(setting))
    figures = side_by_side(jobs, setting.seconds)
    whole = setting.corpus("otrf")["events"]
    row = Row("otrf", setting.corpus("otrf"), figures["sonic"].value / whole, figures["sonic program"].value / whole)
    what = f"tenzir ({events:,} of the events)"
    results.table("speed").add(row.of(what, figures["tenzir"], figures["load"], events - 1))


# --- rules -----------------------------------------------------------------------------------------------------------


def mixed(setting, results):
    """All rules on the logs of many products, beside the Windows rules on Windows telemetry."""
    runs = {
        "Windows telemetry, Windows rules": ("otrf", "windows"),
        "Windows telemetry, all rules": ("otrf", "all"),
        "Windows events of mixed, Windows rules": ("mixed-windows", "windows"),
        "mixed products, all rules": ("mixed", "all"),
        "JSON lines of mixed, all rules": ("mixed-json", "all"),
        "JSON lines of mixed, Windows rules": ("mixed-json", "windows"),
    }
    jobs = {}
    for name in ("otrf", "mixed-windows", "mixed-json"):
        for key, job in yardsticks(setting, setting.path(name)).items():
            jobs[f"{key} {name}"] = job
    for what, (corpus, rules) in runs.items():
        jobs[what] = process(khien(setting, setting.pack(rules), setting.path(corpus)), cores(setting))
    for rules in ("windows", "all"):
        argv = khien(setting, setting.pack(rules), empty(setting))
        jobs[f"load {rules}"] = process(argv, cores(setting), share=LOAD_SHARE)
    figures = side_by_side(jobs, setting.seconds)
    ratios = {}
    for what, (name, rules) in runs.items():
        corpus = setting.corpus(name)
        net = figures[what] - figures[f"load {rules}"]
        sonic = figures.get(f"sonic {name}")
        ratios[what] = (corpus["events"] / net.value, sonic.value / net.value if sonic else None)
        results.table("mixed").add(
            {
                "input": what,
                "events": f"{corpus['events']:,}",
                "µs/event": f"{net.value / corpus['events'] * MICRO:.2f}",
                "events/CPU s": f"{ratios[what][0]:,.0f}",
                "MB/CPU s": f"{corpus['bytes'] / net.value / 1e6:,.0f}",
                "of sonic-rs": f"{ratios[what][1]:.3f}" if sonic else "— (not JSON alone)",
            }
        )
    mixed_events = ratios["mixed products, all rules"][0]
    of_telemetry = mixed_events / ratios["Windows telemetry, Windows rules"][0]
    of_its_windows = mixed_events / ratios["Windows events of mixed, Windows rules"][0]
    results.target("mixed, all rules: events per CPU second, of otrf with the Windows rules", of_telemetry, 0.8, least=True)
    results.target("mixed, all rules: events per CPU second, of its Windows events alone", of_its_windows, 0.8, least=True)


def growth(setting, results):
    """CPU an event with 100 rules, all, and all ten times under new ids. Loading the last takes longer than the events do,
    so the program itself tells what it used after loading."""
    sets = ("hundred", "windows", "all", "windows-x10")
    for name in ("otrf", "procs-unique"):
        argv = {rules: khien(setting, setting.pack(rules), setting.path(name)) for rules in sets}
        net = side_by_side({rules: detecting(argv[rules], cores(setting)) for rules in sets}, setting.seconds)
        events = setting.corpus(name)["events"]
        for rules in sets:
            results.table("growth").add(
                {
                    "corpus": name,
                    "rules": f"{setting.manifest['rules'][rules]:,}",
                    "µs/event": f"{net[rules].value / events * MICRO:.2f} ± {net[rules].spread / events * MICRO:.2f}",
                    "of 100 rules": f"{net[rules].value / net['hundred'].value:.2f}",
                    "of the Windows rules": f"{net[rules].value / net['windows'].value:.2f}",
                }
            )
        if name == "otrf":
            results.target("CPU an event, all Windows rules, of 100 rules", net["windows"].value / net["hundred"].value, 1.5)
            ten = net["windows-x10"].value / net["windows"].value
            results.target("CPU an event, ten times the rules, of the rules once", ten, 2.0)


def threads(setting, results):
    """Wall time with one and two workers; the loading of the rules, which nobody can divide, is taken off. Beside it what
    two programs at once gain, which is the most that this machine gives. Corpora are given as often as it takes until one
    thread is busy for as long as a figure takes: what each worker has to learn for itself weighs in a short run only."""
    allowed = {setting.cpu, min(_processors() - {setting.cpu}, default=setting.cpu)}
    if len(allowed) < 2:
        raise Failed("there is only one processor")
    pack = setting.pack("windows")
    for name, least in (("otrf", 0), ("otrf", setting.seconds), ("procs-unique", setting.seconds)):
        # The first one reads a file that may be cold.
        once = min(run(khien(setting, pack, setting.path(name)), allowed).wall for _ in range(2))
        times = max(1, math.ceil(least / once))
        with tempfile.TemporaryDirectory() as folder:
            for copy in range(times):
                (Path(folder) / f"{copy:03}.jsonl").symlink_to(setting.path(name))
            jobs = {}
            for count in (1, 2):
                for what, path in {"run": folder, "load": empty(setting)}.items():
                    jobs[what, count] = process(khien(setting, pack, path, threads=count), allowed, what="wall")
            jobs["two programs"] = at_once(khien(setting, pack, folder), allowed)
            figures = side_by_side(jobs, setting.seconds)
        net = {count: figures["run", count] - figures["load", count] for count in (1, 2)}
        machine = 2 * net[1].value / (figures["two programs"] - figures["load", 1]).value
        gain = net[1].value / net[2].value
        made = setting.corpus(name)["how"]
        results.table("threads").add(
            {
                "corpus": name,
                "made": made if times == 1 else f"{made}; {times} times over: flatters caches",
                "one thread, s": f"{net[1].value:.3f} ± {net[1].spread:.3f}",
                "two threads, s": f"{net[2].value:.3f} ± {net[2].spread:.3f}",
                "gain": f"{gain:.2f}",
                "of two programs": f"{machine:.2f}",
            }
        )
        if name == "otrf" and least:
            results.target("two threads: speed, of one (wall time)", gain, 1.8, least=True)


def _processors():
    return os.sched_getaffinity(0)


# --- loading and memory ----------------------------------------------------------------------------------------------


def load(setting, results):
    """Start, loading and an empty input."""
    jobs, memory = {}, {}
    for rules in ("all", "windows"):
        for how, path in {"YAML": setting.rules(rules), "pack": setting.pack(rules)}.items():
            argv = khien(setting, path, empty(setting))
            jobs[rules, how] = process(argv, cores(setting))
            memory[rules, how] = run(argv, cores(setting)).memory
    figures = side_by_side(jobs, setting.seconds)
    for (rules, how), figure in figures.items():
        results.table("load").add(
            {
                "rules": f"{rules} ({setting.manifest['rules'][rules]:,})",
                "from": how,
                "CPU, ms": f"{figure.value * 1e3:.0f} ± {figure.spread * 1e3:.0f}",
                "peak memory, MiB": f"{memory[rules, how]:.0f}",
            }
        )
    results.target("loading all rules from YAML, CPU s", figures["all", "YAML"].value, 1.0)
    results.target("loading all rules from a pack, CPU s", figures["all", "pack"].value, 0.150)


def memory(setting, results):
    """Peak memory for an input and one several times as large."""
    pack = setting.pack("all")
    worst = 0.0
    for name in ("otrf", "otrf-repeated", "procs-unique", "mixed"):
        for count in (1, 2):
            used = run(khien(setting, pack, setting.path(name), threads=count), _processors()).memory
            worst = max(worst, used)
            size = setting.corpus(name)["bytes"] / (1 << 20)
            results.table("memory").add(
                {"corpus": name, "size, MiB": f"{size:,.0f}", "threads": count, "peak memory, MiB": f"{used:.0f}"}
            )
    results.target("peak memory, all rules, MiB", worst, 250.0)


# --- correlations, EVTX, indicators ----------------------------------------------------------------------------------


def correlation(setting, results):
    """What an active correlation costs an event: many of them beside few, over the same base rules."""
    path, events = setting.path("logons"), setting.corpus("logons")["events"]
    base = RULES / "correlation-base"
    few, many = (len(list((RULES / f"correlation-{what}").glob("*.yml"))) for what in ("few", "many"))
    jobs = {}
    for what, more in {"few": [], "many": [RULES / "correlation-many"]}.items():
        rules = [base, RULES / "correlation-few", *more]
        for kind, source in {"run": path, "load": empty(setting)}.items():
            jobs[what, kind] = process(khien(setting, rules, source), cores(setting))
    figures = side_by_side(jobs, setting.seconds)
    few_of_them, all_of_them = (figures[what, "run"] - figures[what, "load"] for what in ("few", "many"))
    each = (all_of_them - few_of_them).value / events / many
    for what, net in {f"{few} correlations": few_of_them, f"{few + many} correlations": all_of_them}.items():
        results.table("correlation").add({"active": what, "µs/event": f"{net.value / events * MICRO:.2f}"})
    results.table("correlation").add({"active": "each further one", "µs/event": f"{each * MICRO:.3f}"})
    results.target("an active correlation, µs an event", each * MICRO, 1.0)


def evtx(setting, results):
    """Binary event logs with all Windows rules, beside the crate evtx alone on the same files."""
    folder = setting.path("evtx")
    pack = setting.pack("windows")
    seconds = min(1.0, setting.seconds / 3)
    jobs = {
        "evtx": limit(setting.limit, "evtx", folder, cores(setting), seconds=seconds),
        # As Khiên meets the files: once, in a program that has just begun.
        "evtx once": limit(setting.limit, "evtx", folder, cores(setting), seconds=0.000_001),
        "khien": process(khien(setting, pack, folder), cores(setting)),
        "load": process(khien(setting, pack, empty(setting)), cores(setting)),
        "first use": process(khien(setting, pack, setting.path("primer")), cores(setting)),
    }
    figures = side_by_side(jobs, setting.seconds)
    events = setting.corpus("evtx")["events"]
    alone = figures["evtx once"].value
    rows = {
        "crate evtx alone, to JSON, once": figures["evtx once"],
        "crate evtx alone, to JSON, again and again": figures["evtx"],
        "Khiên": figures["khien"] - figures["load"],
        "Khiên, first use of every route taken off": figures["khien"] - figures["first use"],
    }
    for what, figure in rows.items():
        results.table("evtx").add(
            {
                "program": what,
                "events": f"{events:,}",
                "CPU, s": f"{figure.value:.3f} ± {figure.spread:.3f}",
                "events/CPU s": f"{events / figure.value:,.0f}",
                "of evtx once": f"{figure.value / alone:.2f}",
            }
        )
    results.target("EVTX folder: CPU, of the crate evtx alone", rows["Khiên"].value / alone, 2.0)


def indicators(setting, results):
    """Five million indicators (fewer with --quick) beside none. Loading them takes much longer than the events do, so
    that differences of whole runs say nothing: the program itself tells what it used after loading. While they are loaded
    nobody reads the corpus, which makes reading it slower where memory that lies idle is given to others (virtual machines
    do that); so the runs without them begin after the same time."""
    pack = setting.pack("windows")
    option = ["--indicators", setting.corpora / "indicators.txt"]
    loading = khien(setting, pack, empty(setting), *option)
    idle = run(loading, cores(setting)).wall
    jobs = {}
    for corpus in ("otrf", "procs-unique"):
        without = khien(setting, pack, setting.path(corpus))
        jobs[corpus, "without"] = detecting(without, cores(setting), idle=idle)
        beside = khien(setting, pack, setting.path(corpus), *option)
        jobs[corpus, "with"] = detecting(beside, cores(setting), share=INDICATORS_SHARE)
    jobs["load"] = process(loading, cores(setting))
    figures = side_by_side(jobs, setting.seconds)
    used = run(khien(setting, pack, setting.path("otrf"), *option), cores(setting)).memory
    for corpus in ("otrf", "procs-unique"):
        events = setting.corpus(corpus)["events"]
        without = figures[corpus, "without"]
        for what in ("without", "with"):
            figure = figures[corpus, what]
            results.table("indicators").add(
                {
                    "corpus": corpus,
                    "indicators": f"{setting.manifest['indicators']:,}" if what == "with" else "none",
                    "µs/event": f"{figure.value / events * MICRO:.2f} ± {figure.spread / events * MICRO:.2f}",
                    "of none": f"{figure.value / without.value:.2f}",
                    "runs": figure.samples,
                    "loading, CPU s": f"{figures['load'].value:.2f}" if what == "with" else "",
                    "peak memory, MiB": f"{used:.0f}" if what == "with" else "",
                }
            )
        if corpus == "otrf":
            results.target("indicators: CPU an event, of none", figures[corpus, "with"].value / without.value, 1.2)
    results.target("indicators: peak memory, MiB", used, 600.0)


# --- findings --------------------------------------------------------------------------------------------------------


def same_findings(setting, results):
    """Threads, packs and copies of rules must not change what is found."""
    originals = compare.originals(setting.rules("windows-x10.tsv"))
    for name in ("dev", "otrf", "procs-unique", "mixed"):
        rules = "all" if name == "mixed" else "windows"
        path = setting.path(name)
        variants = {
            "one thread, pack": (khien(setting, setting.pack(rules), path), 1),
            "two threads, pack": (khien(setting, setting.pack(rules), path, threads=2), 1),
            "one thread, YAML": (khien(setting, setting.rules(rules), path), 1),
        }
        if rules == "windows":
            variants["ten times the rules"] = (khien(setting, setting.pack("windows-x10"), path), 10)
        seen = {}
        for what, (argv, copies) in variants.items():
            target = setting.corpora / f"findings-{len(seen)}.ndjson"
            with open(target, "wb") as out:
                run(argv, _processors(), stdout=out)
            seen[what] = (compare.digest(target, originals if copies > 1 else {}), copies, target)
        reference = seen["one thread, pack"]
        for what, (found, copies, target) in seen.items():
            equal = found == reference[0].times(copies)
            results.table("findings").add(
                {
                    "corpus": name,
                    "run": what,
                    "findings": f"{found.count:,}",
                    "same as the first": "yes" if equal else "NO",
                }
            )
            if not equal:
                example = compare.difference(reference[2], target, originals if copies > 1 else {})
                results.problem(f"{name}, {what}: findings differ, such as {example}")
        for _, _, target in seen.values():
            target.unlink()


ALL = {
    "speed": speed,
    "categories": categories,
    "mixed": mixed,
    "growth": growth,
    "threads": threads,
    "load": load,
    "memory": memory,
    "correlation": correlation,
    "evtx": evtx,
    "indicators": indicators,
    "findings": same_findings,
}
