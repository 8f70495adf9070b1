"""What the pages show of packages and tools of one's own: it stands in ``examples``, and works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest

from examples.own_tool import app, my_routes
from vstack_runtime import Settings, serve
from vstack_runtime.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "more_of_the_same"
SAID = {"content": [{"type": "text", "text": "hello"}]}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def test_the_page_shows_the_package_as_it_is() -> None:
    shown = re.findall(r'^```(?:toml|python) title="(.+?)"\n(.*?)^```$', page("extending.md"), re.MULTILINE | re.DOTALL)
    assert len(shown) == 3
    for name, text in shown:
        assert text == (PACKAGE / name).read_text("utf-8")


@pytest.mark.slow
def test_the_package_is_installed_and_its_test_passes(tmp_path: Path) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    site = tmp_path / "site"
    argv = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(site), str(PACKAGE)]
    subprocess.run(argv, check=True, timeout=120)
    (tmp_path / "test_more.py").write_bytes((PACKAGE / "test_more.py").read_bytes())
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_more.py"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


# Tools.


def asked(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def both_ways(client: httpx.AsyncClient) -> None:
    """The tool stands beside the patterns, and answers."""
    client.headers["accept"] = "application/json, text/event-stream"
    listed = (await client.post("/mcp", json=asked("tools/list"))).json()["result"]["tools"]
    assert {"hello", "vstack_aar"} <= {tool["name"] for tool in listed}
    told = (await client.post("/mcp", json=asked("tools/call", name="hello", arguments={}))).json()["result"]
    assert told["content"] == SAID["content"]
    assert (await client.get("/readyz")).status_code == 200


def test_the_page_shows_the_tool_as_it_is() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", page("mcp.md"), re.MULTILINE | re.DOTALL)
    assert (ROOT / "examples" / "own_tool.py").read_text("utf-8").endswith(f"\n\n{shown}")


def test_a_tool_of_ones_own_is_offered_by_an_app() -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            await both_ways(client)

    anyio.run(ask)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_tool_of_ones_own_is_offered_by_a_server(backend: str) -> None:
    async def ask() -> None:
        own = serve(Settings(llm="offline"), port=0, contributed=(my_routes,))
        async with own as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await both_ways(client)

    anyio.run(ask, backend=backend)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers the tool by an entry point; its name comes before vstack's."""
    info = tmp_path / "a_tool-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-tool\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vstack.routes]\nmine = examples.own_tool:my_routes\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_a_package_that_offers_the_route_takes_the_place_of_the_one_there_is() -> None:
    service = Engine(Settings(), env={}).service
    found = service.routes.find("POST", "/mcp").route.contribution
    assert found is service.routes.contributions["/mcp"]
    opened = found.open({"accept": "application/json"}, msgspec.json.encode(asked("tools/call", name="hello")))
    assert b'"hello"' in getattr(opened, "body", b"")
