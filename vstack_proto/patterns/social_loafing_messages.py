"""What a message is to its team (an approval, an echo, a piece of work) and how much work it carries."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, get_args

import msgspec

from vstack_proto.trace import TraceStep

MessageType = Literal[
    "proposal", "critique", "approval", "rubber_stamp", "paraphrase", "tool_call", "observation", "decision",
    "handoff", "question", "other",
]  # fmt: skip
Form = Literal["rubber_stamp", "paraphrase", "approval", "repeat"]

TYPED: dict[str, MessageType] = {
    **{kind: kind for kind in get_args(MessageType) if kind != "other"},
    "tool": "tool_call", "tool_use": "tool_call", "function_call": "tool_call", "action": "tool_call",
    "code": "tool_call", "tool_result": "observation", "tool_output": "observation", "result": "observation",
    "function_result": "observation", "error": "observation", "delegation": "handoff", "delegate": "handoff",
    "transfer": "handoff", "plan": "proposal", "review": "critique", "objection": "critique", "final": "decision",
    "final_answer": "decision", "answer": "decision", "vote": "decision", "agreement": "approval",
}  # fmt: skip
# Whoever asks is not of the team, unless the client lists it: it has no part of the work to let slide.
ASKERS = frozenset({"user", "human", "customer", "client", "system", "user_proxy", "userproxy"})
# Nor is a program that runs what others wrote: it has no effort to hold back.
EXECUTOR = re.compile(r"terminal$|^(?:code_?)?(?:executor|interpreter|runner)$|^(?:sandbox|environment|shell)$")
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
# Words that carry no content of their own: grammar, courtesy and assent.
_EMPTY = (
    "a about all also an and any are as at be been both by can could did do does for from had has have he her "
    "here his how i if in into is it its just let ll me more my no not of on or our out re s she should so some t "
    "than that the their them then there these they this those to up us ve very was we were what when which while "
    "who will with would you your yes yeah yep ok okay sure great good nice perfect fine well excellent thanks "
    "thank agree agreed agrees approve approved approves concur confirm confirmed correct right lgtm looks look "
    "sounds sound seems makes sense work job point objection objections concerns concern comments same seconded "
    "done terminate absolutely exactly everyone team please continue proceed go ahead ship"
)
EMPTY = frozenset(_EMPTY.split())
ASSENT = re.compile(
    r"\b(?:i|we)\s+(?:also\s+|fully\s+|completely\s+|totally\s+)?(?:agree|concur|approve|second)\b|"
    r"^\W*(?:agreed|approved?|confirmed|lgtm|looks\s+(?:good|great|fine|right|correct)|sounds\s+(?:good|great|right)|"
    r"ok(?:ay)?\b|yes\b|sure\b|perfect\b|great\b|fine\b|seconded|same\s+here|no\s+(?:objections?|concerns?|comments?)|"
    r"exactly|absolutely|makes\s+sense|well\s+done|good\s+(?:work|job|point)|thanks?\b|\+1)",
    re.IGNORECASE,
)
_FLAW = (
    r"incorrect|wrong|mistakes?|disagree|however|flaw(?:ed)?|overlook(?:s|ed)?|contradicts?|inconsistent|unless|missing|"
    r"not\s+(?:correct|right|accurate|supported|enough|true)"
)
DOUBT = re.compile(rf"\b(?:{_FLAW}|but)\b", re.IGNORECASE)
_SHAPES: tuple[tuple[MessageType, str], ...] = (
    ("critique", rf"\b(?:{_FLAW})\b"),
    ("decision", r"\b(?:final\s+answer|decision|decided|we\s+(?:will\s+)?go\s+with|conclude)\b"),
    ("handoff", r"^\W*(?:@\w|next\s+speaker|over\s+to|please\b|could\s+you|can\s+you|your\s+turn)"),
    ("question", r"\?\s*$"),
    ("proposal", r"\b(?:let's|let\s+us|propose|suggest|recommend|plan|should|i(?:'ll|\s+will)|step\s+1)\b"),
    ("observation", r"\d|\b(?:found|shows?|results?|according\s+to|returned)\b"),
)
SHAPES = tuple((kind, re.compile(shape, re.IGNORECASE)) for kind, shape in _SHAPES)
OUTPUT = re.compile(r"\s*(?:exitcode:|code output|traceback)", re.IGNORECASE)
# Where a message says what it is: its opening. A limit also keeps every expression here cheap.
OPENING = 1000
# An opening "Sure" or "OK" makes an approval of a short message; a long one goes on to something else.
APPROVAL_WORDS = 30
# An echo follows close on what it echoes; further back, shared words are the topic's.
NEAR = 4


def words(text: str) -> set[str]:
    """The content words of a text, in lower case."""
    return set(WORD.findall(text.lower())) - EMPTY


def message_type(step: TraceStep, own: set[str], before: Iterable[tuple[str, set[str]]]) -> MessageType:
    """What a step of a canonical trace is to its team: by its type, else by its content.

    Args:
        step: The step.
        own: Its content words.
        before: Speaker and content words of the few steps before it.
    """
    typed = TYPED.get(step.plain_type.replace(" ", "_"))
    if typed is not None:
        return typed
    text, opening = step.content, step.content[:OPENING]
    if not text.strip():
        return "other"
    if OUTPUT.match(opening):
        return "observation"
    if step.tool is not None or "```" in text:
        return "tool_call"
    if len(own) <= APPROVAL_WORDS and ASSENT.search(opening) and not DOUBT.search(opening) and "?" not in text:
        return "rubber_stamp" if len(own) <= 3 else "approval"
    if any(agent != step.agent and echoes(own, said) for agent, said in before):
        return "paraphrase"
    if addressee(step) is not None:
        return "handoff"
    return next((kind for kind, shape in SHAPES if shape.search(opening)), "other")


def echoes(own: set[str], said: set[str]) -> bool:
    """Whether one text restates another: most of its words stand there, and the other is not just a far longer one."""
    return len(own) >= 4 and len(said) <= 4 * len(own) and len(own & said) >= 0.8 * len(own)


def addressee(step: TraceStep) -> str | None:
    """To whom the metadata say that a step was sent."""
    for key in ("to_agent", "to", "recipient"):
        if isinstance(step.metadata.get(key), str):
            return str(step.metadata[key])
    channel = step.metadata.get("channel")
    return channel.removeprefix("->").strip() if isinstance(channel, str) and channel.startswith("->") else None


def telling(content: str) -> str:
    """The first line of a message that says something, cut to 160 characters; it stands in the message."""
    lines = (line.strip() for line in content[:4000].split("\n"))
    return next((line for line in lines if re.search(r"\w\w", line) and not line.startswith("```")), "")[:160].rstrip()


class Message(Protocol):
    """What is weighed of a message."""

    @property
    def from_agent(self) -> str: ...
    @property
    def message_type(self) -> MessageType: ...
    @property
    def to_agent(self) -> str | None: ...
    @property
    def content(self) -> str: ...


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One message as work.

    Attributes:
        number: Its place in the trace, from 0.
        fresh: How many of its content words nobody had said before.
        credit: What it adds to its speaker's work; 0 for a cosmetic message.
        form: How it is cosmetic, or None.
        leans: The last message with work by somebody else before it, or None.
    """

    number: int
    agent: str
    kind: MessageType
    fresh: int
    credit: float
    form: Form | None
    leans: int | None


