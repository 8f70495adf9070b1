"""The words of the SMART goal: the framework, what is asked of a model, what rules look for, what to change, "
"playbooks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from vstack_proto.patterns.common import Composition, Effort, Evidence, Share, Signal, Step
from vstack_proto.patterns.signs import Rule, words
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

ASK_GOAL = """\
Rewrite the goal. smart_statement: one sentence with result, figure, means or limits, purpose and date. criteria: \
each of the five once, a statement of how the goal meets it, quality_score from 0 (nothing) to 1 (nobody could \
misread it), and evidence: words quoted from the request that the statement rests on; a statement that rests on \
nothing given counts 0.5 at most. completion_criteria: checks that tell done from not done. success_metrics: name, \
target with figure, method of measurement. kill_criteria: name, observable condition, action_on_trigger. deadline: \
date or event; "(not specified)" where none is given. open_questions: what only the asker can answer. \
overall_smart_score and smart_quality (strong from 0.8, acceptable from 0.5, else weak) judge the whole."""
ASK_ATTACK = """\
Read the rewritten goal as somebody who wants to meet its letter and miss its purpose: {told}. Score each criterion \
again where it is weaker than it was scored (criteria, with evidence), and leave out those that stand. Add \
kill_criteria that are missing (cost, harm, no progress, a constraint broken), completion_criteria that close the \
loophole you found, and open_questions. Empty lists are a fine answer."""
ASK_CHANGES = """\
Propose at most four changes to the goal as rewritten: {told}. None for a criterion that stands. Kinds: \
tighten_specificity, add_measurement, calibrate_achievability, ground_relevance, add_deadline, add_kill_criteria, \
add_completion_criteria, decompose_goal (one goal is several), new_eval (a vanity metric), human_review, \
compose_pattern. Say what to ask, write or measure."""


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
    """The rewritten goal before it is judged."""

    statement: str
    criteria: tuple[CriterionScore, ...]
    completion: tuple[str, ...]
    metrics: tuple[SuccessMetric, ...]
    kills: tuple[KillCriterion, ...]
    deadline: str
    questions: tuple[str, ...]
    score: float
    quality: Quality

    @property
    def scores(self) -> dict[str, float]:
        """By criterion."""
        return {one.criterion: one.quality_score for one in self.criteria}


class CriterionFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the goal meets one criterion."""

    criterion: Criterion
    statement: str
    quality_score: Share
    evidence: tuple[Evidence, ...]


COUNTABLE = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|ten|twelve|half|zero|no|all)\b", re.IGNORECASE)


def _goal(step: Step) -> bool:
    return step.kind == "goal"


def _around(step: Step) -> bool:
    return step.kind in ("context", "resource", "constraint")


def _told(step: Step) -> bool:
    return step.kind in ("goal", "context")


def _deadline(step: Step) -> bool:
    return step.kind == "deadline"


NUMBER = r"(?:\d[\d.,]{0,12}|one|two|three|four|five|six|seven|eight|ten|twelve|half)"
FIGURE = (
    r"(?<!\w)(?:"
    + NUMBER
    + r" ?(?:%(?!\w)|(?:percent|ms|milliseconds?|s|seconds?|min|minutes?|h|hours?|days?|eur|euros?|usd"
    r"|dollars?|k|gb|mb|tb"
    r"|rows?|users?|customers?|requests?|errors?|tickets?|points?|times|per|of)\b)|[€$] ?\d[\d.,]{0,12}|\bp\d\d\b)"
)
# Not ``words``: a figure may begin and end with a sign.
FIGURES = re.compile(FIGURE, re.IGNORECASE)
MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
DAY = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tonight|tomorrow|noon|midnight|\d{1,2}:\d\d)"
# In running text a date is a deadline only after a word that makes it one.
DATE = (
    r"(?:by|before|until|no later than) (?:the )?(?:end of |close of |next |this )?(?:" + DAY + r"|\d[\d./-]{3,9}"
    r"|week|month|quarter|year|sprint|release|launch|run|(?:\d{1,2}\.? )?"
    + MONTH
    + r")|\d{1,2}\.? "
    + MONTH
    + r"|within (?:the next )?"
    + NUMBER
    + r" (?:hours?|days?|weeks?|months?|quarters?|sprints?)"
    r"|(?:the )?next (?:run|release|sprint|week|month|quarter)|q[1-4]|(?:quarter|month|year) (?:close|end)"
)
HINTED = r"\d[\w./:-]{0,12}|(?:end of|next|this|quarter) \w+|" + DAY + "|" + MONTH

