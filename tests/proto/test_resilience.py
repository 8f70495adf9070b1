"""Retries, their budget, the breaker and the gate: tables for what each says, properties for what must never happen."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.resilience import Breaker, Gate, RetryBudget, RetryPolicy

AT = 10_000.0


# Retries.


@pytest.mark.parametrize(
    ("failures", "left", "retry_after", "draw", "pause"),
    [
        (1, 60.0, None, 0.5, 0.25),
        (2, 60.0, None, 0.5, 0.5),
        (1, 60.0, None, 0.0, 0.0),
        (3, 60.0, None, 0.5, None),  # three tries were made
        (1, 60.0, 7.0, 0.5, 7.0),  # as the service asks
        (1, 7.5, 7.0, 0.5, 7.0),
        (1, 7.0, 7.0, 0.5, None),  # nothing would be left
        (1, 0.2, None, 0.5, None),
        (1, 60.0, 0.0, 0.5, 0.25),
    ],
)
def test_the_pause_before_the_next_try(
    failures: int, left: float, retry_after: float | None, draw: float, pause: float | None
) -> None:
    assert RetryPolicy().pause(failures, left, retry_after, draw) == pause


def test_the_pause_is_capped() -> None:
    assert RetryPolicy(tries=10_000).pause(9_000, 60.0, None, 0.5) == 4.0


@given(
    st.integers(1, 100),
    st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_pause_fits_and_honours_what_was_asked(
    failures: int, left: float, retry_after: float | None, draw: float
) -> None:
    pause = RetryPolicy(tries=50).pause(failures, left, retry_after, draw)
    if pause is None:
        assert failures >= 50 or left <= max(8.0, retry_after or 0.0)
    else:
        assert (retry_after or 0.0) <= pause < left
        assert pause <= max(8.0, retry_after or 0.0)


# Their budget.


def test_the_budget_starts_full_and_runs_out() -> None:
    budget = RetryBudget(AT)
    assert [budget.take(AT) for _ in range(11)] == [True] * 10 + [False]


def test_ten_calls_pay_for_a_retry() -> None:
    budget = RetryBudget(AT, reserve=1.0, drip=0.0)
    assert budget.take(AT)
    for _ in range(10):
        assert not budget.take(AT)
        budget.called(AT)
    budget.called(AT)  # ten tenths are a little less than one
    assert budget.take(AT)
    assert not budget.take(AT)


def test_a_quiet_service_may_retry_again_after_a_while() -> None:
    budget = RetryBudget(AT, reserve=1.0, drip=0.5)
    assert budget.take(AT)
    assert not budget.take(AT + 1.0)
    assert budget.take(AT + 2.5)


@given(st.lists(st.tuples(st.sampled_from(["call", "retry"]), st.floats(-1, 100)), max_size=300))
def test_retries_never_exceed_the_budget(steps: list[tuple[str, float]]) -> None:
    budget, now, calls, retries = RetryBudget(AT), AT, 0, 0
    latest = AT
    for what, passed in steps:
        now += passed
        latest = max(latest, now)
        if what == "call":
            budget.called(now)
            calls += 1
        else:
            retries += budget.take(now)
        assert retries <= 10.0 + 0.1 * calls + 0.1 * (latest - AT) + 1e-6


# The breaker.


def state_of(breaker: Breaker) -> str:
    # Through a function, or a checker would hold on to what an assertion before has said.
    return breaker.state


def settled(breaker: Breaker, now: float, *ends: bool | None) -> None:
    for ok in ends:
        admission = breaker.admit(now)
        assert admission is not None
        breaker.settle(admission, now, ok)


def test_half_of_twenty_failures_open_it() -> None:
    breaker = Breaker()
    settled(breaker, AT, *[True] * 10, *[False] * 9)
    assert state_of(breaker) == "closed"
    settled(breaker, AT, False)
    assert (breaker.state, breaker.admit(AT), breaker.retry_after(AT)) == ("open", None, 10.0)


def test_nineteen_calls_are_too_few_and_less_than_half_is_not_enough() -> None:
    breaker = Breaker()
    settled(breaker, AT, *[False] * 19)
    assert state_of(breaker) == "closed"
    breaker = Breaker()
    settled(breaker, AT, *[True] * 11, *[False] * 10)
    assert state_of(breaker) == "closed"


def test_failures_in_a_row_open_it_however_much_went_well_before() -> None:
    breaker = Breaker(streak=3)
    settled(breaker, AT, *[True] * 1000, False, False, True, False, False, None)
    assert state_of(breaker) == "closed"
    settled(breaker, AT, False)
    assert state_of(breaker) == "open"
    # Once it has closed again, the row begins anew.
    breaker.settle("probe", AT + 10, ok=True)
    settled(breaker, AT + 10, False, False)
    assert state_of(breaker) == "closed"


def test_what_lies_more_than_thirty_seconds_back_is_forgotten() -> None:
    breaker = Breaker()
    settled(breaker, AT, *[False] * 19)
    settled(breaker, AT + 30.0, False)
    assert state_of(breaker) == "closed"
    settled(breaker, AT + 59.0, *[False] * 19)
    assert state_of(breaker) == "open"


def test_what_cannot_be_told_does_not_count() -> None:
    breaker = Breaker()
    settled(breaker, AT, *[None] * 50)
    assert state_of(breaker) == "closed"


def opened() -> Breaker:
    breaker = Breaker()
    settled(breaker, AT, *[False] * 20)
    return breaker


def test_after_the_cool_down_one_probe_is_let_through() -> None:
    breaker = opened()
    assert breaker.admit(AT + 9.9) is None
    assert breaker.admit(AT + 10.0) == "probe"
    assert (breaker.state, breaker.admit(AT + 11.0), breaker.retry_after(AT + 11.0)) == ("half_open", None, 0.0)


@pytest.mark.parametrize(
    ("ok", "state", "then"), [(True, "closed", "call"), (False, "open", None), (None, "open", "probe")]
)
def test_the_probe_decides(ok: bool | None, state: str, then: str | None) -> None:
    breaker = opened()
    assert breaker.admit(AT + 10.0) == "probe"
    breaker.settle("probe", AT + 12.0, ok)
    assert (breaker.state, breaker.admit(AT + 13.0)) == (state, then)


def test_late_ends_of_earlier_calls_do_not_count_while_it_is_open() -> None:
    breaker = opened()
    breaker.settle("call", AT + 1.0, True)
    breaker.settle("call", AT + 1.0, False)
    assert (breaker.state, breaker.retry_after(AT + 1.0)) == ("open", 9.0)


def test_a_clock_that_steps_back_is_borne() -> None:
    breaker = Breaker()
    settled(breaker, AT, *[False] * 10)
    settled(breaker, AT - 5.0, *[False] * 10)
    assert state_of(breaker) == "open"


Ends = st.lists(st.tuples(st.sampled_from([True, False, None]), st.floats(0, 20), st.booleans()), max_size=200)


@given(Ends)
def test_the_breaker_never_gets_stuck(steps: list[tuple[bool | None, float, bool]]) -> None:
    breaker, now, pending = Breaker(least=4), AT, []
    for ok, passed, hold in steps:
        now += passed
        admission = breaker.admit(now)
        if admission is not None:
            pending.append(admission)
        assert pending.count("probe") <= 1
        if pending and not hold:
            breaker.settle(pending.pop(), now, ok)
    while pending:
        breaker.settle(pending.pop(), now, None)
    # Whatever came before: with nothing under way, a call is admitted at the latest after the cool-down.
    assert breaker.admit(now + 10.0) is not None


# The gate.


def test_the_gate_admits_queues_and_refuses() -> None:
    gate: Gate[str] = Gate(2, 1)
    assert [gate.enter(name) for name in "abcd"] == ["enters", "enters", "waits", "refused"]
    assert (gate.running, gate.waiting) == (2, 1)
    assert gate.leave(AT, AT, "ok") == ["c"]
    assert (gate.running, gate.waiting) == (2, 0)


def test_first_come_first_served_and_nobody_overtakes() -> None:
    gate: Gate[str] = Gate(1, 5)
    assert [gate.enter(name) for name in "abc"] == ["enters", "waits", "waits"]
    assert gate.give_up("b")
    assert not gate.give_up("b")
    assert gate.enter("d") == "waits"
    assert gate.leave(AT, AT, None) == ["c"]
    assert gate.leave(AT, AT, None) == ["d"]


def test_it_halves_once_a_round_and_grows_back() -> None:
    gate: Gate[int] = Gate(8, 0)
    for n in range(8):
        gate.enter(n)
    gate.leave(AT, AT + 1.0, "throttled")
    gate.leave(AT, AT + 1.5, "throttled")  # under way when the limit halved
    assert gate.limit == 4
    for _ in range(6):
        gate.leave(AT, AT + 2.0, None)
    assert gate.enter(9) == "enters"
    gate.leave(AT + 3.0, AT + 4.0, "throttled")
    assert gate.limit == 2
    for grown in (2, 3, 3, 3, 4):
        gate.enter(10)
        gate.leave(AT + 5.0, AT + 5.0, "ok")
        assert gate.limit == grown


def test_the_limit_stays_between_one_and_the_ceiling() -> None:
    gate: Gate[int] = Gate(2, 0)
    for n in range(5):
        gate.enter(n)
        gate.leave(AT + n, AT + n, "throttled")
    assert gate.limit == 1
    for n in range(20):
        gate.enter(n)
        gate.leave(AT + n, AT + n, "ok")
    assert gate.limit == 2


Doing = Literal["enter", "leave", "give_up"]


@given(
    st.integers(1, 6),
    st.integers(0, 4),
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "give_up"]), st.sampled_from(["ok", "throttled", None])),
        max_size=120,
    ),
)
def test_the_gate_keeps_its_bounds_and_loses_nobody(ceiling: int, queue: int, steps: list[tuple[Doing, Any]]) -> None:
    gate: Gate[int] = Gate(ceiling, queue)
    running: list[int] = []
    waiting: list[int] = []
    now = AT
    for member, (doing, verdict) in enumerate(steps):
        now += 1.0
        if doing == "enter":
            answer = gate.enter(member)
            (running if answer == "enters" else waiting if answer == "waits" else []).append(member)
        elif doing == "leave" and running:
            running.pop()
            entering = gate.leave(now - 0.5, now, verdict)
            assert entering == waiting[: len(entering)]
            running += entering
            del waiting[: len(entering)]
        elif doing == "give_up" and waiting:
            assert gate.give_up(waiting.pop())
        assert (gate.running, gate.waiting) == (len(running), len(waiting))
        assert 1 <= gate.limit <= ceiling
        assert gate.running <= ceiling
        assert gate.waiting <= queue
        # Nobody waits at an open door.
        assert not waiting or gate.running >= gate.limit
