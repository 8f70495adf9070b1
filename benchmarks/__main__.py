"""``python -m benchmarks`` measures everything and rewrites the page; with ``guards`` it only checks the ratios."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import concurrency, endings, exchanges, growth, guards, loopback, offline, prompts, report
from benchmarks.load import CONNECTIONS
from benchmarks.rig import answer_of
from benchmarks.workload import small


def _show(title: str, lines: list[str]) -> list[str]:
    print(f"\n{title}\n", *lines, sep="\n", flush=True)
    return lines


def everything(loop: str) -> int:
    """Measure all tables, show them, and write the page; 1 where a guard does not hold."""
    began = time.monotonic()
    exchanges.check_same_answer()
    tables = {
        "exchanges": _show("An exchange, in microseconds", exchanges.table()),
        "loopback": _show("Requests a second over loopback", loopback.table(loop=loop)),
        "by_size": _show("Growth with the size of a body", growth.table(growth.by_size(), "kB")),
        "by_steps": _show("Growth with the steps of a trace", growth.table(growth.by_steps(), "steps")),
        "offline": _show("An offline analysis, pattern by pattern", offline.table()),
        "prompts": _show("What a model is sent", prompts.table()),
        "concurrency": _show("Many analyses at once", list(concurrency.table())),
        "clients": _show("Through the real client", list(concurrency.client_table())),
        "endings": _show("What is cut short", list(endings.table())),
    }
    found = guards.verdicts()
    tables["guards"] = _show("Guards", guards.table(found))
    if loop == "asyncio":
        minutes = (time.monotonic() - began) / 60
        fields = len(answer_of(small()).headers)
        report.write(tables, minutes=minutes, connections=CONNECTIONS, fields=fields, loop="asyncio's own")
    return 0 if all(verdict.holds for verdict in found) else 1


def only_guards() -> int:
    """Check the ratios; 1 where one does not hold."""
    exchanges.check_same_answer()
    found = guards.verdicts()
    _show("Guards", guards.table(found))
    failed = [verdict.name for verdict in found if not verdict.holds]
    if failed:
        print(f"\n{len(failed)} of {len(found)} do not hold", file=sys.stderr)
    return 1 if failed else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "guards"), default="all")
    parser.add_argument("--uvloop", action="store_true", help="uvloop under every server of asyncio; writes no page")
    arguments = parser.parse_args()
    if arguments.what == "guards" and arguments.uvloop:
        parser.error("the guards are for asyncio's own loop")
    if arguments.what == "guards":
        return only_guards()
    return everything("uvloop" if arguments.uvloop else "asyncio")


if __name__ == "__main__":
    sys.exit(main())
