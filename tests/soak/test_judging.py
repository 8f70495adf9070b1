"""Whether the soak tells a leak from noise, and a leak that is planted from none."""

from __future__ import annotations

import random

import pytest

from tests.soak.judging import LIMIT, Sample, broken, live

SEEDS = range(40)


def samples(leak: float, noise: float, seed: int = 0, steps: tuple[int, ...] = (), every: int = 1_500) -> list[Sample]:
    """Twelve samples of a process that keeps ``leak`` bytes a request, read with so much ``noise``."""
    draw = random.Random(seed)
    made = []
    for number in range(12):
        held = 60e6 + leak * number * every + draw.gauss(0, noise) + 200_000 * sum(number >= step for step in steps)
        made.append(Sample(number * every, int(held), 0, int(held), 2, 5, 16))
    return made


def test_what_is_exact_is_told_exactly() -> None:
    assert live(samples(7.0, 0.0)).likeliest == pytest.approx(7.0, abs=0.01)
    assert broken(samples(LIMIT * 0.9, 0.0)) == []
    assert len(broken(samples(LIMIT * 1.1, 0.0))) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_hides_no_leak_and_makes_none(seed: int) -> None:
    assert broken(samples(40.0, 30_000.0, seed)), "forty bytes a request"
    assert broken(samples(0.0, 20_000.0, seed)) == []


@pytest.mark.parametrize("step", range(1, 12))
def test_one_outlier_bends_nothing(step: int) -> None:
    held = samples(0.0, 0.0)
    held[step] = Sample(held[step].requests, held[step].live + 5_000_000, 0, 0, 2, 5, 16)
    assert broken(held) == []


def test_the_interval_holds_the_truth_in_nineteen_cases_of_twenty() -> None:
    inside = [live(samples(5.0, 30_000.0, seed)) for seed in range(400)]
    share = sum(one.least <= 5.0 <= one.most for one in inside) / len(inside)
    assert 0.92 < share < 1.0


def test_what_is_open_at_rest_may_not_become_more() -> None:
    held = samples(0.0, 0.0)
    for name in ("tasks", "threads", "descriptors"):
        more = [*held[:-1], Sample(**{**{f: getattr(held[-1], f) for f in Sample.__struct_fields__}, name: 99})]
        (told,) = broken(more)
        assert told.startswith(name)


def test_what_is_occupied_is_judged_over_a_hundred_thousand_requests() -> None:
    short, long = samples(0.0, 0.0), samples(0.0, 0.0, every=10_000)
    for told, some in ((False, short), (True, long)):
        grows = [Sample(one.requests, one.live, 0, one.requests * 20, 2, 5, 16) for one in some]
        assert bool(broken(grows)) is told
