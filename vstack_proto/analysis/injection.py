"""Words of a trace that address a model instead of describing a run. Seeing them changes no diagnosis; it is told.

Nothing is refused for it: whoever examines attacks must be able to send them. What keeps such words from being obeyed
is the fence around the trace (``prompts.py``), not this list, which no list of words could ever complete.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from vstack_proto.analysis.prompts import RULES

_JUDGE = r"(?:ai )?(?:evaluator|judge|grader|llm|language model|model(?<=ai model))"
# Words that stand in every hit of an expression, and the expression. The contract's five are the first two, widened.
_WORDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("system",), r"^\s*system\s*:|</?system>"),
    (
        ("instruction", "prompt", "rules", "directives", "guidelines"),
        r"</?instructions>"
        r"|\b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|of|the|your|these|those|my)\s+){0,3}"
        r"(?:previous|prior|above|earlier|preceding|foregoing|system|safety)\s+(?:\w+\s+)?"
        r"(?:instructions?|prompts?|rules|directives|guidelines)\b"
        r"|^\s*#{2,4}\s*(?:system|new|hidden)\s*(?:prompt|instructions?)\b"
        r"|\b(?:print|reveal|repeat|output|leak|recite)\s+(?:me\s+)?(?:your|the)\s+(?:\w+\s+)?system\s+prompt\b"
        rf"|\binstructions?\s+(?:to|for)\s+(?:the\s+|any\s+)?{_JUDGE}s?\b",
    ),
    # Tokens of chat templates, which no person and no tool writes without a reason.
    (("<|",), r"<\|(?:im_start|im_end|system|assistant|user|eot_id|endoftext|(?:start|end)_header_id)\|>"),
    (("/inst]", "sys>>", "_of_turn>"), r"\[/inst\]|<</?sys>>|<(?:start|end)_of_turn>"),
    # A fence like ours, and answers in the shape of ours.
    (("<run ", "</run "), r"</?run\s+[0-9a-f]{6,}\s*>"),
    (
        ("profile_pattern", "attached_playbooks", "composition_handoff", "injection_detected"),
        r'"(?:profile_pattern|attached_playbooks|composition_handoff|injection_detected)"\s*:',
    ),
    # Who judges is addressed, or told what to find.
    (
        ("evaluator", "judge", "grader", "llm", "language model", "ai model"),
        rf"\byou are (?:now|no longer)\s+(?:an?|the)\s+(?:\w+[ -]){{0,3}}{_JUDGE}\b"
        rf"|\b(?:note|message|attention|memo)\b,?\s*(?:to|for)?:?\s+(?:the\s+|any\s+)?{_JUDGE}s?\b\s*[:,]"
        rf"|\b(?:dear|hey|hello)\s+{_JUDGE}\b"
        rf"|\bas (?:the|an?) {_JUDGE},?\s+you\s+(?:must|should|shall|will|are to)\b",
    ),
    (
        ("e this ", "y this "),
        r"(?:^|[.!?:]\s*|\bplease\s+|\bmust\s+)(?:rate|score|grade|classify|diagnose)\s+this\s+"
        r"(?:run|trace|transcript|conversation|session)\s+(?:as|with|at)\b",
    ),
    (("severity",), r"\b(?:set|report|return|output)\s+(?:the\s+)?severity\s+(?:to|as|of|=)\s*[\"']?(?:none|trace)\b"),
)
_RULES = tuple((anchors, re.compile(expression, re.MULTILINE)) for anchors, expression in _WORDS)
# How far from its anchor a hit can reach: looking there alone is much cheaper than looking everywhere.
_REACH = 120

# Sentences of our own prompt, which nobody writes by chance, each with the words that it begins with.
_SENTENCES = (one for one in re.split(r"(?<=[.:;])\s", " ".join(RULES.split()).lower()) if len(one) >= 40)
_OWN = tuple((" ".join(sentence.split()[:3]), sentence) for sentence in _SENTENCES)

# Characters that are not seen: between the letters of a word they hide it from whoever looks for it.
_UNSEEN = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
# Letters of the tag block spell text that no screen shows; only a flag's emoji begins a row of them.
_TAGS = "\U000e0020-\U000e007e"
# Letters of other scripts that look like Latin ones.
_OTHERS, _LATIN = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u0501\u0261\u03bf\u03b1\u03b9\u03bd\u03c1",
    "aeopcyxisjdgoaivp",
)
_ODD = re.compile(f"[{_UNSEEN}{_TAGS}{_OTHERS}{_OTHERS.upper()}]")
_HIDDEN, _TAGGED = re.compile(f"[{_UNSEEN}]"), re.compile(f"(?<![\U0001f3f4{_TAGS}\U000e007f])[{_TAGS}]")
_ALIKE = str.maketrans(_OTHERS, _LATIN)


def addresses_a_model(text: str) -> bool:
    """Whether words of this text address a model, be they plain, hidden, or spelled with letters that only look so."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        if _ODD.search(text):
            return _TAGGED.search(text) is not None or _says_so(_HIDDEN.sub("", text).lower().translate(_ALIKE))
    return _says_so(text.lower())


def _says_so(folded: str) -> bool:
    # Most texts hold none of the words: to ask that of each by itself takes a third of the time that a walk to all of
    # their places does.
    for anchors, rule in _RULES:
        for anchor in anchors:
            if anchor in folded and any(
                rule.search(folded, max(0, at - _REACH), at + _REACH) for at in _places(folded, anchor)
            ):
                return True
    # Only what follows its first words is looked at: to set the spaces of a whole text right takes ten times its size.
    return any(
        " ".join(folded[at : at + 4 * len(sentence)].split()).startswith(sentence)
        for words, sentence in _OWN
        if words in folded
        for at in _places(folded, words)
    )


def _places(text: str, words: str) -> Iterator[int]:
    """Where these words stand; those within reach of the last are looked at with it."""
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + len(words))
