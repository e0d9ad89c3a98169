"""Turns figures into the page."""

import os

from . import machine

TITLES = {
    "speed": "Speed, all Windows rules, one core",
    "categories": "Speed by category, all Windows rules, one core",
    "mixed": "All rules, all products",
    "growth": "More rules",
    "threads": "Two threads",
    "load": "Loading rules",
    "memory": "Memory",
    "correlation": "Correlations",
    "evtx": "Binary event logs",
    "indicators": "Indicators",
    "findings": "The same findings",
}


class Table:
    """Rows with the same columns."""

    def __init__(self):
        self.rows = []

    def add(self, row):
        self.rows.append(row)

    def markdown(self):
        names = list(self.rows[0])
        lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
        lines += ["| " + " | ".join(str(row.get(name, "")) for name in names) + " |" for row in self.rows]
        return "\n".join(lines)


class Results:
    """Everything that was measured."""

    def __init__(self, setting):
        self.setting = setting
        self.tables = {}
        self.targets = []
        self.failures = {}
        self.problems = []

    def table(self, name):
        return self.tables.setdefault(name, Table())

    def target(self, what, value, bound, least=False):
        reached = value >= bound if least else value <= bound
        sign = "≥" if least else "≤"
        row = {"figure": what, "measured": f"{value:.3f}", "target": f"{sign} {bound:g}", "": "reached" if reached else "MISSED"}
        self.targets.append(row)

    def failed(self, section, words):
        self.failures[section] = words
        self.problems.append(f"{section}: {words}")

    def problem(self, words):
        self.problems.append(words)


def page(setting, results):
    with open(os.path.join(os.path.dirname(__file__), "page.md"), encoding="utf-8") as template:
        text = template.read()
    parts = {"machine": machine.block(setting), "targets": _targets(results), "tables": _tables(results)}
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part)
    return text.rstrip()


def _targets(results):
    table = Table()
    for row in results.targets:
        table.add(row)
    lines = [table.markdown()] if table.rows else ["None was measured."]
    lines += [f"- **FAILED**: {problem}" for problem in results.problems]
    return "\n".join(lines)


def _tables(results):
    parts = []
    for name, title in TITLES.items():
        if name in results.tables:
            parts.append(f"## {title}\n\n{results.tables[name].markdown()}")
        if name in results.failures:
            parts.append(f"## {title}\n\nCould not be measured: {results.failures[name]}")
    return "\n\n".join(parts)
