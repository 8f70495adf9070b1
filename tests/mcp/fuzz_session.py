"""Coverage-guided fuzzing of a session and of the route: ``python tests/mcp/fuzz_session.py [-max_total_time=60]``.

Stops at the first input that raises, or that is answered by what is no message.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["vstack_mcp"]):
    from tests.mcp.test_fuzz import SERVED, fed
    from tests.mcp.test_session import ABOUT, offer
    from vstack_mcp.session import BytesReceived, Session

FIELDS = ("accept", "host", "origin", "mcp-protocol-version", "mcp-method", "mcp-name")


def one_input(data: bytes) -> None:
    """The first byte chooses the transport; fields of a head come before the first empty line."""
    if data[:1] < b"\x80":
        made = Session(ABOUT, 10_000)
        made.serve(offer(), 10_000)
        for line in data[1:].split(b"\x00"):
            fed(made, BytesReceived(line))
        return
    head, _, body = data[1:].partition(b"\n\n")
    values = head.decode("latin-1").split("\n")
    SERVED.open(dict(zip(FIELDS, values, strict=False)), body)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
