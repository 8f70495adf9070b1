"""The deployment guide, followed word by word by somebody who knows nothing else: every command is run, in order.

The page says under "How this page is tested" what stands in for what a test cannot have; ``stand_ins.py`` is that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_SERVICES, Service
from tests.docs import stand_ins
from vstack_proto.openapi_errors import ERRORS
from vstack_runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
NAME = "vstack.example.com"
PROGRAMS = ("nginx", "prometheus", "promtool", "prometheus-alertmanager", "amtool", "curl", "openssl", "setpriv", "ip")

# A block of commands, and the block of text right behind it that says what they print.
BLOCK = re.compile(r"^```sh *\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

# Folders that commands of the page write to: copies that vanish with the namespace.
COPIED = ("/etc", "/opt", "/var", "/usr/local", str(ROOT / "deploy"))


def blocks() -> list[tuple[str, str]]:
    """Each block of commands with what it should print."""
    return [(script, printed) for script, printed in BLOCK.findall(PAGE)]


def sandbox(folder: Path) -> str:
    """The shell commands that make the namespaces a machine of their own."""
    lines = ["set -eu", "ip link set lo up", f"mount -t tmpfs none {folder}/over", "mount -t tmpfs none /run"]
    for number, path in enumerate(COPIED):
        upper, work = f"{folder}/over/{number}", f"{folder}/over/{number}.work"
        options = f"lowerdir={path},upperdir={upper},workdir={work}"
        lines += [f"mkdir {upper} {work}", f"mount -t overlay none -o '{options}' {path}"]
    lines += [
        f"echo '127.0.0.1 {NAME} localhost' > /etc/hosts",
        f"cp {folder}/sandbox.json /run/",
        "rm -rf /etc/nginx/conf.d/* /var/lib/prometheus/metrics2 /var/lib/prometheus/alertmanager",
        "mkdir -p /var/log/nginx /var/lib/nginx",
        f"export HOME={folder} TMPDIR={folder} PATH={folder}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"cd {ROOT}",
    ]
    return "\n".join(lines)


@pytest.fixture
def stand_ins_of(tmp_path: Path) -> Path:
    """A folder with the programs that stand in, and where they find the real ones."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "over").mkdir()
    for name in ("systemctl", "apt-get", "docker", "kubectl", "helm"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_ins.__file__} {name} "$@"\n')
        program.chmod(0o755)
    (tmp_path / "sandbox.json").write_text(json.dumps({"helm": str(Path(sys.executable).with_name("helm"))}))
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a machine of its own needs root")
def test_a_stranger_gets_there(service: Service, stand_ins_of: Path) -> None:
    for program in PROGRAMS:
        service(program)
    folder = stand_ins_of
    script = [sandbox(folder)]
    for number, (commands, _) in enumerate(blocks()):
        if "/pip install" in commands:
            commands = installed(commands)
        (folder / f"{number}.sh").write_text(commands)
        script.append(f"echo '== {number}, after' $SECONDS s >&2\n. {folder}/{number}.sh > {folder}/{number}.out")
    (folder / "all.sh").write_text("\n".join(script))
    isolated = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    told = subprocess.run(
        [*isolated, "bash", f"{folder}/all.sh"],
        input=f"sk-ant-api03-{'x' * 80}\n",  # what somebody pastes who is asked for a key
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-4000:]
    for number, (commands, printed) in enumerate(blocks()):
        if printed:
            assert (folder / f"{number}.out").read_text().strip() == printed.strip(), commands


def installed(commands: str) -> str:
    """The installation without a network: its packages are those of this environment, which the same files pinned."""
    kept = [line for line in commands.splitlines() if "pip install" not in line and "-m venv" not in line]
    assert len(kept) == len(commands.splitlines()) - 3
    return "\n".join([f"mkdir /opt/vstack && mount --bind {sys.prefix} /opt/vstack", *kept, ""])


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get(REQUIRE_SERVICES) != "1", reason="asks the package index for everything")
def test_the_installation(tmp_path: Path) -> None:
    """The three lines that install, as they stand, into another folder."""
    commands = blocks()[0][0]
    lines = [line for line in commands.splitlines() if "pip install" in line or "-m venv" in line]
    assert len(lines) == 3
    script = "\n".join(lines).replace("/opt/vstack", f"{tmp_path}/vstack").replace("python3 ", f"{sys.executable} ")
    subprocess.run(["bash", "-euc", script], check=True, cwd=ROOT, env={**os.environ, "PIP_NO_COMPILE": "1"})
    told = subprocess.run(
        [f"{tmp_path}/vstack/bin/vstack-api", "version"], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert told.stdout.strip()


def test_the_proxies_wait_longer_than_the_service() -> None:
    timeout = Settings.from_env({}).limits.request_timeout
    for file, said in (("nginx/vstack.conf", "proxy_read_timeout"), ("caddy/Caddyfile", "response_header_timeout")):
        found = re.search(rf"{said} (\d+)s", (ROOT / "deploy" / file).read_text())
        assert found is not None
        assert int(found[1]) == timeout + 10


# The tables of the page.


def table(first: str) -> list[list[str]]:
    """The rows of the table whose header begins with this cell."""
    _, _, rest = PAGE.partition(f"\n| {first} |")
    rows = re.match(r".*\n\|[-|]+\n((?:\|.*\n)+)", rest)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]


def test_every_code_has_a_place_to_look_at() -> None:
    told = [code for row in table("code") for code in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(row.code for row in ERRORS)


@pytest.mark.parametrize("row", table("it said"), ids=lambda row: row[0][:40])
def test_each_promise_names_a_test_that_is_there(row: list[str]) -> None:
    _, here, test = row
    file, _, name = test.strip("`| ").partition("::")
    assert here
    assert f"\ndef {name}(" in (ROOT / file).read_text("utf-8")


def test_everything_in_a_fence_of_commands_is_run_or_is_what_they_print() -> None:
    fences = re.findall(r"^```(\w*)", PAGE, re.MULTILINE)
    opening = fences[::2]
    assert set(opening) == {"sh", "text"}
    assert opening.count("sh") == len(blocks())
    assert opening.count("text") == sum(bool(printed) for _, printed in blocks())
