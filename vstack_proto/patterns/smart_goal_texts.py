"""The words of the SMART goal: the framework, what is asked of a model, what rules look for, what to change, "
"playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition, Share
from vstack_proto.patterns.talk import Advice

Criterion = Literal["specific", "measurable", "achievable", "relevant", "time_bound"]
Quality = Literal["strong", "acceptable", "weak"]
Target = Literal["specific", "measurable", "achievable", "relevant", "time_bound", "overall"]
Kind = Literal[
    "tighten_specificity", "add_measurement", "calibrate_achievability", "ground_relevance", "add_deadline",
    "add_kill_criteria", "add_completion_criteria", "decompose_goal", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

DORAN = "Doran 1981, S.M.A.R.T. goals"
LOCKE = "Locke & Latham 2002, Goal setting and task motivation"
HACKMAN = "Hackman 2002, Leading Teams"

FRAMEWORK = """\
Doran: an objective is of use where one can tell what is to change, by how much, with what means, why, and by when. \
Locke and Latham: specific and difficult goals lead to better work than "do your best", as long as they are accepted, \
feedback on progress exists, and ability and means suffice; a stretch beyond them makes people hide failure. Hackman: \
a direction should be clear, challenging and consequential, fix the ends, and leave the means to the team.

For an agent this is harder, since it will not ask: it optimises what is written. Therefore a goal also needs \
completion criteria (when to stop because it is done) and kill criteria (when to stop although it is not).
- specific: one result, the thing it is about, and where it ends;
- measurable: a figure or a check with a stated method and a known baseline;
- achievable: within the means and constraints named; a share of 100 % or "never" is rarely meant;
- relevant: whom it serves; a number that can rise while nobody is better off is a vanity metric;
- time_bound: a date or event, not "soon".

Do not confuse: a list of activities is no goal; a precise number is not yet a measurable goal if nobody can measure \
it; a constraint is no target. Never make up a baseline, a deadline or a resource: what the request does not give \
becomes an open question, and a target you propose is marked as proposed."""


class CriterionScore(msgspec.Struct, frozen=True):
    """How well the goal meets one criterion, from 0 to 1."""

    criterion: Criterion
    statement: str
    quality_score: Share


class SuccessMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is measured, what it must reach, and how."""

    name: str
    target: str
    measurement_method: str


class KillCriterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to stop although the goal is not reached."""

    name: str
    condition: str
    action_on_trigger: str = "escalate_to_human"


class Goal(msgspec.Struct, frozen=True):
    """The rewritten goal before it is judged; ``given`` counts the targets that the request gives, where one looked."""

    statement: str
    criteria: tuple[CriterionScore, ...]
    completion: tuple[str, ...]
    metrics: tuple[SuccessMetric, ...]
    kills: tuple[KillCriterion, ...]
    deadline: str
    questions: tuple[str, ...]
    score: float
    quality: Quality
    given: int | None = None

    @property
    def scores(self) -> dict[str, float]:
        """By criterion."""
        return {one.criterion: one.quality_score for one in self.criteria}


# By failure mode; those without a playbook of their own bring none along.
ADVICE = {
    "category_not_target": Advice("specific", "tighten_specificity", "Name one result instead of a direction.",
        "Ask for verb, thing and limit: what will exist on the last day that does not exist now?",
        "The goal names a category and no target.", "1h"),
    "no_measurement": Advice("measurable", "add_measurement", "Give the goal a figure and a way to measure it.",
        "Write down today's value, the target, who measures and with which query or test.",
        "Progress cannot be told."),
    "unachievable_stretch": Advice("achievable", "calibrate_achievability", "Fit the goal to the means.",
        "List resources and constraints beside the target; lower the target or raise the means until an estimate fits.",
        "What is asked is beyond the means named."),
    "no_kill_criteria": Advice("achievable", "add_kill_criteria", "Say when to stop although it is not done.",
        "Name a condition each for cost, harm and no progress, with who decides when it comes true.",
        "Nothing says when to give up."),
    "irrelevant_to_context": Advice("relevant", "ground_relevance", "Tie the goal to whom it serves.",
        "Add 'so that ...' with a person or system that notices the difference, and ask that person.",
        "It is not said what the goal is for."),
    "vanity_metric": Advice("relevant", "new_eval", "Measure the effect and not the activity.",
        "Beside the number put one that only rises when somebody is better off; gate on the second.",
        "The figure can rise while nobody is better off.", "1w"),
    "no_deadline": Advice("time_bound", "add_deadline", "Set a date or event.",
        "Ask which event depends on it, and set the date a review before that event.", "There is no date.", "1h"),
    "no_completion_criteria": Advice("overall", "add_completion_criteria", "Say what done is.",
        "Write three checks that anybody can run and that all pass only when it is done.",
        "Nothing tells done from not."),
    "weak_overall": Advice("overall", "decompose_goal", "Split the goal until each part can be told done.",
        "List the results it stands for, order them, and write the first as a SMART goal of its own.",
        "Most criteria are open.", "1w"),
}  # fmt: skip


class GoalPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one criterion."""

    criterion: str


