"""Finding words that mean something: rules over the steps of a trace, for every pattern that reads them.

A rule is a regular expression with a reason. It says which label of the pattern it speaks for (a bias, a need, a
dysfunction), what it means where it is found, and how much it counts. Every rule walks the steps once.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from vstack_proto.patterns.common import Case, Composition, Evidence, Level, Reading, Severity, Signal, Step
from vstack_proto.trace import TraceStep

# More finds of one rule add weight to nothing, and a detection with more signals is read by nobody.
MAX_OF_A_RULE = 12
MAX_SIGNALS = 50
# A quotation a reader takes in at a glance.
QUOTE_CHARS = 160

# Who runs code and calls tools, and who asks: neither is an agent whose habits are diagnosed.
MACHINE = re.compile(
    r"terminal\Z|code.?execut|code.?interpreter|\b(?:executor|sandbox|environment|tools?)\b", re.IGNORECASE
)
PERSON = re.compile(r"(?:human|user|customer|client)\b", re.IGNORECASE)

# What the steps of agent frameworks are called that are a call, and those that are what came back.
CALLS = frozenset({"tool_call", "function_call", "tool_use", "action", "code", "tool"})
RESULTS = frozenset({"observation", "tool_result", "tool_output", "function_result", "result", "environment"})


def speaks(step: Step) -> bool:
    """Whether an agent says this itself: not a person, a machine or a tool's result."""
    return step.kind != "observation" and not MACHINE.search(step.agent) and not PERSON.match(step.agent)


Role = Literal["user", "agent", "system", "tool", "observation"]


def role_of(step: TraceStep) -> Role:
    """What the speaker of a canonical step is to a conversation: by the type of the step, else by the name."""
    kind, name = step.plain_type, step.agent.strip()
    if kind in CALLS:
        return "tool"
    if kind in RESULTS or MACHINE.search(name):
        return "observation"
    if "system" in (kind, name.lower()):
        return "system"
    return "user" if PERSON.match(name) else "agent"


def everybody(step: Step) -> bool:
    """For a rule that holds whoever speaks."""
    return True


class Rule(msgspec.Struct, frozen=True):
    """Words, and what they mean.

    Attributes:
        label: The label of the pattern that it speaks for; also the name of its signals.
        claim: What it means, as a sentence; ``{agent}`` and ``{step}`` are filled in.
        words: What to look for. It must not backtrack over a long step: no nested repeats.
        weight: From 0 (a hint) to 1 (decisive).
        of: Which steps it looks at.
    """

    label: str
    claim: str
    words: re.Pattern[str]
    weight: float
    of: Callable[[Step], bool] = speaks


def words(expression: str) -> re.Pattern[str]:
    """A rule's words: case does not matter, and they begin and end as words."""
    return re.compile(rf"\b(?:{expression})\b", re.IGNORECASE)


def find(reading: Reading, rules: Sequence[Rule]) -> tuple[Signal, ...]:
    """What the rules see, in the order of the steps; each rule counts once a step."""
    found: list[Signal] = []
    seen = [0] * len(rules)
    for number, step in enumerate(reading.steps):
        for index, rule in enumerate(rules):
            if seen[index] >= MAX_OF_A_RULE or not rule.of(step):
                continue
            match = rule.words.search(step.content)
            if match is not None and (quote := line_at(step.content, *match.span())):
                seen[index] += 1
                claim = rule.claim.format(agent=step.agent or "somebody", step=number)
                found.append(Signal(rule.label, claim, (number,), quote, rule.weight))
    return strongest(found)


def strongest(signals: Iterable[Signal]) -> tuple[Signal, ...]:
    """The weightiest signals, as many as a detection may hold, in the order of their steps."""
    kept = sorted(signals, key=lambda signal: -signal.weight)[:MAX_SIGNALS]
    return tuple(sorted(kept, key=lambda signal: signal.steps))


