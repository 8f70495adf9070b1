"""vstack inside a trio program: the service runs while the block does.

python examples/embed_trio.py
"""

from __future__ import annotations

from pathlib import Path

import httpx
import trio

from vstack_runtime import serve

TRACE = Path(__file__).parent / "traces" / "failed_refund_report.json"


async def main() -> None:
    """A program that serves while it works; its work here is to be its own client."""
    async with serve(port=0) as port:
        print(f"listening at 127.0.0.1:{port}")
        body = b'{"format": "canonical", "model": "offline", "trace": %s}' % TRACE.read_bytes()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await client.post("/v1/analyze/aar", content=body)
        print("severity", answer.json()["detection"]["severity"])


trio.run(main)
