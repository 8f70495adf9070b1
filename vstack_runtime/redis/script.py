"""Scripts, which Redis runs as one step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from coredis.exceptions import NoScriptError

from vstack_runtime.redis.client import Client, Job


class Script:
    """A script, asked for by its digest; the server is sent the text when it does not have it."""

    def __init__(self, text: str) -> None:
        self.text = text
        # The name that Redis gives it; no secret.
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def job(self, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Job[Any]:
        """What a client must do to run it."""

        async def run(client: Client) -> Any:
            try:
                return await client.evalsha(self._sha, keys=list(keys), args=list(args))
            except NoScriptError:
                # It was not run at all: nothing happens twice.
                return await client.eval(self.text, keys=list(keys), args=list(args))

        return run
