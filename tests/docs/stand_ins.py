"""What a test cannot have when it follows the deployment guide, and what stands in its place.

Called with the name of the program: ``systemctl`` starts what the units say, ``apt-get`` simulates, ``docker``,
``kubectl`` and ``helm`` check what they would send. ``/run/sandbox.json`` says where things are.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

UNITS = (Path("/etc/systemd/system"), Path("/lib/systemd/system"))
RUN = Path("/run/units")
PATIENCE = 30.0


def main() -> None:
    """Be the program that the first argument names."""
    name, words = sys.argv[1], sys.argv[2:]
    {"systemctl": systemctl, "apt-get": apt_get, "docker": docker, "kubectl": kubectl, "helm": helm}[name](words)


# systemd.


class Unit:
    """A unit's file, as far as starting its service needs it."""

    def __init__(self, name: str) -> None:
        self.name = name
        (path, *_) = [folder / f"{name}.service" for folder in UNITS if (folder / f"{name}.service").exists()]
        text = path.read_text().replace("\\\n", " ")
        self.lines = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
        self.pid_file = RUN / f"{name}.pid"

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.lines if name == key and value]

    def one(self, key: str, otherwise: str = "") -> str:
        return self.all(key)[-1] if self.all(key) else otherwise

    def environment(self, credentials: Path) -> dict[str, str]:
        """What the service's environment holds: nothing of ours but the path."""
        env = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        for text in self.all("Environment"):
            env |= dict(item.split("=", 1) for item in shlex.split(text.replace("%d", str(credentials))))
        for file in self.all("EnvironmentFile"):
            path = Path(file.removeprefix("-"))
            if path.exists() or not file.startswith("-"):
                lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
                env |= {key: "".join(shlex.split(value)) for key, value in (line.split("=", 1) for line in lines)}
        return env

    def start(self) -> None:
        """Carry ExecStartPre and ExecStart out, as the unit's user."""
        user = self.one("User", "nobody" if self.one("DynamicUser") == "yes" else "root")
        owner = pwd.getpwnam(user)
        credentials = RUN / f"{self.name}.credentials"
        credentials.mkdir(parents=True, mode=0o700, exist_ok=True)
        os.chown(credentials, owner.pw_uid, owner.pw_gid)
        for text in self.all("LoadCredential"):
            name, _, source = text.partition(":")
            copy = credentials / name
            copy.write_bytes(Path(source).read_bytes())
            copy.chmod(0o400)
            os.chown(copy, owner.pw_uid, owner.pw_gid)
        for folder in self.all("StateDirectory"):
            path = Path("/var/lib", folder)
            path.mkdir(mode=int(self.one("StateDirectoryMode", "0755"), 8), exist_ok=True)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        env = self.environment(credentials)
        become = ["setpriv", f"--reuid={user}", f"--regid={owner.pw_gid}", "--init-groups", "--"]
        log = (RUN / f"{self.name}.log").open("ab")
        for line in self.all("ExecStartPre"):
            subprocess.run([*become, *words_of(line, env)], check=True, env=env, stdout=log, stderr=log)
        argv = [*become, *words_of(self.one("ExecStart"), env)]
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
        )
        if self.one("Type") == "forking":
            assert process.wait(PATIENCE) == 0
            pid = int(Path(self.one("PIDFile")).read_text())
        else:
            pid = process.pid
        self.pid_file.write_text(str(pid))

    def stop(self) -> None:
        """Ask it to end, and wait."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int(self.pid_file.read_text())
            os.kill(pid, getattr(signal, self.one("KillSignal", "SIGTERM")))
            end = time.monotonic() + PATIENCE
            with open(os.pidfd_open(pid), "rb", buffering=0) as gone:
                assert select.select([gone], [], [], end - time.monotonic())[0], f"{self.name} does not stop"
        self.pid_file.unlink(missing_ok=True)


def words_of(line: str, env: dict[str, str]) -> list[str]:
    """The words of an Exec line; ``$NAME`` alone is split at spaces."""
    words: list[str] = []
    for word in shlex.split(line.lstrip("-")):
        words += shlex.split(env.get(word[1:], "")) if re.fullmatch(r"\$[A-Z]+", word) else [word]
    return words


def systemctl(words: list[str]) -> None:
    RUN.mkdir(parents=True, exist_ok=True)
    verb, names = words[0], [word for word in words[1:] if not word.startswith("-")]
    if verb == "daemon-reload":
        return
    assert (verb, words[1:2]) == ("enable", ["--now"]) or verb in ("start", "stop", "restart"), words
    scrape = Path("/etc/prometheus/prometheus.yml")
    scrape.write_text(scrape.read_text().replace("interval: 15s", "interval: 1s"))
    for name in names:
        unit = Unit(name)
        if verb != "enable":
            unit.stop()
        if verb != "stop":
            unit.start()


# The others.


def apt_get(words: list[str]) -> None:
    subprocess.run(["/usr/bin/apt-get", "--simulate", *words], check=True, stdout=subprocess.DEVNULL)


def docker(words: list[str]) -> None:
    """``compose --file FILE up``: every file that it would bind or read is there, and no secret is open."""
    assert words[0] == "compose"
    assert "up" in words
    file = Path(words[words.index("--file") + 1])
    services = yaml.safe_load(file.read_text())["services"]
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (file.parent / source).exists(), volume
        if "env_file" in service:
            secrets = file.parent / service["env_file"]
            assert secrets.stat().st_mode & 0o077 == 0
            assert "REPLACE-WITH" not in secrets.read_text().split("VSTACK_API_RATE_LIMIT")[0]
    dockerfile = file.parent / services["vstack"]["build"]["context"] / "Dockerfile"
    assert dockerfile.exists()


def kubectl(words: list[str]) -> None:
    for word in words:
        if (found := re.fullmatch(r"--from-file=[\w-]+=(.*)", word)) is not None:
            assert Path(found[1]).stat().st_size
    if "apply" in words:
        validate(Path(words[words.index("--filename") + 1]).read_text())
    else:
        assert "create" in words


def helm(words: list[str]) -> None:
    """``upgrade --install``: what helm itself would send is rendered, and validated."""
    assert words[:2] == ["upgrade", "--install"]
    real = json.loads(Path("/run/sandbox.json").read_text())["helm"]
    made = subprocess.run([real, "template", *words[2:]], check=True, capture_output=True, text=True).stdout
    validate(made)


def validate(text: str) -> None:
    """Whether Kubernetes would take each of these documents."""
    import kubernetes_validate  # a second of reading that the other programs need not wait for

    documents = [document for document in yaml.safe_load_all(text) if document]
    assert documents
    for document in documents:
        kubernetes_validate.validate(document, "1.33", strict=True)


if __name__ == "__main__":
    main()
