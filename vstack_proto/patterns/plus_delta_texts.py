"""The words of plus/delta: the framework, what is asked of a model, what rules look for, what to change, playbooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from vstack_proto.patterns.common import Composition, Effort, Evidence, Reading, Signal
from vstack_proto.patterns.signs import line_at, words
from vstack_proto.patterns.talk import Advice, quoted

Dimension = Literal["plus", "delta", "overall", "specificity"]
Kind = Literal[
    "tighten_specificity", "require_evidence", "require_alternative", "balance_style", "escalate_severity",
    "deescalate_severity", "add_commitment", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip
Weight = Literal["nit", "moderate", "critical"]

JOINER = "Joiner Associates 1990s, Plus/Delta facilitation format"
DORAN = "Doran 1981, S.M.A.R.T. goals"
STONE = "Stone & Heen 2014, Thanks for the Feedback"
BROWN = "Brown 2018, Dare to Lead"

FRAMEWORK = """\
Plus/Delta asks two questions of a piece of work: what should be kept because it works (plus), and what should be \
done differently next time (delta)? A delta is a change and not a complaint: without an alternative it is only \
criticism. Stone and Heen: feedback is of use where it says where it comes from (what was seen) and where it goes \
(what to do); "good job" and "needs work" say neither. Brown: clear is kind; a serious finding wrapped in praise \
helps nobody. Doran's measure holds for alternatives and commitments: specific enough that one can tell later \
whether it was done.

You are the reviewer. Step 0 is the work, the next its summary, then the criteria of success. For an item:
- the statement names behaviour or content of this work, not the author;
- the evidence is a quotation of the work (or of a criterion or claim that the work leaves open);
- the impact says what follows for the user of the work;
- a plus says what to keep doing, a delta what to do instead and how grave it is: nit (taste), moderate (costs \
somebody something), critical (wrong, unsafe, or a criterion missed).

Do not confuse: praise of effort is no plus; a wish beyond the task is no delta; what you cannot see in the work may \
be asked about, not asserted. Weigh by consequence, not by number, and do not invent deltas for balance: the style \
that was asked for sets the order of attention and never the facts."""

ASK_ITEMS = """\
Review the work. Give plus_items and delta_items, at most {most} of each, the weightiest first; style: {style}. Each \
item carries evidence: words quoted from the step that shows it. Go through every criterion of success: met is a \
plus, missed or untested a delta. Then commitments (who does what, so that one can tell whether it was done; \
{subject} for changes, {reviewer} for help and review), the overall_assessment (keep-going: nothing stands in the \
way; iterate: changes first; rework: a critical finding, start over in part), and feedback_quality_score: how \
specific, evidenced and usable this feedback is, from 0 to 1. A quotation that does not stand leaves its item \
without evidence."""
ASK_AGAIN = """\
Read the work a second time, against the first review: {told}. List as plus_items and delta_items only what it \
missed, each with a quotation: criteria that no item takes up, claims of the summary that the work does not bear \
out, failure paths, edge cases, what a user would notice first. Empty lists are a fine answer; repeat nothing."""
ASK_INTERVENTIONS = """\
Now look at the feedback and not at the work: {told}. Propose at most four changes to how this feedback is given, \
none where it is sound. Kinds: tighten_specificity (generic words), require_evidence, require_alternative, \
balance_style (it leans away from what the work calls for), escalate_severity or deescalate_severity (gravity does \
not fit the impact), add_commitment, new_eval, human_review, compose_pattern. Say what to write or measure."""


class PlusItem(msgspec.Struct, frozen=True):
    """What to keep; ``evidence`` is words of the work, or empty where none stand."""

    statement: str
    evidence: str
    impact: str
    keep_doing: str = ""


class DeltaItem(msgspec.Struct, frozen=True):
    """What to do differently; ``evidence`` is words of the work, or empty where none stand."""

    statement: str
    evidence: str
    impact: str
    alternative: str
    severity: Weight = "moderate"


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one agent will do; what a model proposes has the same shape."""

    by_agent: str
    commitment: str


class PlusFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to keep."""

    statement: str
    impact: str
    keep_doing: str
    evidence: tuple[Evidence, ...]


class DeltaFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do differently."""

    statement: str
    impact: str
    alternative: str
    severity: Weight
    evidence: tuple[Evidence, ...]


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


# By failure mode of the feedback.
ADVICE = {
    "generic_affirmation": Advice("plus", "tighten_specificity", "Name what is good, not that it is.",
        "Replace each general praise by the part of the work and what it does for its user.",
        "A plus would fit any work.", "1h"),
    "no_evidence": Advice("plus", "require_evidence", "Let every plus quote the work.",
        "Refuse a plus without words of the work; praise that cannot be quoted is dropped.",
        "A plus has no quotation that stands."),
    "no_keep_doing": Advice("plus", "add_commitment", "Say what to keep doing.",
        "Add to each plus one sentence on what to do again and when.", "A plus does not say what to keep."),
    "generic_critique": Advice("delta", "tighten_specificity", "Name the place and the case.",
        "Replace 'needs work' by the line, the input that shows it, and what it costs.", "A delta would fit any work.",
        "1h"),
    "no_alternative": Advice("delta", "require_alternative", "No delta without an alternative.",
        "Refuse a delta that does not say what to do instead, in words one can act on.",
        "A delta does not say what to do instead."),
    "severity_uncalibrated": Advice("delta", "escalate_severity", "Let gravity and assessment agree.",
        "A rework needs a finding called critical; name it so, or lower the assessment.",
        "Rework is asked for and nothing is called critical."),
    "severity_overdrawn": Advice("delta", "deescalate_severity", "Let gravity and assessment agree.",
        "Work with a critical finding cannot keep going; lower the finding or change the assessment.",
        "Something is critical and the work is to keep going."),
    "style_misaligned": Advice("overall", "balance_style", "Let the work set the balance.",
        "Rank all items by consequence first; apply the style that was asked for to the order, not to the choice.",
        "One side is more than twice the other, as the style asked for."),
    "rework_recommendation_lacks_alternatives": Advice("overall", "require_alternative", "Rework towards something.",
        "Describe the shape of the new version in three sentences, and which parts stay.",
        "Rework is asked for, and a delta names no way."),
    "no_commitments": Advice("overall", "add_commitment", "End with who does what.",
        "Write for each delta that is no nit one commitment with an agent and a check.",
        "There are deltas and nobody committed to anything."),
    "generic_phrase_inventory": Advice("specificity", "new_eval", "Count empty phrases in feedback.",
        "Keep the list of phrases found, scan each review for them, and track the rate per reviewer.",
        "Several phrases would fit any work.", "1w"),
    "low_evidence_density": Advice("specificity", "require_evidence", "A quotation for every item.",
        "Have the reviewer paste the words first and write the item beneath them.",
        "Half of the items or more have no quotation that stands."),
}  # fmt: skip


class PlusDeltaPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one side of the feedback."""

    dimension: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


PLAYBOOKS = (
    PlusDeltaPlaybook("plus", "generic_affirmation", "Praise that teaches", (
        "Strike general praise, and ask of each plus: which line, and what does it do for whom?",
        "Keep those that have an answer; two such are worth more than ten others.",
    ), "1h", STONE),
    PlusDeltaPlaybook("plus", "no_evidence", "Show what you saw", (
        "Require a quotation with each plus, and check that it stands in the work.",
        "Drop what has none, and count dropped items per reviewer.",
    ), "1d", JOINER),
    PlusDeltaPlaybook("plus", "no_keep_doing", "From praise to practice", (
        "Add to each plus: do this again when ...",
        "Carry these sentences into the author's instruction or checklist.",
    ), "1d", JOINER),
    PlusDeltaPlaybook("delta", "generic_critique", "Critique one can act on", (
        "Name place, case and cost for each delta.",
        "Read it back as the author: if the first step is not clear, write it again.",
    ), "1h", BROWN),
    PlusDeltaPlaybook("delta", "no_alternative", "A change, not a complaint", (
        "Begin each delta with the alternative ('next time ...') and give the reason after it.",
        "Where you know none, ask a question instead and mark it as one.",
    ), "1d", JOINER),
    PlusDeltaPlaybook("delta", "severity_uncalibrated", "Three words, one meaning", (
        "Write down what nit, moderate and critical mean here, with two examples each from past reviews.",
        "Have two reviewers grade ten deltas apart, and talk through those that differ.",
    ), "1d", STONE),
    PlusDeltaPlaybook("overall", "style_misaligned", "Balance by consequence", (
        "List all findings without a side, ranked by consequence; sort into plus and delta afterwards.",
        "Compare with the style that was asked for, and tell the author where the two differ.",
    ), "1d", JOINER),
    PlusDeltaPlaybook("overall", "rework_recommendation_lacks_alternatives", "Rework with a way", (
        "Before asking for rework, sketch the version that would be accepted.",
        "Name the parts that stay, so that the author does not start from nothing.",
    ), "1d", BROWN),
    PlusDeltaPlaybook("specificity", "generic_phrase_inventory", "A list of empty phrases", (
        "Collect phrases of fifty reviews that would fit any work, and scan new reviews for them before sending.",
        "Report the rate per reviewer each month, with a better sentence beside each phrase.",
    ), "1w", STONE),
    PlusDeltaPlaybook("specificity", "low_evidence_density", "Quote first, judge second", (
        "Have the reviewer mark the passages that matter before writing a word of judgement.",
        "Write one item per mark; marks without an item and items without a mark both go.",
    ), "1d", JOINER),
    PlusDeltaPlaybook("overall", "no_commitments", "Who does what by when", (
        "Turn each delta that is no nit into one sentence: agent, change, check.",
        "Let the author choose or change them; a commitment is given, not assigned.",
        "Open the next review with these sentences, and mark each as done or not.",
    ), "1d", DORAN),
    PlusDeltaPlaybook("overall", "balanced_baseline", "Keep the feedback as a model", (
        "Store it as the reviewer's baseline, and show it to new reviewers as an example.",
    ), "1h", JOINER),
)  # fmt: skip

ATTACH = {
    ("plus", "tighten_specificity"): "generic_affirmation", ("plus", "require_evidence"): "no_evidence",
    ("plus", "add_commitment"): "no_keep_doing", ("delta", "tighten_specificity"): "generic_critique",
    ("delta", "require_alternative"): "no_alternative", ("delta", "escalate_severity"): "severity_uncalibrated",
    ("delta", "deescalate_severity"): "severity_uncalibrated", ("overall", "balance_style"): "style_misaligned",
    ("overall", "require_alternative"): "rework_recommendation_lacks_alternatives",
    ("overall", "add_commitment"): "no_commitments", ("specificity", "new_eval"): "generic_phrase_inventory",
    ("specificity", "require_evidence"): "low_evidence_density",
}  # fmt: skip
COMPOSITION = Composition(
    upstream=("vstack.aar", "vstack.feedback_triggers", "vstack.grpi", "vstack.psych_safety"),
    downstream={
        "profile_pattern": {
            "balanced_specific": ("vstack.aar",),
            "plus_heavy_morale": ("vstack.aar", "vstack.feedback_triggers"),
            "delta_heavy_rework": ("vstack.smart_goal", "vstack.grpi"),
            "generic_noise": ("vstack.aar", "vstack.glaser_conversation"),
            "no_evidence_cited": ("vstack.aar", "vstack.devils_advocate"),
            "no_alternatives_named": ("vstack.smart_goal", "vstack.aar"),
            "critical_findings": ("vstack.aar", "vstack.lencioni", "vstack.smart_goal"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
