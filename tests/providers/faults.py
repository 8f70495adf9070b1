"""Every fault of a model service, and what must come of it: the table that ``test_faults.py`` goes through."""

from __future__ import annotations

from typing import Literal

import msgspec

from tests.fakes.model_service import PATIENCE, Act
from tests.providers.kit import NAMES, PAUSES

Where = Literal["there", "nowhere", "unknown", "plain", "silent"]

REQUEST_SECONDS = 120
# Long enough for a loaded machine to come as far as the model call, and as long as each fault that hangs takes.
SHORT_SECONDS = 1


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of a service, and what comes of a quick analysis that meets it.

    Attributes:
        name: For the test's name.
        script: What the service does with each request in turn, and from the last on with all.
        where: Whether there is a service at all (``nowhere`` refuses connections), and whether TLS comes about:
            ``unknown`` has a certificate that nobody signed, ``plain`` speaks no TLS and says so, ``silent`` hangs up.
        dated: The script's answers ask to come back at a date, so many seconds from now.
        status, code: What the caller is answered; a detection has no code.
        retry_after: When the caller is told to come back, in seconds.
        says: Words of the message.
        calls: Requests that the service gets.
        waits: Seconds that are waited before each further try. They are all the time that it takes, but for ...
        within: ... the request's deadline, in seconds, at which it ends where a service does not answer.
        outcomes: As what the calls of the analysis are counted, their tries taken together.
        paid: How many answers' tokens are counted.
        only: The providers that can meet it.
    """

    name: str
    script: tuple[Act, ...] = (Act(text=None),)
    where: Where = "there"
    dated: int | None = None
    status: int
    code: str = ""
    retry_after: int | None = None
    says: str = ""
    calls: int = 1
    waits: tuple[float, ...] = ()
    within: int = REQUEST_SECONDS
    outcomes: tuple[str, ...]
    paid: int = 0
    only: tuple[str, ...] = NAMES


def away(name: str, *script: Act, says: str = "", where: Where = "there") -> Fault:
    """What may pass: it is tried three times, with the pauses of the policy, and the caller may come back."""
    return Fault(
        name=name,
        script=script,
        where=where,
        status=503,
        code="provider_unavailable",
        retry_after=1,
        says=says,
        calls=3 if where == "there" else 0,
        waits=PAUSES,
        outcomes=("unavailable",),
    )


def busy(name: str, asks: str, told: int, *waits: float, status: int = 429) -> Fault:
    """The service says when to come back: that is done where the deadline leaves time for it, and else handed on."""
    return Fault(
        name=name,
        script=(Act(status=status, headers=(("retry-after", asks),) if asks else ()),),
        dated=None if asks else told,
        status=503,
        code="provider_unavailable",
        retry_after=told,
        says=f"answered {status}",
        calls=1 + len(waits),
        waits=waits,
        outcomes=("unavailable",),
    )


def useless(name: str, act: Act, outcome: str, says: str, *, paid: int = 0, only: tuple[str, ...] = NAMES) -> Fault:
    """What no second try mends."""
    return Fault(
        name=name,
        script=(act,),
        status=502,
        code="analyzer_error",
        says=says,
        outcomes=(outcome,),
        paid=paid,
        only=only,
    )


def misfit(name: str, *script: Act) -> Fault:
    """An answer that does not fit, nor does the repaired one; both were paid for."""
    return Fault(
        name=name,
        script=script,
        status=502,
        code="analyzer_error",
        says="after a repair",
        calls=2,
        outcomes=("ok", "ok"),
        paid=2,
    )


def mended(name: str, *script: Act, waits: tuple[float, ...] = (), paid: int = 1, dated: int | None = None) -> Fault:
    """What comes to a detection all the same, with the last act of the script."""
    return Fault(
        name=name,
        script=script,
        dated=dated,
        status=200,
        calls=len(script),
        waits=waits,
        outcomes=("ok",) * paid,
        paid=paid,
    )


def hanging(name: str, *script: Act, waits: tuple[float, ...] = ()) -> Fault:
    """What ends with the request's deadline, and its upstream call with it."""
    return Fault(
        name=name,
        script=script,
        status=504,
        code="timeout",
        says="VSTACK_API_REQUEST_TIMEOUT",
        calls=len(script),
        waits=waits,
        within=SHORT_SECONDS,
        outcomes=("late",),
    )


