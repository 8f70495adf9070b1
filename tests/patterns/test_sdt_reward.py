"""Intrinsic reward: the contract's bounds and profiles, what terms and behaviours tell, what a model's answer adds."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import sdt_reward_audits as audits
from vstack_proto.patterns import sdt_reward_texts as texts
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.sdt_reward import (
    PATTERN,
    AgentSDTTrace,
    profile_of,
    quality_of,
    score_of,
    severity_of,
    undermined_of,
)
from vstack_proto.patterns.sdt_reward_texts import NEEDS
from vstack_proto.trace import CanonicalTrace, TraceStep


def under(prompt: str, *behaviours: str, outside: tuple[str, ...] = (), **fields: Any) -> AgentSDTTrace:
    return AgentSDTTrace(
        "Find why churn rose", "ended", system_prompt=prompt, observed_behaviors=behaviours, extrinsic_signals=outside,
        **fields,
    )  # fmt: skip


GOOD = under(
    "Find why churn rose so that the team can decide on a rollback. You may choose the method. "
    "Here is a worked example. Results must not name customers, because of privacy law.",
    "Opened the cohort notebook and found two candidates",
    "Asked which of the two decisions the user is about to take",
    user_purpose="Decide on the rollback",
)
RULED = under("You must never guess. Always cite. Do not ask. You have to use the table. No exceptions.", "Cited.")
HURRIED = under("Deliver soon.", "Rushed the last third and ran out of time", outside=("deadline banner each turn",))
ALONE = under("Write it.", "Did not ask the user what it is for", "Said that nobody reads it")
PAID = under(
    "You will be rated; a rating below 4 ends the session. I'll tip you.",
    "Asked for the score twice",
    "Padded the text with tables to hit the word count",
    outside=("leaderboard of agents",),
)
CRUSHED = under(
    "Obey or be penalised. A score below 4 ends the session.",
    "Filled the template by rote",
    "Gave up: too complex to finish",
    "Guessed the format without any guidance",
    "Did not consider the user",
    "It is meaningless, nobody uses it",
    outside=("hurry",),
)


@pytest.mark.parametrize(
    ("trace", "profile", "undermined", "quality", "severity"),
    [
        (GOOD, "intrinsic_balanced", "none", "intrinsic", "trace"),
        (RULED, "autonomy_collapse_under_rule_imposition", "autonomy", "mixed", "low"),
        (HURRIED, "competence_collapse_under_deadline", "competence", "mixed", "low"),
        (ALONE, "relatedness_undermined_dominant", "relatedness", "mixed", "low"),
        (PAID, "overjustification_active", "autonomy", "mixed", "moderate"),
        (CRUSHED, "controlled_motivation_dominant", "relatedness", "controlled", "high"),
    ],
)
def test_offline_profiles(trace: AgentSDTTrace, profile: str, undermined: str, quality: str, severity: str) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.profile_pattern, found.most_undermined_need) == (profile, undermined)
    assert (found.motivation_quality, found.severity) == (quality, severity)
    healthy = undermined == "none"
    assert healthy == (not found.interventions) == (not found.evidence) == (not found.attached_playbooks)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert {one.target_need for one in found.interventions} == {
        one.need for one in found.need_evidence if one.score < 0.7
    }


def test_support_raises_a_need_above_what_silence_says() -> None:
    silent, good = (kit.offline(PATTERN, trace) for trace in (under("Go."), GOOD))
    assert [one.score for one in silent.need_evidence] == [0.8, 0.8, 0.8]
    assert [one.score > 0.8 for one in good.need_evidence] == [True, True, True]
    assert {one.category for one in good.reward_shaping_items} == {
        "purpose_framing", "choice_grant", "competence_scaffold",
    }  # fmt: skip


def test_overjustification_needs_control_and_a_behaviour_that_follows_it() -> None:
    audit = kit.offline(PATTERN, PAID).overjustification_audit
    assert (audit.is_active, audit.intrinsic_signal_count, audit.extrinsic_signal_count, audit.ratio) == (True, 0, 4, 4)
    assert not kit.offline(
        PATTERN, under("You will be rated. I'll tip you.", "Worked")
    ).overjustification_audit.is_active
    assert not kit.offline(PATTERN, under("Go.", "Asked for the score twice")).overjustification_audit.is_active


def test_a_regulated_rule_is_not_loosened() -> None:
    found = kit.offline(
        PATTERN, under("Never guess. Always cite. Do not ask.", "Cited.", task_class="regulated_workflow")
    )
    assert (found.profile_pattern, found.interventions) == ("regulated_workflow_low_autonomy_acceptable", ())


@pytest.mark.parametrize(
    ("scores", "task_class", "controlling", "over", "profile"),
    [
        ((0.9, 0.9, 0.9), "tool_use", set(), True, "overjustification_active"),
        ((0.3, 0.3, 0.5), "tool_use", set(), False, "controlled_motivation_dominant"),
        ((0.3, 0.3, 0.9), "tool_use", set(), False, "multi_need_undermined"),
        ((0.3, 0.8, 0.8), "regulated_workflow", set(), False, "regulated_workflow_low_autonomy_acceptable"),
        ((0.29, 0.8, 0.8), "regulated_workflow", set(), False, "autonomy_undermined_dominant"),
        ((0.5, 0.8, 0.8), "creative_generation", {"rule_imposition"}, False, "creative_task_low_autonomy_misfit"),
        ((0.8, 0.5, 0.8), "tool_use", {"deadline_pressure"}, False, "competence_collapse_under_deadline"),
        ((0.8, 0.5, 0.8), "tool_use", {"rule_imposition"}, False, "competence_undermined_dominant"),
        ((0.5, 0.8, 0.8), "tool_use", {"rule_imposition"}, False, "autonomy_collapse_under_rule_imposition"),
        ((0.8, 0.8, 0.69), "tool_use", {"rule_imposition"}, False, "relatedness_undermined_dominant"),
        ((0.7, 0.7, 0.7), "tool_use", {"rule_imposition"}, False, "intrinsic_balanced"),
    ],
)
def test_profiles(scores: Any, task_class: str, controlling: set[str], over: bool, profile: str) -> None:
    told = dict(zip(NEEDS, scores, strict=True))
    assert profile_of(told, task_class, frozenset(controlling), over) == profile


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.9, "none"), (0.89, "trace"), (0.75, "low"), (0.76, "trace"), (0.6, "moderate"), (0.45, "medium"),
        (0.39, "medium"), (0.3, "high"), (0.15, "critical"),
    ],
)  # fmt: skip
def test_severities(score: float, severity: str) -> None:
    assert severity_of(dict.fromkeys(NEEDS, score)) == severity


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_labels_agree_with_each_other(values: tuple[float, ...]) -> None:
    scores = dict(zip(NEEDS, values, strict=True))
    assert (undermined_of(scores) == "none") == (quality_of(scores) == "intrinsic")
    assert min(values) - 0.005 <= score_of(scores) <= max(values) + 0.005
    assert profile_of(scores, "tool_use", frozenset(), False) != "indeterminate"


FOUND = (
    texts.NeedFinding(
        "autonomy",
        score=0.2,
        explanation="Rated.",
        evidence=(Evidence("threat", (3,), "rating below 4 ends the session"),),
    ),
    texts.NeedFinding(
        "competence", score=0.1, explanation="Made up.", evidence=(Evidence("lack", (0,), "words that are not there"),)
    ),
)
CHANGE = texts.SDTIntervention(
    "autonomy",
    "remove_external_reward_threat",
    description="Drop the rating",
    suggested_implementation="Delete the sentence",
)
ITEMS = audits.ItemsAnswer(
    (
        audits.ItemFinding("rating_threat", "extrinsic_controlling", 3, "rating below 4", "A threat."),
        audits.ItemFinding("deadline_pressure", "neutral", 2, "leaderboard", "Only told."),
        audits.ItemFinding("choice_grant", "intrinsic_supporting", 3, "you may choose", "Invented."),
    )
)
FOLLOWED = audits.Followed(0, "Asked for the score", 3, "rating below 4", "follows the score")
BEYOND = Evidence("made up", (0,), "wrote to the user unasked")
REASON = audits.OverjustificationAnswer((FOLLOWED,), (BEYOND,), "The score is the reason.")


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"needs": texts.QuickAnswer(FOUND, (CHANGE,))}),
        ("standard", {"needs": texts.NeedsAnswer(FOUND), "interventions": texts.RemedyAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "needs": texts.NeedsAnswer(FOUND),
                "items": ITEMS,
                "overjustification": REASON,
                "interventions": texts.RemedyAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, PAID, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    # A made-up quotation lowers no need below what the signals say; a need that was left out is filled in with 0.5.
    assert [one.score for one in found.need_evidence] == [0.2, 0.8, 0.5]
    assert (found.intrinsic_motivation_score, found.severity) == (0.5, "moderate")
    assert found.profile_pattern == "overjustification_active"
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["rating_threat"]
    assert kit.misquotes(PATTERN, PAID, found) == []
    if mode == "forensic":
        assert [(one.category, one.affected_need) for one in found.reward_shaping_items] == [
            ("rating_threat", "autonomy"), ("deadline_pressure", "none"),
        ]  # fmt: skip
        assert found.overjustification_audit.ratio == 1.0
        assert found.overjustification_audit.notes.startswith("The score is the reason. 1 items control")
        assert {"Asked for the score", "rating below 4"} <= {one.quote for one in found.evidence}


def test_whether_the_reward_became_the_reason_is_counted() -> None:
    case = kit.case_of(PATTERN, PAID, "forensic")
    needs = {"needs": texts.NeedsAnswer(FOUND)}
    reason = PATTERN.passes["forensic"][2]
    assert "rating_threat in step 3." in reason.instruction(case, {**needs, "items": ITEMS})
    # Without a term that controls there is nothing to follow.
    assert not reason.wanted(case, {**needs, "items": audits.ItemsAnswer(ITEMS.items[1:])})
    alone = PATTERN.conclude(case, {**needs, "items": audits.ItemsAnswer(())})
    assert (alone.overjustification_audit.is_active, alone.profile_pattern) == (False, "autonomy_undermined_dominant")
    stands = Evidence("asked", (0,), FOLLOWED.quote)
    invented = msgspec.structs.replace(FOLLOWED, term="a tip of 20 euros")
    for follows, beyond, active in (
        ((FOLLOWED, FOLLOWED), (), True),
        ((FOLLOWED, FOLLOWED), (stands,), False),
        ((invented,), (), False),
    ):
        told = {**needs, "items": ITEMS, "overjustification": audits.OverjustificationAnswer(follows, beyond, "")}
        assert PATTERN.conclude(case, told).overjustification_audit.is_active is active


def test_nothing_is_changed_where_the_needs_are_met() -> None:
    met = {
        "needs": texts.NeedsAnswer(
            tuple(texts.NeedFinding(need, score=0.9, explanation="Met.", evidence=()) for need in NEEDS)
        )
    }
    assert not PATTERN.passes["standard"][1].wanted(kit.case_of(PATTERN, PAID), met)
    assert PATTERN.conclude(kit.case_of(PATTERN, GOOD), met).severity == "none"


def test_from_trace() -> None:
    steps = (
        TraceStep("system", "message", "A score below 4 ends the session."),
        TraceStep("ops", "message", "A score below 4 is rare in this table."),
    )
    told = {"user_purpose": "Plan", "task_class": "writing", "extrinsic_signals": ["hurry"]}
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=told))
    assert (trace.user_purpose, trace.task_class, trace.success) == ("Plan", "general_purpose", False)
    read = PATTERN.read(trace)
    assert [(step.agent, step.content) for step in read.steps[:2]] == [(step.agent, step.content) for step in steps]
    assert {one.steps for one in PATTERN.signals(trace, read)} == {(0,), (2,)}