# What new words are worth by the kind of message. Handing out work, asking and reporting what a tool returned carry a
# team too, but the words are half another's; nothing here is worth more for being long than a square root.
WORTH: dict[MessageType, float] = {
    "proposal": 1.0, "critique": 1.0, "tool_call": 1.0, "decision": 0.8, "observation": 0.6, "question": 0.5,
    "handoff": 0.5, "other": 0.5, "approval": 0.5, "rubber_stamp": 0.0, "paraphrase": 0.0,
}  # fmt: skip
ACTS = frozenset({"tool_call", "observation", "handoff", "question", "decision"})
FRESH_CAP = 100
# An approval that brings this many new words brings its reasons.
REASONED = 6


def cosmetic_form(kind: MessageType, fresh: int, own: int) -> Form | None:
    """How a message carries no work, if it carries none.

    A call, a result, a handoff, a question or a decision in words already used is an act all the same, so it is never
    held against its speaker; nor is a closing word that some frameworks ask for, such as TERMINATE.
    """
    if kind == "other" and own == 0:
        return None
    if kind == "rubber_stamp" or kind == "paraphrase":
        return kind
    if kind == "approval":
        return "approval" if fresh < REASONED else None
    if kind in ("proposal", "critique", "other") and (fresh == 0 or (own >= 10 and fresh < 0.1 * own)):
        return "repeat"
    return None


def weigh(task: str, messages: Sequence[Message], judged: Mapping[int, bool]) -> tuple[Entry, ...]:
    """Weigh each message by its kind and by what nobody had said before it.

    Args:
        task: Its words are known to all from the start.
        messages: In the order in which they were sent.
        judged: By message number, whether it carries work, where somebody who read it knows better than the rule.
    """
    seen = words(task)
    entries: list[Entry] = []
    last: Entry | None = None
    # The last work by somebody other than the author of ``last``.
    other: Entry | None = None
    for number, message in enumerate(messages):
        own = words(message.content)
        fresh = len(own - seen)
        seen |= own
        form = cosmetic_form(message.message_type, fresh, len(own))
        worth = WORTH[message.message_type]
        if number in judged:
            form = None if judged[number] else form or "repeat"
            worth, fresh = (max(worth, 0.5), max(fresh, 1)) if judged[number] else (0.0, fresh)
        credit = 0.0 if form else worth * math.sqrt(min(fresh, FRESH_CAP))
        leaned = last if last is None or last.agent != message.from_agent else other
        leans = None if leaned is None else leaned.number
        entry = Entry(number, message.from_agent, message.message_type, fresh, credit, form, leans)
        entries.append(entry)
        if credit:
            other = last if last is not None and last.agent != entry.agent else other
            last = entry
    return tuple(entries)
