"""What must not reach a tape is taken out of the events; what follows from them is then worked out anew.

So a redacted tape replays like any other: it tells what the service would have done had the caller sent the
placeholders.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from vstack_proto.commands import CheckKey
from vstack_proto.encoding import BodyDecoder
from vstack_proto.errors import LocalProtocolError, RemoteProtocolError
from vstack_proto.events import Answered, BodyReceived, ExchangeEvent, FramingRefused, HeadReceived
from vstack_proto.exchange import Exchange
from vstack_proto.framing import Head
from vstack_proto.replay.tape import Told
from vstack_proto.service import Service

REDACTED = "[redacted]"

# Names of header fields and query parameters that hold proofs of who somebody is, whatever a service calls them.
_SECRET = re.compile(r"auth|token|secret|passw|cookie|session|credential|signature|api.?key|^key$", re.IGNORECASE)
# What a caller sent, as a message quotes it.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# A shorter text stands in too many places by chance.
_MIN_SCRUBBED = 4

Log = Sequence[tuple[ExchangeEvent, Told]]


class Redaction:
    """Takes secrets out of logs.

    The digest of a key, and header fields and query parameters whose name says that they are secret, always go.
    """

    def __init__(self, names: Iterable[str] = (), *, max_body_bytes: int = 1 << 30) -> None:
        """
        Args:
            names: Header fields, and members of the JSON in bodies at any depth, that go as well. The texts that stood
                there are taken out of model answers and stored detections too.
            max_body_bytes: What a compressed body may decode to.
        """
        self._names = frozenset(name.lower() for name in names)
        self._max_body_bytes = max_body_bytes

    def applied(self, service: Service, log: Log) -> list[tuple[ExchangeEvent, Told]]:
        """A log without secrets.

        Args:
            service: That of the exchange.
            log: Events and what each led to; it stays as it is.
        """
        events = [event for event, _ in log]
        clean = self._without(events)
        if clean is None:
            return [(_bare(event), _unkeyed(told)) for event, told in log]
        return _rerun(service, clean)

    def _without(self, events: list[ExchangeEvent]) -> list[ExchangeEvent] | None:
        """The events without what must go; None where nothing but the key's digest must."""
        found: set[str] = set()
        clean = [self._head(event, found) for event in events]
        if self._names:
            clean = self._bodies(clean, found)
        texts = sorted((text for text in found if len(text) >= _MIN_SCRUBBED), key=len, reverse=True)
        if texts:
            scrub = _Scrubbing(texts)
            clean = [scrub.value(event) if isinstance(event, Answered) else event for event in clean]
        if len(clean) == len(events) and all(one is other for one, other in zip(clean, events, strict=True)):
            return None
        return [_bare(event) for event in clean]

    def _head(self, event: ExchangeEvent, found: set[str]) -> ExchangeEvent:
        if isinstance(event, FramingRefused):
            message = _QUOTED.sub(f"'{REDACTED}'", event.message)
            return event if message == event.message else msgspec.structs.replace(event, message=message)
        if not isinstance(event, HeadReceived):
            return event
        head = event.head
        fields = {name: REDACTED if self._is_secret(name) else value for name, value in head.fields.items()}
        query = self._query(head.query, found)
        if fields == head.fields and query == head.query:
            return event
        found.update(value for name, value in head.fields.items() if fields[name] != value)
        return msgspec.structs.replace(event, head=msgspec.structs.replace(head, fields=fields, query=query))

    def _is_secret(self, name: str) -> bool:
        return name in self._names or _sounds_secret(name)

    def _query(self, query: str, found: set[str]) -> str:
        parts = []
        for part in query.split("&"):
            name, equals, value = part.partition("=")
            if equals and self._is_secret(name.lower()):
                found.update((value, *(text for _, text in parse_qsl(part))))
                value = REDACTED
            parts.append(f"{name}{equals}{value}")
        return "&".join(parts)

    def _bodies(self, events: list[ExchangeEvent], found: set[str]) -> list[ExchangeEvent]:
        """The events with one body in the place of its parts, in clear and without what must go."""
        parts = [number for number, event in enumerate(events) if isinstance(event, BodyReceived)]
        if not parts:
            return events
        data = b"".join(event.data for event in events if isinstance(event, BodyReceived))
        heads = {number: event for number, event in enumerate(events) if isinstance(event, HeadReceived)}
        coding = "".join(event.head.fields.get("content-encoding", "") for event in heads.values()).strip().lower()
        body = self._body(data, coding, found)
        if body == data:
            return events
        clean = list(events)
        clean[parts[-1]] = msgspec.structs.replace(events[parts[-1]], data=body)
        for number, event in heads.items():
            clean[number] = msgspec.structs.replace(event, head=_resized(event.head, len(body)))
        return [event for number, event in enumerate(clean) if number not in parts[:-1]]

    def _body(self, data: bytes, coding: str, found: set[str]) -> bytes:
        """A body without what must go; one that cannot be read goes as a whole."""
        try:
            clear = data
            if coding in ("gzip", "zstd"):
                decoder = BodyDecoder(coding, self._max_body_bytes)
                clear = decoder.decode(data)
                decoder.finish()
            document = msgspec.json.decode(clear)
        except (RemoteProtocolError, msgspec.MsgspecError, UnicodeError, RecursionError):
            return msgspec.json.encode(REDACTED)
        clean = self._members(document, found)
        return data if clean == document else msgspec.json.encode(clean)

    def _members(self, value: Any, found: set[str]) -> Any:
        if isinstance(value, list):
            return [self._members(item, found) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: _blank(item, found) if name.lower() in self._names else self._members(item, found)
            for name, item in value.items()
        }


