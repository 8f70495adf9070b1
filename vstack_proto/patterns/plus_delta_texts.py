"""The words of plus/delta: the framework, what is asked of a model, what rules look for, what to change, playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition
from vstack_proto.patterns.talk import Advice

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


class PlusDeltaPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one side of the feedback."""

    dimension: str


PLAYBOOKS = shapes.playbooks(PlusDeltaPlaybook, (
    ("plus", "generic_affirmation", "Praise that teaches", (
        "Strike general praise, and ask of each plus: which line, and what does it do for whom?",
        "Keep those that have an answer; two such are worth more than ten others.",
    ), "1h", STONE),
    ("plus", "no_evidence", "Show what you saw", (
        "Require a quotation with each plus, and check that it stands in the work.",
        "Drop what has none, and count dropped items per reviewer.",
    ), "1d", JOINER),
    ("plus", "no_keep_doing", "From praise to practice", (
        "Add to each plus: do this again when ...",
        "Carry these sentences into the author's instruction or checklist.",
    ), "1d", JOINER),
    ("delta", "generic_critique", "Critique one can act on", (
        "Name place, case and cost for each delta.",
        "Read it back as the author: if the first step is not clear, write it again.",
    ), "1h", BROWN),
    ("delta", "no_alternative", "A change, not a complaint", (
        "Begin each delta with the alternative ('next time ...') and give the reason after it.",
        "Where you know none, ask a question instead and mark it as one.",
    ), "1d", JOINER),
    ("delta", "severity_uncalibrated", "Three words, one meaning", (
        "Write down what nit, moderate and critical mean here, with two examples each from past reviews.",
        "Have two reviewers grade ten deltas apart, and talk through those that differ.",
    ), "1d", STONE),
    ("overall", "style_misaligned", "Balance by consequence", (
        "List all findings without a side, ranked by consequence; sort into plus and delta afterwards.",
        "Compare with the style that was asked for, and tell the author where the two differ.",
    ), "1d", JOINER),
    ("overall", "rework_recommendation_lacks_alternatives", "Rework with a way", (
        "Before asking for rework, sketch the version that would be accepted.",
        "Name the parts that stay, so that the author does not start from nothing.",
    ), "1d", BROWN),
    ("specificity", "generic_phrase_inventory", "A list of empty phrases", (
        "Collect phrases of fifty reviews that would fit any work, and scan new reviews for them before sending.",
        "Report the rate per reviewer each month, with a better sentence beside each phrase.",
    ), "1w", STONE),
    ("specificity", "low_evidence_density", "Quote first, judge second", (
        "Have the reviewer mark the passages that matter before writing a word of judgement.",
        "Write one item per mark; marks without an item and items without a mark both go.",
    ), "1d", JOINER),
    ("overall", "no_commitments", "Who does what by when", (
        "Turn each delta that is no nit into one sentence: agent, change, check.",
        "Let the author choose or change them; a commitment is given, not assigned.",
        "Open the next review with these sentences, and mark each as done or not.",
    ), "1d", DORAN),
    ("overall", "balanced_baseline", "Keep the feedback as a model", (
        "Store it as the reviewer's baseline, and show it to new reviewers as an example.",
    ), "1h", JOINER),
))  # fmt: skip

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
