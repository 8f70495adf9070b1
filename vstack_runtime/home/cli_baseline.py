"""The commands ``vstack-api baseline``: keep a detection, list what is kept, and compare another with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from vstack_runtime.cli_parts import Json, Program, asked, console, print_json, unknown_pattern
from vstack_runtime.terminal import plain

T = TypeVar("T")

# The same exit codes and words as the program that these commands are part of.
_program = Program(
    "vstack-api",
    "Keep a detection as a baseline, and compare others with it.",
    "vstack-api analyze lencioni trace.json --json > before.json",
    "vstack-api baseline record before.json --name may",
    "vstack-api baseline compare after.json --name may --fail-on moderate",
)
app, _fail = _program.app, _program.fail

SEVERE = 3
Drift = Literal["minor", "moderate", "severe"]
_DRIFTS = ("none", "minor", "moderate", "severe")

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="JSON: an answer of the service, a bare detection, or a baseline of an earlier version."
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="What requests call it; by default what the file says.")]
Of = Annotated[str | None, typer.Option("--pattern", help="Of a bare detection; by default what the file is called.")]
Key = Annotated[str, typer.Option("--key", metavar="NAME", help="Whose: the name of a key; by default nobody's.")]


@app.command()
def record(file: File, name: Name = None, pattern: Of = None, key: Key = "", as_json: Json = False) -> None:
    """Keep the detection in a file as a baseline, which requests then may name."""
    told_pattern, told_name, detection = _read(file, name, pattern)
    _with_store(lambda store: store.put_baseline(key, told_pattern, told_name, detection))
    if as_json:
        print_json({"pattern": told_pattern, "name": told_name})
    else:
        typer.echo(f"{told_pattern} {told_name}")


@app.command()
def compare(
    file: File,
    name: Annotated[str, typer.Option("--name", help="Of the baseline.")],
    pattern: Of = None,
    key: Key = "",
    fail_on: Annotated[Drift | None, typer.Option(help="Exit 3 at this drift or above.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the detection in a file with a baseline."""
    import msgspec

    from vstack_proto.drift import compare as computed
    from vstack_runtime.engine import installed_patterns

    told_pattern, _, detection = _read(file, name, pattern)
    before = _with_store(lambda store: store.get_baseline(key, told_pattern, name))
    if before is None:
        _fail(f"{told_pattern} has no baseline {name!r}; vstack-api baseline list shows what there is")
    kind = next(one.detection for one in installed_patterns() if one.name == told_pattern)
    found: Any = computed(msgspec.json.decode(detection), msgspec.json.decode(before), name, kind)
    if as_json:
        print_json(found)
    else:
        _print_comparison(found)
    if fail_on is not None and _DRIFTS.index(found.drift_severity) >= _DRIFTS.index(fail_on):
        raise typer.Exit(SEVERE)


@app.command("list")
def listed(pattern: Of = None, key: Key = "", as_json: Json = False) -> None:
    """List the baselines."""
    found = _with_store(lambda store: store.baselines(key, pattern))
    if as_json:
        print_json([{"pattern": one, "name": name} for one, name in found])
        return
    for one, name in found:
        typer.echo(f"{one} {name}")


def _print_comparison(found: Any) -> None:
    from rich.table import Table

    console().print(f"drift: {found.drift_severity}", style="bold")
    if found.notes:
        console().print(plain(found.notes))
    table = Table("score", box=None)
    table.add_column("moved by", justify="right")
    for field in found.__struct_fields__:
        value = getattr(found, field)
        if field.endswith("_deltas"):
            for label, delta in value.items():
                table.add_row(plain(label), f"{delta:+.4f}")
        elif field.endswith("_delta"):
            table.add_row(field.removesuffix("_delta"), f"{value:+.4f}")
    console().print(table)


def _read(file: Path, name: str | None, pattern: str | None) -> tuple[str, str, bytes]:
    """Pattern, name and detection of a file."""
    from vstack_proto.answer_steps import BASELINE_NAME
    from vstack_runtime.home.importing import baseline_of
    from vstack_runtime.home.patterns import pattern_names

    try:
        found, told, detection = baseline_of(file.read_bytes(), file.stem)
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror}", 2)
    except ValueError as error:
        _fail(f"{file}: {error}")
    found, told = pattern or found, name or told
    if found not in (known := pattern_names()):
        _fail(f"{unknown_pattern(found, known)}; --pattern says whose detection it is", 2)
    if BASELINE_NAME.fullmatch(told) is None:
        _fail(f"{told!r} is no name of letters, digits, _ and -", 2)
    return found, told, detection


def _with_store(ask: Callable[[Any], Awaitable[T]]) -> T:
    from vstack_runtime.chosen_stores import choose_baselines
    from vstack_runtime.home.patterns import pattern_names

    store: Any = choose_baselines(_program.settings(), pattern_names(), None)
    if store is None:
        _fail("there is no home directory; VSTACK_HOME says where baselines are kept")
    return asked(store, ask)