# What a request shows, by the name of the signals. A find says what the goal has or lacks; ``texts`` below score it.
RULES = (
    Rule("result", "The goal names a result one can picture.", words(
        r"find|fix|mend|reduce|cut|add|remove|migrate|replace|write|ship|deliver|release|build|prove|answer|compute"
        r"|list|rename"
        r"|raise|lower|halve|double|document|test|close|merge|deploy|publish|move|convert|load|count|compare"
        r"|identify|book"
        r"|how (?:many|much|long)|what (?:is|was|are|were)|which|who|when|where"
    ), 0.3, _goal),
    Rule("vague", "The goal says better, and not what better is.", words(
        r"(?:improv|optimi[sz]|enhanc|streamlin|moderni[sz])(?:e|es|ed|ing)|(?:make|be|get) (?:\w+ ){0,3}(?:better"
        r"|faster|cheaper"
        r"|easier|nicer|more \w+|robust|scalable|great)|best|world.class|better|as good as possible|work on"
        r"|look into|deal with"
    ), 0.4, _goal),
    Rule("target", "The goal holds a figure to reach.", FIGURES, 0.3, _goal),
    Rule("check", "The goal says how it will be shown.", words(
        r"prove|proves|pass(?:es)?|verif(?:y|ied)|measured|so that (?:a|the) \w+ (?:can|is)|equals?|matches"
        r"|finishes? (?:by|before)"
        r"|on time|green|accepted by|how (?:many|much)|without (?:a |any )?(?:regressions?|errors?|downtime)"
    ), 0.3, _goal),
    Rule("baseline", "A figure of today is known.", FIGURES, 0.3, _around),
    Rule("overreach", "The goal asks for what no means suffice for.", words(
        r"100 ?(?:%(?= \w)|percent)|zero (?:bugs|errors|defects|downtime|cost)|never (?:fail|break|be wrong)"
        r"|perfect(?:ly)?|all (?:bugs"
        r"|problems|users)"
        r"|every (?:user|customer|bug|problem)|always (?:right|correct)|instantly|at no cost|overnight|flawless"
    ), 0.5, _goal),
    Rule("reason", "It is said whom or what the goal serves.", words(
        r"because|so that|in order to|for (?:the |our )?(?:team|finance|users?|customers?|sales|support|patients?"
        r"|legal)|needs?"
        r"|late|slow|broken|fails?|failing|losing|costs?|outage|complain\w*|blocked|risk|due to"
    ), 0.3, _told),
    Rule("vanity", "The figure can rise while nobody is better off.", words(
        r"followers?|page ?views?|impressions|likes|lines of code|loc|number of (?:commits|meetings|messages|posts"
        r"|tickets)"
        r"|(?:github )?stars|downloads|story points|hours worked|look(?:s)? (?:good|impressive)"
    ), 0.5, _goal),
    Rule("date", "There is a date or event to be done by.", words(DATE), 0.3, _told),
    Rule("date", "The deadline names a date or event.", words(HINTED), 0.3, _deadline),
    Rule("check", "The goal is a question; the answer ends it.", re.compile(r"\w\?"), 0.3, _goal),
    Rule("soon", "The deadline names no date.", words(
        r"asap|soon(?:er or later|est)?|as soon as possible|eventually|some ?(?:day|time)|when(?:ever)? (?:possible"
        r"|there is time)"
    ), 0.5, lambda step: step.kind in ("goal", "deadline")),
    Rule("stated", "A deadline is given.", words(r"\w+"), 0.2, _deadline),
)  # fmt: skip

# What to say and ask of a criterion: met, not met, the open question.
SAID: dict[str, tuple[str, str, str]] = {
    "specific": ("The result and the thing it is about are named", "What is to change, and where it ends, is not said",
                 "Which one result should exist that does not exist now, and what is left out?"),
    "measurable": ("There is a figure or check to tell progress by", "Nothing tells progress from none",
                   "Which figure, measured how, with which value today, should reach which value?"),
    "achievable": ("Nothing asked for is beyond the means named", "Means and limits do not bear what is asked",
                   "Who and what is available, and what may not be touched or spent?"),
    "relevant": ("It is said what the goal serves", "It is not said whom the result serves",
                 "Who is better off when it is done, and how would they notice?"),
    "time_bound": ("There is a date or event", "There is no date or event to be done by",
                   "By which date or event must it be done, and what happens then if it is not?"),
}  # fmt: skip


def qualities(goal: str, context: bool, means: bool, limits: bool, has: frozenset[str]) -> dict[str, float]:
    """How well a request meets each criterion as it stands.

    Args:
        goal: The goal as asked for.
        context, means, limits: Whether the request gives any.
        has: The names of the signals.
    """
    aimed, compared = has & {"target", "check"}, {"vague", "baseline"} <= has
    # A goal of a few words names a subject at most.
    named = 0.2 if len(goal.split()) >= 5 else 0.0
    specific = (
        0.3 + named + (0.2 if "result" in has else 0.0) + (0.2 if aimed else 0.0) - (0.2 if "vague" in has else 0.0)
    )
    measurable = 0.9 if len(aimed) == 2 else 0.7 if aimed else 0.5 if compared else 0.3 if "baseline" in has else 0.1
    achievable = 0.6 + (0.2 if means else 0.0) + (0.1 if limits else 0.0) - (0.4 if "overreach" in has else 0.0)
    relevant = 0.5 + (0.1 if context else 0.0) + (0.2 if "reason" in has else 0.0) - (0.4 if "vanity" in has else 0.0)
    hinted = "stated" in has
    timely = (
        0.9 if "date" in has and hinted else 0.7 if "date" in has else 0.2 if "soon" in has else 0.6 if hinted else 0.1
    )
    told = (specific, measurable, achievable, relevant, timely)
    return {name: round(min(1.0, max(0.0, value)), 2) for name, value in zip(SAID, told, strict=True)}


