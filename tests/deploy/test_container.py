"""The image, built by buildah over a base of our own making, and run as a container is.

No engine is needed: the test does what one would with the image's own configuration. Namespaces of its own, a read-only
root, its user, its environment, and its command as process 1.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
import yaml

from tests.conftest import Service
from tests.deploy.conftest import DEPLOY, free_port
from tests.deploy.engine import Engine, engine, root_of
from tests.deploy.front import NAME, REQUEST
from tests.e2e.serving import ALICE, Server, bearer

ROOT = Path(__file__).parents[2]
MIRROR = "http://deb.debian.org/debian"
BASE = "python3,python3-venv,ca-certificates"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
TAG = SERVICES["vstack"]["image"].removeprefix("${VSTACK_IMAGE:-").removesuffix("}")
# The other images of the compose file, under their names: the programs are this machine's own.
PROGRAMS = {"nginx": "nginx", "redis": "redis-server"}
PEERS = {name: f"docker.io/library/{SERVICES[name]['image']}" for name in PROGRAMS}
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="building and running without an engine needs root")


class Image(msgspec.Struct, frozen=True):
    """A built image: where its files are, what it says of itself, and the options that name its store."""

    root: Path
    config: dict[str, Any]
    store: list[str]


@pytest.fixture(scope="session")
def image(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the image as shipped; only its base is ours."""
    buildah, debootstrap = service("buildah"), service("debootstrap")
    for program in PROGRAMS.values():
        service(program)
    folder = tmp_path_factory.mktemp("image")
    store = ["--storage-driver", "vfs", "--root", f"{folder}/root"]

    def run(argv: list[str]) -> str:
        told = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
        assert told.returncode == 0, (told.stdout + told.stderr)[-4000:]
        return told.stdout.strip()

    def build(*argv: str) -> str:
        return run([buildah, *store, "--runroot", f"{folder}/run", *argv])

    base = folder / "base"
    run([debootstrap, "--variant=minbase", f"--include={BASE}", "bookworm", str(base), MIRROR])
    (folder / "Basefile").write_text("FROM scratch\nADD base /\n")
    # In the form of Docker: that of the OCI has no health check.
    here = ("build", "--quiet", "--format", "docker", "--isolation", "chroot")
    build(*here, "--file", f"{folder}/Basefile", "--tag", "base", str(folder))
    # The authorities that this machine trusts, for the download of packages; they stay out of the image.
    trust = f"{ssl.get_default_verify_paths().cafile or AUTHORITIES}:{AUTHORITIES}:ro"
    build(*here, "--volume", trust, "--build-arg", "BASE=localhost/base", "--tag", TAG, ".")
    peers(folder / "peers")
    for name, tag in PEERS.items():
        build(*here, "--file", f"{folder}/peers/{name}.file", "--tag", tag, f"{folder}/peers/{name}")
    container = build("from", "--pull-never", f"localhost/{TAG}")
    config = json.loads(build("inspect", "--type", "image", f"localhost/{TAG}"))["OCIv1"]["config"]
    yield Image(Path(build("mount", container)), config, store)
    build("umount", container)


def peers(folder: Path) -> None:
    """Files for images of nginx and Redis, laid out as those that the compose file names."""
    users = {"etc/passwd": "root:x:0:0::/:\nredis:x:999:999::/:\n", "etc/group": "root:x:0:\nredis:x:999:\n"}
    nginx = "user root; pid /run/nginx.pid; error_log stderr; events {} http { include conf.d/*.conf; }"
    folders = {f"{name}/": "" for name in ("run", "tmp", "data", "var/log/nginx", "var/lib/nginx", "etc/nginx/conf.d")}
    root_of(["nginx"], {**users, **folders, "etc/nginx/nginx.conf": nginx}, folder / "nginx")
    root_of(["redis-server", "redis-cli"], {**users, **folders}, folder / "redis")
    head = "FROM scratch\nCOPY . /\nENV PATH=/usr/sbin:/usr/bin\n"
    (folder / "nginx.file").write_text(f'{head}STOPSIGNAL SIGQUIT\nCMD ["nginx", "-g", "daemon off;"]\n')
    (folder / "redis.file").write_text(f'{head}WORKDIR /data\nCMD ["redis-server"]\n')


