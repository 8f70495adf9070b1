"""A process that serves: settings to engine, signals to ``Stopping``, and the runtime that was asked for."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
from anyio.abc import TaskStatus

from vstack_runtime.early import came, note, note_signals
from vstack_runtime.engine import Engine
from vstack_runtime.home_settings import HomeSettings, refused
from vstack_runtime.logs import configure, get_logger
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

_log = get_logger()

Runtime = Literal["hypercorn", "asyncio", "trio"]
_MODULES: dict[str, str] = {
    "hypercorn": "vstack_runtime.hypercorn_server",
    "asyncio": "vstack_runtime.asyncio_server",
    "trio": "vstack_runtime.trio_server",
}

Serve = Callable[..., Awaitable[None]]


def serve(settings: Settings, *, runtime: Runtime, workers: int = 1, env: Mapping[str, str] | None = None) -> int:
    """Serve until a signal says otherwise.

    Args:
        settings: As the operator made them.
        runtime: Which driver.
        workers: Processes that share the port.
        env: What the settings were read from, which several workers read again; the process's own by default.

    Returns:
        The process's exit code.
    """
    configure(settings.log_level, settings.log_format)
    for warning in (*settings.warnings, *_unkept(settings.home)):
        _log.warning(warning)
    if workers == 1:
        return run_engine(settings, runtime)
    from vstack_runtime.workers import supervise

    try:
        code = supervise(settings, workers, runtime=runtime, env=os.environ if env is None else env)
    except OSError as error:
        return _cannot_serve(settings, error)
    _log.info("all workers stopped")
    return code


def _unkept(home: HomeSettings) -> Iterator[str]:
    """What is told of a home that is wanted and cannot be written to; analyses are answered without it."""
    wanted = [name for name, kept in (("learnings", home.learnings), ("telemetry", home.telemetry)) if kept == "home"]
    if home.path and wanted and (fault := refused(Path(home.path))) is not None:
        kept = " and ".join(wanted)
        yield f"{home.path} cannot be written to ({fault}): {kept} will not be kept; VSTACK_HOME says where they are"


def run_engine(settings: Settings, runtime: str, sockets: Sequence[socket.socket] | None = None) -> int:
    """Serve with this process, at sockets that were handed down or where the settings say; the exit code."""
    configure(settings.log_level, settings.log_format)
    engine = Engine(settings, runtime=runtime)
    module: Any = importlib.import_module(_MODULES[runtime])
    settle()
    backend = "trio" if runtime == "trio" else "asyncio"
    options = {"use_uvloop": True} if backend == "asyncio" and _has_uvloop() else {}
    try:
        with note_signals():
            anyio.run(_run, engine, module.serve, sockets, backend=backend, backend_options=options)
    except (OSError, ExceptionGroup) as error:
        if (fault := _only_os_error(error)) is None:
            raise
        return _cannot_serve(settings, fault)
    _log.info("stopped")
    return 0


# What may be made before the collector looks for cycles. By CPython's default of 700 it passes over every request that
# waits for a model several times: with 200 of them, 0.18 ms of an analysis, where this leaves 0.1.
_YOUNG_OBJECTS = 5_000


def settle() -> None:
    """Let the garbage collector pass over what the process has loaded by now.

    None of it will be garbage, and with a model's client it is 190,000 objects: to look at them all takes 0.1 s, during
    which nobody is answered, again and again while requests come.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def _cannot_serve(settings: Settings, error: OSError) -> int:
    _log.error("cannot serve", host=settings.host, port=settings.port, error=str(error))
    return 1


def _only_os_error(error: BaseException) -> OSError | None:
    """The system's refusal behind an error, through the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, OSError) else None


def _has_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None and sys.platform != "win32"


async def _run(engine: Engine, run: Serve, sockets: Sequence[socket.socket] | None) -> None:
    settings = engine.settings

    def listening(port: int) -> None:
        _log.info(
            "listening",
            host=settings.host,
            port=port,
            patterns=len(engine.service.catalogue),
            auth="required" if settings.require_auth else "off",
            engine=settings.llm,
        )

    stopping = Stopping(listening)
    async with anyio.create_task_group() as tasks:
        await tasks.start(_heed_signals, engine, stopping)
        try:
            with engine.observers.hearing():
                await run(engine, settings.host, settings.port, stopping, sockets)
        except Exception as error:
            if _only_os_error(error) is None:
                engine.observers.crashed("the driver crashed")
            raise
        finally:
            await engine.aclose()
        tasks.cancel_scope.cancel()


async def _heed_signals(engine: Engine, stopping: Stopping, *, task_status: TaskStatus[None]) -> None:
    """SIGTERM and SIGINT ask for the end; SIGHUP has the keys read again."""
    try:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            for number in came():
                _heed(number, engine, stopping)
            async for number in signals:
                _heed(number, engine, stopping)
    finally:
        note()


def _heed(number: int, engine: Engine, stopping: Stopping) -> None:
    if number == signal.SIGHUP:
        engine.reload_keys()
        return
    _log.info("stopping", signal=signal.Signals(number).name, now=stopping.asked)
    stopping.ask()
