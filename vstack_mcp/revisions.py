"""The revisions of the protocol, in two eras, and the words that tell them apart.

Legacy revisions open a connection with ``initialize``. From 2026-07-28 on, each request carries its revision and its
sender's capabilities in ``params._meta`` (the envelope), and nothing is inferred from earlier ones.
"""

from __future__ import annotations

import msgspec

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
LATEST_LEGACY = LEGACY[-1]
# What a request over HTTP is taken for that names no revision (Streamable HTTP, 2025-06-18, "Protocol Version Header").
UNNAMED = "2025-03-26"

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"

# JSON-RPC 2.0, section 5.1, and what the protocol adds.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
RESOURCE_NOT_FOUND = -32002
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022


class ProtocolFault(Exception):
    """A request that cannot be served; it becomes a JSON-RPC error.

    Args:
        code: Of the error.
        message: What was wrong and what mends it. Shown to the peer.
        data: More of it, a JSON value; UNSET for none.
    """

    def __init__(self, code: int, message: str, data: object = msgspec.UNSET) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
