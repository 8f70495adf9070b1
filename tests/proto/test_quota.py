"""The sliding window: exact, fair to those who were refused, and bounded."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.quota import Decision, SlidingWindow, Window, parse_windows


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", ()),
        ("off", ()),
        (" OFF ", ()),
        ("none", ()),
        ("disabled", ()),
        ("100/60", (Window(100, 60.0),)),
        ("100", (Window(100, 60.0),)),
        ("100/60, 2000/3600", (Window(100, 60.0), Window(2000, 3600.0))),
        ("5/1.5", (Window(5, 1.5),)),
        ("1/1", (Window(1, 1.0),)),
    ],
)
def test_windows(text: str, windows: tuple[Window, ...]) -> None:
    assert parse_windows(text) == windows


@pytest.mark.parametrize(
    "text",
    [
        "100/minute",
        "1e3/60",
        "0/60",
        "5/0",
        "5/0.5",
        "-5/60",
        "5/-1",
        "5/60/2",
        "5/inf",
        "5 60",
        "5/60,",
        "\u0665/60",
        "9" * 5000,
    ],
)
def test_what_is_no_quota_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="'off', or COUNT/SECONDS with both at least 1, such as 100/60"):
        parse_windows(text)


def test_of_windows_that_make_room_at_the_same_moment_the_first_is_told() -> None:
    quota = SlidingWindow((Window(1, 4.0), Window(2, 10.0)))
    assert quota.take("k", 10_000.0).admitted
    assert quota.take("k", 10_006.0).admitted
    assert quota.take("k", 10_007.0) == Decision(False, 1, 0, 3.0, 3.0, 4.0)


def test_a_window_slides() -> None:
    quota = SlidingWindow((Window(2, 10.0),))
    assert quota.take("k", 10_000.0) == Decision(True, 2, 1, 0.0, 10.0, 10.0)
    assert quota.take("k", 10_004.0) == Decision(True, 2, 0, 0.0, 10.0, 10.0)
    assert quota.take("k", 10_005.0) == Decision(False, 2, 0, 5.0, 9.0, 10.0)
    assert quota.take("other", 10_005.0) == Decision(True, 2, 1, 0.0, 10.0, 10.0)
    assert quota.take("k", 10_009.5) == Decision(False, 2, 0, 0.5, 4.5, 10.0)
    # The first admission leaves at 10,010 exactly; the refusals in between have consumed nothing.
    assert quota.take("k", 10_010.0) == Decision(True, 2, 0, 0.0, 10.0, 10.0)
    assert quota.take("k", 10_013.9).retry_after == pytest.approx(0.1)
    assert quota.take("k", 10_014.0).admitted


def test_all_windows_must_admit_and_the_tightest_is_reported() -> None:
    quota = SlidingWindow((Window(2, 1.0), Window(3, 100.0)))
    assert quota.take("k", 0.0) == Decision(True, 2, 1, 0.0, 1.0, 1.0)
    assert quota.take("k", 0.5) == Decision(True, 2, 0, 0.0, 1.0, 1.0)
    assert quota.take("k", 0.75) == Decision(False, 2, 0, 0.25, 0.75, 1.0)
    assert quota.take("k", 1.25) == Decision(True, 2, 0, 0.0, 1.0, 1.0)
    # Both are full: the one that takes longer decides.
    assert quota.take("k", 1.25) == Decision(False, 3, 0, 98.75, 100.0, 100.0)
    assert quota.take("k", 50.0) == Decision(False, 3, 0, 50.0, 51.25, 100.0)
    reordered = SlidingWindow((Window(1, 100.0), Window(1, 1.0)))
    reordered.take("k", 0.0)
    assert reordered.take("k", 0.5) == Decision(False, 1, 0, 99.5, 99.5, 100.0)


def test_no_window_admits_everything() -> None:
    assert SlidingWindow(()).take("k", 0.0) == Decision(True, 0, 0, 0.0, 0.0)


def test_time_does_not_run_backwards() -> None:
    quota = SlidingWindow((Window(1, 10.0),))
    assert quota.take("k", 100.0).admitted
    assert quota.take("k", 95.0) == Decision(False, 1, 0, 10.0, 10.0, 10.0)


def test_idle_keys_are_forgotten() -> None:
    quota = SlidingWindow((Window(5, 10.0),))
    for number in range(500):
        quota.take(f"key-{number}", number * 0.001)
    assert len(quota) == 500
    for number in range(250):
        quota.take(f"later-{number}", 20.0)
    assert len(quota) == 250


def test_at_most_so_many_keys_and_the_one_idle_longest_goes() -> None:
    quota = SlidingWindow((Window(1, 1000.0),), max_keys=3)
    for now, key in enumerate("abcad"):
        quota.take(key, float(now))
    assert len(quota) == 3
    assert not quota.take("a", 5.0).admitted
    assert not quota.take("c", 5.0).admitted
    assert quota.take("b", 5.0).admitted


def test_one_key_is_enough() -> None:
    quota = SlidingWindow((Window(1, 1000.0),), max_keys=1)
    assert [quota.take(key, 0.0).admitted for key in "aabba"] == [True, False, True, False, True]
    assert len(quota) == 1


def test_memory_follows_use_and_not_the_limit() -> None:
    tracemalloc.start()
    try:
        quota = SlidingWindow((Window(1_000_000, 1.0),))
        for number in range(20_000):
            assert quota.take("k", number * 0.01).admitted
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 100 admissions count at any time; all 20,000 would be 160,000 bytes.
    assert used < 50_000


WINDOWS = st.lists(st.builds(Window, st.integers(1, 5), st.integers(1, 20).map(float)), min_size=1, max_size=3).map(
    tuple
)
# Multiples of 1/8 are exact in binary, so that the test's own arithmetic is.
STEPS = st.lists(st.integers(0, 40).map(lambda eighths: eighths / 8), max_size=200)


@given(WINDOWS, STEPS)
def test_never_more_than_the_limit_in_any_interval_and_never_fewer_than_it_allows(
    windows: tuple[Window, ...], steps: list[float]
) -> None:
    quota = SlidingWindow(windows)
    admitted: list[float] = []
    now = 10_000.0
    for step in steps:
        now += step
        used = [sum(now - window.seconds < stamp for stamp in admitted) for window in windows]
        decision = quota.take("k", now)
        assert decision.admitted == all(count < window.limit for count, window in zip(used, windows, strict=True))
        if decision.admitted:
            admitted.append(now)
            assert decision.retry_after == 0.0
            assert decision.remaining == min(
                window.limit - count - 1 for count, window in zip(used, windows, strict=True)
            )
        else:
            assert decision.retry_after > 0
            then = now + decision.retry_after
            assert all(sum(then - window.seconds < stamp for stamp in admitted) < window.limit for window in windows)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5)), max_size=200), st.integers(1, 4))
def test_keys_never_pass_their_number(calls: list[tuple[str, int]], most: int) -> None:
    quota = SlidingWindow((Window(2, 7.0),), max_keys=most)
    now = 0.0
    for key, step in calls:
        now += step
        quota.take(key, now)
        assert 1 <= len(quota) <= most


def test_many_admissions_of_a_slow_window_are_kept() -> None:
    quota = SlidingWindow((Window(200, 1000.0),))
    assert [quota.take("k", float(now)).admitted for now in range(300)] == [True] * 200 + [False] * 100
