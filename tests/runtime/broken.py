"""Installations of which one thing is broken, each with the check that must fire and how loud."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vstack_runtime.doctor import Case, Finding, examine
from vstack_runtime.doctor.machine import Machine

KEY = "V3ryRand0m-Zq8wLx2nTb7kPe5c"
PUBLIC = {"VSTACK_API_HOST": "0.0.0.0"}
KEYS = {"VSTACK_API_KEYS": f"prod={KEY}"}
DEPLOYMENT: dict[str, Any] = {
    "terminationGracePeriodSeconds": 135,
    "containers": [
        {
            "readinessProbe": {"httpGet": {"path": "/readyz"}, "periodSeconds": 2, "failureThreshold": 1},
            "livenessProbe": {"httpGet": {"path": "/livez"}},
        }
    ],
}

Broken = Callable[[Path], Case]


def machine(folder: Path, **facts: Any) -> Machine:
    """A machine on which all is well."""
    usual: dict[str, Any] = {
        "python": (3, 12, 1),
        "system": "Linux",
        "optimised": False,
        "encoding": "utf-8",
        "user": os.getuid(),
        "descriptors": 65_536,
        "memory": 4 << 30,
        "container": False,
        "kubernetes": False,
        "now": datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
        "folder": folder,
        "path": str(folder / "bin"),
    }
    return Machine(**{**usual, **facts})


def case(
    folder: Path,
    env: dict[str, str] | None = None,
    *,
    pod: dict[str, Any] | None = None,
    url: str | None = None,
    **facts: Any,
) -> Case:
    """An installation that differs from a healthy one in what is named."""
    home, program = folder / "home", folder / "bin" / "vstack-mcp"
    home.mkdir(mode=0o700, exist_ok=True)
    program.parent.mkdir(exist_ok=True)
    program.touch(mode=0o755)
    deployment = None if pod is None else json.dumps({"spec": {"template": {"spec": pod}}}).encode()
    given = {"VSTACK_HOME": str(home), "VSTACK_LLM": "offline", **(env or {})}
    return Case(given, machine(folder, **facts), deployment=deployment, url=url)


def look(name: str, at: Case) -> Finding:
    """Make one check."""
    (report,) = examine(at, only=[name])
    return Finding(report.level, report.saw, report.means, report.mend)


def keys_file(folder: Path, mode: int, text: str = f"prod={KEY}\n") -> dict[str, str]:
    path = folder / "api-keys"
    path.write_text(text)
    path.chmod(mode)
    return {"VSTACK_API_KEYS_FILE": str(path)}


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def with_home(folder: Path, mode: int) -> Case:
    made = case(folder)
    made.home.chmod(mode)
    return made


def with_database(folder: Path) -> Case:
    made = case(folder)
    file = made.home / "vstack.db"
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.execute("CREATE TABLE t (x)")
        store.commit()
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 4080)
    return made


def with_tapes(folder: Path, mode: int) -> Case:
    tapes = folder / "tapes"
    tapes.mkdir()
    tapes.chmod(mode)
    return case(folder, {"VSTACK_TAPE": str(tapes)})


def with_client(folder: Path, text: str) -> Case:
    file = folder / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(text)
    return case(folder)


def pod(**changes: Any) -> dict[str, Any]:
    return {**DEPLOYMENT, **changes}


def container(**changes: Any) -> dict[str, Any]:
    return pod(containers=[{**DEPLOYMENT["containers"][0], **changes}])


# check -> (level, how it is broken)
BROKEN: list[tuple[str, str, Broken]] = [
    ("python.version", "error", lambda f: case(f, python=(3, 10, 9))),
    ("python.system", "warning", lambda f: case(f, system="Darwin")),
    ("python.asserts", "warning", lambda f: case(f, optimised=True)),
    ("python.encoding", "warning", lambda f: case(f, encoding="ascii")),
    ("settings.sound", "error", lambda f: case(f, {"VSTACK_API_RATE_LIMIT": "many"})),
    ("settings.unknown", "warning", lambda f: case(f, {"VSTACK_API_RATE_LIMITS": "5/60"})),
    ("settings.old", "warning", lambda f: case(f, {"VSTACK_API_TOKEN": "x"})),
    ("settings.log_format", "warning", lambda f: case(f, {"VSTACK_LOG_FORMAT": "console"}, container=True)),
    ("settings.log_level", "warning", lambda f: case(f, {"VSTACK_LOG_LEVEL": "error"})),
    ("keys.present", "error", lambda f: case(f, {"VSTACK_API_REQUIRE_AUTH": "true"})),
    ("keys.mode", "warning", lambda f: case(f, keys_file(f, 0o644))),
    ("keys.mode", "warning", lambda f: case(f, keys_file(f, 0o620))),
    ("keys.owner", "warning", lambda f: _owned(f)),
    ("keys.example", "error", lambda f: case(f, {"VSTACK_API_KEYS": "prod=REPLACE-THIS-BY-A-KEY-OF-YOURS"})),
    ("keys.example", "error", lambda f: case(f, keys_file(f, 0o600, "prod=changeme-changeme-changeme-1\n"))),
    ("keys.variety", "warning", lambda f: case(f, {"VSTACK_API_KEYS": "prod=" + "abc" * 10})),
    ("auth.exposed", "error", lambda f: case(f, PUBLIC)),
    ("auth.off", "warning", lambda f: case(f, {**KEYS, "VSTACK_API_REQUIRE_AUTH": "no"})),
    ("auth.failures", "warning", lambda f: case(f, {**PUBLIC, **KEYS, "VSTACK_API_AUTH_FAILURES": "off"})),
    ("auth.proxies", "warning", lambda f: case(f, {"VSTACK_API_TRUSTED_PROXIES": "0.0.0.0/0"})),
    ("auth.origins", "warning", lambda f: case(f, {"VSTACK_API_CORS_ORIGINS": "*"})),
    ("quota.exposed", "warning", lambda f: case(f, PUBLIC)),
    ("quota.proxy", "warning", lambda f: case(f, {**PUBLIC, "VSTACK_API_RATE_LIMIT": "5/60"})),
    ("quota.replicas", "warning", lambda f: case(f, {"VSTACK_API_RATE_LIMIT": "5/60"}, kubernetes=True)),
    ("quota.failure", "warning", lambda f: case(f, {"VSTACK_STORE_FAILURE": "closed"})),
    ("limits.strings", "warning", lambda f: case(f, {"VSTACK_API_MAX_STRING_CHARS": "2000000"})),
    ("limits.body", "warning", lambda f: case(f, {"VSTACK_API_MAX_BODY_BYTES": "100000"})),
    ("limits.large", "warning", lambda f: case(f, {"VSTACK_API_MAX_BODY_BYTES": "64MiB"})),
    ("limits.timeout", "warning", lambda f: case(f, {"VSTACK_API_REQUEST_TIMEOUT": "2"})),
    ("limits.timeout", "warning", lambda f: case(f, {"VSTACK_API_REQUEST_TIMEOUT": "600"})),
    ("limits.drain", "warning", lambda f: case(f, {**PUBLIC, "VSTACK_DRAIN_DELAY": "0"})),
    ("limits.descriptors", "warning", lambda f: case(f, descriptors=1024)),
    ("limits.memory", "warning", lambda f: case(f, memory=128 << 20)),
    ("limits.models", "warning", lambda f: case(f, {"VSTACK_LLM_MAX_CONCURRENCY": "9000"})),
    ("cache.unused", "warning", lambda f: case(f, {"VSTACK_CACHE_CAPACITY": "5"})),
    ("cache.scope", "warning", lambda f: case(f, {"VSTACK_CACHE": "memory", "VSTACK_API_KEYS": f"a={KEY},b={KEY}x"})),
    ("cache.reached", "error", lambda f: case(f, {"VSTACK_CACHE": f"redis://127.0.0.1:{closed_port()}"})),
    ("quota.reached", "error", lambda f: case(f, {"VSTACK_RATE_LIMIT_STORE": f"redis://127.0.0.1:{closed_port()}"})),
    ("provider.resolved", "warning", lambda f: case(f, {"VSTACK_LLM": "auto"})),
    ("provider.resolved", "error", lambda f: case(f, {"VSTACK_LLM": "anthropic"})),
    ("provider.keys", "error", lambda f: case(f, {"OPENAI_API_KEY": '"sk-0123456789abcdef"'})),
    ("provider.keys", "error", lambda f: case(f, {"ANTHROPIC_API_KEY": "REPLACE"})),
    ("provider.keys", "error", lambda f: case(f, {"ANTHROPIC_API_KEY": "sk-0123456789\nabcdef"})),
    ("provider.resolved", "error", lambda f: case(f, {"VSTACK_LLM": "openai", "OPENAI_API_KEY": "sk-012345678\u00e9"})),
    (
        "provider.several",
        "warning",
        lambda f: case(f, {"VSTACK_LLM": "auto", "OLLAMA_HOST": "a", "OPENAI_API_KEY": "sk-0123456789abcdef"}),
    ),
    ("provider.priced", "warning", lambda f: case(f, {**_openai(), "VSTACK_MODEL": "a-model-of-ours"})),
    ("provider.listed", "warning", lambda f: case(f, {"VSTACK_MODELS": "a-model-of-ours"})),
    ("provider.encrypted", "warning", lambda f: case(f, {"OPENAI_BASE_URL": "http://models.example/v1"})),
    ("provider.fallback", "warning", lambda f: case(f, {**_openai(), "VSTACK_LLM_FALLBACK": "openai"})),
    ("provider.reached", "error", lambda f: case(f, _openai(f"http://127.0.0.1:{closed_port()}/v1"))),
    ("home.writable", "error", lambda f: case(f, {"VSTACK_HOME": "/proc/vstack"})),
    ("home.private", "warning", lambda f: with_home(f, 0o755)),
    ("home.lasting", "warning", lambda f: case(f, container=True)),
    ("home.databases", "error", with_database),
    ("tape.private", "warning", lambda f: with_tapes(f, 0o755)),
    ("tape.writable", "error", lambda f: case(f, {"VSTACK_TAPE": "/proc/tapes"})),
    ("clock.year", "error", lambda f: case(f, now=datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))),
    ("container.root", "warning", lambda f: case(f, container=True, user=0)),
    ("container.bound", "warning", lambda f: case(f, container=True)),
    ("kubernetes.links", "warning", lambda f: case(f, {"VSTACK_API_PORT": "tcp://10.0.0.1:80"})),
    ("kubernetes.grace", "error", lambda f: case(f, pod=pod(terminationGracePeriodSeconds=30))),
    ("kubernetes.grace", "error", lambda f: Case({}, machine(f), deployment=b"{}")),
    ("kubernetes.probes", "error", lambda f: case(f, pod=container(readinessProbe={"httpGet": {"path": "/livez"}}))),
    ("kubernetes.probes", "error", lambda f: case(f, pod=container(livenessProbe={"httpGet": {"path": "/readyz"}}))),
    ("kubernetes.probes", "warning", lambda f: case(f, pod=container(readinessProbe={"httpGet": {"path": "/readyz"}}))),
    ("mcp.program", "warning", lambda f: case(f, path=str(f))),
    ("mcp.clients", "warning", lambda f: with_client(f, "{")),
    (
        "mcp.clients",
        "error",
        lambda f: with_client(f, '{"mcpServers": {"vstack": {"command": "/nowhere/vstack-mcp"}}}'),
    ),
    ("alive.here", "error", lambda f: case(f, {"VSTACK_API_PORT": str(closed_port())})),
    *(
        (name, "error", lambda f: case(f, url=f"http://127.0.0.1:{closed_port()}"))
        for name in ("front.tls", "front.key")
    ),
]


def _owned(folder: Path) -> Case:
    env = keys_file(folder, 0o600)
    return case(folder, env, user=os.getuid() + 7) if os.getuid() else _given_away(folder, env)


def _given_away(folder: Path, env: dict[str, str]) -> Case:
    os.chown(env["VSTACK_API_KEYS_FILE"], 10_001, 10_001)
    return case(folder, env)


def _openai(url: str = "https://models.example/v1") -> dict[str, str]:
    return {"VSTACK_LLM": "openai", "OPENAI_API_KEY": "sk-0123456789abcdef", "OPENAI_BASE_URL": url}
