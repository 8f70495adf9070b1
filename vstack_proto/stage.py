"""What a connection is doing, between its exchanges and in them, and how much of it."""

from __future__ import annotations

import enum

# Bytes that may wait while a request is worked on. One read of a pipelining client fits; a flood does not.
MAX_WAITING_BYTES = 65536
# Answers that may go out in one turn. Only then can the driver say that the peer does not read: 64 KiB of pipelined
# requests may ask for a thousand times as much.
MAX_TURN_BYTES = 65536
# How long a refused peer may go on sending before the connection closes under it; closing at once would make its stack
# throw the answer away (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0
# What may come meanwhile behind the last request that a connection serves: a client that pipelines has sent it already,
# and loses answers that it has not read where it finds the connection reset.
MAX_PIPELINED_BYTES = 1 << 20


class Stage(enum.Enum):
    """What a connection is doing."""

    IDLE = "idle"
    """No byte of the next request has come."""
    HEAD = "head"
    """A head is coming in."""
    EXCHANGE = "exchange"
    """A request is being served."""
    LINGER = "linger"
    """The last answer is out; what the peer still sends is thrown away."""
    CLOSED = "closed"
    """Nothing more is read or answered."""
