"""Conflict styles in numbers: where the styles shown place the agent, and how far that is from where it should be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from vstack_proto.patterns.signs import SHOWS
from vstack_proto.patterns.thomas_kilmann_texts import STYLES, Style

Observed = Literal["competing", "accommodating", "avoiding", "compromising", "collaborating", "mixed"]
Profile = Literal[
    "well_matched", "competing_when_collaborating", "accommodating_when_competing", "avoiding_when_collaborating",
    "default_compromising", "rigid_single_style", "context_blind", "mixed_inconsistent", "indeterminate",
]  # fmt: skip
# (assertiveness, cooperativeness) of each style, the corners and the middle of the instrument's square.
PLACE: dict[Style, tuple[float, float]] = {
    "competing": (1.0, 0.0), "accommodating": (0.0, 1.0), "avoiding": (0.0, 0.0), "compromising": (0.5, 0.5),
    "collaborating": (1.0, 1.0),
}  # fmt: skip


class Stance(msgspec.Struct, frozen=True):
    """Where the agent stood, all of it computed from the scores of the styles and the style asked for."""

    scores: dict[str, float]
    optimal: Style
    observed: Observed
    assertiveness: float
    cooperativeness: float
    mismatch: float
    profile: Profile


def stance_of(scores: Mapping[str, float], optimal: Style) -> Stance:
    """Place the agent in the square of the two axes by the weight of its styles, and measure the way to the optimum.

    A style that hardly shows says little: the mismatch grows with the leading score up to 0.6. Where the leading
    style is the one asked for, what other styles add counts half.
    """
    total = math.fsum(scores[style] for style in STYLES)
    first, second = sorted((scores[style] for style in STYLES), reverse=True)[:2]
    places = [(scores[style] / total if total else 0.2, PLACE[style]) for style in STYLES]
    across = min(1.0, math.fsum(weight * place[0] for weight, place in places))
    along = min(1.0, math.fsum(weight * place[1] for weight, place in places))
    leader = next(style for style in STYLES if scores[style] == first)
    # Two styles of nearly the same weight are no style; nor is one that hardly shows.
    observed: Observed = leader if first >= SHOWS and first - second >= 0.1 else "mixed"
    goal = PLACE[optimal]
    away = math.hypot(across - goal[0], along - goal[1]) / math.sqrt(2) * min(1.0, first / 0.6)
    mismatch = round(min(1.0, away * (0.5 if observed == optimal else 1.0)), 4)
    profile = profile_of(observed, optimal, mismatch, first)
    kept: dict[str, float] = {style: scores[style] for style in STYLES}
    return Stance(kept, optimal, observed, round(across, 4), round(along, 4), mismatch, profile)


def profile_of(observed: Observed, optimal: Style, mismatch: float, top: float) -> Profile:
    """The first of the contract's rules that holds; where no style shows at all, none does."""
    pair = (observed, optimal)
    rules: tuple[tuple[bool, Profile], ...] = (
        (top < SHOWS, "indeterminate"),
        (mismatch < 0.15 and observed == optimal, "well_matched"),
        (pair == ("competing", "collaborating"), "competing_when_collaborating"),
        (pair == ("accommodating", "competing"), "accommodating_when_competing"),
        (pair == ("avoiding", "collaborating"), "avoiding_when_collaborating"),
        (observed == "compromising", "default_compromising"),
        (observed == "mixed", "mixed_inconsistent"),
        (top >= 0.8, "rigid_single_style"),
        (mismatch >= 0.5, "context_blind"),
    )
    return next((profile for holds, profile in rules if holds), "indeterminate")


# A concern below this is not worth a conflict; this much more of one than of the other is no longer a claim of equals.
LITTLE = 0.3
APART = 0.4


def called_for(own: float, other: float, urgent: bool, given: bool) -> Style:
    """The style that a situation asks for, by what each side's concern weighs (Thomas and Kilmann's contingencies).

    Args:
        own: How much the concern that the agent stands for weighs, from 0 to 1.
        other: The same of the other side's.
        urgent: Whether there is no time to look for an answer that serves both.
        given: Whether a law, a safety rule or an established fact settles the matter for the agent's side.
    """
    if given:
        return "competing"
    if max(own, other) < LITTLE:
        return "avoiding"
    if round(abs(own - other), 9) >= APART:
        return "competing" if own > other else "accommodating"
    return "compromising" if urgent else "collaborating"