def line_at(text: str, start: int, end: int) -> str:
    """The words around a find: whole words of its line, letter for letter; empty where that proves nothing."""
    line = text.rfind("\n", 0, start) + 1
    left = max(line, start - QUOTE_CHARS // 2)
    if left > line:
        left = text.find(" ", left, start) + 1 or start
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    right = min(stop, max(end, left + QUOTE_CHARS))
    if right < stop:
        right = max(end, text.rfind(" ", end, right))
    quote = text[left:right].strip()
    return quote if len(quote) >= 3 else ""


def gist(text: str) -> str:
    """What a step says, to tell by whether it is said again: its beginning, whatever its case and spaces."""
    return " ".join(text[:500].lower().split())


def first_line(text: str) -> str:
    """The first telling words of a step, for a quotation; empty where there are none."""
    for line in text.splitlines():
        if len(line.strip()) >= 3:
            start = text.index(line)
            return line_at(text, start, start + min(len(line), 20))
    return ""


def weigh(signals: Iterable[Signal], labels: Iterable[str]) -> dict[str, float]:
    """How strongly each label shows, from 0 to 1: every further signal takes its share of what is left.

    Two signals of 0.5 make 0.75; a label without signals has 0.
    """
    rest = dict.fromkeys(labels, 1.0)
    for signal in signals:
        if signal.name in rest:
            rest[signal.name] *= 1.0 - signal.weight
    return {label: round(1.0 - left, 4) for label, left in rest.items()}


def confidence(signals: Sequence[Signal], steps: int) -> float:
    """How far an assessment without a model can be trusted: more and stronger signals, and enough to read, raise it.

    From 0.2 (nothing was found in hardly any text) to 0.8: what words alone show is never certain.
    """
    strength = weigh((signal for signal in signals), {signal.name for signal in signals})
    best = max(strength.values(), default=0.0)
    read = min(1.0, steps / 10)
    found = 0.2 + 0.35 * best + 0.05 * min(3, len(signals))
    # To have read much and found nothing says something too.
    return round(min(0.8, found if signals else 0.2 + 0.3 * read), 2)


def by_label(signals: Iterable[Signal]) -> Mapping[str, tuple[Signal, ...]]:
    """The signals of each label, the weightiest first."""
    grouped: dict[str, list[Signal]] = {}
    for signal in signals:
        grouped.setdefault(signal.name, []).append(signal)
    return {label: tuple(sorted(found, key=lambda signal: -signal.weight)) for label, found in grouped.items()}


class Judged(msgspec.Struct, frozen=True):
    """What a model found of one label, as far as the trace bears it out."""

    score: float
    explanation: str
    proofs: tuple[Evidence, ...]

    @property
    def quotes(self) -> tuple[str, ...]:
        """The words that prove it, each once."""
        return tuple(dict.fromkeys(proof.quote for proof in self.proofs))


def judge(case: Case[Any], found: Iterable[tuple[float, str, tuple[Evidence, ...]]], read: float) -> Judged:
    """The findings of one label as one: the highest score that is borne out, with every quotation that stands.

    A score without a quotation that stands may lower what the signals say and never raise it.

    Args:
        case: Where quotations are looked up and counted.
        found: Score, explanation and evidence of each finding.
        read: How strongly the signals show the label.
    """
    best, said = 0.0, ""
    proofs: list[Evidence] = []
    for score, explanation, evidence in found:
        stands = case.ground(evidence)
        proofs += stands
        borne = score if stands else min(score, read)
        if borne > best or not said:
            best, said = max(best, borne), explanation.strip()
    return Judged(round(best, 4), said, tuple(proofs))


def assessed(
    case: Case[Any], label_of: Mapping[str, str], scores: Mapping[str, float], quiet: str
) -> dict[str, Judged]:
    """What the signals show of each label, without a model.

    Args:
        case: Where quotations are looked up and counted.
        label_of: The label that signals of a name speak for.
        scores: How strongly each label shows.
        quiet: What to say of a label without signals; ``{label}`` is filled in.
    """
    told = {}
    for label, score in scores.items():
        seen = sorted((one for one in case.signals if label_of[one.name] == label), key=lambda one: -one.weight)
        said = " ".join(one.claim for one in seen[:4]) or quiet.format(label=label)
        told[label] = Judged(score, said, proofs(case, seen))
    return told


def each_once(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Each quotation of a step once, with the claim that came first."""
    kept: dict[tuple[tuple[int, ...], str], Evidence] = {}
    for item in evidence:
        kept.setdefault((item.steps, item.quote), item)
    return tuple(kept.values())


def under(signals: Iterable[Signal], label_of: Mapping[str, str]) -> tuple[Signal, ...]:
    """Signals that are named by failure mode, renamed to the label that each mode belongs to."""
    return tuple(msgspec.structs.replace(signal, name=label_of[signal.name]) for signal in signals)


def leading(scores: Mapping[str, float]) -> str:
    """The label that leads: the first within 0.05 of the highest; ``none-observed`` where even that is below 0.2."""
    highest = max(scores.values())
    if highest < 0.2:
        return "none-observed"
    return next(label for label, score in scores.items() if score >= round(highest - 0.05, 9))


Chosen = TypeVar("Chosen", bound=msgspec.Struct)


def adopted(
    proposed: Iterable[Chosen], composition: Composition, label: str, field: str = "profile_pattern"
) -> tuple[Chosen, ...]:
    """Proposed interventions worth reporting: told in words, a kind for a target once, composed with a neighbour.

    Args:
        proposed: Interventions, each a Struct whose first two fields are its key.
        composition: The neighbours that ``composition_target_pattern`` may name.
        label: The detection's, by which a ``compose_pattern`` that names none of them gets the first of them.
        field: Which label that is.
    """
    after = [names for by_label in composition.downstream.values() for names in by_label.values()]
    known = {*composition.upstream, *(name for names in after for name in names)}
    kept: dict[tuple[Any, Any], Chosen] = {}
    for one in proposed:
        told = msgspec.structs.asdict(one)
        if told["description"].strip() and told["suggested_implementation"].strip():
            named = told["composition_target_pattern"]
            fit = named if named in known else composition.first(label, field)
            target = fit if told["intervention_type"] == "compose_pattern" else None
            first, second = one.__struct_fields__[:2]
            one = msgspec.structs.replace(one, composition_target_pattern=target)
            kept.setdefault((told[first], told[second]), one)
    return tuple(kept.values())


@functools.lru_cache(maxsize=256)
def _types(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def carried(metadata: Mapping[str, Any], kind: type[msgspec.Struct], *names: str) -> dict[str, Any]:
    """The fields of a pattern's trace that the metadata of a canonical trace holds under the same names.

    Metadata is the client's own: what does not fit the field is not meant for it and stays out.
    """
    found = {}
    for name in names:
        if name in metadata:
            with contextlib.suppress(msgspec.ValidationError):
                found[name] = msgspec.convert(metadata[name], _types(kind)[name])
    return found


def proofs(case: Case[Any], signals: Iterable[Signal]) -> tuple[Evidence, ...]:
    """Some of a case's signals as evidence, the weightiest first."""
    ranked = sorted(signals, key=lambda signal: -signal.weight)
    return case.ground(Evidence(signal.claim, signal.steps, signal.quote) for signal in ranked)


BANDS: tuple[tuple[float, Severity], ...] = (
    (0.0, "none"), (0.1, "trace"), (0.25, "low"), (0.4, "moderate"), (0.55, "medium"), (0.7, "high"),
    (0.85, "critical"),
)  # fmt: skip
"""The contract's bands of severity for a score from 0 to 1, which most patterns share."""

Gravity = Literal["none", "low", "medium", "high"]


def gravity(score: float) -> Gravity:
    """The four words that the contract has for a label; it gives no bands, so these follow ``BANDS``, two by two."""
    return "high" if score >= 0.7 else "medium" if score >= 0.4 else "low" if score >= 0.1 else "none"


def impact(score: float) -> Level:
    """How much an intervention can change, by how strongly shows what it answers."""
    return "high" if score >= 0.7 else "medium" if score >= 0.4 else "low"


def scored(scores: Mapping[Any, float]) -> str:
    """Labels with their scores, as a later pass is told them."""
    return ", ".join(f"{label} {score:.2f}" for label, score in scores.items())


def listed(steps: Iterable[int]) -> str:
    """Step numbers for a sentence: each once, in order, and no more than a reader follows."""
    numbers = sorted(set(steps))
    told = ", ".join(map(str, numbers[:6])) + (" and others" if len(numbers) > 6 else "")
    return f"step {told}" if len(numbers) == 1 else f"steps {told}"


def judge_all(
    case: Case[Any],
    modes: Mapping[str, str],
    labels: Sequence[str],
    found: Iterable[tuple[str, float, str, tuple[Evidence, ...]]] | None,
) -> dict[str, Judged]:
    """Each label as a model scored it, else as the signals show it.

    Args:
        case: Its signals are named by failure mode.
        modes: Failure mode -> label.
        labels: In the order of the enumeration; one that the model left out scores 0.
        found: Label, score, explanation and evidence of each finding; None without a model.
    """
    shown = weigh(under(case.signals, modes), labels)
    if found is not None:
        listed = list(found)
        return {label: judge(case, [one[1:] for one in listed if one[0] == label], shown[label]) for label in labels}
    return assessed(case, modes, shown, "No sign of {label} was found.")


# Below this a label is not said to lead, so nothing is proposed for it either.
SHOWS = 0.2


def remedies(
    make: Callable[..., Chosen],
    signals: Sequence[Signal],
    scores: Mapping[str, float],
    playbooks: Sequence[Any],
    attach: Mapping[tuple[str, str], str],
) -> tuple[Chosen, ...]:
    """The interventions that bring along the playbooks of the failure modes seen, two for a label at most.

    A label that shows without a failure mode (a model saw it) is met with the first of its playbooks.

    Args:
        make: The intervention's Struct; it takes target and type, and the rest by name.
        signals: Named by failure mode.
        scores: Label -> how strongly it shows; the strongest come first.
        playbooks: Structs of label, failure mode, title, steps, effort.
        attach: (label, intervention type) -> failure mode.
    """
    kinds = {(label, mode): kind for (label, kind), mode in attach.items()}
    books = [book for book in map(msgspec.structs.astuple, playbooks) if book[:2] in kinds]
    strength = weigh(signals, [book[1] for book in books])
    chosen = []
    for label in sorted((one for one in scores if scores[one] >= SHOWS), key=lambda one: -scores[one]):
        own = sorted((book for book in books if book[0] == label), key=lambda book: -strength[book[1]])
        for book in [one for one in own[:2] if strength[one[1]] >= SHOWS] or own[:1]:
            steps = ", ".join(dict.fromkeys(str(signal.steps[0]) for signal in signals if signal.name == book[1]))
            why = book[1].replace("_", " ") + (f" in steps {steps}" if steps else f": {label} shows in this run")
            impact = "high" if scores[label] > 0.6 else "medium"
            told = {"description": f"{book[2]}.", "suggested_implementation": " ".join(book[3]), "rationale": why}
            more = {"estimated_impact": impact, "effort_estimate": book[4]}
            chosen.append(make(label, kinds[book[:2]], **told, **more))
    return tuple(chosen)
