"""How what code asks for today differs from what it asked for then: event, command, field, old and new."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from vstack_proto.commands import AnyCommand, Command
from vstack_proto.replay.tape import Told, Turn

ABSENT = "(absent)"
"""Stands for a field or a command that one side does not have."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was.

    Attributes:
        event: Index of the event on the tape.
        command: Index among the commands that the event led to then, or today where there was none; -1 for the event
            itself.
        kind: Name of the command; of the event where that is what differs.
        what: ``changed``: a field; ``missing`` and ``added``: a whole command; ``raised``: an exception on either side;
            ``refused``: today's exchange does not take the event at all.
        path: The field, such as ``headers.x-cache`` or ``body.detection.severity``.
        old, new: Values as JSON has them; texts in bytes are decoded.
    """

    event: int
    what: Literal["changed", "missing", "added", "raised", "refused"]
    kind: str
    command: int = -1
    path: str = ""
    old: Any = ABSENT
    new: Any = ABSENT


_command = msgspec.json.Decoder(AnyCommand)


def compare(event: int, turn: Turn, told: Told) -> list[Difference]:
    """What differs between a turn of a tape and what its event leads to today.

    Args:
        event: Index of the turn.
        turn: The turn.
        told: Today's commands, or the type of the exception that came.
    """
    if turn.raised or isinstance(told, str):
        old = f"raised {turn.raised}" if turn.raised else _names(_old(turn))
        new = f"raised {told}" if isinstance(told, str) else _names(told)
        kind = type(turn.event).__name__
        return [] if old == new else [Difference(event=event, what="raised", kind=kind, old=old, new=new)]
    return list(_differences(event, _old(turn), told))


def _names(commands: Sequence[Any]) -> str:
    return ", ".join(_kind(one) for one in commands) or "no command"


def _old(turn: Turn) -> list[Any]:
    """The commands of a turn; one that today's vocabulary does not have stays a dict."""
    commands: list[Any] = []
    for raw in msgspec.json.decode(turn.commands, type=list[msgspec.Raw]):
        try:
            commands.append(_command.decode(raw))
        except msgspec.MsgspecError:
            commands.append(msgspec.json.decode(raw))
    return commands


def _kind(command: Any) -> str:
    return str(command["type"]) if isinstance(command, dict) else type(command).__name__


def _differences(event: int, old: Sequence[Any], new: Sequence[AnyCommand]) -> Iterator[Difference]:
    matcher = difflib.SequenceMatcher(None, [_kind(one) for one in old], [_kind(one) for one in new], autojunk=False)
    for tag, first, last, begin, end in matcher.get_opcodes():
        if tag == "equal":
            for offset in range(last - first):
                one, other = old[first + offset], new[begin + offset]
                for path, was, now in _fields(one, other, ""):
                    yield Difference(
                        event=event,
                        what="changed",
                        kind=_kind(one),
                        command=first + offset,
                        path=path,
                        old=was,
                        new=now,
                    )
            continue
        for index in range(first, last):
            yield Difference(event=event, what="missing", kind=_kind(old[index]), command=index, old=_plain(old[index]))
        for index in range(begin, end):
            yield Difference(event=event, what="added", kind=_kind(new[index]), command=index, new=_plain(new[index]))


def _plain(value: Any) -> Any:
    """A value as JSON has it, with texts in the place of bytes."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, bytes):
        return _opened(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _opened(data: bytes) -> Any:
    """Bytes as what they hold: JSON, else text."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return data.decode(errors="replace")


Found = tuple[str, Any, Any]


def _fields(old: Any, new: Any, path: str) -> Iterator[Found]:
    """Each leaf that differs: where, what it was, what it is."""
    if isinstance(old, bytes) and isinstance(new, bytes):
        if old == new:
            return
        one, other = _opened(old), _opened(new)
        # Equal to a reader, and yet not the same bytes.
        yield from _fields(one, other, path) if one != other else [(path, repr(old), repr(new))]
    elif isinstance(old, msgspec.Struct) and isinstance(new, msgspec.Struct):
        for name in new.__struct_fields__:
            yield from _fields(getattr(old, name), getattr(new, name), _below(path, name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping | Command):
        # A command that today's vocabulary cannot read is compared as JSON.
        yield from _members(old, msgspec.to_builtins(new), path)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        yield from _items(old, new, path)
    elif old != new or type(old) is not type(new):
        yield path, _plain(old), _plain(new)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _members(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Found]:
    for name in dict.fromkeys([*old, *new]):
        if name == "type" and not path:
            continue  # of the command, which is the same
        if name in old and name in new:
            yield from _fields(old[name], new[name], _below(path, name))
        else:
            yield _below(path, name), _plain(old.get(name, ABSENT)), _plain(new.get(name, ABSENT))
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield path, f"order: {', '.join(old)}", f"order: {', '.join(new)}"


def _items(old: Sequence[Any], new: Sequence[Any], path: str) -> Iterator[Found]:
    if _are_named(old) and _are_named(new):
        yield from _members(dict(old), dict(new), path)
        return
    one, other = ([repr(msgspec.json.encode(_plain(item))) for item in items] for items in (old, new))
    for tag, first, last, begin, end in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        both = min(last - first, end - begin)
        for offset in range(both):
            yield from _fields(old[first + offset], new[begin + offset], f"{path}[{first + offset}]")
        for index in range(first + both, last):
            yield f"{path}[{index}]", _plain(old[index]), ABSENT
        for index in range(begin + both, end):
            yield f"{path}[{index}]", ABSENT, _plain(new[index])


def _are_named(items: Sequence[Any]) -> bool:
    """Whether these are header fields: pairs of texts, no name twice."""
    pairs = [item for item in items if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str)]
    return len(pairs) == len(items) > 0 and len({name for name, _ in pairs}) == len(pairs)