class Container(Server):
    """The image's command as process 1 of its own namespaces."""

    def __init__(self, image: Image, *argv: str, **settings: str) -> None:
        self.root = image.root
        declared = dict(line.split("=", 1) for line in image.config["Env"])
        user = image.config["User"]
        root = str(image.root)
        owner = f"uid={user.split(':')[0]},gid={user.split(':')[1]},mode=0700"
        volumes = " && ".join(f"mount -t tmpfs -o {owner} none {root}{path}" for path in image.config["Volumes"])
        closed = f"mount --rbind {root} {root} && mount -o remount,bind,ro {root}"
        system = f"mount -t proc none {root}/proc && mount --rbind /dev {root}/dev"
        inner = f"{closed} && mount -t tmpfs none {root}/tmp && {volumes} && {system}"
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"]
        command = argv or tuple(image.config["Cmd"])
        started = f'{inner} && exec chroot --userspec={user} {root} env -i {" ".join(_pairs(declared | settings))} "$@"'
        super().__init__([*enter, started, "sh", *command], {})

    def signal(self, number: int) -> None:
        """To process 1 of the container, as an engine sends it."""
        os.kill(self.first, number)

    def started(self) -> Self:
        super().started()
        return self

    @property
    def first(self) -> int:
        """The process that is 1 inside."""
        (child,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(child)

    def stop(self) -> None:
        with contextlib.suppress(ValueError, ProcessLookupError):
            self.signal(signal.SIGTERM)
        super().wait()
        assert not self.faults(), self.stderr


def _pairs(variables: dict[str, str]) -> list[str]:
    return [f"'{name}={value}'" for name, value in variables.items()]


Run = Callable[..., Container]


@pytest.fixture
def run(image: Image) -> Iterator[Run]:
    """Run the image: ``run(**settings)`` serves at a free port; with words, it runs these instead."""
    running: list[Container] = []

    def start(*argv: str, **settings: str) -> Container:
        # The host's network is the container's: no port is published, a free one is taken.
        one = Container(image, *argv, **{"VSTACK_API_PORT": str(free_port()), "VSTACK_DRAIN_DELAY": "0", **settings})
        running.append(one)
        return one

    yield start
    for one in running:
        one.kill()


def test_it_serves_diagnoses_and_stops(run: Run) -> None:
    container = run(VSTACK_API_KEYS=f"alice={ALICE}", VSTACK_API_RATE_LIMIT="100/60", VSTACK_CACHE="memory").started()
    assert container.get("/readyz").status == 200
    answer = container.post("/v1/analyze/aar", REQUEST, bearer(ALICE))
    assert answer.status == 200
    assert answer.json["pattern"] == "aar"
    assert container.post("/v1/analyze/aar", REQUEST).status == 401
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{container.first}/status").read_text().splitlines())
    assert status["Uid"].split()[0] == "10001"
    assert status["NSpid"].split()[-1] == "1"
    container.signal(signal.SIGTERM)
    assert container.wait() == 0
    assert not container.faults()


def test_nothing_can_be_written_but_the_home(run: Run) -> None:
    told = run("sh", "-c", "touch /opt/vstack/x || echo closed; touch $VSTACK_HOME/x && echo open; id -u")
    assert told.wait() == 0
    assert told.stdout.split() == ["closed", "open", "10001"]


def test_auth_required_without_keys_is_seen_by_a_probe(run: Run) -> None:
    container = run(VSTACK_API_REQUIRE_AUTH="true")
    container.port = container.wait_for(lambda line: line["event"] == "listening")["port"]
    assert container.get("/readyz").json["status"] == "misconfigured"
    container.signal(signal.SIGTERM)
    assert container.wait() == 0


def test_it_holds_no_tool_that_installs_and_no_test(image: Image) -> None:
    packages = {path.name.split("-")[0].lower() for path in (image.root / "opt/vstack/lib").rglob("*.dist-info")}
    assert "vstack" in packages
    assert not packages & {"pip", "setuptools", "pytest", "hatchling"}
    assert image.config["User"] == "10001:10001"
    assert image.config["StopSignal"] == "SIGTERM"


# Compose.


@pytest.fixture
def composed(
    image: Image, service: Service, tmp_path: Path, certificate: tuple[Path, Path]
) -> Iterator[tuple[Engine, Callable[..., str]]]:
    """The files of ``deploy/compose``, made ready as they say, on a machine with an engine."""
    folder = tmp_path / "compose"
    shutil.copytree(DEPLOY / "compose", folder)
    (folder / "tls").mkdir()
    for file in certificate:
        shutil.copy(file, folder / "tls")
    settings = (folder / "vstack.env.example").read_text()
    (folder / "vstack.env").write_text(re.sub(r"(?m)^(VSTACK_API_KEYS)=.*", rf"\1=prod={ALICE}", settings))
    compose = service(str(Path(sys.executable).with_name("docker-compose")))
    with engine(service, image.store, tmp_path) as machine:
        yield machine, functools.partial(machine.compose, compose, folder / COMPOSE.name)


def brought_up(machine: Engine, compose: Callable[..., str]) -> None:
    """``up``, while somebody carries the health check of the image out: podman leaves its rounds to systemd."""
    up = threading.Thread(target=compose, args=("up", "--detach", "--no-build"))
    up.start()
    machine.until(lambda: any('"listening"' in line for line in machine.logs("vstack-vstack-1")))
    machine.until(lambda: healthy(machine))
    up.join()


def healthy(machine: Engine) -> bool:
    """Whether a round of the image's own health check ends well."""
    machine.podman("healthcheck", "run", "vstack-vstack-1", ok=False)
    return machine.inspected("vstack-vstack-1")["State"]["Health"]["Status"] == "healthy"


def asked(machine: Engine, path: str, *words: str) -> tuple[int, str]:
    """What somebody outside is answered: the status, and the rest."""
    here = ["--resolve", f"{NAME}:443:127.0.0.1", "--cacert", "compose/tls/vstack.crt"]
    told = machine.run("curl", "-sS", *here, "-w", "\n%{http_code}", *words, f"https://{NAME}{path}")
    text, _, status = told.rpartition("\n")
    return int(status), text


@pytest.mark.slow
def test_docker_compose_starts_it_and_it_is_as_the_file_says(
    composed: tuple[Engine, Callable[..., str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine, compose = composed
    monkeypatch.chdir(tmp_path)
    brought_up(machine, compose)
    machine.until(lambda: asked_quietly(machine))
    assert asked(machine, "/readyz") == (200, '{"status":"ready","detail":"the service takes traffic"}')
    # Diagnosed once, and then remembered, by Redis. That the answer is for TLS alone shows that nginx has the address
    # from which the service believes what a caller is said to be.
    request = ["-H", f"Authorization: Bearer {ALICE}", "-H", "X-Forwarded-For: 192.0.2.1", "-D", "-"]
    request += ["-H", "Content-Type: application/json", "-d", json.dumps(REQUEST)]
    for cached in ("miss", "hit"):
        status, told = asked(machine, "/v1/analyze/aar", *request)
        assert status == 200, told
        assert f"x-cache: {cached}" in told.lower(), told
        assert "strict-transport-security" in told.lower()
    assert int(machine.podman("exec", "vstack-redis-1", "redis-cli", "dbsize")) >= 2
    assert asked(machine, "/v1/patterns")[0] == 401
    assert asked(machine, "/metrics")[0] == 403
    # Locked in: no root, no capabilities, nothing to gain, nothing to write to but the home and /tmp.
    shown = machine.podman("exec", "vstack-vstack-1", "cat", "/proc/1/status")
    status_of = dict(line.split(":\t", 1) for line in shown.splitlines())
    assert (status_of["CapEff"].strip("0"), status_of["NoNewPrivs"]) == ("", "1")
    assert status_of["Uid"].split()[0] == "10001"
    for path, open_ in (("/opt/vstack/x", False), ("/var/lib/vstack/x", True), ("/tmp/x", True)):
        wrote = machine.podman(
            "exec", "vstack-vstack-1", "sh", "-c", f"touch {path} 2>/dev/null && echo written || true"
        )
        assert (wrote == "written\n") is open_, path
    # It ends by itself, in the time that the file gives it.
    compose("stop", "vstack")
    assert machine.inspected("vstack-vstack-1")["State"]["ExitCode"] == 0
    compose("down", "--volumes")


def asked_quietly(machine: Engine) -> bool:
    """Whether nginx listens by now."""
    return machine.run("sh", "-c", "curl -sk https://127.0.0.1 >/dev/null && echo yes || true") == "yes\n"
