"""Plus/delta: what rules look for in a piece of work, and what they make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from vstack_proto.patterns.common import Reading, Signal
from vstack_proto.patterns.plus_delta_texts import Weight
from vstack_proto.patterns.signs import line_at, words
from vstack_proto.patterns.talk import quoted


class Note(msgspec.Struct, frozen=True):
    """What the rules say of one find: impact, what to do (keep doing or instead), and how grave a delta is."""

    impact: str
    todo: str
    severity: Weight | None = None


# By the name of their signals; those without a severity are pluses. None claims more than its quotation shows.
NOTES = {
    "criterion_met": Note("The criterion can be checked against the work.", "Name each criterion where it is met."),
    "tested": Note("A reader can rely on the work without taking its word.", "Ship each change with its check."),
    "reasoned": Note("The next author knows why, and can tell when it no longer holds.", "Say why beside what."),
    "criterion_open": Note(
        "Whoever relies on this criterion finds out in use.",
        "Say for this criterion how the work meets it and add the check that shows it, or agree to drop it.", "moderate"
    ),
    "criterion_missed": Note(
        "The work itself says something against a criterion of success.",
        "Meet the criterion and add the check that shows it, or show why the line does not touch it.", "moderate",
    ),
    "left_open": Note(
        "Unfinished work passes for finished.", "Finish it, or move it to a tracked task with an owner.", "moderate"
    ),
    "hidden_failure": Note(
        "A failure goes unseen until something that depends on it breaks.",
        "Let the failure surface: handle the one case that is expected, and report the rest.", "moderate",
    ),
    "unsafe": Note(
        "Data or access can be lost, and that cannot be taken back.",
        "Take it out, use a secret store, a bound parameter or a guarded command, and rotate what was exposed.",
        "critical",
    ),
    "unsupported": Note(
        "A reader cannot tell what was checked from what is hoped.",
        "Replace it with the check and its result, or call it an assumption.", "nit",
    ),
}  # fmt: skip

RULES: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("unsafe", "The work does something that can expose or destroy data.", re.compile(
        r"\b(?:password|passwd|api_?key|secret_?key|access_?token) ?[=:] ?['\"][^'\"\s]{4,}|\brm -rf /"
        r"|\bverify ?= ?False\b"
        r"|\b(?:drop table|chmod 777|git push --force)\b|\beval\(|\bf['\"](?:select|insert|delete"
        r"|update)\b", re.IGNORECASE
    )),
    ("hidden_failure", "The work swallows a failure.", re.compile(
        r"\bexcept(?: \w{1,40})?:\s{0,40}pass\b|\bcatch ?\(\w{0,40}\) ?\{ ?\}|\|\| true\b|\b2> ?/dev/null|[@ ]ts-ignore"
    )),
    ("left_open", "The work leaves something open.", words(
        r"todo|fixme|xxx|tbd|lorem ipsum|no tests?(?: for [\w ]{1,40})?|not (?:yet )?(?:tested|implemented|handled"
        r"|supported)"
        r"|placeholder|hard-?coded|untested|to be (?:done|decided|added)"
    )),
    ("unsupported", "The work tells a hope as if it were known.", words(
        r"(?:this |it |that )?should (?:work|be (?:fine|ok|okay|enough))|obviously|presumably|more or less|i think"
        r"|somehow"
    )),
    ("tested", "The work brings its own check.", re.compile(
        r"\bassert\b|\bdef test_\w+|\btests?: ?\w+|\bexpect\(|\b(?:unit|regression|integration) tests?\b"
        r"|\b(?:measured|verified|checked|benchmarked) (?:with|against|on|by|at)\b", re.IGNORECASE
    )),
    ("reasoned", "The work says why.", words(r"because|so that|in order to|rationale|trade-?off|as measured in")),
)  # fmt: skip
NEGATED = words(r"no|not|none|never|without|missing|lacks?|untested|un(?:supported|handled)|todo|fixme|fail(?:s|ed)?")
GENERIC = words(
    r"(?:great|good|nice|excellent|awesome|amazing) (?:job|work|effort|stuff)|well done|looks (?:good|great|fine)|lgtm"
    r"|(?:could|can|should) be (?:better|improved|cleaner)|needs (?:work|improvement)|be more (?:careful|clear"
    r"|thorough)"
    r"|improve (?:the )?(?:quality|code|clarity|work|it)|(?:is|was) (?:bad|poor|sloppy|fine|ok|okay)"
)
WORD = re.compile(r"[a-z0-9]\w{2,}")
# Words of a criterion that say nothing of what it is about.
COMMON = frozenset(WORD.findall(
    "the and for with that this from are was were has have been must should will can all any each its into not more"
    " less than least most only every under over within after before"
))  # fmt: skip
# Every criterion is looked for in every line; a review of more is read by nobody.
MAX_LINES = 2000
MAX_CRITERIA = 50


def keys(text: str) -> frozenset[str]:
    """The words that a text is about, without the ends that grammar gives them."""
    told = WORD.findall(text.lower().replace("_", " "))
    return frozenset(word.removesuffix("s") for word in told if word not in COMMON)


def found(reading: Reading, criteria: range) -> Iterator[Signal]:
    """What the rules see in the work, and what becomes of each criterion of success."""
    text = reading.steps[0].content
    for name, claim, pattern in RULES:
        match = pattern.search(text)
        if match and not (name == "tested" and _denied(text, match)):
            yield from quoted(name, claim, 0.8 if name == "unsafe" else 0.4, 0, reading.steps[0], match)
    lines = [(line.strip(), keys(line)) for line in text.splitlines()[:MAX_LINES]]
    seen = frozenset().union(*(told for _, told in lines)) if lines else frozenset()
    for number in criteria[:MAX_CRITERIA]:
        criterion = reading.steps[number].content
        about = keys(criterion)
        if not about:
            continue
        line, told = max(lines, key=lambda one: len(one[1] & about), default=("", frozenset[str]()))
        quote = line_at(line, 0, min(len(line), 20)) if line else ""
        denies = NEGATED.search(line) is not None and NEGATED.search(criterion) is None
        if told & about and denies and quote:
            claim = f"By its own words the work may not meet the criterion '{_short(criterion)}'."
            yield Signal("criterion_missed", claim, (0,), quote, 0.6)
        elif 2 * len(told & about) > len(about) and quote:
            yield Signal("criterion_met", f"The work takes up the criterion '{_short(criterion)}'.", (0,), quote, 0.4)
        elif 2 * len(seen & about) < len(about) and len(criterion.strip()) >= 3:
            claim = f"Nothing in the work takes up the criterion '{_short(criterion)}'."
            yield Signal("criterion_open", claim, (number,), line_at(criterion, 0, min(len(criterion), 20)), 0.4)


def _denied(text: str, match: re.Match[str]) -> bool:
    return NEGATED.search(text, text.rfind("\n", 0, match.start()) + 1, match.start()) is not None


def _short(text: str) -> str:
    return text.strip() if len(text.strip()) <= 80 else f"{text.strip()[:77]}..."
