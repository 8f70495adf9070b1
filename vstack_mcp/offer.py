"""What a service offers over MCP, and the answers that follow from it: pure, shared by all sessions of a process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vstack_mcp import completion, progress, prompts, resources, tools
from vstack_mcp.context import Context, member, text_of
from vstack_mcp.learnings import Wanted
from vstack_mcp.learnings import tools as learning_tools
from vstack_mcp.messages import Params, Request, result, shown
from vstack_mcp.opening import TTL_MS, About, completed
from vstack_mcp.pagination import PAGE_SIZE, page
from vstack_mcp.prompts import LocalPrompt
from vstack_mcp.resources import LocalResource, LocalTemplate
from vstack_mcp.revisions import INVALID_PARAMS, RESOURCE_NOT_FOUND, ProtocolFault
from vstack_mcp.tools import LocalTool
from vstack_proto.catalogue import Catalogue
from vstack_proto.contributed import Asked
from vstack_proto.limits import MAX_STRING_CHARS, Limits
from vstack_proto.patterns.common import MODES

# As long as addresses get in practice. It stands in the answer again.
MAX_URI_CHARS = 2_048


class Extras(msgspec.Struct, frozen=True):
    """What a package of one's own adds to the patterns; all of it answers at once.

    Attributes:
        completions: Words for the variables of those templates and the arguments of those prompts, by their name.
    """

    tools: tuple[LocalTool, ...] = ()
    resources: tuple[LocalResource, ...] = ()
    templates: tuple[LocalTemplate, ...] = ()
    prompts: tuple[LocalPrompt, ...] = ()
    completions: dict[str, tuple[str, ...]] = {}


class Done(msgspec.Struct, frozen=True):
    """A result, and the notifications that go before it."""

    result: dict[str, Any]
    told: tuple[bytes, ...] = ()

    def frames(self, context: Context, about: About) -> tuple[bytes, ...]:
        """The messages that tell it, the answer last."""
        return (*self.told, result(context.id, completed(self.result, context, about)))


class Call(msgspec.Struct, frozen=True):
    """An analysis, whose ``arguments`` are what ``POST /v1/analyze/{pattern}`` takes; or a word to the learnings."""

    pattern: str
    arguments: bytes
    learning: Wanted | None = None

    def asked(self, context: Context, *, streams: bool) -> Asked:
        """The same as the exchange wants it; ``streams``: whether anything can be told before the answer."""
        wanted = self.learning
        if wanted is None:
            return Asked(self.pattern, self.arguments, context.kept(), streams and progress.wanted(context))
        return Asked(wanted.name, wanted.body, context.kept(), endpoint=wanted.endpoint, query=wanted.query)

    def frames(self, context: Context, about: About) -> None:
        """None: there is nothing to tell yet."""


class Offer:
    """Tools, resources, prompts and completions of one catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        about: About,
        extras: Extras | None = None,
        *,
        learnings: bool = False,
        size: int = PAGE_SIZE,
        limits: Limits | None = None,
    ) -> None:
        """
        Args:
            catalogue: The patterns.
            about: Who serves.
            extras: What is offered besides.
            learnings: Whether there is a store of them.
            size: Of a page of a list.
            limits: Of the service: how long a text of a prompt may be.
        """
        self.catalogue = catalogue
        self.about = about
        self._extras = extras = extras or Extras()
        self._size = size
        self._limits = limits or Limits()
        self._tools = {one.listing["name"]: one for one in extras.tools}
        self._learnings = {one.listing["name"]: one for one in (learning_tools() if learnings else ())}
        self._resources = {one.listing["uri"]: one for one in extras.resources}
        made = (prompts.pick(catalogue), *map(prompts.invoke, catalogue.patterns.values()), *extras.prompts)
        self._prompts = {one.listing["name"]: one for one in made}

    @functools.cached_property
    def tools(self) -> list[dict[str, Any]]:
        """Every tool, as it is listed."""
        own = [tools.listed(pattern) for pattern in self.catalogue.patterns.values()]
        kept = [one.listing for one in self._learnings.values()]
        return [*own, *kept, *(one.listing for one in self._extras.tools)]

    @functools.cached_property
    def resources(self) -> list[dict[str, Any]]:
        """Every resource, as it is listed."""
        own = [one for pattern in self.catalogue.patterns.values() for one in resources.pages(pattern)]
        return [resources.index(), *own, *(one.listing for one in self._extras.resources)]

    @functools.cached_property
    def templates(self) -> list[dict[str, Any]]:
        """Every template, as it is listed."""
        return [*resources.templates(), *(one.listing for one in self._extras.templates)]

    @functools.cached_property
    def prompts(self) -> list[dict[str, Any]]:
        """Every prompt, as it is listed."""
        return [one.listing for one in self._prompts.values()]

    def respond(self, request: Request, context: Context) -> Done | Call:
        """Answer a request of one of ``methods.OFFERED``, or say which analysis it asks for.

        Raises:
            ProtocolFault: The request cannot be served.
        """
        method, params = request.method, request.params
        if method == "tools/call":
            return self._call(params, context)
        if method == "prompts/get":
            return Done(self._prompt(params))
        if method == "completion/complete":
            return Done(self._complete(params))
        told = self._read(params, context) if method == "resources/read" else self._list(method, params)
        return Done({**told, "ttlMs": TTL_MS, "cacheScope": "private"} if context.modern else told)

    def _list(self, method: str, params: Params) -> dict[str, Any]:
        lists: dict[str, tuple[str, Callable[[], list[dict[str, Any]]]]] = {
            "tools/list": ("tools", lambda: self.tools),
            "resources/list": ("resources", lambda: self.resources),
            "resources/templates/list": ("resourceTemplates", lambda: self.templates),
            "prompts/list": ("prompts", lambda: self.prompts),
        }
        name, items = lists[method]
        cursor = text_of(params, "cursor") if "cursor" in params else None
        listed, following = page(items(), cursor, self._size)
        return {name: listed, "nextCursor": following} if following is not None else {name: listed}

    def _call(self, params: Params, context: Context) -> Done | Call:
        name = text_of(params, "name")
        raw = params.get("arguments", _NOTHING)
        if bytes(raw) == b"null":
            raw = _NOTHING  # there are clients that say so what they leave out
        local = self._tools.get(name)
        if local is not None:
            outcome = local.run(member(raw, dict[str, Any], "params.arguments", "an object"), context)
            return Done(outcome.result, tuple(one for told in outcome.told for one in _told(told, context)))
        if name in self._learnings:
            return Call("", b"", self._learnings[name].wanted(bytes(raw)))
        pattern = name.removeprefix(tools.PREFIX)
        if not name.startswith(tools.PREFIX) or pattern not in self.catalogue.patterns:
            raise ProtocolFault(INVALID_PARAMS, f"there is no tool {shown(name)!r}; tools/list tells which there are")
        arguments = bytes(raw)
        if not arguments.startswith(b"{"):
            raise ProtocolFault(INVALID_PARAMS, "params.arguments must be an object")
        return Call(pattern, arguments)

    def _read(self, params: Params, context: Context) -> dict[str, Any]:
        uri = text_of(params, "uri")
        found = self._found(uri) if len(uri) <= MAX_URI_CHARS else None
        if found is None:
            code = INVALID_PARAMS if context.modern else RESOURCE_NOT_FOUND
            told = "there is no such resource; resources/list tells which there are"
            raise ProtocolFault(code, told, {"uri": shown(uri)})
        return {"contents": [{"uri": uri, **found}]}

    def _found(self, uri: str) -> dict[str, Any] | None:
        if uri in self._resources:
            return self._resources[uri].contents
        kinds = (one.read(uri) for one in self._extras.templates)
        return next((found for found in kinds if found is not None), resources.read(self.catalogue, uri))

    def _prompt(self, params: Params) -> dict[str, Any]:
        name = text_of(params, "name")
        if name not in self._prompts:
            raise ProtocolFault(INVALID_PARAMS, f"there is no prompt {shown(name)!r}; prompts/list tells which")
        given: dict[str, str] = {}
        if "arguments" in params:
            given = member(params["arguments"], dict[str, str], "params.arguments", "an object of strings")
        most = self._limits.max_string_chars
        for argument, text in given.items():
            if len(text) > most:
                told = f"argument {shown(argument)} has {len(text)} characters; the limit is {most}"
                raise ProtocolFault(INVALID_PARAMS, f"{told} ({MAX_STRING_CHARS} raises it)")
        return prompts.got(self._prompts[name], given)

    def _complete(self, params: Params) -> dict[str, Any]:
        ref = member(params.get("ref", msgspec.Raw(b"null")), _Ref, "params.ref", "a reference to a prompt or resource")
        asked = member(params.get("argument", msgspec.Raw(b"null")), _Argument, "params.argument", "{name, value}")
        words: Sequence[str] = self._extras.completions.get(asked.name, ())
        if isinstance(ref, _PromptRef):
            if ref.name not in self._prompts:
                raise ProtocolFault(INVALID_PARAMS, f"there is no prompt {shown(ref.name)!r}")
            words = MODES if asked.name == "mode" else words
        else:
            if ref.uri not in [one["uriTemplate"] for one in self.templates]:
                raise ProtocolFault(INVALID_PARAMS, f"there is no resource template {shown(ref.uri)!r}")
            words = tuple(self.catalogue.patterns) if asked.name == "name" else words
        return completion.completed(words, asked.value)


_NOTHING = msgspec.Raw(b"{}")


class _PromptRef(msgspec.Struct, tag="ref/prompt"):
    name: str


class _ResourceRef(msgspec.Struct, tag="ref/resource"):
    uri: str


_Ref = _PromptRef | _ResourceRef


class _Argument(msgspec.Struct):
    name: str
    value: str


def _told(told: tools.Progressed | tools.Said, context: Context) -> tuple[bytes, ...]:
    if isinstance(told, tools.Said):
        return progress.logged(context, told.level, told.data)
    return progress.progressed(context, told.progress, told.total, told.message)
