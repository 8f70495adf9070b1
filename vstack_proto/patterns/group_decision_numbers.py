"""Group decisions: votes, counted by each of the five rules."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.patterns.group_decision_texts import Model

Outcome = Literal["decided", "tied", "blocked", "insufficient_votes", "no_quorum"]


class Vote(msgspec.Struct, frozen=True):
    """One agent's vote: an option or None for an abstention, and for ``fist_to_five`` a score from 0 to 5."""

    agent_name: str
    option_id: str | None = None
    score: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None


class TallyResult(msgspec.Struct, frozen=True):
    """What the votes come to."""

    method_used: Model
    outcome: Outcome
    winner: str | None = None
    vote_counts: dict[str, int] = {}
    fist_to_five_averages: dict[str, float] = {}
    dissenters: tuple[str, ...] = ()
    explanation: str = ""


def tally(votes: Sequence[Vote], method: Model, quorum: int | None) -> TallyResult:
    """Count votes by a rule. Abstentions count for the quorum, and for ``unanimous`` as dissent."""
    if not votes:
        return TallyResult(method, "insufficient_votes", explanation="Nobody voted.")
    if quorum is not None and len(votes) < quorum:
        return TallyResult(method, "no_quorum", explanation=f"{len(votes)} of {quorum} needed votes.")
    cast = [vote for vote in votes if vote.option_id is not None]
    counts = Counter(str(vote.option_id) for vote in cast)
    if not cast:
        return TallyResult(method, "insufficient_votes", explanation="Everybody abstained.")
    if method == "fist_to_five":
        return _fists(cast, counts)
    leader, top = max(counts.items(), key=lambda item: item[1])
    others = tuple(vote.agent_name for vote in cast if vote.option_id != leader)
    told = f"{top} of {len(cast)} votes for {leader}."
    if method == "majority":
        if top > len(cast) // 2:
            return TallyResult(method, "decided", leader, dict(counts), {}, others, told)
        tied = sum(count == top for count in counts.values()) > 1
        return TallyResult(method, "tied" if tied else "insufficient_votes", None, dict(counts), explanation=told)
    absent = tuple(vote.agent_name for vote in votes if vote.option_id is None)
    if method == "unanimous":
        # Differing votes block whether or not somebody abstains as well; a score does not matter here.
        outcome: Outcome = "blocked" if others else "insufficient_votes" if absent else "decided"
        against = others or absent
    else:
        against = tuple(vote.agent_name for vote in cast if vote.option_id != leader or vote.score == 0)
        outcome = "blocked" if against else "decided"
    return TallyResult(method, outcome, None if against else leader, dict(counts), {}, against, told)


def _fists(cast: Sequence[Vote], counts: Counter[str]) -> TallyResult:
    scores: dict[str, list[int]] = {}
    for vote in cast:
        if vote.score is not None:
            scores.setdefault(str(vote.option_id), []).append(vote.score)
    means = {option: round(sum(given) / len(given), 2) for option, given in scores.items()}
    if not means:
        return TallyResult("fist_to_five", "insufficient_votes", None, dict(counts), explanation="Nobody gave a score.")
    best = max(means, key=lambda option: means[option])
    won = means[best] >= 3 and 0 not in scores[best]
    blocking = tuple(vote.agent_name for vote in cast if vote.score == 0)
    told = f"{best} has the highest mean, {means[best]:g}."
    return TallyResult(
        "fist_to_five", "decided" if won else "blocked", best if won else None, dict(counts), means, blocking, told
    )


def counted(metadata: Mapping[str, Any], model: Model, quorum: int | None) -> TallyResult | None:
    """The votes that metadata carries, counted by a rule; None where there are none that fit."""
    with contextlib.suppress(msgspec.ValidationError):
        return tally(msgspec.convert(metadata.get("votes"), tuple[Vote, ...]), model, quorum)
    return None
