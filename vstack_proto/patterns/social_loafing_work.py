"""How much work a message is, and how the work of a team is shared: the numbers behind social loafing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from vstack_proto.patterns.common import Count, Evidence, Reading, Severity, Share, Signal, banded
from vstack_proto.patterns.social_loafing_messages import ACTS, Entry, Message, telling, weigh

Role = Literal["primary-contributor", "secondary-contributor", "loafer", "absent"]
Quality = Literal["no-loafing", "mild-loafing", "severe-loafing"]
Profile = Literal[
    "balanced_team", "single_dominant_contributor", "two_contributors_n_loafers", "all_loafers", "ringelmann_dilution",
    "rubber_stamp_pattern", "absent_agent", "anonymous_evaluation_signal", "indeterminate",
]  # fmt: skip
Ride = Literal["rubber_stamp_chain", "paraphrase_only", "approval_only", "silent_majority"]


class AgentContribution(msgspec.Struct, frozen=True):
    """What one agent did: its share of the team's new content, and its messages that carry work or none."""

    agent_name: str
    contribution_share: Share
    substantive_work_count: Count
    cosmetic_work_count: Count
    loafing_score: Share
    role: Role
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class AnonymityAudit(msgspec.Struct, frozen=True):
    """Whether the set-up lets a member hide: can its part be told apart, and is it judged?"""

    individual_evaluable: bool = False
    task_decomposable: bool = False
    contribution_visible: bool = True
    cohesion_estimate: Share = 0.5
    explanation: str = ""


class FreeRidingChain(msgspec.Struct, frozen=True):
    """A loafer's ride: the messages that show it, numbered from 0, with the work they ride on."""

    loafer_agent: str
    enabling_messages: tuple[int, ...] = ()
    cosmetic_pattern: Ride = "rubber_stamp_chain"
    severity: Severity = "moderate"


class Tally(msgspec.Struct, frozen=True):
    """What one member of the team did."""

    agent: str
    entries: tuple[Entry, ...]
    share: float
    score: float
    role: Role

    @property
    def substantive(self) -> int:
        """How many messages carry work."""
        return sum(entry.credit > 0 for entry in self.entries)

    @property
    def cosmetic(self) -> tuple[Entry, ...]:
        """The messages that carry none."""
        return tuple(entry for entry in self.entries if entry.form is not None)


class Work(msgspec.Struct, frozen=True):
    """The work of a team, weighed; shares are fractions of the team's credit."""

    entries: tuple[Entry, ...]
    tallies: tuple[Tally, ...]
    gini: float
    quality: Quality
    profile: Profile

    def riders(self) -> tuple[Tally, ...]:
        """Members who ride along: loafers and the absent."""
        return tuple(tally for tally in self.tallies if tally.role in ("loafer", "absent"))


# From here on a member's low share and cosmetic messages together make it a loafer.
LOAFER_SCORE = 0.5
# From here on the shares by themselves are a finding.
MILD_GINI = 0.30


def share_out(agents: Iterable[str], entries: tuple[Entry, ...], excused: frozenset[str], evaluated: bool) -> Work:
    """Share the team's work out to its members, and label what comes of it.

    Args:
        agents: The team; whoever else speaks is not of it.
        entries: The messages, weighed.
        excused: Members whose part is to hand out or execute work: cosmetic messages are not held against them.
        evaluated: Whether each member is evaluated by itself.
    """
    by_agent: dict[str, list[Entry]] = {agent: [] for agent in agents}
    for entry in entries:
        if entry.agent in by_agent:
            by_agent[entry.agent].append(entry)
    credit = {agent: math.fsum(entry.credit for entry in own) for agent, own in by_agent.items()}
    total = math.fsum(credit.values())
    tallies = []
    for agent, own in by_agent.items():
        share = round(credit[agent] / total, 4) if total else 0.0
        tallies.append(_tally(agent, tuple(own), share, len(by_agent), agent in excused))
    # Absent members are left out of the coefficient: it says how unequally those who take part share the work.
    unequal = gini([tally.share for tally in tallies if tally.role != "absent"])
    quality = quality_of(tallies, unequal)
    return Work(entries, tuple(tallies), unequal, quality, profile_of(tallies, unequal, quality, evaluated))


class Team(Protocol):
    """What is weighed of a trace."""

    @property
    def task(self) -> str: ...
    @property
    def agents(self) -> tuple[str, ...]: ...
    @property
    def messages(self) -> Sequence[Message]: ...
    @property
    def has_per_agent_evaluation(self) -> bool: ...


