"""The numbers of span_of_control on any roster: rings, doubles, large crews, and what must hold of all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.span_of_control import PATTERN, SpanAgent, SpanTrace, crew_of
from vstack_proto.patterns.span_of_control_crew import BOTTLENECK_RISK, bottleneck, measure, rings, rungs

IDS = ("ann", "bob", "cy", "dee", "eve", "fay", "gus")


def trace_of(*agents: SpanAgent, rate: float = 1.0) -> SpanTrace:
    seen = ("ann is waiting for bob",)
    return SpanTrace("Answer tickets", agents, "Half are open", False, None, None, rate, seen)


LINES = [
    ("two rings", {"a": "b", "b": "a", "c": "d", "d": "e", "e": "c", "x": "a"}, (("a", "b"), ("c", "d", "e")), 3),
    ("itself", {"a": "a"}, (("a",),), 1),
    ("entered from below", {"x": "c", "a": "b", "b": "c", "c": "a"}, (("a", "b", "c"),), 4),
    ("none", {"a": "b", "b": "c"}, (), 3),
]


@pytest.mark.parametrize(("lines", "expected", "depth"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_rings(lines: dict[str, str], expected: Any, depth: int) -> None:
    crew = crew_of(trace_of(*(SpanAgent(agent, reports_to=(boss,)) for agent, boss in lines.items())))
    assert rings(crew) == expected
    assert {frozenset(ring) for ring in crew.knots} == {frozenset(ring) for ring in expected}
    assert len(crew.chain) == depth


def test_entries_with_one_id_are_one_agent() -> None:
    twice = trace_of(
        SpanAgent("boss", decision_authority="none"), SpanAgent("boss", decision_authority="full"),
        SpanAgent("w", reports_to=("boss",)), SpanAgent("w", reports_to=("boss", "boss")),
    )  # fmt: skip
    crew = crew_of(twice)
    assert crew.authority == {"boss": "full", "w": "partial"}
    assert crew.reports == {"boss": {"w": 3}, "w": {}}
    assert kit.misquotes(PATTERN, twice, kit.offline(PATTERN, twice)) == []


rosters = st.lists(
    st.builds(
        SpanAgent,
        st.sampled_from(IDS),
        st.just("worker"),
        st.lists(st.sampled_from((*IDS, "ghost", "")), max_size=3).map(tuple),
        st.sampled_from(["full", "partial", "advisory", "none"]),
    ),
    min_size=1,
    max_size=7,
).map(lambda agents: trace_of(*agents))
rates = st.floats(0, 1e6)


def longest_upwards(lines: dict[str, tuple[str, ...]], agent: str, passed: frozenset[str]) -> int:
    """The contract's words, taken literally: no agent is entered twice. Exponential, for small rosters."""
    above = (longest_upwards(lines, boss, passed | {boss}) for boss in lines.get(agent, ()) if boss not in passed)
    return 1 + max(above, default=0)


@given(rosters)
def test_depth_is_the_longest_chain(trace: SpanTrace) -> None:
    crew = crew_of(trace)
    literal = max(longest_upwards(crew.bosses, agent, frozenset({agent})) for agent in crew.bosses)
    depth = len(crew.chain)
    assert literal <= depth <= len(crew.reports)
    assert len(set(crew.chain)) == depth
    if not crew.knots:
        assert depth == literal
        assert all(boss in crew.bosses[agent] for agent, boss in pairwise(crew.chain))


@given(rosters, st.randoms(use_true_random=False))
def test_numbers_do_not_depend_on_the_order_of_the_roster(trace: SpanTrace, chance: Any) -> None:
    agents = list(trace.agents)
    chance.shuffle(agents)
    one = measure(crew_of(trace), 3.0)
    other = measure(crew_of(msgspec.structs.replace(trace, agents=tuple(agents))), 3.0)
    assert (one.values, one.score) == (other.values, other.score)
    assert set(one.bottlenecks) == set(other.bottlenecks)


@given(rosters)
def test_rungs_are_the_agents_that_reach_one_another(trace: SpanTrace) -> None:
    lines = crew_of(trace).bosses

    def reach(start: str) -> set[str]:
        seen, ahead = {start}, [start]
        while ahead:
            new = [boss for boss in lines.get(ahead.pop(), ()) if boss not in seen]
            seen.update(new)
            ahead += new
        return seen

    for agent, rung in rungs(lines).items():
        assert set(rung) == {other for other in reach(agent) if agent in reach(other)}


@given(rosters, rates)
def test_numbers_stay_in_their_bounds(trace: SpanTrace, rate: float) -> None:
    trace = msgspec.structs.replace(trace, incoming_request_rate=rate)
    case = kit.case_of(PATTERN, trace, "forensic")
    found = PATTERN.assess_offline(case)
    again = msgspec.json.decode(msgspec.json.encode(found), type=PATTERN.detection)
    assert again == found  # every bound of the contract holds
    assert kit.misquotes(PATTERN, trace, found) == []
    assert case.grounding.dropped == 0
    assert 0.2 <= found.confidence <= 0.8
    audit = found.load_amplification_audit
    assert audit is not None
    assert audit.base_bottleneck_score <= audit.amplified_bottleneck_score
    assert bool(found.interventions) <= (found.structural_load_quality != "well-balanced")


@given(rosters)
def test_gini_is_the_mean_difference_of_spans(trace: SpanTrace) -> None:
    crew = crew_of(trace)
    spans = [len(under) for under in crew.reports.values()]
    if sum(spans):
        apart = sum(abs(one - other) for one in spans for other in spans)
        expected = apart / (2 * len(spans) * sum(spans))
        assert measure(crew, 1.0).values["span_gini"] == pytest.approx(expected, abs=6e-5)


@given(rosters, rates, rates)
def test_more_requests_never_lower_the_risk(trace: SpanTrace, one: float, other: float) -> None:
    crew = crew_of(trace)
    (low, few), (high, many) = (bottleneck(crew, rate) for rate in sorted((one, other)))
    assert low <= high
    assert set(few) <= set(many)
    assert bool(many) is (high >= BOTTLENECK_RISK)


BIG = [
    ("chain", tuple(SpanAgent(f"a{n}", reports_to=(f"a{n + 1}",)) for n in range(5000)), 5001),
    ("ring", tuple(SpanAgent(f"a{n}", reports_to=(f"a{(n + 1) % 5000}",)) for n in range(5000)), 5000),
    (
        "many lines",
        tuple(SpanAgent(f"a{n}", reports_to=tuple(f"a{n // k}" for k in range(2, 40))) for n in range(5000)),
        0,
    ),
    ("ladder", tuple(SpanAgent(f"a{n}", reports_to=(f"a{n + 1}", f"a{n + 2}")) for n in range(4998)), 4999),
    ("star", tuple(SpanAgent(f"a{n}", reports_to=("hub",)) for n in range(5000)), 2),
]


@pytest.mark.parametrize(("agents", "depth"), [row[1:] for row in BIG], ids=[row[0] for row in BIG])
def test_large_rosters_are_walked_without_recursion(agents: tuple[SpanAgent, ...], depth: int) -> None:
    trace = trace_of(*agents, rate=9)
    found = kit.offline(PATTERN, trace, "forensic")
    assert depth in (0, found.metrics[3].value)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert len(msgspec.json.encode(found.interventions)) < 10_000
