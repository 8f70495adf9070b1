"""Debate pathology: what words, positions and tones of messages show."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns.common import (
    Signal,
)
from vstack_proto.patterns.signs import Rule, words

_NOT = r"(?<!not )(?<!n't )(?<!never )"
# What a signal is named is the failure mode that it shows.
RULES = (
    Rule(
        "illusion_of_unanimity", "{agent} takes the agreement of all for proof (illusion of unanimity)",
        words(r"(?<!if )(?:everyone (?:serious|agrees|is on board)|we all agree)|nobody (?:disagrees|serious)"
              r"|no ?body can disagree|no one (?:disagrees|could object)|can(?:no|')t possibly (?:fail|go wrong)"),
        0.3,
    ),
    Rule(
        "self_censorship", "{agent} gives way without being convinced (self-censorship)",
        words(r"if (?:all of you|everyone|everybody|you all) (?:wants?|insists?|thinks? so)"
              r"|i(?:'ll| will) go along"
              r"|won't stand in the way|keep my (?:doubts|concerns) to myself|who am i to|not going to rock the boat"
              r"|i had (?:my )?doubts,? but|against my better judge?ment|fine, have it your way"),
        0.45,
    ),
    Rule(
        "dissent_suppressed", "{agent} answers dissent by speaking of the dissenter (pressure on dissent)",
        words(r"is (?:just )?(?:cowardly|being difficult|disloyal)|team player|get on board"
              r"|stop (?:being (?:so )?negative|blocking|stalling)|don't be (?:so )?(?:difficult|negative)"
              r"|you(?:'re| are) (?:just )?(?:blocking|stalling|afraid of change)|no time for (?:doubts|objections)"
              r"|not the time for (?:doubts|objections|criticism)"),
        0.45,
    ),
    Rule(
        "premature_convergence", "{agent} closes the debate before alternatives are weighed",
        words(_NOT + r"(?:no need to (?:discuss|debate|look at alternatives)|good, settled|let's not overthink"
              r"|skip the (?:debate|discussion)|enough (?:debate|discussion))"),
        0.3,
    ),
    Rule(
        "risky_shift", "{agent} drops a safeguard as the group grows bolder (risky shift)",
        words(_NOT + r"(?:no need for (?:a |any )?(?:pilot|rollback|backup|staging|review|tests?)|fortune favou?rs"
              r"|skip (?:the )?(?:pilot|rollback|backup|staging|review|tests?)|worth any risk|risk is nothing)"),
        0.35,
    ),
    Rule(
        "extremity_runaway", "{agent} goes further than the one before (extremity)",
        words(_NOT + r"(?:(?:go|going|goes|went) even further|not far enough|doubl(?:e|ing) down"
              r"|go(?:ing)? all[- ]in|why stop (?:at|there)|even (?:bolder|more radical)|no half measures"
              r"|nothing less than|under no circumstances (?:accept|agree)|will not move an inch)"),
        0.35,
    ),
    Rule(
        "irreversible_decision", "{agent} welcomes that there is no way back",
        words(r"burn (?:the|our) (?:boats|ships|bridges)|no turning back|no way back is (?:needed|good)"), 0.35,
    ),
    Rule(
        "tone_overrides_content", "{agent} speaks of tone or person instead of the claim",
        words(r"how dare you|calm down|stop shouting|your tone|you always (?:do|say) this|typical of you"), 0.3,
    ),
)  # fmt: skip
# A reason given for a change of mind; an objection made; new evidence brought.
REASON = words(
    r"because|since|measured|shows?|data|evidence|tests?|tested|benchmark|figures?|given that|convinced|proves?"
    r"|therefore|your point|good point|right that|outweighs?|as \w+ (?:said|showed|found)"
)
OBJECTION = words(
    r"but|however|risks?|concerns?|what if|disagree|downside|alternatives?|instead|unless|trade-?offs?|doubts?|why|cost"
)
# Only words that carry a tone by themselves: most texts about failures use strong words calmly.
TONES: tuple[tuple[Literal["heated", "dismissive", "anxious", "enthusiastic"], re.Pattern[str]], ...] = (
    ("heated", words(r"ridiculous|outrageous|absurd|idiotic|stupid|cowardly|shut up|how dare|sick of|shameful")),
    ("dismissive", words(r"who cares|spare (?:me|us)|waste of time|not worth (?:discussing|an answer)|nonsense")),
    ("anxious", words(r"terrified|scared|doomed|nightmare|frightening|worried sick|i fear|(?:so|very|really) worried")),
    (
        "enthusiastic",
        words(r"amazing|so excited|love (?:it|this)|incredible|brilliant|fantastic|game.?changer|awesome"),
    ),
)

Tone = Literal["calm", "neutral", "heated", "anxious", "enthusiastic", "dismissive", "unknown"]


class DebateMessage(shapes.Dated, frozen=True):
    """One message, with the position it takes and its tone where the client knows them."""

    round: Annotated[int, msgspec.Meta(ge=1)]
    from_agent: str
    content: str
    position: str = ""
    emotional_tone: Tone = "unknown"
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}


def rounds_of(messages: Sequence[DebateMessage]) -> dict[int, list[tuple[int, str, str]]]:
    """By round: number, agent and position of each message that states one; case and space do not matter."""
    rounds: dict[int, list[tuple[int, str, str]]] = {}
    for number, message in enumerate(messages):
        if position := " ".join(message.position.lower().split()):
            rounds.setdefault(message.round, []).append((number, message.from_agent, position))
    return dict(sorted(rounds.items()))


def convergence_round(agents: Iterable[str], messages: Sequence[DebateMessage]) -> int | None:
    """The first round where all but at most one agent (two at least) state a position, and all state the same."""
    enough = max(2, len(set(agents)) - 1)
    for number, stated in rounds_of(messages).items():
        if len({agent for _, agent, _ in stated}) >= enough and len({position for _, _, position in stated}) == 1:
            return number
    return None


def diversity(stated: Sequence[tuple[int, str, str]]) -> float:
    """0 where all positions are equal, 1 where all agents hold another; of each agent its last counts."""
    held = {agent: position for _, agent, position in stated}
    return round((len(set(held.values())) - 1) / (len(held) - 1), 4) if len(held) > 1 else 0.0


def tone_of(message: DebateMessage) -> Tone:
    """The tone as given, else as words that carry one by themselves tell it."""
    if message.emotional_tone != "unknown" or message.metadata.get("type") == "observation":
        return message.emotional_tone
    return next((tone for tone, pattern in TONES if pattern.search(message.content)), "unknown")


CATCHES: dict[Tone, tuple[str, frozenset[Tone]]] = {
    "heated": ("heated_cascade", frozenset({"heated", "dismissive"})),
    "dismissive": ("heated_cascade", frozenset({"heated", "dismissive"})),
    "anxious": ("anxiety_propagation", frozenset({"anxious", "heated", "dismissive"})),
    "enthusiastic": ("tone_overrides_content", frozenset({"enthusiastic"})),
}
# A tone is caught from a message that is still fresh.
NEAR = 3


def caught(messages: Sequence[DebateMessage], tones: Sequence[Tone]) -> Iterator[tuple[int, int, str, bool]]:
    """Messages that take over the tone of another agent: number, from which, failure mode, calm before or not."""
    before: dict[str, Tone] = {}
    charged = -NEAR - 1
    for number, (message, tone) in enumerate(zip(messages, tones, strict=True)):
        if tone in CATCHES:
            mode, sources = CATCHES[tone]
            other = charged >= 0 and messages[charged].from_agent != message.from_agent
            argued = mode == "tone_overrides_content" and REASON.search(message.content)
            if other and number - charged <= NEAR and tones[charged] in sources and not argued:
                yield number, charged, mode, before.get(message.from_agent) in ("calm", "neutral")
            charged = number
        if tone != "unknown":
            before[message.from_agent] = tone


def flips(messages: Sequence[DebateMessage]) -> Iterator[Signal]:
    held: dict[str, str] = {}
    holders = Counter[str]()
    for stated in rounds_of(messages).values():
        for number, agent, position in stated:
            content, before = messages[number].content, held.get(agent)
            if before not in (None, position) and holders[position] and not REASON.search(content):
                claim = f"{agent} takes over the others' position and gives no reason"
                yield Signal("premature_convergence", claim, (number,), signs.first_line(content), 0.3)
            if before is not None:
                holders[before] -= 1
            holders[position] += 1
            held[agent] = position


def one_voice(messages: Sequence[DebateMessage]) -> Iterator[Signal]:
    """Three or more that never held another view and never objected: nothing was debated."""
    first = next(iter(rounds_of(messages).values()), [])
    stated = {position for one in rounds_of(messages).values() for _, _, position in one}
    if len({agent for _, agent, _ in first}) < 3 or len(stated) > 1:
        return
    if not any(OBJECTION.search(message.content) for message in messages):
        number, agent, _ = first[-1]
        quote = signs.first_line(messages[number].content)
        claim = f"{agent} says what all say from the first round on; no message objects or weighs another option"
        yield Signal("illusion_of_unanimity", claim, (number,), quote, 0.3)
        yield Signal("homogeneous_seeds", "All agents start from the same position", (number,), quote, 0.3)


def shift(messages: Sequence[DebateMessage]) -> Iterator[Signal]:
    """Stoner's finding in numbers: the mean moves one way, beyond where any member began."""
    rounds = []
    for stated in rounds_of(messages).values():
        figures = [(float(match.group()), number) for number, _, told in stated if (match := FIGURE.search(told))]
        if len(figures) > 1:
            rounds.append(figures)
    if len(rounds) < 2:
        return
    means = [sum(figure for figure, _ in figures) / len(figures) for figures in rounds]
    low, high = min(rounds[0])[0], max(rounds[0])[0]
    grows = all(b >= a for a, b in itertools.pairwise(means)) and means[-1] > high
    falls = all(b <= a for a, b in itertools.pairwise(means)) and means[-1] < low
    if grows or falls:
        _, number = max(rounds[-1]) if grows else min(rounds[-1])
        argued = any(REASON.search(messages[n].content) for figures in rounds[1:] for _, n in figures)
        claim = f"The mean ends at {means[-1]:g}, outside the range of {low:g} to {high:g} where the members began"
        quote = signs.first_line(messages[number].content)
        yield Signal("risky_shift", claim, (number,), quote, 0.25 if argued else 0.6)


FIGURE = re.compile(r"\d{1,15}(?:\.\d{1,6})?")
