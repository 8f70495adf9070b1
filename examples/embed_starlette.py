"""vstack mounted in a Starlette application, beside the application's own routes.

    hypercorn --bind 127.0.0.1:8000 examples/embed_starlette:app

It then answers under ``/vstack``, such as ``http://127.0.0.1:8000/vstack/docs``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from vstack_runtime import build_app


async def home(request: Request) -> PlainTextResponse:
    """A route of the application itself."""
    return PlainTextResponse("the application's own page")


vstack = build_app()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """What the application opens and closes; Starlette does not pass it on to what is mounted."""
    async with vstack.running():
        yield


app = Starlette(routes=[Route("/", home), Mount("/vstack", app=vstack)], lifespan=lifespan)