MEETS: dict[str, tuple[str, ...]] = {
    "specific": ("result", "vague"), "measurable": ("target", "check", "baseline"), "achievable": ("overreach",),
    "relevant": ("reason", "vanity"), "time_bound": ("date", "soon", "stated"),
}  # fmt: skip


def statement_of(name: str, score: float, given: Mapping[str, Sequence[Signal]]) -> str:
    """What the request gives under a criterion, or lacks."""
    quotes = dict.fromkeys(one.quote for mark in MEETS[name] for one in given.get(mark, ())[:1])
    return f"{SAID[name][0 if score >= 0.5 else 1]}" + "".join(f"; given: '{quote}'" for quote in quotes) + "."


def date_in(quote: str) -> str:
    found = words(DATE).search(quote)
    return found.group() if found else quote


def metrics_of(given: Mapping[str, Sequence[Signal]]) -> Iterator[SuccessMetric]:
    """Figures and checks of the goal; a goal that only says better is measured against a figure of today."""
    for name in ("target", "check"):
        for one in given.get(name, ())[:2]:
            yield SuccessMetric(one.quote[:60], one.quote, "as the goal says; who measures it, and with what, is open")
    if not given.get("target"):
        for one in given.get("baseline", ())[:2] if given.get("vague") else ():
            target = f"better than today ({one.quote}); the target is open"
            yield SuccessMetric(f"today: {one.quote[:60]}", target, "as today's figure was measured")


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


class GoalPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one criterion."""

    criterion: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


PLAYBOOKS = (
    GoalPlaybook("specific", "category_not_target", "From direction to result", (
        "Replace improve, optimise and better by the thing that will be different, and add what is out of scope.",
        "Have two people say what done looks like; where they differ, the goal is not specific yet.",
    ), "1h", DORAN),
    GoalPlaybook("measurable", "no_measurement", "One figure, one method", (
        "Measure today's value with the method you will use at the end, and write both down.",
        "Set the target as a value of that same measure, and automate it where it is read more than weekly.",
    ), "1d", DORAN),
    GoalPlaybook("measurable", "qualitative_only", "Make a judgement countable", (
        "Write a rubric of three levels with an example each, and have two judges grade ten cases.",
        "Use the share of the top level as the figure once the judges agree in eight of ten.",
    ), "1d", LOCKE),
    GoalPlaybook("achievable", "unachievable_stretch", "Difficult, not impossible", (
        "List the means named and estimate what they reach; note the gap to the target.",
        "Offer two versions: target for these means, means for this target.",
        "Let the asker choose; a goal that was not accepted does not work.",
    ), "1d", LOCKE),
    GoalPlaybook("achievable", "no_kill_criteria", "Know when to stop", (
        "Name for cost, harm, time and no progress one condition that can be observed, with a figure.",
        "Wire each to an action: stop, roll back, or hand over to a person.",
    ), "1d", HACKMAN),
    GoalPlaybook("relevant", "irrelevant_to_context", "Whom does it serve?", (
        "Ask why until a person outside the team is named, and write that into the goal.",
        "Drop the goal if nobody is.",
    ), "1d", HACKMAN),
    GoalPlaybook("relevant", "vanity_metric", "Pair activity with effect", (
        "Say how the figure could rise while nobody is better off, and choose a second one that would then not rise.",
        "Track both for a month, and keep the one that goes with what users say.",
    ), "1w", LOCKE),
    GoalPlaybook("time_bound", "no_deadline", "Find the event behind the date", (
        "Ask which meeting, release or season needs the result, and count back a review and a repair.",
        "Write date and event into the goal; without an event choose a review date.",
    ), "1h", DORAN),
    GoalPlaybook("time_bound", "ambiguous_deadline", "A date, not a mood", (
        "Replace soon, asap and later by a date with its time zone.",
        "Say what is dropped first if the date comes nearer than the end.",
    ), "1h", DORAN),
    GoalPlaybook("overall", "no_completion_criteria", "Done is a check", (
        "Write each part of the goal as a check that passes or fails, and run all before the work starts: all fail.",
        "Stop when all pass, also if more could be done.",
    ), "1d", HACKMAN),
    GoalPlaybook("overall", "weak_overall", "Start over with the asker", (
        "Take the five open questions to the asker, and write the answers down in their words.",
        "Split what remains into goals of one result each.",
        "Write the first as a SMART goal, start it, and come back with what it taught.",
    ), "1w", LOCKE),
    GoalPlaybook("overall", "strong_baseline", "Keep the goal as a model", (
        "Store it as the baseline, and show it beside the next vague goal.",
    ), "1h", DORAN),
)  # fmt: skip

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
