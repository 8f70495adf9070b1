"""Finding words that mean something: rules over the steps of a trace, for every pattern that reads them.

A rule is a regular expression with a reason. It says which label of the pattern it speaks for (a bias, a need, a
dysfunction), what it means where it is found, and how much it counts. Every rule walks the steps once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from vstack_proto.patterns.common import Reading, Signal, Step

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


def speaks(step: Step) -> bool:
    """Whether an agent says this itself: not a person, a machine or a tool's result."""
    return step.kind != "observation" and not MACHINE.search(step.agent) and not PERSON.match(step.agent)


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
