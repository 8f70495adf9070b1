"""The image, built by buildah over a base of our own making, and run as a container is.

No engine is needed: the test does what one would with the image's own configuration. Namespaces of its own, a read-only
root, its user, its environment, and its command as process 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from tests.conftest import Service
from tests.deploy.conftest import free_port
from tests.deploy.front import REQUEST
from tests.e2e.serving import ALICE, Server, bearer

ROOT = Path(__file__).parents[2]
MIRROR = "http://deb.debian.org/debian"
BASE = "python3,python3-venv,ca-certificates"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="building and running without an engine needs root")


class Image(msgspec.Struct, frozen=True):
    """A built image: where its files are, and what it says of itself."""

    root: Path
    config: dict[str, Any]


@pytest.fixture(scope="session")
def image(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the image as shipped; only its base is ours."""
    buildah, debootstrap = service("buildah"), service("debootstrap")
    folder = tmp_path_factory.mktemp("image")
    store = ["--storage-driver", "vfs", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]

    def run(argv: list[str]) -> str:
        told = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
        assert told.returncode == 0, (told.stdout + told.stderr)[-4000:]
        return told.stdout.strip()

    def build(*argv: str) -> str:
        return run([buildah, *store, *argv])

    base = folder / "base"
    run([debootstrap, "--variant=minbase", f"--include={BASE}", "bookworm", str(base), MIRROR])
    (folder / "Basefile").write_text("FROM scratch\nADD base /\n")
    here = ("build", "--quiet", "--isolation", "chroot")
    build(*here, "--file", f"{folder}/Basefile", "--tag", "base", str(folder))
    # The authorities that this machine trusts, for the download of packages; they stay out of the image.
    trust = f"{ssl.get_default_verify_paths().cafile or AUTHORITIES}:{AUTHORITIES}:ro"
    build(*here, "--volume", trust, "--build-arg", "BASE=localhost/base", "--tag", "vstack", ".")
    container = build("from", "--pull-never", "localhost/vstack")
    config = json.loads(build("inspect", "--type", "image", "localhost/vstack"))["OCIv1"]["config"]
    yield Image(Path(build("mount", container)), config)
    build("umount", container)


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
