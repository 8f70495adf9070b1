"""How many connections a process takes: as many as leave descriptors for its files, its stores and calls of models."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from vstack_runtime.logs import get_logger

_log = get_logger()

# Of the descriptors that the system allows, what connections leave: a quarter, and no more than this.
KEPT = 1_024
LOG_SECONDS = 60.0
NONE_LEFT = (errno.EMFILE, errno.ENFILE)
_SPARE = os.O_RDONLY | os.O_CLOEXEC
# Who is let go costs little, but others wait meanwhile.
_MOST_A_TURN = 64


class Room:
    """What a process has left for connections.

    The system gives the lowest number that is free, so that the number of a connection tells how many files are open,
    and nobody has to count. A refused caller is let go at once: to leave it waiting would have it wait for as long as
    those stay who have taken the room.
    """

    def __init__(self, allowed: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            allowed: Descriptors that the process may have; by default what the system says.
            clock: Monotonic seconds.
        """
        if allowed is None:
            allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = allowed - min(allowed // 4, KEPT)
        self._clock = clock
        self._told = float("-inf")
        self._refused = 0

    def has(self, descriptor: int) -> bool:
        """Whether a connection with this number may stay; who is told that it may not must close it."""
        if descriptor < self._most:
            return True
        self.refuse()
        return False

    def refuse(self) -> None:
        """Take note of a connection that is let go, and tell the log, once a minute."""
        self._refused += 1
        now = self._clock()
        if now >= self._told + LOG_SECONDS:
            _log.warning("too few descriptors for more connections", refused=self._refused, most=self._most)
            self._told, self._refused = now, 0


class Listener(socket.socket):
    """A listening socket of which asyncio takes connections only while there is room.

    What asyncio does itself where no descriptor is left is worse than nothing: in Python 3.11 it tries, fails and logs
    as often as the backlog is long, and calls for as many further tries.
    """

    __slots__ = ("_room", "_spare")

    def __init__(self, sock: socket.socket, room: Room) -> None:
        """
        Args:
            sock: Taken over: it is closed with this one.
            room: What is left.
        """
        super().__init__(fileno=sock.detach())
        self._room = room
        # Given up for a moment where there is none left, so that who waits can be taken, and let go.
        self._spare = os.open(os.devnull, _SPARE)

    def accept(self) -> tuple[socket.socket, Any]:
        """Take the next connection for which there is room, and let those go that come before it.

        Raises:
            BlockingIOError: Nobody waits, or enough were let go for one turn of the loop.
        """
        for _ in range(_MOST_A_TURN):
            try:
                taken, peer = super().accept()
            except OSError as error:
                if error.errno not in NONE_LEFT:
                    raise
                self._let_one_go()
                continue
            if self._room.has(taken.fileno()):
                return taken, peer
            taken.close()
        raise BlockingIOError

    def _let_one_go(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
        self._spare = -1
        try:
            super().accept()[0].close()
        except OSError as error:
            if error.errno not in NONE_LEFT:
                raise
            # Another thread was faster: there will be another turn.
            raise BlockingIOError from error
        finally:
            with contextlib.suppress(OSError):
                self._spare = os.open(os.devnull, _SPARE)
        self._room.refuse()

    def close(self) -> None:
        """Close it, and what it has in reserve."""
        if self._spare >= 0:
            os.close(self._spare)
        self._spare = -1
        super().close()

    def detach(self) -> int:
        """Give the descriptor away."""
        number = super().detach()
        self.close()
        return number


def listeners(sockets: Sequence[socket.socket], room: Room) -> list[Listener]:
    """The same sockets, taken over."""
    return [Listener(sock, room) for sock in sockets]
