"""The bias stack: what words, confidences, retries and the course of a run show."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Share
from vstack_proto.patterns.signs import Rule, words

_NOT = r"(?<!not )(?<!n't )(?<!never )"
# What a signal is named is the failure mode that it shows.
RULES = (
    Rule(
        "first_hypothesis_persistence", "{agent} holds on to the first idea as such",
        words(r"stick(?:ing)? (?:to|with) (?:my|our|the) (?:first|initial|original)"
              r" (?:idea|hypothesis|theory|plan|guess)"
              r"|my first (?:guess|instinct) was right|as i said from the (?:start|beginning)"),
        0.4,
    ),
    Rule(
        "numerical_anchor", "{agent} adjusts from the first number instead of looking it up",
        words(r"(?:close to|around|based on|stick(?:ing)? (?:to|with)) (?:my|our|the) (?:first|initial|original)"
              r" (?:estimate|number|figure|value)"),
        0.35,
    ),
    Rule(
        "uncalibrated_certainty", "{agent} claims certainty in words",
        words(r"i(?:'m| am) (?:absolutely |completely )?(?:certain|positive)|100 ?% (?:sure|certain|confident)"
              r"|(?:without (?:a |any )?|there is no |beyond )doubt|undoubtedly|can(?:no|')t be (?:wrong|anything else)"
              r"|it must be the"),
        0.2,
    ),
    Rule(
        "no_disconfirmation", "{agent} waves a check away",
        words(_NOT + r"(?:no need to (?:double.?)?(?:check|verify|test)"
              r"|no (?:further )?(?:check|verification|test)s? (?:is|are) (?:needed|necessary)|without (?:checking"
              r"|verifying|testing) (?:it|this|that))"),
        0.35,
    ),
    Rule(
        "hallucinated_facts", "{agent} puts an assumption where a fact could be looked up",
        words(r"(?:let's|let us|we(?:'ll| will| can)?|i(?:'ll| will)?) (?:just )?assume"
              r"|for (?:the sake of|illustration)|from memory|if i (?:recall|remember) (?:correctly|right)"
              r"|hypothetical (?:data|values?|figures?|numbers?)"
              r"|(?:simulated|made.up|placeholder|dummy) (?:data|values?|figures?|numbers?|results?)"),
        0.3,
    ),
    Rule(
        "selective_evidence", "{agent} explains away what speaks against the idea",
        words(r"(?:graph|data|logs?|metrics?|tests?|results?|measurements?|numbers?|readings?|clocks?)"
              r" (?:may|might|must|could) (?:just )?be (?:shifted|wrong|stale|off|noisy|misleading|outdated|a fluke"
              r"|noise)"
              r"|just (?:an? )?(?:outlier|coincidence|noise|fluke|glitch)|(?:still|nonetheless) (?:convinced"
              r"|sure) (?:that )?it(?:'s| is)"),
        0.45,
    ),
    Rule(
        "selective_evidence", "{agent} reads an observation as proof of its own idea",
        words(r"confirms (?:my|our) (?:hypothesis|suspicion|theory|view|belief)"
              r"|just as i (?:suspected|thought|expected)|proves (?:me|my theory|my hypothesis) right"),
        0.15,
    ),
    Rule(
        "premature_conclusion", "{agent} concludes before it looks",
        words(_NOT + r"(?:no need to (?:investigate|look) (?:further|any further|elsewhere)|case closed|that settles it"
              r"|i have seen enough)"),
        0.3,
    ),
    Rule(
        "unbounded_retries", "{agent} goes on with what did not work",
        words(r"(?:third|fourth|fifth|sixth|\d{1,2}th|yet another) (?:attempt|try|retry)"
              r"|keep (?:trying|retrying|reverting|at it)|try (?:exactly )?the same (?:thing|call|command|query"
              r"|approach) again"),
        0.35,
    ),
    Rule(
        "sunk_cost", "{agent} justifies going on by what was spent (sunk cost)",
        words(r"already (?:spent|invested|sunk|put) (?:so |too )?"
              r"(?:much|\w+ (?:hours|steps|tokens|days|attempts|calls))|come (?:this|too) far|too (?:far"
              r"|late) to (?:stop|turn back|quit|change course)"
              r"|(?:can't|cannot) (?:stop|give up|quit) now|all (?:this|that|the) (?:work|effort) (?:would be"
              r"|for nothing)"),
        0.45,
    ),
)  # fmt: skip
# Somebody looks for what could refute: another cause, a counter-check, a comparison.
REFUTES = words(
    r"what if|alternatives?|alternatively|rul(?:e|es|ed|ing) out|counter.?examples?|disprove|refutes?|could also"
    r"|other (?:causes?|explanations?)|instead|unless|compar(?:e|ed|ing)|check(?:ed|ing)? (?:whether|if)"
    r"|verif(?:y|ied)|however"
)
# A message that states what is believed to be so.
GUESSES = words(
    r"hypothes[ie]s|i suspect|my guess|most likely (?:cause|the)|probably (?:the|caused|because)|root cause is"
)
FAILS = words(r"error|exception|traceback|failed|failure|timed out|timeout|denied|not found|refused")

StepType = Literal["hypothesis", "tool_call", "observation", "decision", "thought", "retry", "conclusion"]


class ReasoningStep(shapes.Dated, frozen=True):
    """One step, with the confidence that the agent stated, if any."""

    type: StepType
    content: str
    confidence: Share | None = None
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}


# What an agent says of itself; a call or an observation holds no belief.
OWN = frozenset({"hypothesis", "decision", "thought", "retry", "conclusion"})
ENDS = frozenset({"decision", "conclusion"})
WORD = re.compile(r"[^\W\d_]{4,30}")
COMMON = frozenset({
    "this", "that", "with", "from", "have", "will", "would", "should", "because", "there", "then", "they", "when",
    "what", "which", "into", "been", "were", "must", "could", "might", "probably", "think", "suspect", "hypothesi",
    "likely", "cause", "caused", "about", "after", "before", "only", "than", "more", "most", "still", "first",
})  # fmt: skip


class Course(msgspec.Struct, frozen=True):
    """What became of the first hypothesis.

    Attributes:
        first: The step that states it, None where none does.
        kept: Later steps of the agent that speak of it.
        later: How many later steps of the agent there are.
        pivots: Later hypotheses that share no word with the one before.
    """

    first: int | None = None
    kept: tuple[int, ...] = ()
    later: int = 0
    pivots: tuple[int, ...] = ()

    @property
    def persistence(self) -> float:
        """The share of the agent's later steps that speak of the first hypothesis."""
        return round(len(self.kept) / self.later, 4) if self.later else 0.0


def course_of(task: str, steps: Iterable[ReasoningStep]) -> Course:
    """Follow the words of the first hypothesis that the task does not hold itself."""
    asked = _words(task)
    first, kept, later, pivots = None, [], 0, []
    idea: set[str] = set()
    latest: set[str] = set()
    for number, step in enumerate(steps):
        if step.type not in OWN:
            continue
        said = _words(step.content) - asked
        if first is None:
            if step.type == "hypothesis" and said:
                first, idea, latest = number, said, said
            continue
        later += 1
        if said & idea:
            kept.append(number)
        if step.type == "hypothesis":
            if said and not said & latest:
                pivots.append(number)
            latest = said or latest
    return Course(first, tuple(kept), later, tuple(pivots))


def _words(text: str) -> set[str]:
    return {word.lower().rstrip("s") for word in WORD.findall(text)} - COMMON
