"""Driver of the benchmarks: prepares, measures, prints Markdown. Started by run.sh; bench/README.md explains it."""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from harness import prepare, report, sections
from harness.measure import Failed


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Benchmarks of Khiên beside its peers and limits.")
    parser.add_argument("--quick", action="store_true", help="small corpora and short runs: a look, not a publication")
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=list(sections.ALL), help=", ".join(sections.ALL))
    parser.add_argument("--seconds", type=float, help="CPU seconds for each figure (5; 1 with --quick)")
    parser.add_argument("--no-peers", action="store_true", help="neither install nor run rsigma and tenzir")
    parser.add_argument("--no-build", action="store_true", help="use the programs that are already built")
    parser.add_argument("--khien", type=Path, help="measure this program instead of building one")
    parser.add_argument("--cpu", type=int, help="the processor to run on (the last one)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the page, such as docs/benchmarks.md")
    return parser.parse_args()


def main():
    options = arguments()
    try:
        setting = prepare.everything(options)
    except prepare.Impossible as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    results = report.Results(setting)
    for name in options.only or sections.ALL:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            sections.ALL[name](setting, results)
        except Failed as problem:
            results.failed(name, str(problem))
        except Exception as problem:  # One broken section must not cost the figures of the others.
            traceback.print_exc()
            results.failed(name, repr(problem))
        print(f"bench: {name} took {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    page = report.page(setting, results)
    print(page)
    if options.write:
        options.write.write_text(page + "\n", encoding="utf-8")
    for problem in results.problems:
        print(f"bench: FAILED: {problem}", file=sys.stderr)
    return 1 if results.problems else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C.UTF-8"
    sys.exit(main())
