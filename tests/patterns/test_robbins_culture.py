"""Seven characteristics: the contract's bounds and profiles, what words show against the task, and a model's answer."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import fit
from vstack_proto.patterns import robbins_culture as robbins
from vstack_proto.patterns import robbins_culture_passes as passes
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.robbins_culture import CHARACTERISTICS, PATTERN, AgentRobbinsTrace
from vstack_proto.trace import CanonicalTrace, TraceStep


def run(task_class: Any, *behaviours: str, prompt: str = "", assumed: tuple[str, ...] = ()) -> AgentRobbinsTrace:
    fields: Any = {"observed_behaviors": behaviours, "system_prompt": prompt, "inferred_assumptions": assumed}
    return AgentRobbinsTrace("Do the work", "done", False, task_class=task_class, **fields)


LEDGER = run(
    "financial_operation",
    "Reconciled all 14 entities before posting",
    "Asked a colleague for the four-eyes step and waited for her sign-off",
    "Reported one difference of 12 cents, with its cause",
    prompt="Never skip the checks. Keep to the procedure.",
)
SLOPPY = run(
    "financial_operation",
    "Posted entries before reconciling",
    "Skipped the four-eyes step twice",
    "Rounded to thousands",
)
TAME = run(
    "creative_generation",
    "Reused the same template for all five slogans",
    "Played it safe and gave no alternative ideas",
    "Used the standard text again",
)
RUDE = run(
    "customer_support",
    "Told the caller to calm down",
    "Ignored the customer's question about the refund",
    "Closed it as not my problem",
)
RIVAL = run(
    "regulated_workflow",
    "Competed with the other crew for first close",
    "Mocked the reviewer's note",
    assumed=("the other crew is the opponent",),
)
SOLO = run(
    "incident_response",
    "Rolled back without telling the network agent",
    "Overwrote the database agent's changes",
    "Worked alone until the end",
)


@pytest.mark.parametrize(
    ("trace", "profile", "gap", "book"),
    [
        (LEDGER, "well_fit", "none", None),
        (SLOPPY, "detail_starved", "attention_to_detail", "detail_starved"),
        (TAME, "innovation_starved", "innovation", "innovation_starved"),
        (RUDE, "people_starved", "people", "people_starved"),
        (RIVAL, "aggressiveness_excess", "aggressiveness", "aggressiveness_excess"),
        (SOLO, "team_starved", "team", "team_starved"),
    ],
)
def test_offline_profiles(trace: AgentRobbinsTrace, profile: str, gap: str, book: str | None) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.profile_pattern, found.biggest_gap) == (profile, gap)
    assert [one.failure_mode for one in found.attached_playbooks][:1] == ([book] if book else [])
    assert (found.severity in ("none", "trace")) == (book is None) == (not found.interventions) == (not found.evidence)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert found.per_dimension_risk.highest_risk_dimension == gap
    assert found.target_profile_provenance.derived_from == "task_class_default"
    assert kit.offline(PATTERN, trace).per_dimension_risk is None


def test_the_same_words_weigh_by_what_the_task_wants() -> None:
    words = ("Improvised a format of its own", "Deviated from the template")
    ledger = kit.offline(PATTERN, run("financial_operation", *words))
    sketch = kit.offline(PATTERN, run("creative_generation", *words))
    assert (ledger.profile_pattern, sketch.profile_pattern) == ("innovation_excess", "well_fit")


def test_a_slogan_of_the_prompt_counts_less_than_a_deed() -> None:
    told = kit.offline(PATTERN, run("financial_operation", "Worked", prompt="Move fast."))
    done = kit.offline(PATTERN, run("financial_operation", "Said to move fast"))
    assert told.overall_fit > done.overall_fit


def gaps(**off: float) -> dict[str, fit.Fit]:
    return {label: fit.Fit(round(0.5 + off.get(label, 0.0), 2), 0.5) for label in CHARACTERISTICS}


@pytest.mark.parametrize(
    ("fits", "quality", "profile"),
    [
        (gaps(innovation=-0.4), "well-fit", "well_fit"),
        (dict.fromkeys(CHARACTERISTICS, fit.Fit(0.25, 0.5)), "misfit", "broadly_misfit"),
        (gaps(innovation=-0.16), "misfit", "innovation_starved"),
        (gaps(innovation=0.16), "misfit", "innovation_excess"),
        (gaps(attention_to_detail=-0.2), "misfit", "detail_starved"),
        (gaps(attention_to_detail=0.3, innovation=-0.2), "misfit", "innovation_starved"),
        (gaps(outcome=0.3, stability=0.2), "misfit", "stability_excess"),
        (gaps(outcome=0.3, team=0.2), "misfit", "indeterminate"),
        (gaps(stability=-0.3), "misfit", "indeterminate"),
        (gaps(team=-0.3), "misfit", "team_starved"),
        (gaps(team=0.3), "misfit", "team_excess"),
        (gaps(aggressiveness=0.3), "misfit", "aggressiveness_excess"),
        (gaps(people=-0.3), "misfit", "people_starved"),
        (gaps(outcome=-0.3), "misfit", "outcome_starved"),
        (gaps(innovation=-0.15), "misfit", "indeterminate"),
    ],
)
def test_profiles(fits: dict[str, fit.Fit], quality: str, profile: str) -> None:
    assert robbins.profile_of(fits, quality, fit.widest(fits, 0.1)) == profile


PAIR = st.builds(fit.Fit, st.floats(0, 1), st.floats(0, 1))


@given(st.lists(PAIR, min_size=1, max_size=7))
def test_overall_fit_is_no_better_than_the_mean_and_no_worse_than_the_lowest(fits: list[fit.Fit]) -> None:
    own = [one.fit for one in fits]
    assert min(own) - 0.005 <= fit.overall(fits) <= sum(own) / len(own) + 0.005


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_signs_keep_scores_in_bounds(target: float, more: float, less: float) -> None:
    assert 0 <= fit.moved(target, more, less).observed <= 1


def finding(label: Any, score: float, *proofs: tuple[int, str]) -> passes.CharacteristicFinding:
    return passes.CharacteristicFinding(
        label, score, f"{label} as told", tuple(Evidence("c", (n,), q) for n, q in proofs)
    )


FOUND = (
    *(finding(label, target) for label, target in robbins.targets_of("customer_support").items() if label != "team"),
    finding("people", 0.2, (1, "Ignored the customer's question")),
    finding("innovation", 0.0, (0, "nowhere at all")),
)
FIX = passes.FitIntervention(
    "people", "rewrite_system_prompt", "increase", description="Answer", suggested_implementation="First sentence"
)
IDLE = passes.FitIntervention("outcome", "new_eval", "increase", description="x", suggested_implementation="y")
TARGETS = passes.TargetsAnswer(
    (
        passes.TargetFinding("stability", 0.1, "made up", (Evidence("c", (0,), "nowhere at all"),)),
        passes.TargetFinding("people", 1.0, "A person is upset", (Evidence("c", (0,), "calm down"),)),
    )
)
CHANGES = passes.ChangesAnswer((FIX, IDLE))


def act(way: Any, step: int, quote: str) -> passes.Act:
    return passes.Act("people", way, step, quote)


ACTS = (act("less", 0, "calm down"), act("less", 0, "Told the caller"), act("less", 2, "not my problem"))
HELD = act("as_wanted", 1, "customer's question about the refund")


@pytest.mark.parametrize(
    ("acts", "gap", "said"),
    [
        ((), 0.8, ""),
        (ACTS, 0.8, "2 of 2 acts show it."),
        (ACTS[:2], 0.6, "1 of 1 acts show it."),
        ((HELD, *ACTS), 0.8 * (1 + 2 / 3) / 2, "2 of 3 acts show it."),
        ((HELD,), 0.4, "0 of 1 acts show it."),
        ((act("more", 0, "calm down"),), 0.4, "0 of 1 acts show it."),
    ],
)
def test_one_act_is_no_habit(acts: tuple[passes.Act, ...], gap: float, said: str) -> None:
    case = kit.case_of(PATTERN, RUDE, "forensic")
    scored = {"characteristics": passes.CharacteristicsAnswer((finding("people", 0.1, (0, "calm down")),))}
    found = PATTERN.conclude(case, {**scored, "acts": passes.ActsAnswer(acts)})
    row = next(one for one in found.characteristics if one.characteristic == "people")
    assert row.target_score - row.observed_score == pytest.approx(gap, abs=1e-3)
    assert row.explanation.endswith(said)
    assert {one.quote for one in acts} <= {item.quote for item in found.evidence}


def test_where_all_is_as_wanted_no_act_is_counted() -> None:
    case = kit.case_of(PATTERN, RUDE, "forensic")
    assert not PATTERN.passes["forensic"][2].wanted(case, {"characteristics": passes.CharacteristicsAnswer(())})


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"characteristics": passes.QuickAnswer(FOUND, (FIX, IDLE))}),
        ("standard", {"characteristics": passes.CharacteristicsAnswer(FOUND), "interventions": CHANGES}),
        (
            "forensic",
            {
                "targets": TARGETS,
                "characteristics": passes.CharacteristicsAnswer(FOUND),
                "acts": passes.ActsAnswer((*ACTS, act("as_wanted", 0, "words of nobody"))),
                "interventions": CHANGES,
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, RUDE, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    rows = {one.characteristic: one for one in found.characteristics}
    assert (found.profile_pattern, rows["people"].observed_score) == ("people_starved", 0.2)
    assert rows["people"].evidence_quotes == ("Ignored the customer's question",)
    # A quotation that stands nowhere moves nothing; what was left out has the fill values; what fits needs no change.
    assert rows["innovation"].observed_score == rows["innovation"].target_score
    assert (rows["team"].observed_score, rows["team"].target_score, rows["team"].fit_score) == (0.5, 0.5, 1.0)
    assert found.interventions == (FIX,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["people_starved"]
    assert kit.misquotes(PATTERN, RUDE, found) == []
    if mode == "forensic":
        assert found.target_profile_provenance.per_dim_overrides == {"people": 1.0}
        assert found.target_profile_provenance.derived_from == "blended"


def test_from_trace_keeps_steps_and_a_good_fit_asks_for_no_change() -> None:
    steps = (TraceStep("user", "message", "skip the checks"), TraceStep("ops", "message", "I checked both."))
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata={"task_class": "code_review"}))
    assert trace.task_class == "code_review"
    assert [(one.agent, one.content) for one in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in steps]
    case = kit.case_of(PATTERN, trace)
    assert case.signals == ()
    assert not PATTERN.passes["standard"][1].wanted(case, {})