PLAYBOOKS = shapes.playbooks(GoalPlaybook, (
    ("specific", "category_not_target", "From direction to result", (
        "Replace improve, optimise and better by the thing that will be different, and add what is out of scope.",
        "Have two people say what done looks like; where they differ, the goal is not specific yet.",
    ), "1h", DORAN),
    ("measurable", "no_measurement", "One figure, one method", (
        "Measure today's value with the method you will use at the end, and write both down.",
        "Set the target as a value of that same measure, and automate it where it is read more than weekly.",
    ), "1d", DORAN),
    ("measurable", "qualitative_only", "Make a judgement countable", (
        "Write a rubric of three levels with an example each, and have two judges grade ten cases.",
        "Use the share of the top level as the figure once the judges agree in eight of ten.",
    ), "1d", LOCKE),
    ("achievable", "unachievable_stretch", "Difficult, not impossible", (
        "List the means named and estimate what they reach; note the gap to the target.",
        "Offer two versions: target for these means, means for this target.",
        "Let the asker choose; a goal that was not accepted does not work.",
    ), "1d", LOCKE),
    ("achievable", "no_kill_criteria", "Know when to stop", (
        "Name for cost, harm, time and no progress one condition that can be observed, with a figure.",
        "Wire each to an action: stop, roll back, or hand over to a person.",
    ), "1d", HACKMAN),
    ("relevant", "irrelevant_to_context", "Whom does it serve?", (
        "Ask why until a person outside the team is named, and write that into the goal.",
        "Drop the goal if nobody is.",
    ), "1d", HACKMAN),
    ("relevant", "vanity_metric", "Pair activity with effect", (
        "Say how the figure could rise while nobody is better off, and choose a second one that would then not rise.",
        "Track both for a month, and keep the one that goes with what users say.",
    ), "1w", LOCKE),
    ("time_bound", "no_deadline", "Find the event behind the date", (
        "Ask which meeting, release or season needs the result, and count back a review and a repair.",
        "Write date and event into the goal; without an event choose a review date.",
    ), "1h", DORAN),
    ("time_bound", "ambiguous_deadline", "A date, not a mood", (
        "Replace soon, asap and later by a date with its time zone.",
        "Say what is dropped first if the date comes nearer than the end.",
    ), "1h", DORAN),
    ("overall", "no_completion_criteria", "Done is a check", (
        "Write each part of the goal as a check that passes or fails, and run all before the work starts: all fail.",
        "Stop when all pass, also if more could be done.",
    ), "1d", HACKMAN),
    ("overall", "weak_overall", "Start over with the asker", (
        "Take the five open questions to the asker, and write the answers down in their words.",
        "Split what remains into goals of one result each.",
        "Write the first as a SMART goal, start it, and come back with what it taught.",
    ), "1w", LOCKE),
    ("overall", "strong_baseline", "Keep the goal as a model", (
        "Store it as the baseline, and show it beside the next vague goal.",
    ), "1h", DORAN),
))  # fmt: skip

ATTACH = {
    ("specific", "tighten_specificity"): "category_not_target", ("measurable", "add_measurement"): "no_measurement",
    ("achievable", "calibrate_achievability"): "unachievable_stretch",
    ("achievable", "add_kill_criteria"): "no_kill_criteria",
    ("relevant", "ground_relevance"): "irrelevant_to_context", ("relevant", "new_eval"): "vanity_metric",
    ("time_bound", "add_deadline"): "no_deadline",
    ("overall", "add_completion_criteria"): "no_completion_criteria", ("overall", "decompose_goal"): "weak_overall",
}  # fmt: skip
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.grpi", "vstack.aar", "vstack.schein_culture"),
    downstream={
        "profile_pattern": {
            "strong_smart_goal": ("vstack.aar",),
            "vague_unspecific": ("vstack.devils_advocate", "vstack.aar"),
            "unmeasurable": ("vstack.aar", "vstack.grpi"),
            "unachievable_stretch": ("vstack.grpi", "vstack.lewin"),
            "irrelevant_to_context": ("vstack.devils_advocate", "vstack.bias_stack"),
            "no_deadline": ("vstack.aar",),
            "missing_kill_criteria": ("vstack.aar", "vstack.devils_advocate"),
            "indeterminate": (),
        }
    },
    framework_overlays={
        "langgraph": ("vstack.aar",), "crewai": ("vstack.grpi", "vstack.lencioni"), "autogen": ("vstack.aar",),
    },
)  # fmt: skip
