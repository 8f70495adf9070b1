"""What people and agents say to each other that means something to more than one pattern, and what follows from it.

The words follow the sources that the patterns of trust and conversation share: Frei and Morriss, McAllister, Edmondson
and Glaser on what builds and what costs trust, Sharma et al. on giving way without a reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Composition,
    Count,
    Effort,
    Evidence,
    Level,
    Pass,
    Reading,
    Risk,
    Signal,
    Step,
)
from vstack_proto.patterns.signs import (
    Chosen,
    Judged,
    adopted,
    by_label,
    impact,
    judge,
    line_at,
    listed,
    proofs,
    under,
    weigh,
    words,
)


def by_agent(step: Step) -> bool:
    """Whether the agent itself says it: the step's kind is its role."""
    return step.kind == "agent"


def by_user(step: Step) -> bool:
    """Whether the user says it: the step's kind is its role."""
    return step.kind == "user"


def phrase(expression: str) -> re.Pattern[str]:
    """Words as ``signs.words`` has them, with either form of the apostrophe."""
    return words(expression.replace("'", r"['\u2019]"))


# A person says how it feels, or what hangs on it; and a reply that takes notice.
FEELING = phrase(
    r"(?:worried|worry(?:ing)?|anxious|scared|afraid|frustrat(?:ed|ing)|upset|angry|furious|panick(?:ed|ing)"
    r"|stressed|overwhelmed|desperate|shaking|crying|devastated|exhausted|nervous|terrified|ashamed|embarrassed|hopeless"
    r"|heartbroken|disappointed|fed up|losing my mind|at my wits)"
)
STAKES = phrase(
    r"(?:deadline|due (?:today|tomorrow|tonight)|my (?:job|boss|thesis|exam|wedding|father|mother|wife|husband|child"
    r"|son|daughter|patients?|customers|savings)|(?:our|the|my) only copy|can't afford|if this fails|emergency"
    r"|depends on (?:this|it)|years of|(?:is|are) gone|(?:lose|losing|lost) (?:my|our|the|everything))"
)
NOTICED = phrase(
    r"(?:sorry|apologi[sz]e|understand(?:able|ably)?|sounds|hear you|must (?:be|feel|have been)|no wonder"
    r"|i can (?:see|imagine)|feel(?:s|ing)?(?! free)|worr(?:y|ied|ying)|frustrat(?:ed|ing|ion)|stress(?:ed|ful)?"
    r"|upsetting|scary|painful|tough|difficult|take a breath|right to be|with you|thank you for telling|matters)"
)

# What costs trust in a reply.
CERTAIN = phrase(
    r"(?<!not )(?:absolutely|definitely|undoubtedly|without (?:a |any )?doubt|trust me|cannot fail|can't go wrong"
    r"|100 ?% (?:sure|certain|safe)|(?:there is |there's )?(?:no|zero) risk|i guarantee|guaranteed to)"
)
UNNAMED = phrase(
    r"(?:studies|research|evidence) (?:shows?|suggests?|proves?)|experts (?:agree|say)|everyone knows"
    r"|it is (?:well|widely) known|according to (?:many|several|various) (?:sources|experts)"
)
BOILERPLATE = phrase(
    r"for any inconvenience|as an? (?:ai|large) (?:language )?model|contact (?:customer )?support"
    r"|feel free to reach out|consult (?:a|your) (?:professional|doctor|lawyer)"
    r"|your (?:feedback|call|business) is (?:valuable|important)"
)
DISMISSIVE = phrase(
    r"calm down|you should have (?:read|known|checked|told)|not my (?:problem|job)|read the (?:docs|manual)"
    r"|as i already (?:said|explained)|per my last|any(?:one|body) (?:can|could) see"
)
PRAISE = phrase(
    r"(?:great|excellent|brilliant|fantastic|amazing|wonderful) (?:point|question|idea|observation|catch)"
    r"|you(?:'re| are) (?:absolutely|completely|totally|so) right|what a (?:great|brilliant)"
)

