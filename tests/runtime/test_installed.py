"""What other packages add: found by entry points, and refused with the package's name where it cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from vstack_runtime import Settings, build_app
from vstack_runtime.home.patterns import pattern_names
from vstack_runtime.installed import PackageError, installed_patterns, installed_routes
from vstack_runtime.replaying import pattern_named

OWN = """
import msgspec
from vstack_runtime.conformance.parts import PATTERN
OWN = msgspec.structs.replace(PATTERN, name="own", number=900)
AAR = msgspec.structs.replace(PATTERN, name="aar", number=900)
FIRST = msgspec.structs.replace(PATTERN, name="own", number=1)
SPACED = msgspec.structs.replace(PATTERN, name="My Pat", number=900)
LACKING = msgspec.structs.replace(OWN, passes={"quick": OWN.passes["quick"]})
NONE = "aar"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a distribution whose one module is this text, with these entry points."""

    def put(source: str, *points: str, group: str = "vstack.patterns", name: str = "somebodys") -> None:
        (tmp_path / f"{name}_patterns.py").write_text(source)
        info = tmp_path / f"{name}_patterns-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-patterns\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *points, ""]))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, f"{name}_patterns", raising=False)

    return put


def test_a_pattern_of_another_package_is_offered(install: Any) -> None:
    install(OWN, "own = somebodys_patterns:OWN")
    assert "own" in {pattern.name for pattern in installed_patterns()}
    assert "own" in pattern_names()
    assert pattern_named("own").number == 900


@pytest.mark.parametrize(
    ("point", "wrong"),
    [
        ("own = somebodys_patterns:NONE", "names no pattern that can work: a str is no Pattern"),
        ("own = somebodys_patterns:LACKING", "names no pattern that can work: passes lacks standard, forensic"),
        ("My Pat = somebodys_patterns:SPACED", "names no pattern that can work: name is 'My Pat'"),
        ("other = somebodys_patterns:OWN", "names a pattern called 'own': both must have one name"),
        ("own = somebodys_patterns:OWM", "cannot be loaded: AttributeError: module 'somebodys_patterns' has no"),
        ("own = msgspek:OWN", "cannot be loaded: ModuleNotFoundError: No module named 'msgspek'"),
    ],
)
def test_a_package_whose_pattern_cannot_be_used_is_named(install: Any, point: str, wrong: str) -> None:
    install(OWN, point)
    for ask in (installed_patterns, lambda: pattern_named(point.split(" = ")[0])):
        with pytest.raises(PackageError) as caught:
            ask()
        assert str(caught.value).startswith(
            f"the entry point {point} (vstack.patterns) of somebodys-patterns 1.0 {wrong}"
        )
        assert str(caught.value).endswith("; update somebodys-patterns, or pip uninstall somebodys-patterns")


@pytest.mark.parametrize(
    ("point", "wrong"),
    [
        ("aar = somebodys_patterns:AAR", "has the name of the entry point aar = vstack_proto.patterns.aar:PATTERN"),
        ("own = somebodys_patterns:FIRST", "has the number 1, as the entry point lewin = vstack_proto.patterns.lewin"),
    ],
)
def test_what_clashes_with_a_pattern_of_vstack_is_the_other_packages_fault(
    install: Any, point: str, wrong: str
) -> None:
    install(OWN, point)
    with pytest.raises(PackageError, match=f"of somebodys-patterns 1.0 {wrong}"):
        installed_patterns()


def test_an_application_that_cannot_be_built_says_why(install: Any) -> None:
    install("import msgspek", "own = somebodys_patterns:OWN")
    with pytest.raises(PackageError, match=r"somebodys-patterns 1.0 cannot be loaded.*msgspek"):
        build_app(Settings())


def test_a_broken_route_is_named(install: Any) -> None:
    install("", "own = somebodys_patterns:routes", group="vstack.routes")
    with pytest.raises(PackageError, match=r"own = somebodys_patterns:routes \(vstack.routes\) of somebodys-patterns"):
        installed_routes()
