"""The devil's advocate: phases and their substance, by the words and order of steps."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns.common import (
    Share,
    Signal,
)
from vstack_proto.patterns.devils_advocate_texts import PHASES, Phase
from vstack_proto.patterns.signs import words

ALTERNATIVE = words(
    r"alternatives?|alternatively|options?|instead|either|or we could|another way|rather than"
    r"|versus|vs"
)
RISK = words(
    r"risks?|if (?:it|this|that|the \w+) (?:fails?|breaks?)|roll ?back|go(?:es)? wrong|pre-?mortem|worst case|back ?up"
    r"|assum(?:e|es|ing|ptions?)|reversible|undo|margin|in case"
)
ORDER = words(r"because|since|then|after that|before|step \d+|first|so that")
CHECKED = words(
    r"check(?:ed|s)?|test(?:ed|s)?|compar(?:ed|es|ison)|verif(?:ied|ies)|measur(?:ed|es)|valid(?:ated|ates)|re-?ran"
    r"|counted|reproduced|against the|diff(?:ed)?|asserts?"
)
LIMIT = words(
    r"but|however|missing|not (?:yet )?(?:tested|checked|covered|proven|done)|wrong|revise|fix|limitations?|unsure"
    r"|unproven"
    r"|risks?|remains? open|could still|only (?:covers|checked|tested)|incomplete|fails?"
)
DETAIL = re.compile(r"\d|\b(?:because|criteri\w+|expected|required|equal|for (?:example|instance))\b", re.IGNORECASE)
OBJECTS = re.compile(
    r"\?|\b(?:but|however|disagree|object(?:ion)?|doubt|concerns?|risks?|wrong|missing|not (?:convinced|clear|safe"
    r"|sure)"
    r"|before we|should not|shouldn't|unless|what if|fails?|instead)\b",
    re.IGNORECASE,
)
# The contract's words of a revision, wherever a word begins with one.
REVISES = re.compile(r"\b(?:revise|wrong|redo|fix|incorrect)", re.IGNORECASE)
DISMISSES = words(
    r"(?:probably|surely|certainly) (?:not (?:relevant|needed|an issue|a problem)|fine|irrelevant)|should be fine"
    r"|unlikely to matter|won't matter|nothing can go wrong|no need to worry"
)
IRREVERSIBLE = words(
    r"drop (?:table|partition|database|column|schema)s?|truncate|delete (?:from|all|the)|rm -rf|purg(?:e|ed|es)"
    r"|force.?push|git push --force|wire (?:the )?(?:money|transfer)|refund(?:ed)? all|terminate instances?|revoke all"
    r"|deploy(?:ed|s)? to prod(?:uction)?|shut(?:ting)? down (?:the )?prod\w*"
)
# How a message of an untyped trace tells its phase.
PLANS = words(
    r"(?:my|our|the) plan|plan:|i (?:suggest|propose|recommend)|we (?:should|could)|step 1|(?:our|the|my) approach"
    r"|strategy"
)
CRITIQUES = words(
    r"what (?:does|if|about|happens)|how do (?:we|you) know|have (?:we|you)|did (?:we|you)|are (?:we|you) sure"
    r"|i (?:disagree"
    r"|object|doubt)|not convinced|my concern|one concern|a concern|i see (?:one|a) (?:risk|problem)"
    r"|before we (?:decide|go)"
    r"|why (?:do|did|not|is)|(?:is|are|looks) (?:wrong|incorrect|missing)|there is (?:a|an) (?:error|mistake"
    r"|problem|issue)"
)
EVALUATES = words(
    r"i (?:have )?(?:checked|compared|verified|tested|reviewed|re-?ran)|looks (?:good|correct|right|fine)"
    r"|all (?:good|done|set)"
    r"|works as|is (?:correct|complete|done)|perfect|task (?:is )?complete[d]?"
)

StepType = Literal[
    "plan", "execute", "self_evaluate", "external_critique", "decision", "observation", "tool_call", "thought",
]  # fmt: skip

NAMED: dict[str, StepType] = {
    "action": "execute", "planning": "plan", "self_review": "self_evaluate", "reflection": "self_evaluate",
    "critique": "external_critique", "review": "external_critique", "feedback": "external_critique",
}  # fmt: skip


class RoleStep(shapes.Dated, frozen=True):
    """One step and who took it."""

    type: StepType
    content: str
    actor: str = "primary"
    confidence: Share | None = None
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}


DOES = ("execute", "tool_call")
WORD = re.compile(r"[^\W\d_]{5,30}")
NEAR = 5


def told_phase(content: str, begun: bool, own: bool, person: bool) -> StepType:
    """What an untyped message does; ``own``: its speaker planned or acted last, ``begun``: somebody did."""
    if begun and not own and CRITIQUES.search(content):
        return "external_critique"
    if person:
        return "observation"
    if begun and (EVALUATES.search(content) or (own and CRITIQUES.search(content))):
        return "self_evaluate"
    return "plan" if PLANS.search(content) else "thought"


class Roles(msgspec.Struct, frozen=True):
    """Who did what: the numbers of the steps of each phase, and critiques by somebody who neither planned nor acted."""

    steps: dict[Phase, tuple[int, ...]]
    independent: tuple[int, ...]
    answered: frozenset[int]
    busy: frozenset[str]


def roles_of(steps: Sequence[RoleStep]) -> Roles:
    """The phases by step type; a tool call counts as executing, but does not make who calls it an executor."""
    found: dict[Phase, list[int]] = {phase: [] for phase in PHASES}
    for number, step in enumerate(steps):
        phase = "execute" if step.type in DOES else step.type
        if phase in found:
            found[phase].append(number)
    busy = frozenset({"primary", *(step.actor for step in steps if step.type in ("plan", "execute"))})
    critiques = found["external_critique"]
    return Roles(
        {phase: tuple(numbers) for phase, numbers in found.items()},
        tuple(n for n in critiques if steps[n].actor not in busy),
        frozenset(n for n in critiques if _answered(steps, n)),
        busy,
    )


def _answered(steps: Sequence[RoleStep], number: int) -> bool:
    """Work goes on right after it, or one of the next steps of somebody else takes up its words."""
    critique, after = steps[number], steps[number + 1 : number + 1 + NEAR]
    if after and after[0].actor != critique.actor and after[0].type in ("plan", *DOES):
        return True
    asked = set(WORD.findall(critique.content.lower()))
    others = (step for step in after if step.actor != critique.actor and step.type != "observation")
    return any(asked & set(WORD.findall(step.content.lower())) for step in others)


def substance_of(steps: Sequence[RoleStep], roles: Roles) -> dict[Phase, float]:
    """The substance of each phase's best step, from its words (``TRAITS``); of a critique also if it was answered."""
    best = dict.fromkeys(PHASES, 0.0)
    for phase in PHASES:
        for number in roles.independent if phase == "external_critique" else roles.steps[phase]:
            text = steps[number].content
            base, traits = TRAITS[phase]
            score = base + sum(weight for pattern, weight in traits if pattern.search(text))
            if phase == "external_critique" and number in roles.answered:
                score += 0.45
            best[phase] = max(best[phase], min(1.0, round(score, 4)) if text.strip() else 0.0)
    return best


