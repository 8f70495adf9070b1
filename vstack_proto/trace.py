"""The canonical trace: one shape for a run of agents, which every pattern reads through its ``from_trace``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import msgspec


class AgentInfo(msgspec.Struct, frozen=True):
    """An agent of the run, where the client knows more of it than its name."""

    agent_id: str
    role_name: str = "generalist"
    reports_to: tuple[str, ...] = ()
    decision_authority: str | None = None


class TraceStep(msgspec.Struct, frozen=True):
    """One thing that an agent said, called, saw or decided.

    A step is cited by its position in ``steps``, counted from 0; ``index`` is kept for the client's own use.
    """

    agent: str
    type: str
    content: str
    index: int | None = None
    timestamp: dt.datetime | None = None
    tool: str | None = None
    metadata: dict[str, Any] = {}

    @property
    def plain_type(self) -> str:
        """Its type as a word to compare by: neither case nor hyphens matter."""
        return self.type.strip().lower().replace("-", "_")


class CanonicalTrace(msgspec.Struct, frozen=True):
    """What the agents set out to do, what they did, and how it ended."""

    goal: str
    steps: Annotated[tuple[TraceStep, ...], msgspec.Meta(min_length=1)]
    outcome: str
    agents: tuple[str | AgentInfo, ...] = ()
    success: bool | None = None
    framework: str | None = None
    metadata: dict[str, Any] = {}

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of the agents that the client lists."""
        return tuple(agent if isinstance(agent, str) else agent.agent_id for agent in self.agents)

    def agent_names(self) -> tuple[str, ...]:
        """Every agent once: first those listed, then those that speak, in order of appearance."""
        return tuple(dict.fromkeys([*self.listed, *(step.agent for step in self.steps)]))


def utc(moment: dt.datetime) -> dt.datetime:
    """The same moment in UTC; a moment without an offset is taken to be UTC already.

    A moment at the very edge of the calendar, whose time in UTC has no date, stays as it is.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC)
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        return moment
