"""What span_of_control says of a crew, and what it advises: texts completed with names and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from vstack_proto.patterns.common import Effort, Risk
from vstack_proto.patterns.span_of_control_crew import DEEP_CHAIN, WIDE_SPAN, Crew, Load, Metric, name, under

Kind = Literal[
    "add_supervisor_layer", "flatten_hierarchy", "split_supervisor_load", "delegate_decision_authority",
    "consolidate_supervisors", "redistribute_subordinates", "add_redundant_path", "remove_bottleneck_agent", "new_eval",
    "human_review", "compose_pattern",
]  # fmt: skip

# Urwick (1956): five, or at most six, where the work of the reports interlocks.
FAIR_SPAN = 6
NAMES_SHOWN = 6


class Advice(msgspec.Struct, frozen=True):
    """One intervention; its texts take the facts of a crew."""

    description: str
    implementation: str
    rationale: str
    effort: Effort
    risk: Risk


ADVICE: dict[tuple[Metric, Kind], Advice] = {
    ("decision_bottleneck", "delegate_decision_authority"): Advice(
        "Let the reports of {top} decide routine matters themselves.",
        "Widen the decision authority of {delegates}: write down which decisions they take without asking, and let "
        "{top} decide only what they hand up.",
        "{top} decides for {top_span} reports; one queue keeps all of them waiting.",
        "1w",
        "medium",
    ),
    ("decision_bottleneck", "add_redundant_path"): Advice(
        "Give the reports of {top} a second agent that may decide.",
        "Add a deputy with the authority of {top}, split incoming requests between the two by key or by kind, and let "
        "each take over when the other does not answer in time.",
        "At an incoming rate of {rate:g} the risk rises from {rest:.2f} to {risk:.2f}: it is the load that breaks "
        "{top}.",
        "1w",
        "medium",
    ),
    ("decision_bottleneck", "human_review"): Advice(
        "Until the structure is mended, let a person clear what waits for {top}.",
        "Route requests that have waited for {top} longer than agreed to a person, and record each with its cause.",
        "The run failed while {top} was saturated; relief cannot wait for the new structure.",
        "1d",
        "low",
    ),
    ("max_span", "add_supervisor_layer"): Advice(
        "Put {groups} leads between {wide} and its {span} reports.",
        "Group the reports by work that interlocks, at most six a group, give each group a lead with partial "
        "authority, and let only the leads report to {wide}.",
        "A span of {span} is beyond what one agent can coordinate where the work interlocks (Urwick 1956).",
        "1w",
        "medium",
    ),
    ("max_span", "split_supervisor_load"): Advice(
        "Split the {span} reports of {wide} over further supervisors.",
        "Leave {wide} with six reports at most; the others go, by kind of work, to supervisors that have room ({room}) "
        "and then to new ones, so that no report has to ask two.",
        "A span of {span} is beyond what one agent can coordinate where the work interlocks (Urwick 1956).",
        "1w",
        "medium",
    ),
    ("hierarchy_depth", "flatten_hierarchy"): Advice(
        "Shorten the chain {chain}.",
        "Take out each level that only passes requests on, and let its reports answer to the level above, as long as "
        "no span rises over six.",
        "Each of {depth} levels adds a turn, and a chance to lose part of the request.",
        "1w",
        "medium",
    ),
    ("hierarchy_depth", "human_review"): Advice(
        "Have a person say who leads whom in the ring {ring}.",
        "Remove one line of the ring, so that one of its agents reports to nobody inside it, and refuse rosters with "
        "rings when a crew is built.",
        "In a ring every question can be handed on for ever: nobody has the last word.",
        "1d",
        "low",
    ),
    ("mean_span", "consolidate_supervisors"): Advice(
        "Merge supervisors: {mean:.1f} reports each is too few for {depth} levels.",
        "Along the chain {chain}, merge each supervisor that has a single report with that report or with its own "
        "supervisor, keeping the wider role.",
        "A supervisor with one report relays instead of coordinating.",
        "1w",
        "medium",
    ),
    ("span_gini", "redistribute_subordinates"): Advice(
        "Move about {spare} of the reports of {wide} to {other}.",
        "Choose reports whose work is nearest to that of {other}, change their line, and tell both supervisors which "
        "open requests move along.",
        "{wide} has {span} reports and {other} has {least}.",
        "1d",
        "low",
    ),
    ("centralization_index", "delegate_decision_authority"): Advice(
        "Spread authority beyond {holders}.",
        "List the decisions of one run, mark those that need only what the agents below know, and give these agents "
        "partial authority for them.",
        "{share:.0%} of the decision weight lies with {held} of {total} agents.",
        "1w",
        "medium",
    ),
}


def names(agents: Iterable[str], between: str = ", ") -> str:
    """The first few names in one line."""
    listed = list(agents)
    more = ["..."] if len(listed) > NAMES_SHOWN else []
    return between.join([*map(name, listed[:NAMES_SHOWN]), *more])


def delegates(crew: Crew, top: str) -> list[str]:
    """Reports of ``top`` that could be given more authority, those who lead others first."""
    able = [agent for agent in crew.reports[top] if crew.authority.get(agent) != "full" and agent != top]
    return sorted(able, key=lambda agent: -len(crew.reports[agent]))


class Facts(msgspec.Struct, frozen=True):
    """The names and numbers that the texts of this file take; names are cut to what a sentence bears.

    Attributes:
        wide, span: Who has the most reports, and how many.
        groups, room: How many leads that span would need; supervisors that could take more reports.
        other, least, spare: The supervisor on the roster with the fewest reports, how many, and how many more it could
            take from ``wide`` before the two are even.
        holders, share: The fifth of the roster with the most decision weight, and its part.
        top, top_span, authority, delegates: The worst bottleneck, and who of its reports could decide more.
        rate, risk, rest: The incoming rate, the bottleneck's score at it, and at rest.
    """

    wide: str
    span: int
    groups: int
    room: str
    other: str
    least: int
    spare: int
    supervisors: int
    mean: float
    holders: str
    share: float
    held: int
    total: int
    chain: str
    depth: int
    ring: str
    top: str
    top_span: int
    authority: str
    delegates: str
    rate: float
    risk: float
    rest: float


def facts_of(crew: Crew, load: Load, rate: float) -> Facts:
    """What the texts take of one crew."""
    widest = crew.widest()
    wide = widest[0] if widest else ""
    span = len(crew.reports.get(wide, ()))
    listed = [boss for boss in widest if boss in crew.authority and boss != wide]
    other = listed[-1] if listed else ""
    least = len(crew.reports.get(other, ()))
    top = load.bottlenecks[0] if load.bottlenecks else ""
    return Facts(
        wide=name(wide),
        span=span,
        groups=math.ceil(span / FAIR_SPAN),
        room=names(boss for boss in reversed(listed) if len(crew.reports[boss]) < FAIR_SPAN),
        other=name(other),
        least=least,
        spare=(span - least) // 2 if listed else 0,
        supervisors=len(widest),
        mean=load.values["mean_span"],
        holders=names(load.upper),
        share=load.values["centralization_index"],
        held=len(load.upper),
        total=len(crew.authority),
        chain=names(crew.chain, " > "),
        depth=len(crew.chain),
        ring=names(crew.knots[0], " > ") if crew.knots else "",
        top=name(top),
        top_span=len(crew.reports.get(top, ())),
        authority=crew.authority.get(top, ""),
        delegates=names(delegates(crew, top)[:3]) if load.bottlenecks else "",
        rate=rate,
        risk=load.values["decision_bottleneck"],
        rest=load.at_rest,
    )


def choose(crew: Crew, load: Load, facts: Facts, failed: bool) -> list[tuple[Metric, Kind]]:
    """The interventions that the numbers call for; none for a crew that is well-balanced."""
    if load.quality == "well-balanced":
        return []
    value = load.values
    chosen: list[tuple[Metric, Kind]] = []
    if facts.authority == "full" and facts.delegates:
        chosen.append(("decision_bottleneck", "delegate_decision_authority"))
    elif value["centralization_index"] >= 0.6 and len(crew.authority) > len(load.upper):
        chosen.append(("centralization_index", "delegate_decision_authority"))
    if load.amplified:
        chosen.append(("decision_bottleneck", "add_redundant_path"))
    if failed and load.bottlenecks and value["decision_bottleneck"] >= 0.95:
        chosen.append(("decision_bottleneck", "human_review"))
    if value["max_span"] >= WIDE_SPAN:
        chosen.append(("max_span", "split_supervisor_load" if facts.room else "add_supervisor_layer"))
    if crew.knots:
        chosen.append(("hierarchy_depth", "human_review"))
    elif len(crew.chain) >= DEEP_CHAIN:
        narrow = value["mean_span"] < 2
        chosen.append(("mean_span", "consolidate_supervisors") if narrow else ("hierarchy_depth", "flatten_hierarchy"))
    if facts.spare >= 2:
        chosen.append(("span_gini", "redistribute_subordinates"))
    return chosen


def explain(crew: Crew, load: Load, facts: Facts, waits: Iterable[int]) -> dict[Metric, str]:
    """What each number says of this crew; ``waits`` are the observed steps in which work waits."""
    span, seen = facts.span, list(waits)[:NAMES_SHOWN]
    told: dict[Metric, str] = {}
    if span:
        told["max_span"] = "The widest span is that of {wide}: {span} direct reports"
        if span <= 20:
            # Graicunas (1937): n (2^n / 2 + n - 1) relationships; past twenty reports the count is merely big.
            told["max_span"] += f" (by Graicunas's count up to {span * (2 ** (span - 1) + span - 1)} relationships)"
        told["max_span"] += "; Urwick's limit for work that interlocks is five or six."
        told["mean_span"] = "Agents with reports: {supervisors}, with {mean:.1f} of them on average."
        told["span_gini"] = (
            "{wide} has {span} reports and {other} has {least}. Agents without reports count as zero, which lifts the "
            "index of any hierarchy."
            if facts.supervisors > 1 and facts.other
            else "One supervisor has nobody to be compared with. Agents without reports count as zero, so that the "
            "index is high for any such crew: it shows the form, not an unfair share."
        )
        told["hierarchy_depth"] = "The longest chain of reporting counts {depth} agents: {chain}."
    else:
        told["max_span"] = told["mean_span"] = "Nobody reports to anybody: the roster shows no span."
        told["span_gini"] = "There are no spans to compare."
        told["hierarchy_depth"] = "There is one level."
    if crew.knots:
        told["hierarchy_depth"] += " All agents of the ring {ring} count."
    told["centralization_index"] = (
        "{share:.0%} of the decision weight (authority times reports plus one) lies with {held} of {total} agents: "
        "{holders}."
        if facts.share
        else "No agent of the roster may decide anything."
    )
    told["decision_bottleneck"] = (
        "{top} has {authority} authority over {top_span} reports: at an incoming rate of {rate:g} the risk is "
        "{risk:.2f}, where 0.30 makes a bottleneck."
        if load.bottlenecks
        else "Nobody's risk reaches 0.30 at an incoming rate of {rate:g}; the highest is {risk:.2f}."
    )
    known = msgspec.structs.asdict(facts)
    complete = {metric: text.format_map(known) for metric, text in told.items()}
    if seen:
        complete["decision_bottleneck"] += f" The record names work that waits: steps {', '.join(map(str, seen))}."
    elif load.bottlenecks:
        complete["decision_bottleneck"] += " No observed step names work that waits: a risk, not yet an event."
    return complete


def explain_lines(crew: Crew, cycles: Sequence[tuple[str, ...]]) -> str:
    """What is wrong with the lines; ``cycles`` are the rings that close over first lines."""
    told = [f"A ring: {names(cycle, ' > ')}." for cycle in cycles[:NAMES_SHOWN]]
    on_cycles = {agent for cycle in cycles for agent in cycle}
    hidden = [knot for knot in crew.knots if on_cycles.isdisjoint(knot)]
    told += [f"A ring that closes over a second line: {names(knot)}." for knot in hidden[:NAMES_SHOWN]]
    for agents, fault in (
        (crew.shared(), "Several supervisors, whose orders can differ"),
        (crew.unlisted(), "Reported to, and not on the roster"),
        (crew.lone() if any(crew.bosses.values()) else (), "Outside all lines"),
    ):
        if agents:
            told.append(f"{fault}: {names(agents)}.")
    return " ".join(told) or "The lines have no rings, gaps or double ends."


def explain_load(load: Load, rate: float) -> str:
    """What the incoming rate adds to the bottleneck."""
    risk, breaking = load.values["decision_bottleneck"], load.breaking_rate(rate)
    told = f"The bottleneck scores {load.at_rest:.2f} at rest and {risk:.2f} at an incoming rate of {rate:g}."
    if breaking is None:
        return f"{told} Nothing points to a rate that breaks it."
    return f"{told} " + (
        "It is saturated already." if breaking == rate else f"It would saturate at a rate of about {breaking:g}."
    )


def by_step(crew: Crew, load: Load, rate: float, forensic: bool) -> list[str]:
    """The numbers for a model. Agents are named by step: their names are the trace's, and belong inside its fence."""
    told = [
        f"- {metric}: {load.values[metric]:g}, on its scale {load.normalised[metric]:.2f}" for metric in load.values
    ]
    for boss in crew.widest()[:8]:
        where = f"step {crew.step[boss]}" if boss in crew.step else f"no entry, named in step {under(crew, boss)[0][0]}"
        over = ", a bottleneck" if boss in load.bottlenecks else ""
        told.append(f"- supervisor ({where}): {len(crew.reports[boss])} direct reports{over}")
    if forensic:
        for what, agents in (
            ("in a ring", [agent for knot in crew.knots for agent in knot]),
            ("with several supervisors", crew.shared()),
            ("outside all lines", crew.lone()),
            ("naming a supervisor without entry", [a for boss in crew.unlisted() for a in crew.reports[boss]]),
        ):
            told.append(f"- agents {what}: {', '.join(str(crew.step[agent]) for agent in agents[:10]) or 'none'}")
        breaking = load.breaking_rate(rate)
        told.append(f"- bottleneck at rest {load.at_rest:g}, at the incoming rate of {rate:g} as above")
        told.append(f"- rate that would saturate it: {'none' if breaking is None else f'about {breaking:g}'}")
    return told