LONG = re.compile(r"(?:\S+\s+){5}\S")
TRAITS: dict[Phase, tuple[float, tuple[tuple[re.Pattern[str], float], ...]]] = {
    "plan": (0.2, ((ALTERNATIVE, 0.3), (RISK, 0.3), (ORDER, 0.2))),
    "execute": (0.5, ((CHECKED, 0.3), (RISK, 0.2))),
    "self_evaluate": (0.1, ((CHECKED, 0.35), (LIMIT, 0.35), (DETAIL, 0.2))),
    "external_critique": (0.15, ((OBJECTS, 0.2), (LONG, 0.15))),
}


def approvals_of(steps: Sequence[RoleStep]) -> tuple[int, int]:
    """Self-evaluations, and those of them that the contract counts as revisions."""
    own = [number for number, step in enumerate(steps) if step.type == "self_evaluate"]
    after = {number: steps[number + 1].type for number in own if number + 1 < len(steps)}
    revised = (REVISES.search(steps[n].content) or after.get(n) in ("plan", "execute") for n in own)
    return len(own), sum(map(bool, revised))


def _at(steps: Sequence[RoleStep], number: int, mode: str, claim: str, weight: float) -> Signal:
    return Signal(mode, claim, (number,), signs.first_line(steps[number].content), weight)


def planning(steps: Sequence[RoleStep]) -> Iterator[Signal]:
    """Plans without a rival or a risk, and dangers waved away."""
    thought = [n for n, step in enumerate(steps) if step.type in ("plan", "thought", "decision")]
    plans = [n for n in thought if steps[n].type == "plan"]
    if plans and not any(ALTERNATIVE.search(steps[n].content) for n in thought):
        yield _at(steps, plans[0], "no_alternative_hypothesis", "A plan without a rival; no step weighs another", 0.3)
    if plans and not any(RISK.search(steps[n].content) for n in thought):
        yield _at(steps, plans[0], "no_pre_mortem", "A plan that does not say what could go wrong", 0.25)
    for number in [n for n in thought if DISMISSES.search(steps[n].content)][: signs.MAX_OF_A_RULE]:
        yield _at(steps, number, "no_pre_mortem", "A danger is waved away without a look", 0.4)


def judging(steps: Sequence[RoleStep], roles: Roles) -> Iterator[Signal]:
    """Empty approvals, critics unheard, and what nobody else has judged."""
    run = 0
    for number in roles.steps["self_evaluate"]:
        text = steps[number].content
        if CHECKED.search(text) or LIMIT.search(text) or REVISES.search(text):
            run = 0
            continue
        run += 1
        yield _at(steps, number, "rubber_stamping", "An approval that names no check and no limit", 0.4)
        if run == 3:
            yield _at(steps, number, "approval_drift", "The third empty approval in a row", 0.3)
    for number in roles.steps["external_critique"][: signs.MAX_OF_A_RULE]:
        if number not in roles.answered:
            yield _at(steps, number, "weak_critic", "An objection that nobody takes up", 0.4)
        elif not OBJECTS.search(steps[number].content):
            yield _at(steps, number, "weak_critic", "A review that objects to nothing", 0.3)
    seen = min(roles.independent, default=len(steps))
    for number in [n for n in roles.steps["execute"] if n < seen and IRREVERSIBLE.search(steps[n].content)][:3]:
        yield _at(
            steps, number, "high_stakes_no_human", "An act that cannot be undone, seen by nobody else before", 0.5
        )
    if not roles.independent:
        ends = [n for n, step in enumerate(steps) if step.type in ("plan", "self_evaluate", "decision", *DOES)]
        if ends and not roles.steps["self_evaluate"]:
            yield _at(steps, ends[-1], "fully_conflated", "The run ends here, and nobody has judged the work", 0.5)
        elif ends:
            claim = "The run ends on the word of who did the work; nobody else has judged it"
            yield _at(steps, ends[-1], "missing_critic_phase", claim, 0.5)
