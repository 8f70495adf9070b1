"""Single flight: one leads, the others wait, and nobody is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.flights import Flights


def test_one_leads_and_the_others_hear_of_it() -> None:
    flights: Flights[str] = Flights(10)
    assert [flights.join("k", name) for name in "abc"] == ["leads", "follows", "follows"]
    assert flights.join("other", "a") == "leads"
    assert len(flights) == 2
    assert [flights.leader(key) for key in ("k", "other", "none")] == ["a", "a", None]
    assert flights.land("k", "a") == ["b", "c"]
    assert len(flights) == 1
    assert flights.join("k", "d") == "leads"


def test_who_follows_can_be_told_before_the_end() -> None:
    flights: Flights[str] = Flights(10)
    for name in "abc":
        flights.join("k", name)
    assert flights.followers("k") == ["b", "c"]
    assert flights.leave("k", "a") == "b"
    assert flights.followers("k") == ["c"]
    assert flights.followers("none") == []


def test_only_its_leader_lands_a_flight() -> None:
    flights: Flights[str] = Flights(10)
    for name in "ab":
        flights.join("k", name)
    assert flights.land("k", "b") == []
    assert flights.land("none", "a") == []
    assert flights.land("k", "a") == ["b"]
    assert flights.land("k", "a") == []


def test_who_waited_longest_leads_when_the_leader_leaves() -> None:
    flights: Flights[str] = Flights(10)
    for name in "abcd":
        flights.join("k", name)
    assert flights.leave("k", "c") is None
    assert flights.leave("k", "a") == "b"
    assert flights.leave("k", "a") is None
    assert flights.land("k", "b") == ["d"]


def test_the_last_to_leave_ends_the_flight() -> None:
    flights: Flights[str] = Flights(10)
    flights.join("k", "a")
    assert flights.leave("none", "a") is None
    assert flights.leave("k", "a") is None
    assert len(flights) == 0


def test_one_flight_too_many_is_refused_but_who_follows_is_welcome() -> None:
    flights: Flights[str] = Flights(1)
    assert [flights.join(key, name) for key, name in (("k", "a"), ("l", "b"), ("k", "c"))] == [
        "leads",
        "refused",
        "follows",
    ]
    assert flights.leave("l", "b") is None
    flights.land("k", "a")
    assert flights.join("l", "b") == "leads"


MOVES = st.lists(st.tuples(st.sampled_from(("join", "land", "leave")), st.sampled_from("kl"), st.integers(0, 4)))


@given(MOVES)
def test_each_flight_has_one_leader_and_each_follower_hears_once(moves: list[tuple[str, str, int]]) -> None:
    flights: Flights[int] = Flights(2)
    leader: dict[str, int] = {}
    waiting: dict[str, list[int]] = {"k": [], "l": []}
    for move, key, member in moves:
        aboard = member in waiting[key] or leader.get(key) == member
        if move == "join" and not aboard:
            role = flights.join(key, member)
            assert role == ("follows" if key in leader else "leads")
            if role == "leads":
                leader[key] = member
            else:
                waiting[key].append(member)
        elif move == "land":
            told = flights.land(key, member)
            assert told == (waiting[key] if leader.get(key) == member else [])
            if leader.get(key) == member:
                del leader[key]
                waiting[key] = []
        elif move == "leave":
            heir = flights.leave(key, member)
            if leader.get(key) == member:
                assert heir == (waiting[key][0] if waiting[key] else None)
                del leader[key]
                if heir is not None:
                    leader[key] = waiting[key].pop(0)
            else:
                assert heir is None
                if aboard:
                    waiting[key].remove(member)
        assert len(flights) == len(leader)
