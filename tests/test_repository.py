"""What holds for the repository as a whole: what the core may import, sizes, pins, and lists that must agree."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REQUIRED

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("vstack_proto", "vstack_runtime", "vstack_mcp")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

MAX_FILE_LINES = 399
MAX_FUNCTION_LINES = 49
# A driver merges events and performs commands; what does not fit in here is a decision, and belongs to the core.
MAX_DRIVER_LINES = 300
DRIVERS = ("asyncio_server.py", "trio_server.py", "trio_line.py", "asgi.py", "hypercorn_server.py")

# The parts of the standard library that touch nothing outside the process, and the core's two libraries.
# A list of what is forbidden could not be complete; this one is.
# fmt: off
PURE = frozenset({
    "__future__", "abc", "array", "base64", "binascii", "bisect", "cmath", "codecs", "collections", "contextlib",
    "copy", "dataclasses", "datetime", "decimal", "difflib", "email.utils", "enum", "fractions", "functools", "gzip",
    "hashlib", "heapq", "hmac", "html", "html.entities", "inspect", "io", "ipaddress", "itertools", "json",
    "keyword", "math", "numbers", "operator", "re", "shlex", "statistics", "string", "struct", "textwrap", "types",
    "typing", "unicodedata", "urllib.parse", "weakref", "zlib", "h11", "msgspec",
})
# fmt: on
# Two doors that are used in one place each.
ALSO_PURE = {
    "vstack_proto/encoding.py": frozenset({"backports", "compression"}),  # zstd of Python 3.14, and before it
    "vstack_proto/testing.py": frozenset({"hypothesis"}),  # strategies for the user's own tests
}
IMPURE_CALLS = frozenset({"open", "print", "input", "breakpoint", "exec", "eval", "__import__"})


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def is_within(module: str, allowed: frozenset[str]) -> bool:
    parts = module.split(".")
    return any(".".join(parts[: n + 1]) in allowed for n in range(len(parts)))


@pytest.mark.parametrize("path", sources("vstack_proto"), ids=name_of)
def test_the_core_imports_nothing_that_does_io(path: Path) -> None:
    allowed = PURE | {"vstack_proto"} | ALSO_PURE.get(name_of(path), frozenset())
    tree = ast.parse(path.read_bytes())
    assert [module for module in imports(tree) if not is_within(module, allowed)] == []
    calls = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert IMPURE_CALLS.isdisjoint(calls)


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name_of)
def test_files_and_functions_are_small(path: Path) -> None:
    source = path.read_text("utf-8")
    limit = MAX_DRIVER_LINES if path.parent.name == "vstack_runtime" and path.name in DRIVERS else MAX_FILE_LINES
    assert len(source.splitlines()) <= limit
    lengths = {
        f"{node.name}, line {node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def built_in_patterns() -> dict[str, str]:
    entry_points: dict[str, str] = PROJECT["project"]["entry-points"]["vstack.patterns"]
    return entry_points


def test_every_pattern_file_is_an_entry_point_and_kept_apart() -> None:
    files = (ROOT / "vstack_proto" / "patterns").glob("*.py")
    names = {path.stem for path in files if re.search(r"^PATTERN\b", path.read_text("utf-8"), re.MULTILINE)}
    assert {name: f"vstack_proto.patterns.{name}:PATTERN" for name in names} == built_in_patterns()
    contracts = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    assert set(contracts["patterns-apart"]["modules"]) == {f"vstack_proto.patterns.{name}" for name in names}


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0].lower() for text in requirements}


def test_every_dependency_has_its_line_in_the_docs() -> None:
    project = PROJECT["project"]
    wanted = requirement_names(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted |= requirement_names(extra)
    table = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z0-9._-]+)`", table, re.MULTILINE)) == wanted


PINS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("path", PINS, ids=name_of)
def test_pins_are_exact_hashed_and_say_nothing_of_a_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.search(r"://|^\s*--(?!hash=)|(?<![\w.-])/", text, re.MULTILINE) is None
    joined = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    entries = [entry for entry in joined.splitlines() if entry]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+ (; .*? )? *(--hash=sha256:[0-9a-f]{64} *)+$", entry), entry


@pytest.mark.parametrize(("smaller", "larger"), [("runtime", "test"), ("test", "dev"), ("build", "dev")])
def test_pins_agree_with_each_other(smaller: str, larger: str) -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        return set(re.findall(r"^[a-z0-9._-]+==[^\s;\\]+", text, re.MULTILINE))

    assert pins(smaller) <= pins(larger)


def test_every_range_is_pinned() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    text = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
    for requirements in (project["dependencies"], *extras.values()):
        assert {name.replace(".", "-").replace("_", "-") for name in requirement_names(requirements)} <= pinned


def test_a_missing_service_skips_at_home_and_fails_in_ci(
    service: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        service("no-such-program")
    monkeypatch.delenv(REQUIRED)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        service("no-such-program")
    assert Path(service("sh")).is_file()
