"""What an after-action review sees without a model: rules over typed steps first, over words second.

Every rule walks the steps once. A rule says why a step would change the ending (``aar_texts.RULES``); none of them
looks at where a step stands. Only the ranking does: what comes later inherits the mistake of what came before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from vstack_proto.patterns.aar_texts import RULES
from vstack_proto.patterns.common import Reading, Signal, Step
from vstack_proto.patterns.sieve import sieve

# A reader takes in no more than a handful per rule; the rest adds weight to nothing.
MAX_OF_A_RULE = 12
MAX_SIGNALS = 50
# A goal sets a dozen conditions; a goal as long as a book must not be compared with every step word by word.
MAX_CONDITIONS = 20
# Where a step's own words lead: a query, a brief or a page's head stands at its start.
HEAD_CHARS = 1500
_ANY = re.IGNORECASE

_MACHINE = re.compile(r"terminal\Z|code.?execut|code.?interpreter|\b(?:executor|sandbox|environment|tools?)\b", _ANY)
_PERSON = re.compile(r"(?:human|user|customer|client)\b", _ANY)
_RAW_OUTPUT = re.compile(r"\s*(?:exit ?code:|traceback|stdout:|stderr:)", _ANY)
_FAILED = sieve(
    r"exit ?code: ?[1-9]\d*[^\n]*|Traceback \(most recent call last\)|\b\w*(?:Error|Exception)\b: [^\n]{3,160}"
    r"|\b(?:HTTP |status(?: code)?:? ?|error:? )[45]\d\d\b[^\n]{0,80}|\b(?:40[134]|50[0234]) [A-Z][^\n]{3,60}"
    r"|timed out[^\n]{0,60}|(?:request|connection|command|execution) failed[^\n]{0,60}",
    "code:|Traceback|Error|Exception|HTTP |status|error|401 |403 |404 |500 |502 |503 |504 |timed out| failed",
)
_EMPTY = sieve(
    r"(?:output|results?|stdout)\s*:\s*(?:\[\]|\{\}|None|nan|False|0|Empty[^\n]{0,40})?\s*\Z"
    r"|\b(?:no|0|zero) (?:\w+ ){0,2}(?:results?|matches|records?|rows|data|information|output|entries|tables?)\b"
    r"|\b(?:not|n't|never) (?:be )?(?:found|available|contain|exist)\b",
    "output|result|stdout|match|record|row|data|information|entries|table|not |n't |never ",
    _ANY,
)
_PAGE = sieve(
    r"screenshot of|page content|text content of|extracted from the (?:web)?page|<html|search results? \d",
    "screenshot of|page content|text content of|extracted from the|<html|search result",
    _ANY,
)
_PART_SEEN = sieve(
    r"shows (?:\d|[1-4]\d)% of the [^\n.]{3,40}|(?:output |text )?truncated|first \d+ (?:rows|lines|results|pages)",
    "shows |truncated|first ",
    _ANY,
)
_ASSUMED = sieve(
    r"(?<!not )(?<!n't )\b(?:assum(?:e[sd]?|ing)\b|hypothetical|simulat(?:e|ed|ing|ion)\b|placeholder|mock(?:ed)?\b"
    r"|dummy\b|for (?:demonstration|illustration)|(?:sample|example|synthetic) (?:data|dataset|values)\b|let'?s say\b"
    r"|suppose we\b|from memory\b|(?:general|common) knowledge\b|known (?:data|information|facts)\b"
    r"|I (?:believe|recall|think)\b|approximate(?:ly)? \$?\d)",
    "assum|hypothetical|simulat|placeholder|mock|dummy|for demonstration|for illustration|sample|example|"
    "synthetic|let's say|lets say|suppose we|from memory|knowledge|known |i believe|i recall|i think|"
    "approximate",
    _ANY,
)
_BY_HAND = sieve(
    r"\bmanual(?:ly)?\b|\bby hand\b"
    r"|\b(?:please|could you|can you|you (?:can|may|should|will need to|need to)) (?:please )?"
    r"(?:provide|share|upload|visit|open|check|inspect|navigate|look|send|supply|confirm the)\b",
    "manual|by hand|please|you ",
    _ANY,
)
_REPORTED = sieve(
    r"\b(?:(?:have|has|been|was|were|is|are) (?:successfully |now |thoroughly |indeed )?"
    r"(?:verified|confirmed|retrieved|validated|identified|found|checked|reviewed|determined|correct)\b"
    r"|according to\b|(?:here are|here is|here's|the following (?:are|is)) the (?:\w+ ){0,2}"
    r"(?:text|results?|answer|list|figures?|data|prices?|findings)\b|upon (?:review|search|analy)"
    r"|based on (?:the|my|our|this) (?:\w+ )?"
    r"(?:results?|search|data|information|output|review|analysis|verification|reasoning)"
    r"|after (?:review|search|analy|check)\w+)",
    "verified|confirmed|retrieved|validated|identified|found|checked|reviewed|determined|correct|"
    "according to|here are|here is|here's|the following|upon |based on |after ",
    _ANY,
)
_CONCLUDED = sieve(
    r"\b(?:final answer|the answer is|therefore,?|thus,?|in conclusion|we can (?:conclude|finalize|confirm)"
    r"|request satisfied|concluded?\b|conclusion\b)",
    "final answer|the answer is|therefore|thus|conclu|we can |request satisfied",
    _ANY,
)
_REPLANNED = sieve(
    r"\breplan(?:ning|ned)?\b|\bnew plan\b|\bstart(?:ing)? over\b"
    r"|\b(?:change|abandon)\w* (?:the |our )?(?:plan|approach)",
    "plan|approach|start over|starting over",
    _ANY,
)
_AGREED = sieve(
    r"\b(?:I agree|agreed|concur|sounds good|looks (?:good|accurate|correct)|no (?:further )?objections?)\b",
    "i agree|agreed|concur|sounds good|looks good|looks accurate|looks correct|objection",
    _ANY,
)
_BRIEF = re.compile(r"task description:?\**\s{1,20}([^\n#\s][^\n]{10,1500})", _ANY)
_QUERY = sieve(
    r"\b(?:typed|searched(?: for)?|query(?: was)?:?|search(?:ing)? for) ['\"]([^'\"\n]{8,300})['\"]", " '| \"", _ANY
)
_DELEGATED = re.compile(r"\A\s*(?:please|can you|could you|your task is)\b", _ANY)
# A digit first and then what stands before it, since the engine passes quickly over what cannot begin a match.
_FIGURE = re.compile(r"\d(?<![\w/.%=-]\d)[\d,]*(?:\.\d+)?(?![\w/])")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{3,}")
_CONDITION = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b|[\"“]([^\"”\n]{3,60})[\"”]|\b[A-Z][a-z]{3,}\b")


# The fields of a step that may tell whether it succeeded.
_TELLING = frozenset({"status", "status_code", "exit_code", "error", "is_error", "success"})


class Turn(msgspec.Struct, gc=False):
    """A step as the rules see it: who is behind it, what it says in its own words, how it ended."""

    number: int
    step: Step
    said: str
    shown: str
    machine: bool
    person: bool
    typed: bool
    failed: str
    empty: str
    calls: bool


def _line_at(text: str, start: int, end: int) -> str:
    """The words around a find: at most some 160 characters of its line, whole words, letter for letter."""
    line = text.rfind("\n", 0, start) + 1
    left = max(line, start - 60)
    if left > line:
        left = text.find(" ", left, start) + 1 or start
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    right = max(end, left + 160)
    if right < stop:
        right = max(end, text.rfind(" ", end, right))
    return text[left : min(right, stop)].strip()


def _typed_failure(metadata: Mapping[str, Any]) -> bool | None:
    """What the step's own fields say of its success; None where they say nothing."""
    if metadata.keys().isdisjoint(_TELLING):
        return None
    status = metadata.get("status", metadata.get("status_code"))
    code = metadata.get("exit_code")
    if metadata.get("error") or metadata.get("is_error") is True or metadata.get("success") is False:
        return True
    if isinstance(code, int):
        return code != 0
    if isinstance(status, str):
        return status.lower() in {"error", "failed", "failure", "timeout", "denied", "status_code_error"}
    return status >= 400 if isinstance(status, int) else None  # an HTTP status; RFC 9110, section 15