# Callers choose the names, and mostly the same ones.
@functools.lru_cache(maxsize=1024)
def _sounds_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _blank(value: Any, found: set[str]) -> Any:
    """A value of the same form that tells nothing."""
    if isinstance(value, str):
        found.add(value)
        return REDACTED
    if isinstance(value, list):
        return [_blank(item, found) for item in value]
    if isinstance(value, dict):
        return {name: _blank(item, found) for name, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        found.add(str(value))
        return 0
    return value


def _resized(head: Head, length: int) -> Head:
    fields = {name: value for name, value in head.fields.items() if name != "content-encoding"}
    if head.content_length is None:
        return msgspec.structs.replace(head, fields=fields)
    return msgspec.structs.replace(head, content_length=length, fields=fields | {"content-length": str(length)})


def _bare(event: Any) -> Any:
    """An event without the digest of a key."""
    if isinstance(event, HeadReceived) and event.credential is not None:
        return msgspec.structs.replace(event, credential=REDACTED)
    return event


def _unkeyed(told: Told) -> Told:
    if isinstance(told, str):
        return told
    return tuple(
        msgspec.structs.replace(one, credential=REDACTED) if isinstance(one, CheckKey) and one.credential else one
        for one in told
    )


def _rerun(service: Service, events: list[ExchangeEvent]) -> list[tuple[ExchangeEvent, Told]]:
    """What these events lead to; what an exchange does not take any more is left out."""
    exchange = Exchange(service)
    log: list[tuple[ExchangeEvent, Told]] = []
    for event in events:
        try:
            log.append((event, exchange.handle(event)))
        except LocalProtocolError:
            continue
        except Exception as error:
            log.append((event, type(error).__name__))
    return log


class _Scrubbing:
    """Takes texts out of whatever holds them."""

    def __init__(self, texts: Iterable[str]) -> None:
        # As it is, and as JSON may spell it.
        forms = ((text, msgspec.json.encode(text).decode()[1:-1], json.dumps(text)[1:-1]) for text in texts)
        self._texts = [form for spelt in forms for form in spelt]

    def value(self, value: Any) -> Any:
        """The value without the texts; the very same where it has none of them."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes):
            text = value.decode("latin-1")
            clean = self._text(text, "latin-1")
            return value if clean == text else clean.encode("latin-1")
        if isinstance(value, list | tuple):
            items = [self.value(item) for item in value]
            same = all(one is other for one, other in zip(items, value, strict=True))
            return value if same else type(value)(items)
        if isinstance(value, dict):
            return {name: self.value(item) for name, item in value.items()}
        if isinstance(value, msgspec.Struct):
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            clean_fields = {name: self.value(item) for name, item in fields.items()}
            changed = {name: item for name, item in clean_fields.items() if item is not fields[name]}
            return msgspec.structs.replace(value, **changed) if changed else value
        return value

    def _text(self, text: str, coding: str = "") -> str:
        for form in self._texts:
            # Bytes are searched as latin-1, where any byte is a character: the form must be spelt the same way.
            wanted = form.encode().decode(coding) if coding else form
            if wanted in text:
                text = text.replace(wanted, REDACTED)
        return text
