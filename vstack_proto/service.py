"""What all exchanges of a process share, and none of them changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from html import escape
from typing import Any, Literal

import msgspec

from vstack_proto.catalogue import AnyPattern, Catalogue, Document, document
from vstack_proto.contributed import Contribute
from vstack_proto.docs_page import HERE, docs_page
from vstack_proto.openapi import AT_ROOT, openapi
from vstack_proto.policy import Policy
from vstack_proto.routes import ROUTES, Route, RouteTable

# Each is a document of a megabyte; an application mounts the service at one place, or at a few.
MAX_MOUNTED = 8


class Service:
    """A policy, the patterns, and the routes; the documents that follow from them are made on first use."""

    def __init__(
        self,
        policy: Policy,
        patterns: Iterable[AnyPattern],
        routes: Iterable[Route] = ROUTES,
        contributed: Iterable[Contribute] = (),
    ) -> None:
        """
        Args:
            policy: The decisions of the operator.
            patterns: The patterns to offer.
            routes: The route table.
            contributed: What other packages add to it.
        """
        self.policy = policy
        self.catalogue = Catalogue(patterns)
        more = [route for contribute in contributed for route in contribute(self.catalogue, policy)]
        self.routes = RouteTable((*routes, *more))
        self.health = document(
            msgspec.json.encode(
                {"status": "ok", "server": "vstack-api", "version": policy.version, "patterns": len(self.catalogue)}
            )
        )
        # Makes exchanges of another kind, such as ones that are taped; see ``vstack_proto.exchange.new_exchange``.
        self.exchanges: Callable[[Service], Any] | None = None
        self._documents: dict[str, Document] = {}
        self._mounted = functools.lru_cache(maxsize=MAX_MOUNTED)(self._moved)

    @property
    def openapi(self) -> Document:
        """The OpenAPI document."""
        if "openapi" not in self._documents:
            described = openapi(self.routes.routes, self.catalogue.patterns.values(), self.policy.version)
            self._documents["openapi"] = document(msgspec.json.encode(described))
        return self._documents["openapi"]

    @property
    def docs(self) -> Document:
        """The same for people: a page that needs nothing from any other host."""
        if "docs" not in self._documents:
            page = docs_page(msgspec.json.decode(self.openapi.body))
            self._documents["docs"] = document(page.encode(), "text/html; charset=utf-8")
        return self._documents["docs"]

    def mounted(self, name: Literal["openapi", "docs"], root: str) -> Document:
        """A document for the place at which a host application has mounted the service.

        Args:
            name: Which.
            root: The path of that place, percent-encoded; empty where it is none.
        """
        if root:
            return self._mounted(name, root)
        return self.openapi if name == "openapi" else self.docs

    def _moved(self, name: Literal["openapi", "docs"], root: str) -> Document:
        # One replacement each: to write the whole document anew takes a tenth of a second.
        if name == "openapi":
            old, new = (b'"servers":' + msgspec.json.encode([{"url": url}]) for url in (AT_ROOT, root))
            return document(self.openapi.body.replace(old, new, 1))
        here = escape(HERE)
        page = self.docs
        return document(page.body.replace(here.encode(), f"{here}{escape(root)}".encode()), page.content_type)