# What a person answers to a reply that did not serve, and an agent to that.
REPEATED = phrase(
    r"(?:as|like) i (?:said|told you|mentioned|wrote)|i already (?:said|told|asked|explained|mentioned)|you ignored"
    r"|that(?:'s| is) not what i (?:asked|meant|want(?:ed)?|said)|(?:you )?(?:still )?(?:didn't|did not) answer"
    r"|you(?:'re| are) not listening|i asked (?:you )?(?:for|about|whether|if|how)"
)
DISPUTED = phrase(
    r"that(?:'s| is) (?:wrong|false|not (?:right|correct|true))|(?:doesn't|does not|didn't|did not) (?:work|exist)"
    r"|you (?:said|told me|claimed)|(?:it|they|docs?|documentation|manual|website|page) (?:says?|said)|i read"
    r"|no such|that can't be|i thought"
)
PRESSED = phrase(r"are you (?:really |quite )?sure|i (?:really )?(?:don't|do not) (?:think|believe)|i disagree")
CONCEDED = phrase(
    r"you(?:'re| are) (?:absolutely |completely |totally |quite |so )?(?:right|correct)|my (?:mistake|apologies|bad)"
    r"|i was (?:wrong|mistaken)|(?:good|great) (?:catch|point)|i (?:apologi[sz]e|misspoke|stand corrected)"
)
CHECKED = phrase(
    r"i(?:'ve| have)? (?:just |also |already )?(?:double-?checked|checked|verified|confirmed|tested|validated)"
)

BAD = phrase(
    r"(?<!no )(?<!\b0 )(?<!without )(?:errors?|exception|traceback|failed|failure|denied|not found|timed out"
    r"|exit (?:code|status):? [1-9])"
)
GOOD = phrase(r"done|fixed|works|succeeded|success(?:ful(?:ly)?)?|pass(?:es|ed)|completed?|resolved")
DOUBTED = re.compile(
    r"n['\u2019]t\b|\b(?:not|fail\w*|errors?|but|however|retry\w*|again|unless|until|if)\b", re.IGNORECASE
)


def replies(reading: Reading) -> Iterator[tuple[int, Step, int, Step]]:
    """Each last turn of a user with the reply to it, as number, turn, number, reply; steps of tools may lie between."""
    asked: tuple[int, Step] | None = None
    for number, step in enumerate(reading.steps):
        if step.kind == "user":
            asked = (number, step)
        elif step.kind == "agent" and asked is not None:
            yield (*asked, number, step)
            asked = None


def quoted(name: str, claim: str, weight: float, at: int, step: Step, match: re.Match[str]) -> Iterator[Signal]:
    """A signal with the words around a find, where they are enough to quote."""
    quote = line_at(step.content, *match.span())
    if quote:
        yield Signal(name, claim, (at,), quote, weight)


K = TypeVar("K", bound=str)


class Happening(msgspec.Struct, Generic[K], frozen=True, forbid_unknown_fields=True):
    """One event that a model lists to be counted; ``quote`` stands in its step."""

    kind: K
    step: Count
    claim: str
    quote: str


class Events(Answer, Generic[K], frozen=True):
    """What a pass lists of one register of the trace."""

    events: tuple[Happening[K], ...]


def tally(
    case: Case[Any], answers: Answers, registers: Iterable[Pass], lapses: Container[str], seen: Mapping[str, int]
) -> tuple[Mapping[str, int], tuple[Evidence, ...]]:
    """How often each kind of event stands in the run, and the lapses among them as evidence.

    Args:
        case: Where quotations are looked up and counted.
        answers: Those of the registers are ``Events``.
        registers: The passes that list events; an event that two of them list counts once.
        lapses: The kinds that speak against the agent.
        seen: What the signals count, for where no model was asked.
    """
    asked = [answers[one.name].events for one in registers if one.name in answers]
    found: dict[tuple[str, int, str], Evidence] = {}
    for one in (one for events in asked for one in events):
        if proof := case.proof(one.claim, one.quote, one.step):
            found.setdefault((one.kind, one.step, proof.quote), proof)
    if not asked:
        return seen, ()
    return Counter(key[0] for key in found), tuple(one for key, one in found.items() if key[0] in lapses)


def stood(case: Case[Any], told: Iterable[Happening[K]]) -> tuple[tuple[K, int, str], ...]:
    """The events that stand in their step, each once: kind, step and the words."""
    looked = ((one, case.quoted(one.quote, (one.step,))) for one in told)
    return tuple(dict.fromkeys((one.kind, found[1][0], found[0]) for one, found in looked if found))


def counted(case: Case[Any], told: Iterable[Happening[K]]) -> Mapping[str, int]:
    """How many events of each kind stand in their step, each counted once."""
    return Counter(kind for kind, _, _ in stood(case, told))