REFUSED = "invalid_request_error"
GOOD, WRONG = Act(text=None), Act(text='{"wrong": 1}')
TOO_LONG, NO_CREDIT = Act(status=400, error="context_length_exceeded"), Act(status=429, error="insufficient_quota")

FAULTS = (
    *(away(f"{n}", Act(status=n), says=f"answered {n}") for n in (408, 409, 429, 500, 502, 503, 529)),
    *(
        useless(f"{n}", Act(status=n, error=REFUSED), "rejected", f"answered {n}")
        for n in (400, 401, 403, 404, 413, 422)
    ),
    useless("redirect", Act(status=302, headers=(("location", "/on"),)), "rejected", "answered 302"),
    # When to come back: in seconds, at a date, past the deadline, in words that nobody reads.
    busy("429 seconds", "7", 7, 7.0, 7.0),
    busy("429 more seconds than are left", "70", 70, 70.0),
    busy("429 too many seconds", "600", 600),
    busy("429 date", "", 20, 20.0, 20.0),
    busy("429 date past the deadline", "", 3600),
    busy("429 some time", "soon", 1, *PAUSES),
    busy("529 seconds", "7", 7, 7.0, 7.0, status=529),
    # What is no answer of the API.
    away("malformed JSON", Act(body=b'{"content": [')),
    away("not JSON", Act(body=b"<html>busy</html>")),
    away("a list", Act(body=b"[1]")),
    away("wrong shape", Act(body=b'{"detail": "not what the API answers"}')),
    away("half a body", Act(cut=20)),
    away("no body", Act(cut=0)),
    away("reset", Act(reset=True), says="connection"),
    away("nobody there", where="nowhere", says="ConnectError"),
    # What a model does not do.
    misfit("wrong schema", WRONG),
    misfit("wrong schema, then another", WRONG, Act(text='{"wronger": 2}')),
    misfit("no JSON in the answer", Act(text="I think so")),
    useless("refusal", Act(stop="refusal"), "refused", "refused to", paid=1, only=("anthropic", "openai")),
    useless("filtered", Act(stop="content_filter"), "refused", "refused to", paid=1, only=("openai",)),
    useless("max tokens", Act(stop="max_tokens"), "truncated", "did not finish within", paid=1),
    useless("context window", Act(stop="context"), "truncated", "context window", paid=1, only=("anthropic",)),
    useless("context window", TOO_LONG, "truncated", "context window", only=("openai",)),
    useless("no credit", NO_CREDIT, "rejected", "no credit left", only=("openai",)),
    # What passes.
    mended("429 date, then an answer", Act(status=429), GOOD, waits=(20.0,), dated=20),
    mended("reset and 529, then an answer", Act(reset=True), Act(status=529), GOOD, waits=PAUSES),
    mended("503 and half a body, then an answer", Act(status=503), Act(cut=9), GOOD, waits=PAUSES),
    mended("wrong schema, then repaired", WRONG, GOOD, paid=2),
    mended("wrong schema and 500, then repaired", WRONG, Act(status=500), GOOD, waits=PAUSES[:1], paid=2),
    mended("slow, but in time", Act(text=None, delay=0.02, slow=0.02)),
)

HANGING = (
    hanging("hang", Act(hang=True)),
    hanging("slow head", Act(delay=PATIENCE)),
    hanging("slow body", Act(slow=PATIENCE)),
    hanging("500, then hang", Act(status=500), Act(hang=True), waits=PAUSES[:1]),
)

TLS = (
    away("unknown authority", where="unknown", says="certificate of"),
    away("plain text", Act(plain=True), where="plain", says="ConnectError"),
    away("cut in the handshake", where="silent", says="ConnectError"),
)