def weighed(trace: Team, judged: Mapping[int, bool], excused: frozenset[str] = frozenset()) -> Work:
    """The work of a trace's team; see ``weigh`` and ``share_out``."""
    entries = weigh(trace.task, trace.messages, judged)
    return share_out(trace.agents, entries, excused, trace.has_per_agent_evaluation)


def _tally(agent: str, entries: tuple[Entry, ...], share: float, team: int, excused: bool) -> Tally:
    """A member's score and role: how far its share falls short of an equal one, and how much of it is cosmetic."""
    if not entries:
        return Tally(agent, (), 0.0, 1.0, "absent")
    cosmetic = 0 if excused else sum(entry.form is not None for entry in entries)
    working = sum(entry.credit > 0 for entry in entries)
    part = cosmetic / (cosmetic + working) if cosmetic else 0.0
    if not working and not excused and not any(entry.kind in ACTS for entry in entries):
        part = 1.0
    # A small share alone is division of labour: without cosmetic messages the score stays below LOAFER_SCORE.
    score = round(max(0.0, 1 - share * team) * (0.4 + 0.6 * part), 4)
    role: Role = "primary-contributor" if share * team >= 0.9 else "secondary-contributor"
    return Tally(agent, entries, share, score, "loafer" if score >= LOAFER_SCORE else role)


def gini(shares: Sequence[float]) -> float:
    """The Gini coefficient of shares, rounded to 4 digits: 0 where all are equal or there is nothing to share."""
    total, n = math.fsum(shares), len(shares)
    if not total:
        return 0.0
    weighted = math.fsum((2 * i - n - 1) * share for i, share in enumerate(sorted(shares), 1))
    return round(min(1.0, max(0.0, weighted / (n * total))), 4)


def quality_of(tallies: Sequence[Tally], unequal: float) -> Quality:
    """How much loafing there is; an absent member counts as a loafer, or a team of one worker would be flawless."""
    riders = sum(tally.role in ("loafer", "absent") for tally in tallies)
    if riders >= 0.5 * len(tallies) or unequal > 0.45:
        return "severe-loafing"
    return "mild-loafing" if riders or unequal > MILD_GINI else "no-loafing"


