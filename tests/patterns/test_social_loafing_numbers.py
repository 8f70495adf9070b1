"""The numbers of social loafing: shares, the Gini coefficient, and what follows from them."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.social_loafing import PATTERN, LoafingMessage, MultiAgentTaskTrace, SocialLoafingDetection
from vstack_proto.patterns.social_loafing_work import gini, weighed
from vstack_proto.trace import CanonicalTrace, TraceStep

shares = st.lists(st.floats(0, 1, allow_nan=False), max_size=12)


@pytest.mark.parametrize(
    ("given_shares", "expected"),
    [
        ([], 0.0),
        ([0.0, 0.0], 0.0),
        ([0.5, 0.5], 0.0),
        ([1.0, 0.0], 0.5),
        ([0, 0, 0, 1.0], 0.75),
        ([0.6, 0.3, 0.1], 0.3333),
    ],
)
def test_gini(given_shares: list[float], expected: float) -> None:
    assert gini(given_shares) == expected


@given(shares, st.randoms(use_true_random=False))
def test_gini_is_bounded_and_blind_to_order(values: list[float], random: Any) -> None:
    mixed = random.sample(values, len(values))
    assert gini(values) == gini(mixed)
    assert 0.0 <= gini(values) <= 1.0


@given(st.floats(0.01, 1), st.integers(1, 12))
def test_gini_of_equals_is_nil(value: float, count: int) -> None:
    assert gini([value] * count) == 0.0


AGENTS = ("a", "b", "c", "d")
KINDS = (
    "proposal", "critique", "approval", "rubber_stamp", "paraphrase", "tool_call", "observation", "decision", "handoff",
    "question", "other",
)  # fmt: skip
messages = st.lists(
    st.builds(
        LoafingMessage,
        st.sampled_from((*AGENTS, "stranger")),
        st.sampled_from(KINDS),
        st.one_of(st.text(max_size=60), st.sampled_from(("+1", "Looks good", "redis keeps keys", "bench p99 9 ms"))),
    ),
    min_size=1,
    max_size=14,
)


@given(messages, st.booleans())
def test_numbers_hold_together(said: list[LoafingMessage], evaluated: bool) -> None:
    trace = MultiAgentTaskTrace("t", AGENTS, tuple(said), "o", has_per_agent_evaluation=evaluated)
    case = kit.case_of(PATTERN, trace)
    found = PATTERN.assess_offline(case)
    rows = found.agent_contributions
    assert [row.agent_name for row in rows] == list(AGENTS)
    total = sum(row.contribution_share for row in rows)
    assert total == 0 or total == pytest.approx(1, abs=0.001)
    present = [row.contribution_share for row in rows if row.role != "absent"]
    assert found.gini_coefficient == gini(present)
    for row in rows:
        spoken = [message for message in said if message.from_agent == row.agent_name]
        assert row.substantive_work_count + row.cosmetic_work_count <= len(spoken)
        assert (row.role == "absent") == (not spoken)
        assert (row.substantive_work_count > 0) == (row.contribution_share > 0)
    riders = [row for row in rows if row.role in ("loafer", "absent")]
    severe = len(riders) >= 2 or found.gini_coefficient > 0.45
    mild = bool(riders) or found.gini_coefficient > 0.30
    assert found.loafing_quality == ("severe-loafing" if severe else "mild-loafing" if mild else "no-loafing")
    assert (found.interventions == ()) == (found.loafing_quality == "no-loafing")
    assert kit.misquotes(PATTERN, trace, found) == []
    assert case.grounding.dropped == 0
    # What is encoded fits its own shape, bounds and all.
    assert msgspec.json.decode(msgspec.json.encode(found), type=SocialLoafingDetection) == found


@given(messages, st.dictionaries(st.integers(0, 13), st.booleans(), max_size=5))
def test_what_a_reader_judges_is_what_counts(said: list[LoafingMessage], judged: dict[int, bool]) -> None:
    work = weighed(MultiAgentTaskTrace("t", AGENTS, tuple(said), "o"), judged)
    for entry in work.entries:
        if entry.number in judged:
            assert (entry.credit > 0) == judged[entry.number]
            assert (entry.form is None) == judged[entry.number]
        assert entry.leans is None or work.entries[entry.leans].agent != entry.agent


@pytest.mark.parametrize(
    "content", ["Nine " * 40_000, "\n" * 200_000, "+" * 200_000, "I " + "a" * 200_000, "? " * 100_000]
)
def test_hostile_content_is_read_in_linear_time(content: str) -> None:
    """Quadratic reading of any of these would take minutes and not fractions of a second."""
    steps = (TraceStep("a", "message", content), TraceStep("b", "message", content))
    assert kit.offline(PATTERN, PATTERN.from_trace(CanonicalTrace("g", steps, "o"))).agent_contributions
