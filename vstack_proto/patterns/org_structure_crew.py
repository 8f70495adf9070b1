"""The form of a crew, counted off its roster: lines, levels, authority, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec

from vstack_proto.patterns import fit
from vstack_proto.patterns.common import Count

Archetype = Literal[
    "flat-peer", "hierarchical", "centralized-functional", "decentralized-product", "matrix", "mixed"
]  # fmt: skip


class StructureAgent(msgspec.Struct, frozen=True):
    """An entry of the roster: who it is, whom it reports to, how it is grouped, what it may decide."""

    agent_id: str
    role_name: str
    reports_to: tuple[str, ...] = ()
    grouped_by: Literal["function", "product", "customer", "geography", "matrix", "none"] = "none"
    decision_authority: Literal["full", "partial", "advisory", "none"] = "partial"

    def line(self) -> str:
        """The entry as a step that evidence can quote."""
        lines = ", ".join(f"reports to {boss}" for boss in dict.fromkeys(self.reports_to)) or "reports to no one"
        group = "" if self.grouped_by == "none" else f", grouped by {self.grouped_by}"
        return f"{self.agent_id}: role {self.role_name}, authority {self.decision_authority}{group}, {lines}"


WEIGHT = {"full": 1.0, "partial": 0.5, "advisory": 0.25, "none": 0.0}


class Crew(msgspec.Struct, frozen=True):
    """What a roster says, counted. ``depth`` is the longest chain of lines; a ring has none."""

    agents: tuple[StructureAgent, ...]
    bosses: dict[str, tuple[str, ...]]
    reports: dict[str, tuple[str, ...]]
    depth: int
    deepest: str
    rings: bool

    @property
    def orphans(self) -> tuple[str, ...]:
        """Agents of a crew with neither supervisor nor reports."""
        alone = (one for one in self.bosses if not self.bosses[one] and one not in self.reports)
        return tuple(alone) if len(self.bosses) > 1 else ()

    @property
    def shared(self) -> tuple[str, ...]:
        """Agents with several supervisors."""
        return tuple(one for one, bosses in self.bosses.items() if len(bosses) > 1)

    @property
    def bottlenecks(self) -> tuple[str, ...]:
        """Supervisors, the widest first, of three or more who may decide nothing, or of more than seven."""
        weight = {one.agent_id: WEIGHT[one.decision_authority] for one in self.agents}
        held = {b: all(weight[one] < 0.5 for one in own) and len(own) >= 3 for b, own in self.reports.items()}
        kept = (boss for boss, own in self.reports.items() if held[boss] or len(own) > 7)
        return tuple(sorted(kept, key=lambda boss: -len(self.reports[boss])))


def survey(agents: Iterable[StructureAgent]) -> Crew:
    """Lines, levels and rings of a roster; of entries with one name the first counts, with the lines of all."""
    named, lines = dict[str, StructureAgent](), dict[str, dict[str, None]]()
    for one in agents:
        named.setdefault(one.agent_id, one)
        lines.setdefault(one.agent_id, {}).update(dict.fromkeys(one.reports_to))
    reports: dict[str, list[str]] = {}
    for agent, own in lines.items():
        for boss in own:
            reports.setdefault(boss, []).append(agent)
    # Levels from the top: an agent is placed once all its supervisors are; who stays unplaced is in or under a ring.
    level = dict.fromkeys([one for one in (*lines, *reports) if not lines.get(one)], 0)
    waiting, ready = {agent: len(own) for agent, own in lines.items()}, list(level)
    for boss in ready:
        for agent in reports.get(boss, ()):
            level[agent] = max(level.get(agent, 0), level[boss] + 1)
            waiting[agent] -= 1
            if not waiting[agent]:
                ready.append(agent)
    placed = {agent: level[agent] for agent in ready if agent in named}
    deepest = max(placed, key=lambda one: placed[one], default="")
    bosses = {agent: tuple(own) for agent, own in lines.items()}
    spans = {boss: tuple(own) for boss, own in reports.items()}
    return Crew(tuple(named.values()), bosses, spans, placed.get(deepest, 0), deepest, len(placed) < len(named))


def centralization(crew: Crew) -> float | None:
    """How far one decides: what others may decide less than the one who may most; None where nothing is told.

    Several who may decide all, with no line between them, share it; where nobody may decide, nothing is centralised.
    """
    held = sorted((WEIGHT[one.decision_authority] for one in crew.agents), reverse=True)
    if set(held) == {0.5}:
        return None
    full = {one.agent_id for one in crew.agents if one.decision_authority == "full"}
    rivals = sum(not full & set(crew.bosses[one]) for one in full) or 1
    others = sum(held[1:]) / len(held[1:])
    return 0.0 if held[0] < 0.5 else round((1 - others / held[0]) / rivals, 4)


def measured(crew: Crew, targets: Mapping[str, float]) -> dict[str, fit.Fit]:
    """The dimensions that a roster shows; what it does not tell, and the form of one agent alone, is as wanted."""
    seen = dict(targets)
    if len(crew.agents) > 1:
        roles = {one.role_name.strip().casefold() for one in crew.agents}
        # A crew of generalists alone is one whose roles nobody told: it is the word for an unknown role.
        if roles != {"generalist"}:
            # Three roles are 0.5, five 0.67, ten 0.82: each further role divides less than the one before.
            seen["specialization"] = (len(roles) - 1) / (len(roles) + 1)
        seen["centralization"] = targets["centralization"] if (held := centralization(crew)) is None else held
        seen["hierarchy"] = min(1.0, crew.depth / 3)
        spans = [len(own) for own in crew.reports.values()] or [0]
        # Urwick's limit of five or six lies in the middle of the scale. A single supervisor of few has no narrow span.
        if max(spans) / 10 > targets["span_of_control"]:
            seen["span_of_control"] = min(1.0, max(spans) / 10)
        elif len(spans) > 1 and sum(spans) < 2 * len(spans):
            seen["span_of_control"] = sum(spans) / len(spans) / 10
        bases = Counter(one.grouped_by for one in crew.agents)
        known = len(bases) - ("none" in bases)
        if known or len(crew.agents) > 7:
            # One base is 0.5, each further one adds a quarter, a matrix a quarter more than a base.
            seen["departmentalization"] = min(1.0, 0.25 + 0.25 * known + 0.25 * ("matrix" in bases)) if known else 0.0
    return {label: fit.Fit(round(seen[label], 4), targets[label]) for label in targets}


def archetype_of(crew: Crew) -> Archetype:
    """The form that a roster comes nearest to."""
    crossing = {*crew.shared, *(one.agent_id for one in crew.agents if one.grouped_by == "matrix")}
    bases = Counter(one.grouped_by for one in crew.agents if one.grouped_by not in ("none", "matrix"))
    base = bases.most_common(1)[0][0] if bases else "none"
    held = centralization(crew) if len(crew.agents) > 1 else None
    if 3 * len(crossing) >= len(crew.agents):
        return "matrix"
    if not crew.depth:
        return "mixed" if crew.rings else "flat-peer"
    if base in ("product", "customer", "geography") and (held is None or held < 0.5):
        return "decentralized-product"
    if crew.depth > 1:
        return "hierarchical"
    return "centralized-functional" if held is not None and held >= 0.5 else "mixed"


def counted(label: str, crew: Crew) -> str:
    """What the roster says of one dimension, in words."""
    held = [one.decision_authority for one in crew.agents]
    spans = [len(own) for own in crew.reports.values()]
    roles = {one.role_name.strip().casefold() for one in crew.agents}
    bases = {one.grouped_by for one in crew.agents} - {"none"}
    return {
        "specialization": f"agents {len(held)}, different roles {len(roles)}",
        "formalization": "no roster tells written rules",
        "centralization": f"agents {len(held)}, full authority {held.count('full')}, partial {held.count('partial')}",
        "hierarchy": f"levels below the top {crew.depth}",
        "span_of_control": f"supervisors {len(spans)}, widest span {max(spans, default=0)}",
        "departmentalization": f"ways of grouping {len(bases)}, agents with several supervisors {len(crew.shared)}",
    }[label]


class ReportingGraphAudit(msgspec.Struct, frozen=True):
    """The lines, counted; ``branching_factor`` is the mean of reports over supervisors."""

    depth: Count = 0
    branching_factor: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    cycles_detected: bool = False
    orphans: tuple[str, ...] = ()
    bottleneck_agents: tuple[str, ...] = ()
    explanation: str = ""


def graph_of(crew: Crew, contacts: int, past: int) -> ReportingGraphAudit:
    """The lines of a roster as a graph, and how many of the contacts in the record went past them."""
    spans = [len(own) for own in crew.reports.values()]
    told = f"{counted('hierarchy', crew)}; {counted('span_of_control', crew)}."
    told += " Some lines run in a ring: nobody in it has the last word." if crew.rings else ""
    told += f" Of {contacts} contacts in the record {past} went past the lines." if contacts else ""
    branching = round(sum(spans) / len(spans), 2) if spans else 0.0
    return ReportingGraphAudit(
        crew.depth, branching, crew.rings, crew.orphans, crew.bottlenecks, f"{told[0].upper()}{told[1:]}"
    )
