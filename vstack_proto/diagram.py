"""The state diagram of an exchange, drawn from the table that decides it, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable

from vstack_proto.events import Event
from vstack_proto.exchange import RULES
from vstack_proto.state import Phase

_PAGE = """\
# The life of an exchange

Drawn from `RULES` in `vstack_proto/exchange.py`; a test compares the two. To draw it again:

    python -c 'from vstack_proto.diagram import states_page; print(states_page(), end="")' > docs/states.md

Each box is a phase: what an exchange waits for. Each arrow is an event, and where it may lead.

```mermaid
{diagram}
```

In every phase before `DONE` there is also:

{everywhere}

In `DONE` nothing happens any more. What may still come is ignored there: {ignored}.

Any other event is a bug of the driver: `LocalProtocolError`, and the state is as it was.

## The table

| phase | event | leads to |
|---|---|---|
{table}
"""


def leads_to(phase: Phase, kind: type[Event]) -> tuple[Phase, ...]:
    """Where an event of this kind may lead in this phase; nowhere if it cannot come."""
    cell = RULES[phase].get(kind)
    return () if cell is None else tuple(target for target in Phase if cell[1][target])


def everywhere() -> dict[type[Event], bool]:
    """The events that end every phase before the answer, each with whether it may leave any of them as it is."""
    waiting = [phase for phase in Phase if phase is not Phase.DONE]
    found = {}
    for kind in RULES[Phase.HEAD]:
        targets = [set(leads_to(phase, kind)) for phase in waiting]
        if all({Phase.DONE} <= to <= {phase, Phase.DONE} for phase, to in zip(waiting, targets, strict=True)):
            found[kind] = all(phase in to for phase, to in zip(waiting, targets, strict=True))
    return found


def _drawn(phase: Phase, kind: type[Event], common: dict[type[Event], bool]) -> tuple[Phase, ...]:
    """Where an event may lead in this phase beyond what holds in every one."""
    if kind not in common:
        return leads_to(phase, kind)
    return tuple(to for to in leads_to(phase, kind) if to is phase and not common[kind])


def state_diagram() -> str:
    """The table as a Mermaid state diagram, without the events that hold everywhere."""
    common = everywhere()
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.HEAD.name}"]
    for phase in Phase:
        if phase is Phase.DONE:
            continue
        arrows: dict[Phase, list[str]] = {}
        for kind in RULES[phase]:
            for target in _drawn(phase, kind, common):
                arrows.setdefault(target, []).append(kind.__name__)
        lines += [f"    {phase.name} --> {target.name}: {', '.join(arrows[target])}" for target in sorted(arrows)]
    return "\n".join([*lines, f"    {Phase.DONE.name} --> [*]"])


def states_page() -> str:
    """The page ``docs/states.md``: the diagram, the events that hold everywhere, and the table in words."""
    common = everywhere()
    rows = [
        f"| `{phase.name}` | `{kind.__name__}` | {_names(leads_to(phase, kind))} |"
        for phase, row in RULES.items()
        for kind in row
        if phase is not Phase.DONE and _drawn(phase, kind, common)
    ]
    held = [
        f"- `{kind.__name__}`, which leads to `DONE`{', or changes no phase' if stays else ''}."
        for kind, stays in common.items()
    ]
    ignored = ", ".join(f"`{kind.__name__}`" for kind in RULES[Phase.DONE])
    return _PAGE.format(diagram=state_diagram(), everywhere="\n".join(held), ignored=ignored, table="\n".join(rows))


def _names(phases: Iterable[Phase]) -> str:
    return ", ".join(f"`{phase.name}`" for phase in phases)
