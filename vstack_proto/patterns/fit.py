"""How far something as it is fits what its task wants, characteristic by characteristic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

import msgspec

from vstack_proto.patterns.common import Case, Evidence, Risk, paired_playbooks
from vstack_proto.patterns.signs import Chosen, Judged, impact, listed
from vstack_proto.patterns.talk import Advice

Quality = Literal["well-fit", "partial-fit", "misfit"]

# From here on the contract calls a characteristic starved or in excess.
MARGIN = 0.15
# A gap that counts towards a broad misfit.
WIDE = 0.25


class Fit(msgspec.Struct, frozen=True):
    """One characteristic as it is and as the task wants it, both from 0 to 1."""

    observed: float
    target: float

    @property
    def gap(self) -> float:
        """How far it is off, without the direction."""
        return round(abs(self.observed - self.target), 4)

    @property
    def fit(self) -> float:
        """1 where it is as wanted."""
        return round(1 - self.gap, 4)

    @property
    def under(self) -> bool:
        """Whether there is too little of it."""
        return self.observed + MARGIN < self.target

    @property
    def over(self) -> bool:
        """Whether there is too much of it."""
        return self.observed - MARGIN > self.target

    @property
    def risk(self) -> Risk:
        """A gap is graver where the task wants a characteristic strongly, or hardly at all."""
        sharp = self.target >= 0.8 or self.target <= 0.2
        if self.gap >= 0.5 or (sharp and self.gap >= WIDE):
            return "high"
        return "medium" if self.gap >= MARGIN else "low"


def moved(target: float, more: float, less: float) -> Fit:
    """What is observed where signs of excess and of want, each from 0 to 1, push it off its target."""
    return Fit(round(target + (1 - target) * more - target * less, 4), target)


def overall(fits: Iterable[Fit]) -> float:
    """The mean of the mean fit and of the lowest, to two places.

    The contract takes a model's word, and the mean only where there is none; the mean of many hides one that fails.
    """
    own = [one.fit for one in fits]
    return round((fmean(own) + min(own)) / 2, 2)


def quality_of(fit: float) -> Quality:
    """The contract's bounds."""
    return "well-fit" if fit >= 0.8 else "partial-fit" if fit >= 0.5 else "misfit"


def widest(fits: Mapping[str, Fit], least: float) -> str:
    """The label with the largest gap, the first of equals; ``none`` below ``least``."""
    label = max(fits, key=lambda one: fits[one].gap)
    return label if fits[label].gap >= least else "none"


def broad(fits: Mapping[str, Fit]) -> int:
    """How many gaps are wide."""
    return sum(one.gap >= WIDE for one in fits.values())


Told = tuple[float, str, tuple[Evidence, ...]]
"""What a model found of one label: observed, explanation, evidence."""


def heard(case: Case[Any], told: Sequence[Told], shown: Fit) -> tuple[Fit, Judged]:
    """The finding of one label as far as quotations bear it out; the last that stands counts.

    What no quotation bears out can bring a label nearer to its target, and not farther off than the signals have it.
    """
    fit, said, proofs = shown, "", list[Evidence]()
    for number, explanation, evidence in told:
        stands, own = case.ground(evidence), Fit(number, shown.target)
        proofs += stands
        if stands or own.gap < fit.gap:
            fit, said = own, explanation.strip()
    return fit, Judged(fit.observed, said, tuple(proofs))


MAX_ADVICE = 4


def advised(
    make: Callable[..., Chosen],
    fits: Mapping[str, Fit],
    advice: Mapping[tuple[str, str], Advice],
    proofs: Mapping[str, Iterable[Evidence]],
) -> tuple[Chosen, ...]:
    """What the gaps call for, the widest first.

    Args:
        make: The intervention's Struct; its third field is the direction.
        fits: By label.
        advice: By label and direction (``increase`` where there is too little).
        proofs: By label; their steps are named.
    """
    chosen = []
    for label in sorted(fits, key=lambda one: -fits[one].gap):
        fit = fits[label]
        direction = "increase" if fit.under else "decrease" if fit.over else ""
        own = advice.get((label, direction))
        if own is None:
            continue
        steps = {number for proof in proofs.get(label, ()) for number in proof.steps}
        where = f" See {listed(steps)}." if steps else ""
        chosen.append(own.change(make, impact(fit.gap), where, direction))
    return tuple(chosen[:MAX_ADVICE])


def playbooks_for(
    playbooks: Sequence[Chosen], attach: Mapping[tuple[str, str, str], str], interventions: Iterable[Any]
) -> tuple[Chosen, ...]:
    """The playbooks that interventions bring along, by target, type and direction: their first three fields."""
    paired = {(label, f"{kind} {direction}"): mode for (label, kind, direction), mode in attach.items()}
    keys = (msgspec.structs.astuple(one)[:3] for one in interventions)
    return paired_playbooks(playbooks, paired, [(label, f"{kind} {direction}") for label, kind, direction in keys])
