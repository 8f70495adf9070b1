"""How a driver that listens comes to its end: the same steps for every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from vstack_proto.events import ListenersClosed, ShutdownAsked
from vstack_runtime.engine import Engine
from vstack_runtime.listening import Filtered, quiet
from vstack_runtime.performer import Performer
from vstack_runtime.stopping import FLUSH_SECONDS, Stopping


class Serving(Protocol):
    """What serves connections.

    Attributes:
        engine: What the process is made of.
        performer: Carries commands out, and has the driver's clock.
    """

    engine: Engine
    performer: Performer

    def tell_all(self, event: ShutdownAsked | ListenersClosed) -> None:
        """Tell every connection."""

    async def wait_closed(self, seconds: float) -> bool:
        """Wait until no connection is left; False where that takes longer than ``seconds``."""
        ...


async def stop_taking(
    server: Serving, stopping: Stopping, sockets: Iterable[Filtered], close: Callable[[], None]
) -> None:
    """Say that the service is about to stop, serve on until that will have been heard, and close the listeners.

    Args:
        server: Whose connections are told.
        stopping: Ends the patience.
        sockets: The listeners' own.
        close: Closes the listeners.
    """
    clock = server.performer.clock
    server.engine.drain()
    server.tell_all(ShutdownAsked(at=clock()))
    await stopping.pause(server.engine.settings.drain_delay)
    await quiet(sockets)
    close()
    server.tell_all(ListenersClosed(at=clock()))


async def finish(server: Serving, stopping: Stopping) -> None:
    """Let what is in flight end within the deadline of a request; what remains is answered 503."""
    if not await stopping.unless_now(server.wait_closed(server.engine.settings.limits.request_timeout)):
        server.tell_all(ShutdownAsked(at=server.performer.clock(), now=True))
        await server.wait_closed(FLUSH_SECONDS)
