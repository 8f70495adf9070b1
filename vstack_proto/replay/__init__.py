"""Tapes: what happened to one exchange and what it asked for, kept, read again and fed to today's code.

An exchange reads nothing but its events, so that a tape of them replays anywhere: in another process, under another
runtime, in a test, without network, clock or model.

    tape = decode(data)
    report = run(tape, service_of(tape.header, patterns))
    for difference in report.differences: ...
"""

from __future__ import annotations

from vstack_proto.replay.differences import ABSENT, Difference, compare
from vstack_proto.replay.recording import TapedExchange
from vstack_proto.replay.redaction import REDACTED, Redaction
from vstack_proto.replay.running import Report, Snapshot, accepted, resumed, run, snapshot, snapshots
from vstack_proto.replay.tape import (
    VERSION,
    End,
    Header,
    Tape,
    TapeError,
    Told,
    Turn,
    decode,
    encode,
    header_of,
    iterate,
    service_of,
    tape_of,
)

__all__ = [
    "ABSENT",
    "REDACTED",
    "VERSION",
    "Difference",
    "End",
    "Header",
    "Redaction",
    "Report",
    "Snapshot",
    "Tape",
    "TapeError",
    "TapedExchange",
    "Told",
    "Turn",
    "accepted",
    "compare",
    "decode",
    "encode",
    "header_of",
    "iterate",
    "resumed",
    "run",
    "service_of",
    "snapshot",
    "snapshots",
    "tape_of",
]
