"""A roster as a graph, its numbers, and its signals. Every walk is a loop, and linear in the lines of reporting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

import msgspec

from vstack_proto.patterns.common import Reading, Signal

Authority = Literal["full", "partial", "advisory", "none"]
Metric = Literal["max_span", "mean_span", "centralization_index", "hierarchy_depth", "span_gini", "decision_bottleneck"]
Quality = Literal["well-balanced", "under-stress", "overloaded"]
Profile = Literal[
    "well_balanced",
    "wide_span_orchestrator",
    "deep_hierarchy",
    "single_bottleneck",
    "load_amplified_bottleneck",
    "imbalanced_supervisors",
    "over_centralized",
    "under_centralized",
    "broadly_overloaded",
    "indeterminate",
]

AUTHORITY_WEIGHT: dict[Authority, float] = {"full": 1.0, "partial": 0.5, "advisory": 0.25, "none": 0.0}
METRIC_WEIGHT: dict[Metric, float] = {
    "max_span": 0.15,
    "mean_span": 0.10,
    "centralization_index": 0.15,
    "hierarchy_depth": 0.10,
    "span_gini": 0.20,
    "decision_bottleneck": 0.30,
}
BOTTLENECK_RISK = 0.3
AMPLIFIED_BY = 0.2
# Where the normalised scales of max_span and hierarchy_depth reach the values at which a profile is named after them.
WIDE_SPAN, DEEP_CHAIN = 7, 4
NAME_CHARS = 60


class Crew(msgspec.Struct, frozen=True):
    """A roster laid out as a graph. Entries with one id are one agent, with the lines and the highest authority of all.

    Attributes:
        authority: Of each agent on the roster, in its order.
        bosses: Whom each agent on the roster reports to, each once.
        reports: Under each agent, and each that is named but not on the roster: who reports to it, and the step that
            says so.
        step: Where each agent on the roster is first listed.
        chain: The longest chain of reporting, from its lowest agent up (see ``rungs``).
        knots: Groups whose members report to one another in a ring, over any of their lines.
    """

    authority: dict[str, Authority]
    bosses: dict[str, tuple[str, ...]]
    reports: dict[str, dict[str, int]]
    step: dict[str, int]
    chain: tuple[str, ...]
    knots: tuple[tuple[str, ...], ...]

    def unlisted(self) -> tuple[str, ...]:
        """Supervisors that somebody names and the roster does not hold."""
        return tuple(boss for boss in self.reports if boss not in self.authority)

    def lone(self) -> tuple[str, ...]:
        """Agents without a supervisor and without reports."""
        return tuple(agent for agent, bosses in self.bosses.items() if not bosses and not self.reports[agent])

    def shared(self) -> tuple[str, ...]:
        """Agents with more than one supervisor."""
        return tuple(agent for agent, bosses in self.bosses.items() if len(bosses) > 1)

    def widest(self) -> list[str]:
        """Everybody with reports, the widest span first; equals in the order of the roster."""
        return sorted((boss for boss in self.reports if self.reports[boss]), key=lambda boss: -len(self.reports[boss]))


class Load(msgspec.Struct, frozen=True):
    """What the numbers say of a crew; ``values`` are raw, ``normalised`` run from 0 to 1.

    Attributes:
        bottlenecks: The agents whose risk reaches 0.3, the riskiest first.
        upper: The fifth of the roster (at least one agent) that holds most of the decision weight.
        at_rest: The score of ``decision_bottleneck`` if nothing came in; ``values`` has it at the rate of the trace.
    """

    values: dict[Metric, float]
    normalised: dict[Metric, float]
    score: float
    quality: Quality
    bottlenecks: tuple[str, ...]
    upper: tuple[str, ...]
    at_rest: float

    @property
    def amplified(self) -> bool:
        """Whether it is the incoming rate that makes a bottleneck of somebody."""
        return self.values["decision_bottleneck"] > self.at_rest + AMPLIFIED_BY and bool(self.bottlenecks)

    def profile(self, forensic: bool) -> Profile:
        """The name of the shape; the first rule that holds."""
        score = self.normalised
        worst = max(score, key=lambda metric: score[metric])
        if self.quality == "well-balanced":
            return "well_balanced"
        if forensic and self.amplified:
            return "load_amplified_bottleneck"
        if sum(value >= 0.5 for value in score.values()) >= 4:
            return "broadly_overloaded"
        if worst == "centralization_index":
            # A raw value of 0.2 normalises to 0.1, and a load whose worst part is 0.1 is well-balanced: the rule for
            # under_centralized is the contract's, but no crew reaches it.
            raw = self.values[worst]
            return "over_centralized" if raw >= 0.6 else "under_centralized" if raw <= 0.2 else "indeterminate"
        named: dict[Metric, tuple[bool, Profile]] = {
            "decision_bottleneck": (bool(self.bottlenecks), "single_bottleneck"),
            "max_span": (score["max_span"] >= 0.5, "wide_span_orchestrator"),
            "hierarchy_depth": (score["hierarchy_depth"] >= 0.4, "deep_hierarchy"),
            "span_gini": (score["span_gini"] >= 0.4, "imbalanced_supervisors"),
        }
        holds, name = named.get(worst, (False, "indeterminate"))
        return name if holds else "indeterminate"

    def breaking_rate(self, rate: float) -> float | None:
        """The incoming rate at which the bottleneck would saturate; None where nothing points to one."""
        score = self.values["decision_bottleneck"]
        if score <= 0.05 or rate <= 0:
            return None
        return rate if score >= 0.95 else round(min(10_000.0, rate * 0.95 / max(score, 0.05)), 1)


def survey(roster: Iterable[tuple[str, Authority, tuple[str, ...]]], first_step: int) -> Crew:
    """Lay a roster out as a graph.

    Args:
        roster: Agent, authority and supervisors of each entry.
        first_step: The step of the first entry; the others follow.
    """
    authority: dict[str, Authority] = {}
    bosses: dict[str, dict[str, None]] = {}
    reports: dict[str, dict[str, int]] = {}
    step: dict[str, int] = {}
    for number, (agent, granted, above) in enumerate(roster, first_step):
        step.setdefault(agent, number)
        authority[agent] = max(granted, authority.get(agent, granted), key=AUTHORITY_WEIGHT.__getitem__)
        bosses.setdefault(agent, {}).update(dict.fromkeys(above))
        for boss in above:
            reports.setdefault(boss, {}).setdefault(agent, number)
    in_order = {agent: reports.get(agent, {}) for agent in authority}
    lines = {agent: tuple(above) for agent, above in bosses.items()}
    rung_of = rungs(lines)
    knots = tuple(rung for rung in _each_once(rung_of) if len(rung) > 1 or rung[0] in lines.get(rung[0], ()))
    return Crew(authority, lines, {**in_order, **reports}, step, _longest_chain(lines, rung_of), knots)


def rungs(lines: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The rung on which each agent stands: itself, or with everybody with whom it reports round in a ring.

    The longest chain that enters no agent twice is hard to find once lines form rings (the longest-path problem).
    A ring therefore counts as one rung that holds all its agents, and the depth is the longest way up over rungs,
    counted in agents. Without rings, and for a simple ring, this is the longest chain exactly; otherwise it is never
    shorter than that chain, never more than the number of agents, and does not depend on the order of the roster.

    Returns:
        Rungs by agent, each rung after all those above it (strongly connected components, Tarjan 1972).
    """
    found: dict[str, int] = {}
    low: dict[str, int] = {}
    rung_of: dict[str, tuple[str, ...]] = {}
    pending: list[str] = []
    for start in lines:
        walk = [] if start in found else [(start, iter(lines[start]))]
        while walk:
            agent, above = walk[-1]
            if agent not in found:
                found[agent] = low[agent] = len(found)
                pending.append(agent)
            for boss in above:
                if boss not in found:
                    walk.append((boss, iter(lines.get(boss, ()))))
                    break
                if boss not in rung_of:
                    low[agent] = min(low[agent], found[boss])
            else:
                walk.pop()
                if walk:
                    below = walk[-1][0]
                    low[below] = min(low[below], low[agent])
                if low[agent] == found[agent]:
                    members = [pending.pop()]
                    while members[-1] != agent:
                        members.append(pending.pop())
                    rung = tuple(reversed(members))
                    rung_of.update(dict.fromkeys(rung, rung))
    return rung_of


