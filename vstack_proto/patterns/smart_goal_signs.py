"""SMART goals: what the words of a request give under each criterion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from vstack_proto.patterns.common import Signal, Step
from vstack_proto.patterns.signs import Rule, words
from vstack_proto.patterns.smart_goal_texts import SuccessMetric

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
