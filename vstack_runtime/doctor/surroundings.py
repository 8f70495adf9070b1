"""Clock, container, Kubernetes, MCP clients, and the service as it is seen from outside."""

from __future__ import annotations

import datetime
import email.utils
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from vstack_runtime.doctor.case import Case, Check, Finding, error, ok, skipped, warning

if TYPE_CHECKING:
    from vstack_runtime.http_client import Answer

# Nothing of this version was made before.
_RELEASED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_SECONDS = 3.0
# Where programs that speak MCP keep the list of their servers, from the user's home.
_CLIENTS = (
    ".config/Claude/claude_desktop_config.json",
    "Library/Application Support/Claude/claude_desktop_config.json",
    ".claude.json",
    ".cursor/mcp.json",
    ".codeium/windsurf/mcp_config.json",
    ".continue/config.json",
    ".config/Code/User/mcp.json",
)


def _clock(case: Case) -> Finding:
    now = case.machine.now
    if now < _RELEASED:
        means = "certificates of providers look invalid, and log lines carry wrong times"
        return error(f"it is {now:%Y-%m-%d %H:%M} UTC here", means, "timedatectl set-ntp true")
    return ok(f"{now:%Y-%m-%d %H:%M} UTC")


def _root(case: Case) -> Finding:
    if case.machine.user == 0 and case.machine.container:
        means = "whoever breaks out of the process is root in the container"
        return warning("the container runs as root", means, "docker run --user 10001:10001, or runAsNonRoot: true")
    return ok(f"runs as user {case.machine.user}")


def _bound(case: Case) -> Finding:
    if case.machine.container and not case.exposed:
        means = "nobody outside of the container reaches it, probes neither"
        return warning(f"listens at {case.settings.host}, in a container", means, "VSTACK_API_HOST=0.0.0.0")
    return ok(f"listens at {case.settings.host}")


# Kubernetes.


def _links(case: Case) -> Finding:
    if "://" in case.given("VSTACK_API_PORT"):
        means = "Kubernetes has put the address of a Service named vstack-api where the port is read from"
        return warning(
            f"VSTACK_API_PORT is {case.given('VSTACK_API_PORT')}", means, "enableServiceLinks: false in the pod's spec"
        )
    return ok("no variable of Kubernetes is in the way")


def _deployment(case: Case) -> Finding | dict[str, Any]:
    if case.deployment is None:
        return skipped("kubectl get deployment NAME -o json | vstack-doctor --deployment - looks at one")
    try:
        spec: dict[str, Any] = msgspec.json.decode(case.deployment)["spec"]["template"]["spec"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return error("no Deployment in JSON", "it cannot be looked at", "kubectl get deployment NAME -o json")
    return spec


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(pod.get("containers", [])), {})
    return found


def _grace(case: Case) -> Finding:
    pod = _deployment(case)
    if isinstance(pod, Finding):
        return pod
    told = {item["name"]: item.get("value", "") for item in _container(pod).get("env", [])}
    settings = case.settings
    drain = float(told.get("VSTACK_DRAIN_DELAY") or settings.drain_delay)
    timeout = float(told.get("VSTACK_API_REQUEST_TIMEOUT") or settings.limits.request_timeout)
    needed, given = drain + timeout + 10, pod.get("terminationGracePeriodSeconds", 30)
    if given < needed:
        means = "analyses in flight are killed when a pod stops"
        return error(f"terminationGracePeriodSeconds is {given}", means, f"terminationGracePeriodSeconds: {needed:.0f}")
    return ok(f"terminationGracePeriodSeconds is {given}, {needed:.0f} are needed")


def _probes(case: Case) -> Finding:
    pod = _deployment(case)
    if isinstance(pod, Finding):
        return pod
    container = _container(pod)
    ready, live = container.get("readinessProbe", {}), container.get("livenessProbe", {})
    if ready.get("httpGet", {}).get("path") != "/readyz":
        means = "pods get requests before they are ready, and while they stop"
        return error(
            "the readiness probe does not ask /readyz", means, "readinessProbe: {httpGet: {path: /readyz, port: 8000}}"
        )
    if live.get("httpGet", {}).get("path") not in ("/livez", "/healthz"):
        means = "a pod that stops is restarted, or one that hangs is not"
        return error(
            "the liveness probe does not ask /livez", means, "livenessProbe: {httpGet: {path: /livez, port: 8000}}"
        )
    seen = ready.get("periodSeconds", 10) * ready.get("failureThreshold", 3)
    if seen >= case.settings.drain_delay:
        means = (
            f"a stopping pod is taken out after {seen} s, and has stopped listening after {case.settings.drain_delay:g}"
        )
        mend = "readinessProbe: {periodSeconds: 2, failureThreshold: 1}, or a longer VSTACK_DRAIN_DELAY"
        return warning(f"the readiness probe needs {seen} s to fail", means, mend)
    return ok(f"readiness fails within {seen} s, liveness asks /livez")


# MCP clients on this machine.


