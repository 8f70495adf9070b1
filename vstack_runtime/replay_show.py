"""Tapes and differences, for people: a conversation with times, and what is not as it was, on one screen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vstack_proto.commands import AnyCommand
from vstack_proto.events import HeadReceived
from vstack_proto.replay import ABSENT, Difference, Report, Tape, Turn
from vstack_runtime.terminal import plain_lines as plain

# What fits on one screen beside the rest.
MAX_GROUPS = 10
MAX_TEXT = 700
MAX_COMMAND = 110
MAX_ROWS = 12
_AROUND = 6
_WORDS = re.compile(r"\s+|[^\s\w]|\w+")
# The texts of a question to a model: long, and best read beside each other.
_PROMPTS = ("request.system", "request.shared", "request.instruction")

# Moments on a clock that starts anywhere: shown from the tape's beginning.
_MOMENTS = frozenset({"when", "deadline", "started"})

OLD, NEW, FAINT = "red", "green", "bright_black"


# A tape as a conversation.


def show_tape(name: str, tape: Tape, console: Console, *, whole: bool = False) -> None:
    """Print what happened and what was asked for, in order."""
    header, end = tape.header, tape.end
    console.print(Text(plain(f"{name}: {header.surface}, vstack {header.version}, build {header.build or 'unknown'}")))
    began = _began(tape)
    for number, turn in enumerate(tape.turns):
        event = _told(turn.event)
        _print_line(Text(f"{number:>3} {turn.t:>+9.3f} s  "), event, began, console, whole)
        if turn.raised:
            console.print(Text(f"{'':17}raised {turn.raised}", style=OLD))
        for command in _commands(turn):
            _print_line(Text(f"{'':17}-> "), command, began, console, whole)
    told = end.outcome or "no analysis"
    console.print(Text(f"{end.events} events in {end.seconds:.3f} s: status {end.status}, {told}"))


def _began(tape: Tape) -> float:
    return tape.turns[0].event.at if tape.turns else 0.0


def _told(struct: msgspec.Struct) -> dict[str, Any]:
    """The kind, and the fields that are not at their default; a head as its line and its fields."""
    if isinstance(struct, HeadReceived):
        target = struct.head.path + (f"?{struct.head.query}" if struct.head.query else "")
        return {"type": "HeadReceived", "": f"{struct.method} {target}", "peer": struct.peer, **struct.head.fields}
    return {"type": type(struct).__name__} | {
        field.name: value
        for field in msgspec.structs.fields(struct)
        if field.name != "at" and (value := getattr(struct, field.name)) != field.default
    }


def _commands(turn: Turn) -> Iterator[dict[str, Any]]:
    for raw in msgspec.json.decode(turn.commands, type=list[msgspec.Raw]):
        try:
            yield _told(msgspec.json.decode(raw, type=AnyCommand))
        except msgspec.MsgspecError:
            yield msgspec.json.decode(raw)  # of an older vocabulary


def _print_line(start: Text, fields: dict[str, Any], began: float, console: Console, whole: bool) -> None:
    """One event or command on a line of its own."""
    most = 100_000 if whole else 70
    told = []
    for name, value in fields.items():
        if name != "type":
            text = _moment(value, began) if name in _MOMENTS else _short(value, most)
            told.append(f"{name}={text}" if name else text)
    line = Text.assemble(start, (fields["type"], "bold"), " ", (plain(" ".join(told)), FAINT))
    console.print(line, no_wrap=not whole, overflow="fold" if whole else "ellipsis", crop=not whole)


def _moment(value: float, began: float) -> str:
    return f"{value - began:+.3f}s"


def _short(value: Any, most: int) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


# What is not as it was.


def show_report(name: str, tape: Tape, report: Report, console: Console, *, whole: bool = False) -> None:
    """Print the differences of a tape; what changed the same way in several places is shown once."""
    console.print(Text(plain(f"{name}: not as recorded"), style="bold"))
    groups: dict[bytes, list[Difference]] = {}
    for one in report.differences:
        groups.setdefault(msgspec.json.encode([one.what, one.old, one.new]), []).append(one)
    shown = list(groups.values()) if whole else list(groups.values())[:MAX_GROUPS]
    for group in shown:
        _show(tape, group, console, whole)
    if len(groups) > len(shown):
        console.print(Text(f"and {len(groups) - len(shown)} more differences; --all shows them"))
    if report.events < len(tape.turns) and report.differences[-1].what == "refused":
        left = len(tape.turns) - report.events
        console.print(Text(f"the last {left} events do not fit what today's code asks for"))


def _show(tape: Tape, group: Sequence[Difference], console: Console, whole: bool) -> None:
    first = group[0]
    turn = tape.turns[first.event]
    where = f"  event {first.event}, {type(turn.event).__name__} at {turn.t:+.3f} s: "
    field = f".{first.path}" if first.path else ""
    heads = {
        "changed": f"{first.kind}{field}",
        "missing": f"{first.kind} is not asked for any more",
        "added": f"{first.kind} is new",
        "raised": "an exception, then or now",
        "refused": "today's exchange does not take this event",
    }
    console.print(Text.assemble(plain(where), (plain(heads[first.what]), "bold")))
    if len(group) > 1:
        others = [f"{one.event} {one.kind}{f'.{one.path}' if one.path else ''}" for one in group[1:]]
        told = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        console.print(Text(f"    likewise: {plain(told)}", style=FAINT))
    if first.path in _PROMPTS and isinstance(first.old, str) and isinstance(first.new, str):
        console.print(_beside(first.old, first.new, whole))
    elif isinstance(first.old, str) and isinstance(first.new, str) and ABSENT not in (first.old, first.new):
        console.print(_cut(Text("    ") + words(first.old, first.new), whole))
    else:
        _print_values(first, _began(tape), console, whole)


def _print_values(one: Difference, began: float, console: Console, whole: bool) -> None:
    moment = one.path.rpartition(".")[2] in _MOMENTS
    for sign, value, style in (("-", one.old, OLD), ("+", one.new, NEW)):
        if value == ABSENT and one.what in ("missing", "added", "refused"):
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if moment and isinstance(value, float):
            text = _moment(value, began)
        elif one.what in ("missing", "added") and not whole:
            text = _short(text, MAX_COMMAND)
        console.print(_cut(Text(f"    {sign} {plain(text)}", style=style), whole))


def _cut(text: Text, whole: bool) -> Text:
    if not whole and len(text) > MAX_TEXT:
        text.truncate(MAX_TEXT, overflow="ellipsis")
    return text


def words(old: str, new: str) -> Text:
    """Both texts in one, word by word: ``[-what went-]``, ``{+what came+}``, and some words around."""
    ones, others = _WORDS.findall(plain(old)), _WORDS.findall(plain(new))
    told = Text()
    codes = difflib.SequenceMatcher(None, ones, others, autojunk=False).get_opcodes()
    for number, (tag, first, last, begin, end) in enumerate(codes):
        if tag == "equal":
            told.append(_around(ones[first:last], number > 0, number < len(codes) - 1))
            continue
        if last > first:
            told.append(f"[-{''.join(ones[first:last])}-]", style=OLD)
        if end > begin:
            told.append(f"{{+{''.join(others[begin:end])}+}}", style=NEW)
    return told


def _around(same: list[str], after: bool, before: bool) -> str:
    """What did not change, as far as it helps to find the place."""
    most = 2 * _AROUND
    head = same[:most] if after else []
    tail = same[-most:] if before else []
    if len(same) <= len(head) + len(tail):
        return "".join(same)
    return "".join([*head, " … ", *tail])


def _beside(old: str, new: str, whole: bool) -> Table:
    """Two prompts beside each other: the lines that differ, and one line on each side of them."""
    table = Table("then", "now", box=None, expand=True, padding=(0, 1, 0, 4))
    ones, others = plain(old).splitlines(), plain(new).splitlines()
    rows = list(_rows(ones, others))
    for left, right in rows if whole else rows[:MAX_ROWS]:
        table.add_row(left, right)
    if len(rows) > MAX_ROWS and not whole:
        table.add_row(f"… {len(rows) - MAX_ROWS} more lines", "")
    return table


def _rows(ones: list[str], others: list[str]) -> Iterator[tuple[Text, Text]]:
    for group in difflib.SequenceMatcher(None, ones, others, autojunk=False).get_grouped_opcodes(1):
        for tag, first, last, begin, end in group:
            pairs = _pairs(ones[first:last], others[begin:end])
            for left, right in pairs:
                if tag == "equal":
                    yield Text(_fit(left), style=FAINT), Text(_fit(right), style=FAINT)
                else:
                    yield _marked(left, right)


def _pairs(ones: Sequence[str], others: Sequence[str]) -> Iterable[tuple[str, str]]:
    most = max(len(ones), len(others))
    return zip([*ones, *[""] * (most - len(ones))], [*others, *[""] * (most - len(others))], strict=True)


def _fit(line: str) -> str:
    return line if len(line) <= 300 else f"{line[:300]}…"


def _marked(old: str, new: str) -> tuple[Text, Text]:
    """A line then and now, with the words marked in which they differ."""
    ones, others = _WORDS.findall(old), _WORDS.findall(new)
    left, right = Text(), Text()
    codes = difflib.SequenceMatcher(None, ones, others, autojunk=False).get_opcodes()
    for number, (tag, first, last, begin, end) in enumerate(codes):
        if tag == "equal":
            same = _around(ones[first:last], number > 0, number < len(codes) - 1)
            left.append(same)
            right.append(same)
            continue
        # Marks, since colours do not survive a pipe.
        if last > first:
            left.append(f"[-{''.join(ones[first:last])}-]", style=OLD)
        if end > begin:
            right.append(f"{{+{''.join(others[begin:end])}+}}", style=NEW)
    return left, right