def _turn(number: int, step: Step, metadata: Mapping[str, Any], role: tuple[bool, bool]) -> Turn:
    text = step.content
    machine, person = role
    result = step.kind == "observation" or machine or bool(_RAW_OUTPUT.match(text))
    page = None if result else _PAGE.search(text, text.lower())
    # A page that an agent shows is not its own word: its numbers are sourced, its phrases are nobody's decision.
    said, shown = ("", text) if result else (text[: page.start()], text[page.start() :]) if page else (text, "")
    typed = _typed_failure(metadata)
    failed = empty = ""
    if typed or (typed is None and (shown or step.kind == "tool_call")):
        # Of a page, only its head tells whether it was reached; its text may speak of any error.
        found = _FAILED.search(head := text if result else shown[:400], head)
        failed = _line_at(text, *found.span()) if found else text[:160].strip() if typed else ""
    if result and not failed:
        found = _EMPTY.search(end := text[-400:], end.lower())
        empty = text.strip()[-160:] if found else ""
    calls = not result and (step.kind == "tool_call" or "```" in text or bool(shown))
    return Turn(number, step, said, shown, result, person, typed is True, failed, empty, calls)


class _Finds:
    """Signals so far, a bounded number of each rule."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self._counts: dict[str, int] = {}

    def add(self, rule: str, turn: Turn, quote: str, share: float = 1.0) -> None:
        """Note that ``rule`` saw ``turn``; ``share`` of its weight, where what it saw is less telling than usual."""
        count = self._counts.get(rule, 0)
        if count < MAX_OF_A_RULE and len(quote.strip()) >= 3:
            self._counts[rule] = count + 1
            who = f", {turn.step.agent}," if turn.step.agent else ""
            claim = f"Step {turn.number}{who} {RULES[rule].did}."
            self.signals.append(
                Signal(rule, claim, (turn.number,), quote.strip(), round(RULES[rule].weight * share, 3))
            )


def find_signals(goal: str, reading: Reading, metadata: tuple[Mapping[str, Any], ...]) -> tuple[Signal, ...]:
    """Every rule over every step, once; at most ``MAX_SIGNALS``, the weightiest kept, in the order of the steps."""
    # An agent speaks often; who is behind its name is looked at once.
    agents = {step.agent for step in reading.steps}
    roles = {agent: (bool(_MACHINE.search(agent)), bool(_PERSON.match(agent))) for agent in agents}
    turns = [_turn(n, step, metadata[n], roles[step.agent]) for n, step in enumerate(reading.steps)]
    finds = _Finds()
    _results(turns, finds)
    _words(goal, turns, finds)
    _goal_and_figures(goal, turns, finds)
    _repeats(turns, finds)
    kept = sorted(finds.signals, key=lambda signal: -signal.weight)[:MAX_SIGNALS]
    return tuple(sorted(kept, key=lambda signal: signal.steps))


def _results(turns: list[Turn], finds: _Finds) -> None:
    """Failed and empty results, and who caused them: the agent whose call they answer."""
    caller: Turn | None = None
    failures = 0
    for turn in turns:
        if turn.failed:
            finds.add("tool_error", turn, turn.failed)
            cause = caller if turn.machine else turn
            if cause is not None:
                # A status is proof, an error in words a hint; the first failure is the one that the others follow.
                share = (1.4 if turn.typed else 1.0) * (1.0 if failures == 0 else 0.7)
                finds.add("error_caused", cause, _call_line(cause), share)
            failures += 1
        elif turn.empty and caller is not None and caller.number == turn.number - 1 and caller.calls:
            finds.add("empty_result_caused", caller, _call_line(caller))
        if not turn.machine and not turn.person:
            caller = turn


def _call_line(turn: Turn) -> str:
    """The words that stand for a call: the start of its code, else of the step."""
    text = turn.step.content
    fence = text.find("```")
    start = text.find("\n", fence) + 1 if fence >= 0 else 0
    stripped = text[start:].lstrip()
    return stripped[:160].split("\n\n")[0].strip("`").strip() or text.strip()[:160]


def _words(goal: str, turns: list[Turn], finds: _Finds) -> None:
    """What an agent says of its own work, against the results that stand before it."""
    results = 0
    planned_at = -1
    before: Turn | None = None
    for turn in turns:
        after = turns[turn.number + 1 : turn.number + 3]
        if turn.machine or turn.person:
            results += turn.machine and not turn.failed and not turn.empty
            before = turn
            continue
        text, folded = turn.said, turn.said.lower()
        if found := _ASSUMED.search(text, folded):
            finds.add("assumption", turn, _line_at(text, *found.span()))
        # Asked of an agent that then acts, it is a delegation; thought, it is asked of nobody.
        acted = (
            turn.calls
            or turn.step.kind == "thought"
            or any(next_turn.calls or next_turn.step.kind == "observation" for next_turn in after)
        )
        if not acted and (found := _BY_HAND.search(text, folded)):
            finds.add("handed_to_nobody", turn, _line_at(text, *found.span()))
        concluded = _CONCLUDED.search(text, folded)
        if concluded and before is not None and (before.failed or before.empty):
            finds.add("went_on_after_bad_result", turn, _line_at(text, *concluded.span()))
        elif (
            (results == 0 and turn.number > 0 and not turn.shown)
            and turn.step.kind != "thought"
            and (found := _REPORTED.search(text, folded) or concluded)
        ):
            finds.add("unsupported_report", turn, _line_at(text, *found.span()))
        if found := _REPLANNED.search(text, folded):
            if planned_at >= 0 or turn.number > 1:
                finds.add("replanned", turn, _line_at(text, *found.span()))
            planned_at = turn.number
        if turn.shown:
            results += not turn.failed
            if found := _PART_SEEN.search(head := turn.shown[:HEAD_CHARS], head.lower()):
                finds.add("partial_view", turn, found.group())
        before = turn


def _goal_and_figures(goal: str, turns: list[Turn], finds: _Finds) -> None:
    """What the goal sets and a step leaves out; what a step states and nothing before it contains."""
    conditions: list[str] | None = None
    seen = set(_FIGURE.findall(goal))
    for turn in turns:
        text = turn.step.content
        figures = _FIGURE.findall(text)
        if not turn.machine and not turn.person and turn.number > 0:
            prose = "".join(turn.said.split("```")[::2])
            stated = figures if prose == text else _FIGURE.findall(prose)
            fresh = [figure for figure in stated if figure not in seen and _telling(figure)]
            if len(fresh) >= 2:
                first = next(found for found in _FIGURE.finditer(prose) if found.group() == fresh[0])
                finds.add("unsourced_figures", turn, _line_at(prose, *first.span()), min(1.0, 0.5 + 0.1 * len(fresh)))
            for asked in _asked(turn):
                conditions = _conditions(goal) if conditions is None else conditions
                lost = [condition for condition in conditions if condition not in asked.lower()]
                if len(lost) * 2 > len(conditions):
                    finds.add("condition_dropped", turn, asked, len(lost) / len(conditions))
        elif turn.number == 0 and not turn.machine and (brief := _BRIEF.search(text)):
            goal_words, told = ({word.lower() for word in _WORD.findall(words)} for words in (goal, brief.group(1)))
            if len(goal_words) >= 5 and len(goal_words & told) * 5 < len(goal_words):
                finds.add("goal_replaced", turn, brief.group(1)[:160])
        seen.update(figures)


def _conditions(goal: str) -> list[str]:
    """What the goal sets: numbers, names, words in quotation marks. Its first word is capital for no reason."""
    found = (found.group().strip('"“”').lower() for found in _CONDITION.finditer(goal, 1))
    return list(dict.fromkeys(found))[:MAX_CONDITIONS]


def _telling(figure: str) -> bool:
    """Whether a number is worth a source: small counts and years occur by chance."""
    digits = figure.replace(",", "").rstrip(".")
    return "." in digits or (len(digits) >= 3 and not (len(digits) == 4 and digits[:2] in {"19", "20"}))


def _asked(turn: Turn) -> Iterator[str]:
    """What a step asks of a search or of another agent."""
    if found := _QUERY.search(head := turn.step.content[:HEAD_CHARS], head):
        yield found.group(1)
    elif _DELEGATED.match(turn.said) and len(turn.said) <= 1200:
        yield turn.said.strip()[:160]


def _repeats(turns: list[Turn], finds: _Finds) -> None:
    """Symptoms: the same again by the same agent, and agreement without news."""
    counts: dict[tuple[str, str], int] = {}
    for turn in turns:
        text = turn.step.content
        key = (turn.step.agent, " ".join(text[:2000].split()).lower())
        counts[key] = counts.get(key, 0) + 1
        if counts[key] == 3 and len(key[1]) >= 12 and not turn.person:
            finds.add("loop", turn, text.strip()[:160])
        if not turn.machine and len(text) < 400 and not turn.calls and (found := _AGREED.search(text, text.lower())):
            finds.add("agreement", turn, _line_at(text, *found.span()))


def decisive_steps(signals: tuple[Signal, ...], length: int) -> list[tuple[int, float]]:
    """Steps that may have decided the ending, the likeliest first, each with a score from 0 to 1.

    Rules that see the same step add up as independent reasons do; symptoms do not count. A step keeps 70 to 100 % of
    its score by how early it stands: the decisive mistake is the earliest whose repair would have changed the ending.
    For the same reason a mistake made again counts less than when it was made first.
    """
    doubt: dict[int, float] = {}
    habit: dict[str, float] = {}
    for signal in signals:
        if not RULES[signal.name].symptom:
            again = habit.get(signal.name, 1.0)
            habit[signal.name] = again * 0.9
            doubt[signal.steps[0]] = doubt.get(signal.steps[0], 1.0) * (1.0 - signal.weight * again)
    scores = {step: (1.0 - rest) * (1.0 - 0.3 * step / max(1, length)) for step, rest in doubt.items()}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