def _clients(case: Case) -> Finding:
    found = []
    for name in _CLIENTS:
        file = case.machine.folder / name
        try:
            listed = msgspec.json.decode(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue  # this client is not here
        except OSError as fault:
            return warning(
                f"{file} cannot be read: {fault.strerror}", "what it starts is not known", f"look at who owns {file}"
            )
        except msgspec.DecodeError:
            return warning(
                f"{file} is not JSON", "the client starts no server", "vstack-mcp config-snippet shows how it looks"
            )
        for server in _servers(listed):
            command = str(server.get("command", ""))
            if "vstack" in f"{command} {server.get('args', '')}":
                found.append(file)
                if not (case.machine.finds(command) or os.access(command, os.X_OK)):
                    means = "the client cannot start vstack-mcp"
                    mend = f"name it in full: {case.machine.finds('vstack-mcp') or 'the path of vstack-mcp'}"
                    return error(f"{file} names {command}, which is not there", means, mend)
    return ok(f"{len(found)} clients on this machine start vstack-mcp")


def _servers(listed: Any) -> list[dict[str, Any]]:
    if not isinstance(listed, dict):
        return []
    tables = (listed.get("mcpServers"), listed.get("servers"))
    return [
        server for table in tables if isinstance(table, dict) for server in table.values() if isinstance(server, dict)
    ]


def _program(case: Case) -> Finding:
    path = case.machine.finds("vstack-mcp")
    if path is None:
        means = "MCP clients that name the program alone do not find it"
        return warning("vstack-mcp is not on the PATH", means, "export PATH=the bin folder of the environment:$PATH")
    return ok(path)


# From outside: where --url says.


def _asked(case: Case, path: str) -> Answer | Finding:
    if case.url is None:
        return skipped("vstack-doctor --url https://your.host looks at the service from outside")
    from vstack_runtime.http_client import look

    try:
        return look(case.url.rstrip("/") + path, _SECONDS)
    except OSError as fault:
        return error(
            f"{case.url}: {fault}", "callers cannot reach it either", "look at the proxy's log and certificate"
        )


def _front_tls(case: Case) -> Finding:
    told = _asked(case, "/livez")
    if isinstance(told, Finding):
        return told
    if urlsplit(case.url or "").scheme != "https":
        return warning(
            f"{case.url} is not encrypted", "keys cross the network in the open", "TLS in front: deploy/nginx"
        )
    if "strict-transport-security" not in told.headers:
        means = "the service takes its callers for callers without TLS"
        return warning(
            "no Strict-Transport-Security", means, "the proxy must send X-Forwarded-Proto and be a trusted proxy"
        )
    return ok("encrypted, and the service knows it")


def _front_metrics(case: Case) -> Finding:
    told = _asked(case, "/metrics")
    if isinstance(told, Finding):
        return told
    if told.status == 200:
        means = "anybody can read how much is asked of what"
        return warning(f"{case.url}/metrics is open", means, "deny /metrics at the proxy, as deploy/nginx does")
    return ok(f"/metrics answers {told.status}")


def _front_key(case: Case) -> Finding:
    told = _asked(case, "/v1/patterns")
    if isinstance(told, Finding):
        return told
    if told.status == 200:
        means = "everybody who reaches this address can have analyses made at your cost"
        return error(f"{case.url} asks for no key", means, "VSTACK_API_KEYS, and VSTACK_API_REQUIRE_AUTH=true")
    return ok(f"without a key: {told.status}")


def _front_clock(case: Case) -> Finding:
    told = _asked(case, "/livez")
    if isinstance(told, Finding):
        return told
    date = told.headers.get("date")
    if date is None:
        return skipped("the answer has no Date")
    apart = abs((email.utils.parsedate_to_datetime(date) - case.machine.now).total_seconds())
    if apart > 30:
        means = "tokens and certificates expire at the wrong moment on one of the two"
        return warning(f"its clock and this one are {apart:.0f} s apart", means, "timedatectl set-ntp true")
    return ok(f"clocks {apart:.0f} s apart")


def _alive(case: Case) -> Finding:
    here = "127.0.0.1" if case.settings.host in ("0.0.0.0", "::") else case.settings.host  # nosec B104
    url = f"http://{f'[{here}]' if ':' in here else here}:{case.settings.port}/livez"
    from vstack_runtime.http_client import look

    try:
        return ok(f"{url} answers {look(url, _SECONDS).status}")
    except OSError as fault:
        return error(f"{url}: {fault}", "the service does not run here", "vstack-api serve")


CHECKS = (
    Check("clock.year", _clock),
    Check("container.root", _root),
    Check("container.bound", _bound),
    Check("kubernetes.links", _links),
    Check("kubernetes.grace", _grace),
    Check("kubernetes.probes", _probes),
    Check("mcp.program", _program),
    Check("mcp.clients", _clients),
    Check("front.tls", _front_tls, network=True),
    Check("front.metrics", _front_metrics, network=True),
    Check("front.key", _front_key, network=True),
    Check("front.clock", _front_clock, network=True),
    Check("alive.here", _alive, on_request=True),
)
