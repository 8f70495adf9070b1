"""Serves with one pattern: a page of the same kinds of parts as that of all, in a twentieth of the elements."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from vstack_proto.patterns import span_of_control
from vstack_runtime import Settings, serve


async def main() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve(Settings(llm="offline"), port=0, patterns=(span_of_control.PATTERN,)) as port:
        print(json.dumps({"event": "listening", "port": port}), file=sys.stderr, flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