def _each_once(rung_of: dict[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    # Not by a set of rungs: that would hash a ring of n agents n times.
    return [rung for agent, rung in rung_of.items() if agent == rung[0]]


def _longest_chain(lines: dict[str, tuple[str, ...]], rung_of: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    height: dict[str, int] = {}
    for rung in _each_once(rung_of):
        above = max((height[boss] for agent in rung for boss in lines.get(agent, ()) if boss in height), default=0)
        height.update(dict.fromkeys(rung, above + len(rung)))
    chain: list[str] = []
    agent = max(lines, key=height.__getitem__)
    while True:
        chain += rung_of[agent]
        outside = [b for a in rung_of[agent] for b in lines.get(a, ()) if height[b] < height[agent]]
        if not outside:
            return tuple(chain)
        agent = max(outside, key=height.__getitem__)


def rings(crew: Crew) -> tuple[tuple[str, ...], ...]:
    """The rings that close over each agent's first line; each agent once, from the one listed first upwards."""
    walk_of: dict[str, int] = {}
    closed = []
    for number, start in enumerate(crew.bosses):
        path: list[str] = []
        agent: str | None = start
        while agent is not None and agent not in walk_of:
            walk_of[agent] = number
            path.append(agent)
            agent = next(iter(crew.bosses.get(agent, ())), None)
        if agent is not None and walk_of[agent] == number:
            ring = path[path.index(agent) :]
            head = ring.index(min(ring, key=crew.step.__getitem__))
            closed.append((*ring[head:], *ring[:head]))
    return tuple(closed)


def bottleneck(crew: Crew, rate: float) -> tuple[float, tuple[str, ...]]:
    """How close the crew comes to one agent holding up the rest at a rate, and who that is, the riskiest first."""
    lift = min(2.0, 1.0 + rate / 10)
    risk = {
        agent: min(1.0, len(crew.reports[agent]) / 10) * (1.0 if authority == "full" else 0.3) * lift
        for agent, authority in crew.authority.items()
        if crew.reports[agent]
    }
    over = sorted((agent for agent in risk if risk[agent] >= BOTTLENECK_RISK), key=lambda agent: -risk[agent])
    return round(min(1.0, max(risk.values(), default=0.0)), 4), tuple(over)


def measure(crew: Crew, rate: float) -> Load:
    """Every number of a crew at an incoming rate of requests."""
    spans = sorted(len(under) for under in crew.reports.values())
    total, count = sum(spans), len(spans)
    mean = total / sum(span > 0 for span in spans) if total else 0.0
    ranked = 2 * sum(place * span for place, span in enumerate(spans, 1))
    gini = max(0.0, round(ranked / (count * total) - (count + 1) / count, 4)) if total else 0.0
    say = {agent: AUTHORITY_WEIGHT[held] * (len(crew.reports[agent]) + 1) for agent, held in crew.authority.items()}
    upper = sorted(say, key=lambda agent: -say[agent])[: max(1, len(say) // 5)]
    all_say = sum(say.values())
    central = round(sum(say[agent] for agent in upper) / all_say, 4) if all_say else 0.0
    risk, over = bottleneck(crew, rate)
    widest, depth = float(spans[-1]), float(len(crew.chain))
    values = dict(zip(METRIC_WEIGHT, (widest, mean, central, depth, gini, risk), strict=True))
    normalised: dict[Metric, float] = {
        "max_span": widest / 14 if widest <= 7 else min(1.0, 0.5 + (widest - 7) / 10),
        "mean_span": mean / 20 if mean <= 5 else min(1.0, 0.25 + (mean - 5) / 10),
        "centralization_index": central / 2 if central <= 0.5 else min(1.0, 0.25 + 1.5 * (central - 0.5)),
        "hierarchy_depth": 0.0 if depth <= 2 else min(1.0, (depth - 2) / 5),
        "span_gini": min(1.0, gini),
        "decision_bottleneck": risk,
    }
    score = round(sum(METRIC_WEIGHT[m] * normalised[m] for m in METRIC_WEIGHT) / sum(METRIC_WEIGHT.values()), 4)
    quality: Quality = "well-balanced" if score < 0.3 else "under-stress" if score < 0.6 else "overloaded"
    return Load(values, normalised, score, quality, over, tuple(upper), bottleneck(crew, 0.0)[0])


SIGNALS_KEPT, SIGNALS_A_RULE, STEPS_CITED, QUOTE_CHARS = 50, 5, 20, 160
# Words of work that does not move; in a sentence that names nobody of the crew, or denies it, they count for nothing.
_WAITS = re.compile(
    r"\b(?:queue[sd]?|queuing|queueing|backlog(?:s|ged)?|bottlenecks?|wait(?:s|ed|ing)? (?:for|on)|blocked (?:by|on)|"
    r"stall(?:s|ed|ing)?|overload(?:ed)?|idled?|idling|starv(?:ed|ing)|tim(?:es|ed) out|swamped|unanswered)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:no|not|never|nobody|none|nothing|without|empty|short|cleared|hardly)\b|n't\b", re.IGNORECASE
)
_CREW_WORDS = ("workers?", "agents?", "subordinates?", "reports", "team", "crew")


def name(agent: str) -> str:
    """An agent's name, cut to a length that leaves a sentence readable."""
    return agent if len(agent) <= NAME_CHARS else agent[: NAME_CHARS - 3] + "..."


def _line(reading: Reading, step: int) -> str:
    return reading.steps[step].content[:QUOTE_CHARS]


def under(crew: Crew, boss: str) -> tuple[tuple[int, ...], str]:
    """The roster lines that name a supervisor, and the words in which they all do."""
    return tuple(islice(crew.reports[boss].values(), STEPS_CITED)), f"reports to {boss}"[:QUOTE_CHARS]


def heavy(crew: Crew, load: Load, reading: Reading) -> Iterator[Signal]:
    """What loads an agent or a level: bottlenecks, wide spans, a deep chain."""
    for agent in load.bottlenecks[:SIGNALS_A_RULE]:
        step, held = crew.step[agent], crew.authority[agent]
        claim = f"{name(agent)} has {held} authority over {len(crew.reports[agent])} reports and can hold them all up"
        yield Signal("decision_bottleneck", claim, (step,), _line(reading, step), load.values["decision_bottleneck"])
    for boss in crew.widest()[:SIGNALS_A_RULE]:
        if len(crew.reports[boss]) >= WIDE_SPAN:
            claim = f"{len(crew.reports[boss])} agents report to {name(boss)}, more than the five or six one can lead"
            yield Signal("wide_span", claim, *under(crew, boss), load.normalised["max_span"])
    if len(crew.chain) >= DEEP_CHAIN and not crew.knots:
        steps = tuple(crew.step[agent] for agent in crew.chain if agent in crew.step)[:STEPS_CITED]
        claim = f"{name(crew.chain[0])} stands under a chain of {len(crew.chain) - 1} supervisors, up to "
        claim += name(crew.chain[-1])
        yield Signal("deep_chain", claim, steps, _line(reading, steps[0]), load.normalised["hierarchy_depth"])


def faulty(crew: Crew, reading: Reading) -> Iterator[Signal]:
    """What is wrong with the lines: rings, supervisors without entry, agents with several supervisors or no line."""
    for knot in crew.knots[:SIGNALS_A_RULE]:
        steps = tuple(crew.step[agent] for agent in knot[:STEPS_CITED])
        claim = f"{name(knot[0])} reports, over {len(knot)} agents, to itself: nobody in this ring has the last word"
        yield Signal("ring", claim, steps, _line(reading, steps[0]), 0.7)
    for boss in crew.unlisted()[:SIGNALS_A_RULE]:
        claim = f"The supervisor {name(boss)} is not on the roster"
        yield Signal("unlisted_supervisor", claim, *under(crew, boss), 0.4)
    for agent in crew.shared()[:SIGNALS_A_RULE]:
        claim = f"{name(agent)} has {len(crew.bosses[agent])} supervisors, whose orders can differ"
        yield Signal("shared_agent", claim, (crew.step[agent],), _line(reading, crew.step[agent]), 0.2)
    # Where no line is known at all, an agent without lines says nothing.
    for agent in crew.lone()[:SIGNALS_A_RULE] if any(crew.bosses.values()) else ():
        claim = f"The agent {name(agent)} has neither a supervisor nor reports"
        yield Signal("lone_agent", claim, (crew.step[agent],), _line(reading, crew.step[agent]), 0.2)


def waiting(crew: Crew, behaviors: Iterable[str]) -> Iterator[Signal]:
    """Observed sentences in which work waits and a supervisor, or the crew, is named."""
    # A name of one letter is also an article; a few of the widest supervisors keep the search linear.
    bosses = [boss for boss in crew.widest()[:20] if 1 < len(boss.strip()) <= 100]
    named = re.compile(rf"(?<!\w)(?:{'|'.join([*map(re.escape, bosses), *_CREW_WORDS])})(?!\w)", re.IGNORECASE)
    known = {boss.casefold() for boss in bosses}
    for step, text in enumerate(behaviors):
        for match in islice(_WAITS.finditer(text), 20):
            sentence = _around(text, match.start(), match.end())
            found = named.search(sentence)
            if found and not _DENIED.search(sentence):
                boss = found.group().casefold() in known
                claim = f"Work waits ({match.group().lower()}), and the step names {found.group()}"
                yield Signal("work_waits", claim, (step,), sentence, 0.6 if boss else 0.4)
                break


def _around(text: str, start: int, end: int) -> str:
    """The sentence round a match, at most some 80 characters to each side, cut between words."""
    before, after = text[max(0, start - 80) : start], text[end : end + 80]
    stops = [place for place in map(before.rfind, ".!?;\n") if place >= 0]
    begin = max(stops) + 1 if stops else 0 if start <= 80 else before.find(" ") + 1
    ends = [place for place in map(after.find, ".!?;\n") if place >= 0]
    stop = min(ends) if ends else len(after) if end + 80 >= len(text) else max(after.rfind(" "), 0)
    return (before[begin:] + text[start:end] + after[:stop]).strip()
