"""The pages under docs/ against the code: tables that must agree, and links that must lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from vstack_proto import commands as vocabulary
from vstack_proto.auth import KeyTable
from vstack_proto.commands import AnyCommand, ArmDeadline, ReadBody
from vstack_proto.events import BodyReceived, ExchangeEvent
from vstack_proto.exchange import Exchange
from vstack_proto.intake import checked_head
from vstack_proto.openapi_errors import ERRORS
from vstack_proto.patterns.common import Severity
from vstack_proto.routes import ROUTES
from vstack_runtime.backends import ModelReply
from vstack_runtime.engine import Engine, installed_patterns
from vstack_runtime.performer import LATER, Performer
from vstack_runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows(page: str, first: str) -> list[list[str]]:
    """The rows of the table on a page whose header begins with ``first``."""
    found: list[list[str]] = []
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"| {first} |") and lines[number + 1].startswith("|---|"):
            for row in lines[number + 2 :]:
                if not row.startswith("|"):
                    break
                found.append([cell.strip() for cell in row.strip("|").split("|")])
            return found
    raise AssertionError(f"no table in {page} begins with {first}")


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# The user guide.


class Watched(Mapping[str, str]):
    """An environment that remembers what is asked of it."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


SETTINGS = [(spans(row[0])[0], row[1], row[2]) for row in rows("http.md", "variable")]


def test_the_page_lists_every_variable_that_is_read_and_no_other() -> None:
    watched = Watched()
    Settings.from_env(watched)
    names = [name for name, _, _ in SETTINGS]
    assert sorted(names) == sorted(watched.asked)


def comparable(settings: Settings) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(settings, name) for name in settings.__struct_fields__}
    assert isinstance(fields["keys"], KeyTable)
    return fields | {"keys": fields["keys"].names}


@pytest.mark.parametrize(("name", "default"), [(name, default) for name, default, _ in SETTINGS if spans(default)])
def test_the_default_on_the_page_is_the_default(name: str, default: str) -> None:
    (value,) = spans(default)
    assert comparable(Settings.from_env({name: value})) == comparable(Settings.from_env({}))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, _, cell in SETTINGS for value in spans(cell)])
def test_each_value_on_the_page_is_allowed(name: str, value: str) -> None:
    assert Settings.from_env({name: value}).warnings in (
        (),
        (f"{name} is on and no key is configured: nobody is let in",),
    )


def test_the_page_lists_every_endpoint() -> None:
    told = {(*spans(row[0])[0].split(" "), row[1]) for row in rows("http.md", "method and path")}
    assert told == {(route.method, route.path, "no" if route.public else "yes") for route in ROUTES}


def test_the_page_lists_every_error() -> None:
    told = [(int(row[0]), *spans(row[1])) for row in rows("http.md", "status")]
    assert told == [(row.status, row.code) for row in ERRORS]


# Patterns.


def test_the_page_lists_every_pattern_and_the_scale() -> None:
    assert {spans(row[0])[0] for row in rows("patterns.md", "name")} == {one.name for one in installed_patterns()}
    told = {name: cell for row in rows("patterns.md", "field") for name in spans(row[0]) for cell in row[1:]}
    assert spans(told["severity"]) == list(get_args(Severity))
    for pattern in installed_patterns():
        lacks = set(told) - set(pattern.detection.__struct_fields__) - {"for", "aar"}
        assert lacks <= LACKING.get(pattern.name, {"next_steps"}), pattern.name


# Which of the common fields a pattern's contract does not have.
LACKING = {
    "aar": {"interventions"},
    "goleman_ei": {"next_steps", "severity"},
    "lewin": {"next_steps", "severity", "profile_pattern"},
    "thomas_kilmann": {"next_steps", "interventions"},
}


# Architecture.


class NoModel:
    """A provider that is never reached: the walk ends where it would be asked."""

    name = default_model = "model"

    async def ask(self, request: Any, timeout: float) -> ModelReply:  # noqa: ASYNC109 - as the protocol has it
        raise AssertionError("nobody asks")


class Walk:
    """One exchange over the real performer, and what each of its events led to."""

    def __init__(self) -> None:
        settings = Settings.from_env(
            {"VSTACK_API_KEYS": f"a={'k' * 24}", "VSTACK_CACHE": "memory", "VSTACK_API_RATE_LIMIT": "5/60"}
        )
        engine = Engine(settings, provider=NoModel())
        self.performer = Performer(engine, lambda: 10_000.0)
        self.exchange = Exchange(engine.service)
        self.seen: list[tuple[str, list[str]]] = []

    def tell(self, event: ExchangeEvent) -> None:
        commands: tuple[AnyCommand, ...] = self.exchange.handle(event)
        self.seen.append((type(event).__name__, [type(one).__name__ for one in commands]))
        for one in commands:
            if not isinstance(one, ArmDeadline | ReadBody):
                answer = self.performer.perform_now(one, self, 10_000.0)
                if answer is not None and answer is not LATER:
                    self.tell(answer)  # type: ignore[arg-type]


def test_a_request_walks_through_as_the_page_says() -> None:
    body = b'{"format": "canonical", "trace": %s}' % (ROOT / "examples/traces/failed_refund_report.json").read_bytes()
    headers = (("host", "h"), ("x-api-key", "k" * 24), ("content-length", str(len(body))))
    walk = Walk()
    walk.tell(
        checked_head(
            at=10_000.0,
            wall=0.0,
            request_id="req_1",
            peer="192.0.2.1",
            scheme="http",
            method="POST",
            target="/v1/analyze/aar",
            headers=headers,
            http_version="1.1",
        )
    )
    walk.tell(BodyReceived(at=10_000.0, data=body, last=True))
    known = {name for name in vars(vocabulary) if isinstance(vars(vocabulary)[name], type)}
    told = [
        (spans(row[0]), [name for name in spans(row[1]) if name in known]) for row in rows("architecture.md", "event")
    ]
    assert [event for events, _ in told[:-1] for event in events] == [event for event, _ in walk.seen]
    by_row = iter(walk.seen)
    for events, expected in told[:-1]:
        done = [name for _ in events for name in next(by_row)[1]]
        # Deadlines move with every byte; the page names the first.
        assert [name for name in done if name != ArmDeadline.__name__ or name in expected] == expected


# All pages.


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link
