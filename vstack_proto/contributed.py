"""Routes that another package contributes: what it decides about a request, as pure functions of the exchange.

A contribution takes a body in its own form and says what it asks for: nothing more (``Direct``), or an analysis
(``Asked``). Key, quota, limits, cache, flights, deadline and record are the exchange's, the same as for ``/v1``; what
the caller is told goes through the contribution again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from vstack_proto.catalogue import Catalogue
    from vstack_proto.errors import RemoteProtocolError
    from vstack_proto.policy import Policy
    from vstack_proto.routes import Route

REST = "rest"
"""The surface of the service's own routes."""


class Direct(msgspec.Struct, frozen=True, gc=False):
    """An answer that needs nothing else; ``content_type`` is empty without a body, ``code`` where all is well."""

    status: int
    content_type: str = ""
    body: bytes = b""
    code: str = ""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request that turns out to be an analysis, or one to the learning store.

    Attributes:
        name: What the path of the service's own route would hold: of an analysis a pattern that the catalogue has.
        body: What that route would take; empty where it takes a query.
        context: Whatever the contribution must know when it words the answer; the exchange only keeps it.
        reports: Whether the caller wants to hear of each pass.
        endpoint: Which route that is.
        query: Its query string.
    """

    name: str
    body: bytes
    context: bytes
    reports: bool = False
    endpoint: Literal["analyze", "learnings", "outcomes", "record_learning", "report_outcome"] = "analyze"
    query: str = ""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """How a refusal is told: an HTTP status and a body with its type."""

    status: int
    content_type: str
    body: bytes


class Contribution(Protocol):
    """What serves a contributed route: pure, and shared by all exchanges of a process.

    Attributes:
        surface: Its name in metrics and records, such as ``mcp``.
    """

    surface: str

    def check(self, fields: Mapping[str, str]) -> bytes:
        """Refuse what the head alone shows to be wrong.

        Args:
            fields: Header fields by lower-case name, without what proves who calls.

        Returns:
            As much of a context as the head shows; empty for none.

        Raises:
            RemoteProtocolError: The refusal.
        """
        ...

    def open(self, fields: Mapping[str, str], body: bytes) -> Direct | Asked:
        """Take a whole body.

        Raises:
            RemoteProtocolError: The refusal.
        """
        ...

    def progress(self, context: bytes, number: int, passes: int, pattern: str) -> bytes:
        """What a caller is told as pass ``number`` (from 1) of ``passes`` begins: a part of a stream."""
        ...

    def answer(self, context: bytes, body: bytes) -> bytes:
        """An answer in the contribution's form; ``body`` is what the service's own route answers."""
        ...

    def refusal(self, context: bytes, refused: RemoteProtocolError, request_id: str) -> Refusal:
        """A refusal in the contribution's form; before the body is opened, ``context`` is what ``check`` gave."""
        ...

    def part(self, body: bytes) -> bytes:
        """An answer or refusal as the last part of a stream."""
        ...

    def describe(self) -> dict[str, Any]:
        """Description, request body and responses of the route, for the OpenAPI document."""
        ...


Contribute = Callable[["Catalogue", "Policy"], Iterable["Route"]]
"""What an entry point of the group ``vstack.routes`` names: makes the routes for one service."""
