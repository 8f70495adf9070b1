"""Where the bytes of strangers enter, as targets for atheris: ``python -m tests.fuzz.entries TARGET FOLDER [flags]``.

``wire`` is a connection, ``json`` the body of an analysis, ``mcp`` a session over stdio. Inputs that taught something
stay in FOLDER; the first ones come from the corpora of the tests. The flags are libFuzzer's: ``-max_total_time=3600``.
What breaks a target is written to the working directory, and the exit code is not 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # it has none

with atheris.instrument_imports(include=["vstack_proto", "vstack_mcp", "h11"]):
    from tests.mcp.everything import EXTRAS
    from tests.mcp.test_session import ABOUT, offer
    from tests.proto.last_word import PATTERN
    from tests.proto.peer import Line, answers_in, request
    from tests.wire.corpus import CASES
    from vstack_mcp.methods import OFFERED
    from vstack_mcp.session import BytesReceived, SendLine, Session
    from vstack_proto.commands import Record
    from vstack_proto.errors import RemoteProtocolError
    from vstack_proto.limits import Limits, check_body, check_trace
    from vstack_proto.testing import make_service
    from vstack_proto.trace import CanonicalTrace
    from vstack_proto.validation import decode_envelope, decode_trace, unknown_fields
    from vstack_proto.wire_out import CONTINUE

SERVICE = make_service(PATTERN)
LIMITS = Limits()


def wire(data: bytes) -> None:
    """However bytes are cut, the same goes back, and it is answers to the last byte."""
    size = max(data[0] % 16 + 1 if data else 1, len(data) // 32)
    whole, cut = Line(SERVICE), Line(SERVICE)
    whole.receive(*filter(None, (data[1:],)))
    cut.receive(*(data[at : at + size] for at in range(1, len(data), size)))
    # Whether the body is here already decides on a 100.
    sent = [line.sent.replace(CONTINUE, b"") for line in (whole, cut)]
    assert sent[0] == sent[1], sent
    answers_in(sent[0], [one.method for one in whole.told if isinstance(one, Record)])


def body(data: bytes) -> None:
    """A body is taken apart or refused; what is taken is JSON to another reader too."""
    try:
        check_body(data, LIMITS)
        envelope = decode_envelope(data)
        trace = decode_trace(envelope.trace_raw, CanonicalTrace, LIMITS)
        check_trace(trace, LIMITS)
        unknown_fields(envelope.trace_raw, CanonicalTrace)
    except RemoteProtocolError as refusal:
        if refusal.status not in (400, 413):
            raise
        return
    json.loads(data.decode())


def mcp(data: bytes) -> None:
    """Every line that comes back is one message."""
    session = Session(ABOUT, 1_000)
    session.serve(offer(EXTRAS), 1_000)
    for command in session.handle(BytesReceived(data + b"\n")):
        if isinstance(command, SendLine):
            assert b"\n" not in command.data
            assert json.loads(command.data.decode())["jsonrpc"] == "2.0"


TRACE = {"goal": "g", "steps": [{"agent": "a", "type": "message", "content": "é", "index": 0}], "outcome": "o"}


def _bodies() -> Iterable[bytes]:
    whole = {**TRACE, "success": True}
    for told in ({"trace": whole, "format": "canonical", "mode": "quick"}, whole, {"trace": {**whole, "steps": [1]}}):
        yield json.dumps(told).encode()
    yield from (b'{"trace":{"x":"\\ud83d\\ude00"}}', b"[1e-300,-0.5,NaN]", b'{"a":[{}],"b":null}')


def _messages() -> Iterable[bytes]:
    for method in OFFERED:
        params = {"name": "vstack_last_word", "arguments": {"trace": TRACE}, "uri": "vstack://patterns/index"}
        yield json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def _requests() -> Iterable[bytes]:
    for case in CASES:
        yield b"\x00" + case.data
    yield b"\x05" + request("POST", "/v1/analyze/last_word", body=b'{"trace":{}}') + request("GET", "/livez")


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Iterable[bytes]]]] = {
    "wire": (wire, _requests),
    "json": (body, _bodies),
    "mcp": (mcp, _messages),
}


def main(name: str, folder: str, *flags: str) -> None:
    """Plant the first inputs, and fuzz."""
    target, first = TARGETS[name]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(first()):
        Path(folder, f"first-{number}").write_bytes(data)
    atheris.Setup([sys.argv[0], *flags, folder], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
