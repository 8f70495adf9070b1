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
    budget = RetryBudget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


def test_ten_calls_pay_for_a_retry() -> None:
    budget = RetryBudget(reserve=1)
    assert budget.take()
    for _ in range(10):
        assert not budget.take()
        budget.sent()
    assert budget.take()
    assert not budget.take()


def test_no_more_than_the_reserve_is_saved_up() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.sent()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


@given(st.integers(0, 3000))
def test_where_every_call_fails_a_tenth_is_retried_beyond_the_reserve(calls: int) -> None:
    budget, retries = RetryBudget(), 0
    for _ in range(calls):
        budget.sent()
        retries += budget.take()
        retries += budget.take()  # the second of three tries failed as well
    # A call that comes upon a full reserve saves nothing up: it may come to a tenth of a retry less.
    assert min(2 * calls, 10 + (calls - 1) // 10) <= retries <= 10 + calls // 10


@given(st.lists(st.booleans(), max_size=600), st.integers(1, 20), st.integers(1, 20))
def test_over_any_stretch_retries_stay_within_the_reserve_and_their_part_of_the_calls(
    steps: list[bool], price: int, reserve: int
) -> None:
    budget = RetryBudget(calls=price, reserve=reserve)
    made: list[tuple[bool, bool]] = []
    for sends in steps:
        if sends:
            budget.sent()
        made.append((sends, not sends and budget.take()))
    for start in range(0, len(made), 7):
        calls = retries = 0
        for sent, retried in made[start:]:
            calls, retries = calls + sent, retries + retried
            assert retries * price <= reserve * price + calls


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
    assert [gate.enter(name, AT) for name in "abcd"] == ["enters", "enters", "waits", "refused"]
    assert (gate.running, gate.waiting) == (2, 1)
    assert gate.leave(AT, AT, "ok") == ["c"]
    assert (gate.running, gate.waiting) == (2, 0)


def test_first_come_first_served_and_nobody_overtakes() -> None:
    gate: Gate[str] = Gate(1, 5)
    assert [gate.enter(name, AT) for name in "abc"] == ["enters", "waits", "waits"]
    assert gate.give_up("b")
    assert not gate.give_up("b")
    assert gate.enter("d", AT) == "waits"
    assert gate.leave(AT, AT, None) == ["c"]
    assert gate.leave(AT, AT, None) == ["d"]


def test_it_halves_once_a_round_and_grows_back() -> None:
    gate: Gate[int] = Gate(8, 0)
    for n in range(8):
        gate.enter(n, AT)
    gate.leave(AT, AT + 1.0, "throttled")
    gate.leave(AT, AT + 1.5, "throttled")  # under way when the limit halved
    assert gate.limit == 4
    for _ in range(6):
        gate.leave(AT, AT + 2.0, "ok")  # that the service bore these says nothing about the new limit either
    assert gate.limit == 4
    for n in range(4):
        assert gate.enter(n, AT) == "enters"
    gate.leave(AT + 3.0, AT + 4.0, "throttled")
    assert gate.limit == 2
    for _ in range(3):
        gate.leave(AT + 3.0, AT + 4.5, None)
    for grown in (2, 3, 3, 3, 4):
        # As many as may: the service bears the limit.
        members = range(gate.limit)
        assert [gate.enter(n, AT) for n in members] == ["enters"] * gate.limit
        gate.leave(AT + 5.0, AT + 5.0, "ok")
        assert gate.limit == grown
        for _ in members[1:]:
            gate.leave(AT + 5.0, AT + 5.0, None)


def test_what_runs_is_halved_where_it_is_less_than_the_limit() -> None:
    gate: Gate[int] = Gate(512, 0)
    for n in range(8):
        gate.enter(n, AT)
    gate.leave(AT, AT + 1.0, "throttled")
    assert (gate.limit, gate.running) == (4, 7)
    # None of the seven that are left makes it less: they began before.
    for _ in range(7):
        gate.leave(AT, AT + 1.0, "throttled")
    assert (gate.limit, gate.running) == (4, 0)


def halved(ceiling: int, running: int) -> Gate[int]:
    """A gate in which so many ran from ``AT`` on, all of which were too much a second later."""
    gate: Gate[int] = Gate(ceiling, 0)
    for n in range(running):
        gate.enter(n, AT)
    for _ in range(running):
        gate.leave(AT, AT + 1.0, "throttled")
    return gate


def test_a_limit_that_nobody_reaches_does_not_grow() -> None:
    gate = halved(512, 8)
    for n in range(1000):
        for _ in range(3):
            gate.enter(n, AT)
        for _ in range(3):
            gate.leave(AT + 2.0 + n, AT + 2.5 + n, "ok")
    assert gate.limit == 4


def test_who_ran_in_a_full_gate_counts_though_it_leaves_an_emptier_one() -> None:
    gate = halved(8, 8)
    for n in range(4):
        gate.enter(n, AT)
    for _ in range(4):
        gate.leave(AT + 2.0, AT + 3.0, "ok")
    assert gate.limit == 5


def test_it_grows_by_a_tenth() -> None:
    gate = halved(50, 50)
    limits, now = [gate.limit], AT + 2.0
    while gate.limit < gate.ceiling:
        members = range(gate.limit)
        for n in members:
            gate.enter(n, now)
        for _ in members:
            gate.leave(now, now + 1.0, "ok")
        limits.append(gate.limit)
        now += 2.0
    assert limits == [25, 27, 29, 31, 34, 37, 40, 44, 48, 50]


def throttled(ceiling: int, queue: int) -> Gate[str]:
    """Of a gate whose limit is one, and whose only place is taken by ``hung``, since ``AT``."""
    gate: Gate[str] = Gate(ceiling, queue)
    gate.enter("refused", AT - 1.0)
    gate.leave(AT - 1.0, AT - 0.5, "throttled")
    assert (gate.enter("hung", AT), gate.limit) == ("enters", 1)
    return gate


def test_a_call_that_hangs_does_not_hold_up_all_others() -> None:
    gate = throttled(8, 8)
    assert [gate.enter(name, AT + 1.0) for name in "abc"] == ["waits"] * 3
    # As nothing is known of how long calls take, ten seconds.
    assert gate.stalls_at == AT + 10.0
    assert (gate.widen(AT + 9.9), gate.limit) == ([], 1)
    assert (gate.widen(AT + 10.0), gate.limit) == (["a"], 2)
    # And as long again, unless somebody comes through.
    assert (gate.widen(AT + 19.9), gate.limit) == ([], 2)
    assert gate.leave(AT + 10.0, AT + 12.0, None) == ["b"]
    assert (gate.widen(AT + 20.0), gate.limit) == ([], 2)
    # That was too much: one of two, as ever.
    assert (gate.leave(AT + 12.0, AT + 22.0, "throttled"), gate.limit) == ([], 1)


def test_a_gate_that_nobody_waits_at_or_that_is_as_wide_as_it_may_be_does_not_grow() -> None:
    gate = throttled(8, 8)
    assert (gate.widen(AT + 60.0), gate.limit) == ([], 1)
    full: Gate[str] = Gate(1, 8)
    assert [full.enter(name, AT) for name in "ab"] == ["enters", "waits"]
    assert (full.widen(AT + 60.0), full.limit) == ([], 1)
    assert full.stalls_at == AT + 70.0


@pytest.mark.parametrize(
    ("seconds", "patience"),
    [
        ([2.0], 6.0),  # a mean of 2, and a spread of 1 at first
        ([2.0] * 40, 2.0),  # as steady as that
        ([0.05] * 40, 1.0),  # the least
        ([1.0, 3.0] * 40, 6.0),  # a mean of 2, from which each lies by 1
    ],
)
def test_patience_is_as_long_as_few_calls_take(seconds: list[float], patience: float) -> None:
    gate: Gate[str] = Gate(8, 8)
    for took in seconds:
        gate.enter("a", AT - took)
        gate.leave(AT - took, AT, "ok")
    gate.enter("a", AT)
    assert gate.stalls_at - AT == pytest.approx(patience, rel=0.1)


def test_the_limit_stays_between_one_and_the_ceiling() -> None:
    gate: Gate[int] = Gate(2, 0)
    for n in range(5):
        gate.enter(n, AT)
        gate.leave(AT + n, AT + n, "throttled")
    assert gate.limit == 1
    for n in range(5, 25):
        gate.enter(n, AT)
        gate.enter(-n, AT)
        for _ in range(gate.running):
            gate.leave(AT + n, AT + n, "ok")
    assert gate.limit == 2


@given(st.integers(1, 64), st.lists(st.sampled_from(["ok", "throttled", None]), min_size=1, max_size=200), st.data())
def test_the_limit_follows_its_rule(ceiling: int, verdicts: list[Any], data: st.DataObject) -> None:
    gate: Gate[int] = Gate(ceiling, 0)
    # Of each that runs: when it began, and whether the gate was full at any time since.
    running: list[list[Any]] = []
    now, since_grown, halved = AT, 0, AT - 1.0
    for verdict in verdicts:
        for _ in range(data.draw(st.integers(0, 3))):
            now += 1.0
            if gate.enter(0, now) == "enters":
                running.append([now, False])
        if not running:
            continue
        now += 1.0
        if len(running) >= gate.limit:
            for one in running:
                one[1] = True
        before, at_once = gate.limit, len(running)
        entered, was_full = running.pop(data.draw(st.integers(0, at_once - 1)))
        gate.leave(entered, now, verdict)
        wanted = before
        if verdict == "throttled" and entered > halved:
            wanted, halved, since_grown = max(1, min(before, at_once) // 2), now, 0
        elif verdict == "ok" and entered > halved and was_full and before < ceiling:
            since_grown += 1
            if since_grown == before:
                wanted, since_grown = min(ceiling, before + max(1, before // 10)), 0
        assert gate.limit == wanted


@given(st.integers(2, 40), st.integers(2, 60), st.integers(60, 600))
def test_it_finds_out_what_a_service_bears(bears: int, callers: int, ceiling: int) -> None:
    """Rounds in which all who may run begin together; what is beyond the service's measure is told so."""
    gate: Gate[int] = Gate(ceiling, callers)
    for n in range(callers):
        gate.enter(n, AT)
    refusals = []
    for turn in range(200):
        running = gate.running
        refusals.append(max(0, running - bears))
        for n in range(running):
            gate.leave(AT + turn, AT + turn + 0.5, "throttled" if n < running - bears else "ok")
        for n in range(running):
            gate.enter((turn + 1) * callers + n, AT + turn + 0.5)
    first = next((n for n, refused in enumerate(refusals) if not refused), None)
    # Halved round by round until it fits, and from then on never more than a step beyond.
    assert first is not None
    assert first <= 6
    assert max(refusals[first:]) <= max(1, bears // 10)
    if callers > bears:
        # It does not stay below what is borne either.
        assert any(refusals[first:])


Doing = Literal["enter", "leave", "give_up", "widen"]


@given(
    st.integers(1, 6),
    st.integers(0, 4),
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "give_up", "widen"]), st.sampled_from(["ok", "throttled", None])),
        max_size=120,
    ),
)
def test_the_gate_keeps_its_bounds_and_loses_nobody(ceiling: int, queue: int, steps: list[tuple[Doing, Any]]) -> None:
    gate: Gate[int] = Gate(ceiling, queue)
    running: list[int] = []
    waiting: list[int] = []
    now = AT
    for member, (doing, verdict) in enumerate(steps):
        now += 1.0 if doing != "widen" else 20.0
        if doing == "enter":
            answer = gate.enter(member, now)
            (running if answer == "enters" else waiting if answer == "waits" else []).append(member)
        elif doing == "leave" and running:
            running.pop()
            entering = gate.leave(now - 0.5, now, verdict)
            assert entering == waiting[: len(entering)]
            running += entering
            del waiting[: len(entering)]
        elif doing == "widen":
            limit = gate.limit
            entering = gate.widen(now)
            # Twenty seconds in which nobody moved: it has grown, if anybody gains by that.
            assert gate.limit == (min(limit + 1, ceiling) if waiting else limit)
            assert entering == waiting[: gate.limit - limit]
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
