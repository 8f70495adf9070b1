"""Where the service keeps things: home, tapes; who else can read them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from pathlib import Path

from vstack_runtime.doctor.case import Case, Check, Finding, error, ok, size, skipped, warning
from vstack_runtime.home_settings import nearest, refused

_LEAST_FREE = 256 << 20


def _writable(case: Case) -> Finding:
    home = case.home
    place = nearest(home)
    if (fault := refused(home)) is None:
        return ok(f"{home} can be written to")
    saw, means = f"{home} cannot be written to: {fault}", "learnings, telemetry and baselines cannot be kept"
    return error(saw, means, f"chown {case.machine.user} {place}, or VSTACK_HOME=another folder")


def _private(case: Case) -> Finding:
    if not case.home.exists():
        return skipped(f"{case.home} is not there yet")
    bits = stat.S_IMODE(case.home.stat().st_mode)
    if bits & (stat.S_IROTH | stat.S_IWOTH):
        means = "every user of this machine can read what was learnt about your agents"
        return warning(f"{case.home} has mode {bits:04o}", means, f"chmod 700 {case.home}")
    return ok(f"{case.home} has mode {bits:04o}")


def _space(case: Case) -> Finding:
    free = shutil.disk_usage(nearest(case.home)).free
    if free < _LEAST_FREE:
        means = "learnings and telemetry will soon not be kept"
        return warning(
            f"{size(free)} free at {case.home}", means, f"make room, or VSTACK_HOME=another disk ({size(_LEAST_FREE)})"
        )
    return ok(f"{size(free)} free at {case.home}")


def _lasting(case: Case) -> Finding:
    if case.machine.container and not os.path.ismount(nearest(case.home)):
        means = "what is kept goes with the container"
        return warning(f"{case.home} is not a volume", means, f"mount one at {case.home}")
    return ok(f"{case.home} outlasts the process")


def _databases(case: Case) -> Finding:
    found = sorted(case.home.glob("*.db")) if case.home.exists() else []
    for file in found:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
                told = store.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as fault:
            told = str(fault)
        if told != "ok":
            means = "what it holds cannot be trusted"
            return error(
                f"{file}: {told}",
                means,
                f"stop the service, and put a copy in its place, or move it away: mv {file} {file}.bad",
            )
    return ok(f"{len(found)} databases, sound")


def _tape(case: Case) -> Finding:
    folder = case.given("VSTACK_TAPE")
    if not folder:
        return ok("nothing is taped")
    place = Path(folder)
    if not place.exists():
        return ok(f"{place} is made at the start")
    bits = stat.S_IMODE(place.stat().st_mode)
    if bits & (stat.S_IROTH | stat.S_IXOTH):
        means = "tapes hold traces and answers, and every user of this machine can read them"
        return warning(f"{place} has mode {bits:04o}", means, f"chmod 700 {place}")
    return ok(f"tapes of traces and answers, without keys, in {place} (mode {bits:04o})")


def _tape_writable(case: Case) -> Finding:
    folder = case.given("VSTACK_TAPE")
    if not folder:
        return skipped("nothing is taped")
    if (fault := refused(Path(folder))) is None:
        return ok(f"{folder} can be written to")
    return error(
        f"{folder} cannot be written to: {fault}",
        "nothing is taped",
        f"chown {case.machine.user} {folder}, or unset VSTACK_TAPE",
    )


CHECKS = (
    Check("home.writable", _writable),
    Check("home.private", _private),
    Check("home.space", _space),
    Check("home.lasting", _lasting),
    Check("home.databases", _databases),
    Check("tape.private", _tape),
    Check("tape.writable", _tape_writable),
)
