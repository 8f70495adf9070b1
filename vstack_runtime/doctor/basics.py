"""Python, the packages, and whether the service can be put together at all."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from vstack_runtime.doctor.case import Case, Check, Finding, error, ok, warning
from vstack_runtime.store_settings import is_redis

_OLDEST = (3, 11)
_TRACE = {
    "goal": "Send the report of May",
    "steps": [
        {"agent": "writer", "type": "tool_call", "content": "query(month='April')", "tool": "query"},
        {"agent": "writer", "type": "message", "content": "The report is sent."},
    ],
    "outcome": "The report was that of April.",
    "success": False,
}


def _python(case: Case) -> Finding:
    told = ".".join(map(str, case.machine.python))
    if case.machine.python < _OLDEST:
        return error(f"Python {told}", "vstack needs 3.11 or later", "python3.11 -m venv .venv, and install again")
    return ok(f"Python {told}")


def _system(case: Case) -> Finding:
    if case.machine.system != "Linux":
        means = "the service is tested on Linux; signals, limits and file modes may differ here"
        return warning(case.machine.system, means, "run it on Linux, or in the container image")
    return ok(case.machine.system)


def _asserts(case: Case) -> Finding:
    if case.machine.optimised:
        return warning(
            "assert statements are left out", "a bug goes on unseen", "unset PYTHONOPTIMIZE; start without -O"
        )
    return ok("assert statements are run")


def _encoding(case: Case) -> Finding:
    if case.machine.encoding.lower() not in ("utf-8", "utf8"):
        means = "file names and keys beyond ASCII are misread"
        return warning(f"names of files are {case.machine.encoding}", means, "export PYTHONUTF8=1")
    return ok("names of files are UTF-8")


def _required(case: Case) -> Finding:
    missing = sorted(name for name in _names("") if not _installed(name))
    if missing:
        return error(
            f"missing: {', '.join(missing)}", "the service does not start", "pip install --force-reinstall vstack"
        )
    return ok("what vstack needs is installed")


def _extras(case: Case) -> Finding:
    """What the settings ask for, and only an extra brings."""
    stores = [case.given(name) for name in ("VSTACK_CACHE", "VSTACK_RATE_LIMIT_STORE")]
    wanted = {"redis": any(map(is_redis, stores)), "sentry": bool(case.given("SENTRY_DSN"))}
    wanted["otel"] = bool(case.given("OTEL_EXPORTER_OTLP_ENDPOINT"))
    for extra, asked in wanted.items():
        missing = [name for name in _names(extra) if not _installed(name)]
        if asked and missing:
            means = f"a setting asks for {extra}, which needs {', '.join(missing)}"
            return error(f"the extra {extra} is not installed", means, f"pip install 'vstack[{extra}]'")
    return ok(f"extras that the settings ask for: {', '.join(name for name, on in wanted.items() if on) or 'none'}")


def _loop(case: Case) -> Finding:
    if importlib.util.find_spec("uvloop") is None:
        means = "hypercorn and asyncio run on the standard library's loop, which is slower"
        return warning("uvloop is not installed", means, "pip install 'vstack[speed]'")
    return ok("uvloop carries hypercorn and asyncio")


def _patterns(case: Case) -> Finding:
    from vstack_runtime.installed import PackageError, installed_patterns

    try:
        found = installed_patterns()
    except PackageError as fault:
        return error(fault.told, "the service does not start, and no command that knows patterns works", fault.mend)
    if not found:
        return error("no pattern", "there is nothing to diagnose with", "pip install --force-reinstall vstack")
    return ok(f"{len(found)} patterns")


def _routes(case: Case) -> Finding:
    from vstack_runtime.installed import PackageError, installed_routes

    try:
        found = installed_routes()
    except PackageError as fault:
        return error(fault.told, "the service does not start", fault.mend)
    return ok(f"{len(found)} contributed routes")


def _diagnosis(case: Case) -> Finding:
    from vstack_runtime.installed import PackageError
    from vstack_runtime.library import analyze
    from vstack_runtime.settings import Settings

    try:
        answer = analyze(_TRACE, pattern="aar", format="canonical", model="offline", settings=Settings())
    except PackageError as fault:
        return error(fault.told, "the service cannot diagnose until that is mended", fault.mend)
    except Exception as fault:
        named = f"{type(fault).__name__}: {fault}"
        return error(named, "the service cannot diagnose", "pip install --force-reinstall vstack")
    return ok(f"a trace diagnosed offline, severity {answer['detection']['severity']}")


def _names(extra: str) -> list[str]:
    """The distributions that vstack requires, or that one of its extras does."""
    found = []
    for line in importlib.metadata.requires("vstack") or ():
        name, _, marker = line.partition(";")
        bare = name.split("[")[0]
        for sign in "<>=!~ (":
            bare = bare.split(sign)[0]
        asks = "extra ==" in marker
        if (f"'{extra}'" in marker or f'"{extra}"' in marker) if extra else not asks and "python_version" not in marker:
            found.append(bare.strip())
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


CHECKS = (
    Check("python.version", _python),
    Check("python.system", _system),
    Check("python.asserts", _asserts),
    Check("python.encoding", _encoding),
    Check("packages.required", _required),
    Check("packages.extras", _extras),
    Check("packages.loop", _loop),
    Check("engine.patterns", _patterns),
    Check("engine.routes", _routes),
    Check("engine.diagnosis", _diagnosis),
)