def profile_of(tallies: Sequence[Tally], unequal: float, quality: Quality, evaluated: bool) -> Profile:
    """The first profile whose rule holds."""
    team = len(tallies)
    roles = Counter(tally.role for tally in tallies)
    stampers = sum(len(tally.cosmetic) > tally.substantive for tally in tallies)
    rules: tuple[tuple[bool, Profile], ...] = (
        (quality == "no-loafing", "balanced_team"),
        (roles["absent"] > 0, "absent_agent"),
        (roles["loafer"] == team, "all_loafers"),
        (roles["primary-contributor"] == 1 and roles["loafer"] >= team - 1, "single_dominant_contributor"),
        (roles["primary-contributor"] <= 2 and roles["loafer"] >= team - 2, "two_contributors_n_loafers"),
        (team >= 5 and unequal > 0.4, "ringelmann_dilution"),
        (stampers >= max(1, team // 2), "rubber_stamp_pattern"),
        (not evaluated, "anonymous_evaluation_signal"),
    )
    return next((profile for holds, profile in rules if holds), "indeterminate")


def ride_of(tally: Tally) -> Ride:
    """What a loafer's cosmetic messages mostly are."""
    forms = Counter(entry.form for entry in tally.cosmetic)
    if not forms:
        return "silent_majority"
    most = forms.most_common(1)[0][0]
    rides: dict[str | None, Ride] = {"rubber_stamp": "rubber_stamp_chain", "approval": "approval_only"}
    return rides.get(most, "paraphrase_only")


CLAIMS = {
    "rubber_stamp": "approves without naming anything looked at",
    "approval": "approves and brings no reason of its own",
    "paraphrase": "restates what another member just said",
    "repeat": "brings hardly a word that was not said before",
}
CHECKED = re.compile(
    r"\b(?:i|we)(?:'ve|\s+have)?\s+(?:\w+ly\s+)?(?:reviewed|verified|checked|double-checked|validated)\b", re.IGNORECASE
)
CHECKS = frozenset({"tool_call", "observation", "critique"})
# Below this a member works well enough that a stamp of its is courtesy.
SUSPECT = 0.3
MAX_SIGNALS = 50
PER_AGENT = 5


def loafing_signals(work: Work, reading: Reading) -> tuple[Signal, ...]:
    """Cosmetic messages of members who bring little, checks claimed and not made, stamps in a row; weightiest first."""
    found = [
        *_cosmetic(work, reading),
        *_unbacked(work, reading),
        *_waved_through(work, reading),
        *_uneven(work, reading),
    ]
    usable = [signal for signal in found if len(signal.quote) >= 3]
    return tuple(sorted(usable, key=lambda signal: (-signal.weight, signal.steps))[:MAX_SIGNALS])


def _cosmetic(work: Work, reading: Reading) -> Iterable[Signal]:
    for tally in work.tallies:
        for entry in tally.cosmetic[:PER_AGENT] if tally.score >= SUSPECT else ():
            assert entry.form is not None
            claim = f"{entry.agent} {CLAIMS[entry.form]}"
            if entry.leans is not None:
                claim += f", after the work of {work.entries[entry.leans].agent} in step {entry.leans}"
            quote = telling(reading.steps[entry.number].content)
            yield Signal(entry.form, claim, (entry.number,), quote, round(0.3 + 0.4 * tally.score, 2))


def _unbacked(work: Work, reading: Reading) -> Iterable[Signal]:
    team = {tally.agent for tally in work.tallies}
    acted: set[str] = set()
    for entry in work.entries:
        if entry.agent not in team:
            continue
        told = CHECKED.search(reading.steps[entry.number].content[:2000])
        if told and entry.agent not in acted and entry.kind not in CHECKS and entry.fresh < 6:
            claim = f"{entry.agent} claims a check, but no check of its own is on record up to here"
            yield Signal("unbacked_check", claim, (entry.number,), told.group(), 0.5)
        if entry.kind in CHECKS:
            acted.add(entry.agent)


def _waved_through(work: Work, reading: Reading) -> Iterable[Signal]:
    suspects = {tally.agent for tally in work.tallies if tally.score >= SUSPECT}
    stampers: dict[int, set[str]] = {}
    for entry in work.entries:
        stamp = entry.form in ("rubber_stamp", "approval", "paraphrase")
        if stamp and entry.leans is not None and entry.agent in suspects:
            stampers.setdefault(entry.leans, set()).add(entry.agent)
    for number, agents in stampers.items():
        if len(agents) > 1:
            claim = f"{len(agents)} members let this pass without a finding of their own"
            yield Signal("waved_through", claim, (number,), telling(reading.steps[number].content), 0.4)


def _uneven(work: Work, reading: Reading) -> Iterable[Signal]:
    """Where the shares alone make the finding: what the largest and the smallest of them are made of."""
    if work.gini <= MILD_GINI:
        return
    speaking = sorted((tally for tally in work.tallies if tally.entries), key=lambda tally: -tally.share)
    for tally, part in ((speaking[0], "most"), (speaking[-1], "least")):
        entry = max(tally.entries, key=lambda entry: entry.credit)
        claim = (
            f"{tally.agent} brings the {part} of the team's new content, {tally.share:.0%}; its largest part is this"
        )
        yield Signal("uneven_shares", claim, (entry.number,), telling(reading.steps[entry.number].content), 0.25)


def _explained(tally: Tally, team: int, addressed: bool) -> str:
    """What a member did, in numbers and steps."""
    if tally.role == "absent":
        why = "though it was addressed" if addressed else "and no message is addressed to it, so look at the routing"
        return f"{tally.agent} is on the team and never speaks, {why}."
    steps = ", ".join(str(entry.number) for entry in tally.entries if entry.credit)
    told = f"{tally.agent} brings {tally.share:.0%} of the team's new content (an equal share is {1 / team:.0%})"
    told += f" in {tally.substantive} of {len(tally.entries)} messages"
    told += f" (steps {_short(steps)})." if steps else "."
    if tally.cosmetic:
        told += f" Cosmetic: steps {_short(', '.join(str(entry.number) for entry in tally.cosmetic))}."
    kinds = [entry.kind for entry in tally.entries]
    executed = sum(kind in ("observation", "tool_call") for kind in kinds)
    small = tally.role == "secondary-contributor" and tally.score >= SUSPECT
    if small and 2 * kinds.count("handoff") >= len(kinds):
        told += " It hands out work; a small share of the content is its part and not loafing."
    elif small and 2 * executed >= len(kinds):
        told += " It executes; what it returns was asked for by others, so a small share is no loafing."
    return told


def _short(steps: str) -> str:
    return steps if len(steps) <= 60 else steps[:60].rpartition(",")[0] + " ..."


def contributions(
    work: Work, reading: Reading, told: Mapping[str, tuple[str, tuple[Evidence, ...]]], addressed: frozenset[str]
) -> tuple[AgentContribution, ...]:
    """Each member's row.

    Args:
        work: The team's work.
        reading: Where the quotations stand.
        told: By member, what somebody who read the trace says of it, with evidence that was found there.
        addressed: Members to whom a message was sent.
    """
    rows = []
    for tally in work.tallies:
        said, proofs = told.get(tally.agent, ("", ()))
        ranked = sorted(tally.entries, key=lambda entry: -entry.credit)
        shown = tally.cosmetic if tally.role == "loafer" else [entry for entry in ranked if entry.credit]
        own = [telling(reading.steps[entry.number].content) for entry in shown[:3]]
        rows.append(
            AgentContribution(
                agent_name=tally.agent,
                contribution_share=tally.share,
                substantive_work_count=tally.substantive,
                cosmetic_work_count=len(tally.cosmetic),
                loafing_score=tally.score,
                role=tally.role,
                explanation=f"{said} {_explained(tally, len(work.tallies), tally.agent in addressed)}".strip(),
                evidence_quotes=tuple(
                    dict.fromkeys(quote for quote in (*(item.quote for item in proofs), *own) if quote)
                ),
                # Silence is plain to see; a share is surer the more messages it is taken from.
                confidence=0.8 if not tally.entries else round(min(0.7, 0.3 + 0.05 * len(tally.entries)), 2),
            )
        )
    return tuple(rows)


# By the number of cosmetic messages; none at all is a member who is silent.
RIDE_BANDS: tuple[tuple[float, Severity], ...] = (
    (0, "moderate"), (1, "low"), (2, "moderate"), (3, "medium"), (6, "high"),
)  # fmt: skip


def rides(work: Work, told: Mapping[str, tuple[Ride, tuple[int, ...]]]) -> tuple[FreeRidingChain, ...]:
    """How each loafer and each absent member rides along; ``told`` adds a reader's pattern and steps by member."""
    found = []
    for tally in work.riders():
        ride, steps = told.get(tally.agent, (ride_of(tally), ()))
        shown = tally.cosmetic[:PER_AGENT]
        numbers = {*steps, *(n for entry in shown for n in (entry.leans, entry.number) if n is not None)}
        severity = banded(len(tally.cosmetic), RIDE_BANDS)
        found.append(FreeRidingChain(tally.agent, tuple(sorted(numbers)), ride, severity))
    return tuple(found)


# Kinds of message that take up what another member said.
TAKES_UP = frozenset({"critique", "approval", "rubber_stamp", "paraphrase", "question", "handoff"})


def audit_of(
    work: Work, messages: Sequence[Message], evaluated: bool, separable: bool | None, said: str
) -> AnonymityAudit:
    """What the set-up invites: whether parts are judged, seen, separable, and how much members take each other up.

    Args:
        work: The team's work.
        messages: The trace's messages.
        evaluated: Whether each member is evaluated by itself.
        separable: Whether the task falls into parts, if a reader said so.
        said: The reader's explanation, or nothing.
    """
    team = {tally.agent for tally in work.tallies}
    workers = sum(tally.substantive > 1 for tally in work.tallies)
    # Where two members each did several pieces of work, the task did fall into parts.
    decomposable = workers > 1 if separable is None else separable
    visible = 2 * sum(message.from_agent in team for message in messages) >= len(messages)
    taken_up = sum(message.to_agent in team or message.message_type in TAKES_UP for message in messages)
    parts = [
        said,
        f"Members are {'' if evaluated else 'not '}evaluated one by one.",
        f"{workers} of {len(work.tallies)} members did more than one piece of work.",
        "" if visible else "Most messages come from outside the listed team, so its members' parts cannot be told.",
    ]
    return AnonymityAudit(
        individual_evaluable=evaluated,
        task_decomposable=decomposable,
        contribution_visible=visible,
        cohesion_estimate=round(taken_up / len(messages), 2),
        explanation=" ".join(part for part in parts if part),
    )