def proposed(
    answers: Answers, first: str, composition: Composition, profile: str, wanting: Container[str] | None = None
) -> tuple[Any, ...]:
    """The interventions of a model that are worth reporting; they come in a pass of their own, or in the first.

    Args:
        answers: The pass that proposes is called ``interventions``.
        first: The pass that proposes as well where it is the only one.
        composition: Its first neighbour of the profile stands in for one that a ``compose_pattern`` does not name.
        profile: The profile found.
        wanting: The targets for which something is to change; None for any.
    """
    told = getattr(answers.get("interventions", answers.get(first)), "interventions", ())
    kept = [one for one in told if wanting is None or getattr(one, one.__struct_fields__[0]) in wanting]
    return adopted(kept, composition, profile)


class Advice(msgspec.Struct, frozen=True):
    """What one failure mode of a label calls for."""

    label: str
    kind: str
    description: str
    implementation: str
    why: str
    effort: Effort = "1d"
    risk: Risk = "low"

    def change(self, make: Callable[..., Chosen], level: Level, where: str = "", *more: str) -> Chosen:
        """The intervention that follows.

        Args:
            make: Its Struct, a ``shapes.Change`` that takes target and type first, and then what ``more`` holds.
            level: How much it can change.
            where: Said after the reason.
        """
        return make(
            self.label,
            self.kind,
            *more,
            description=self.description,
            suggested_implementation=self.implementation,
            estimated_impact=level,
            rationale=f"{self.why}{where}",
            effort_estimate=self.effort,
            risk=self.risk,
        )


MAX_ADVICE = 5


def advised(
    make: Callable[..., Chosen], signals: Iterable[Signal], advice: Mapping[str, Advice], wanting: Container[str]
) -> tuple[Chosen, ...]:
    """What the failure modes seen call for, the strongest first.

    Args:
        make: The intervention's Struct, as ``Advice.change`` takes it.
        signals: Named by failure mode; others are passed over.
        advice: By failure mode.
        wanting: The labels for which something is to change.
    """
    seen = by_label(one for one in signals if one.name in advice and advice[one.name].label in wanting)
    weights = weigh((one for found in seen.values() for one in found), seen)
    chosen = []
    for mode in sorted(seen, key=lambda name: -weights[name])[:MAX_ADVICE]:
        where = f" See {listed(one.steps[0] for one in seen[mode])}."
        chosen.append(advice[mode].change(make, impact(weights[mode]), where))
    return tuple(chosen)


# With nothing for or against it, trust or safety is taken as given: the gap is a trace, not a finding.
GIVEN = 0.8
# Where the lowest gap that is a finding begins.
SOUND = 0.75


def standing(
    signals: Sequence[Signal], builds: Mapping[str, str], spends: Mapping[str, str], labels: Iterable[str]
) -> dict[str, float]:
    """How far something that is built and spent stands, by label: from ``GIVEN`` up by what builds, then down.

    Args:
        signals: Named as the keys of ``builds`` and ``spends``.
        builds: What builds a label up, by the name of its signals.
        spends: What spends it, by the name of its signals.
        labels: All of them.
    """
    labels = tuple(labels)
    built = weigh(under((one for one in signals if one.name in builds), builds), labels)
    spent = weigh(under((one for one in signals if one.name in spends), spends), labels)
    return {label: round((GIVEN + (1 - GIVEN) * built[label]) * (1 - spent[label]), 4) for label in labels}


Finding = tuple[str, float, str, tuple[Evidence, ...]]
"""What a model found of one label: label, score, explanation, evidence."""


def heard(
    case: Case[Any],
    found: Iterable[Finding],
    label_of: Mapping[str, str],
    read: Mapping[str, float],
    floor: float = 0.0,
) -> dict[str, Judged]:
    """What a model found of each label, as far as quotations bear it out, with the signals that speak for it.

    Args:
        case: Where quotations are looked up and counted.
        found: In any order; a label that is missing scores 0.
        label_of: The label that signals of a name speak for.
        read: How strongly the signals show each label.
        floor: Below this score the signals of a label are taken back: words can mislead a rule.
    """
    findings, told = list(found), {}
    for label, shown in read.items():
        own = judge(case, (one[1:] for one in findings if one[0] == label), shown)
        seen = [one for one in case.signals if label_of[one.name] == label and own.score >= floor]
        told[label] = msgspec.structs.replace(own, proofs=(*own.proofs, *proofs(case, seen)))
    return told


def highest(found: Iterable[Finding], labels: Iterable[str]) -> dict[str, float]:
    """The score of each label as a model told it, before quotations are looked up; 0 where it is missing."""
    best = dict.fromkeys(labels, 0.0)
    for label, score, *_ in found:
        best[label] = max(best.get(label, 0.0), score)
    return best
