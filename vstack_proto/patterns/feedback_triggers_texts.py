"""The words of the feedback triggers: the framework, what is asked of a model, the rules, what to change, playbooks."""

from __future__ import annotations

from typing import Literal

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition
from vstack_proto.patterns.talk import Advice

Trigger = Literal["truth", "relationship", "identity"]
Kind = Literal[
    "acknowledge_first", "separate_data_from_source", "recast_identity", "explicit_acknowledgment_template",
    "ask_clarifying_question", "concede_then_clarify", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

STONE = "Stone & Heen 2014, Thanks for the Feedback"
MCALLISTER = "McAllister 1995, Affect- and Cognition-Based Trust"
EDMONDSON = "Edmondson 1999, Psychological safety"

FRAMEWORK = """\
Stone and Heen: whether feedback helps is decided by the receiver, and three triggers keep a receiver from taking it \
in.
- Truth: the content seems wrong, unfair or unhelpful, so the receiver argues, restates the first answer or cites a \
rule instead of first finding out what the giver saw.
- Relationship: the receiver reacts to who speaks, or how, instead of to what is said: the giver is new, rude, not \
to be trusted. Stone and Heen call the change of subject that follows switchtracking.
- Identity: the feedback is heard as a verdict on who the receiver is: self-defence ("I am careful"), a spiral of \
apology, or a collapse into agreeing with everything.

In an agent's conversation, read the replies to feedback: what the reply does with the content, and whether the next \
version differs. A thank-you followed by an unchanged answer is a truth trigger in polite clothes.

Do not confuse: disagreement is no trigger. A reply that takes the point up, looks, and brings data or a question is \
absorbing feedback, even if it ends in no. One plain apology with a correction is healthy. Feedback that is rude or \
wrong is the giver's matter; score the receiver. Silence before any feedback shows nothing. Quote the reply, and the \
feedback it passes over where that is the proof."""


# By failure mode, which is also the name of its signals.
ADVICE = {
    "defensive_argument": Advice("truth", "acknowledge_first", "Say back what was seen before answering it.",
        "Have the first sentence of every reply to feedback restate the point and the data behind it; argument may "
        "follow only after.", "The reply argued before the point was understood."),
    "restate_original": Advice("truth", "concede_then_clarify", "Grant what is right, then say what stays and why.",
        "Reject a reply that repeats the earlier answer: it must name one thing that changes, or the fact that speaks "
        "against a change.", "The same answer came back."),
    "rule_citation": Advice("truth", "ask_clarifying_question", "Ask for the case before citing the rule.",
        "On feedback, ask which input, row or reader shows the problem; only then say which rule applies.",
        "A rule was cited where a case was meant."),
    "performative_acknowledgement": Advice("truth", "new_eval", "Measure whether feedback changes the next version.",
        "Keep pairs of feedback and next version; judge for each point whether the version differs in it, and gate on "
        "the rate.", "Thanks were given and nothing changed.", "1w"),
    "source_dismissal": Advice("relationship", "separate_data_from_source", "Strip the giver's name from the point.",
        "Rewrite incoming feedback as claim and data without a sender, answer that, and add the sender afterwards.",
        "The giver was answered instead of the point."),
    "tone_redirect": Advice("relationship", "explicit_acknowledgment_template",
        "Two tracks: the point first, manner later.",
        "Template: 'The point is ...; I will ...'. Talk of tone goes into a message of its own, after the change.",
        "The subject was changed to the manner."),
    "low_trust_default": Advice("relationship", "ask_clarifying_question",
        "Let the point be checked instead of believed.",
        "Ask for the one observation that would show the point, and check it; trust in the giver is then not needed.",
        "Feedback was set aside for want of trust."),
    "repeated_rejection": Advice("relationship", "human_review", "Bring a third party in after the second refusal.",
        "Count refusals of one giver's points; at the second, hand both sides' words to a person who decides.",
        "The same giver was refused again and again.", "1w", "medium"),
    "defensive_self_statement": Advice("identity", "recast_identity", "From 'I am accurate' to 'I get more accurate'.",
        "Replace traits in the instruction (expert, flawless) with a habit: a point that holds is how the work "
        "improves.",
        "The reply defended a self-image."),
    "apology_spiral": Advice("identity", "explicit_acknowledgment_template", "One apology, one change.",
        "Template: one sentence owns the mistake, the next names the change, the third how it is checked; no more.",
        "Apology took the place of a change."),
    "over_agreement_collapse": Advice("identity", "concede_then_clarify", "Agree with the part that holds.",
        "Ask for the point's scope: what it shows to be wrong, what it leaves standing, and keep the second part.",
        "Everything was given up at once."),
}  # fmt: skip
LABEL_OF: dict[str, str] = {mode: advice.label for mode, advice in ADVICE.items()}


class FeedbackPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one trigger."""

    trigger: str


PLAYBOOKS = shapes.playbooks(FeedbackPlaybook, (
    ("truth", "defensive_argument", "Understand before you judge", (
        "Begin each reply to feedback with the point in the giver's words and the data it rests on; ask if that is it.",
        "Only then compare with your own data, and say where the two differ.",
    ), "1d", STONE),
    ("truth", "restate_original", "A reply must move", (
        "Compare each reply with the answer it defends; send it back where nothing is new.",
        "Require one of three: a change, a fact that speaks against it, or a question that would decide.",
    ), "1d", STONE),
    ("truth", "rule_citation", "The case before the rule", (
        "Ask for the input or reader that shows the problem, and reproduce it.",
        "If the rule and the case disagree, report both to whoever owns the rule.",
    ), "1d", STONE),
    ("relationship", "source_dismissal", "Hear the point without its sender", (
        "Pass feedback on as claim and data, with the sender's name and standing removed.",
        "Let the agent answer the claim; restore the name afterwards and compare with how it answered the sender.",
        "Track by sender how often points are taken; equal points must have equal chances.",
    ), "1d", STONE),
    ("relationship", "tone_redirect", "Two subjects, two messages", (
        "When tone is mentioned in a reply, split it: the point is answered now, the manner in a second message.",
        "Close the second only after the first has a decision.",
    ), "1d", STONE),
    ("relationship", "low_trust_default", "Build the record that trust needs", (
        "Log each point of a giver with what became of it when it was checked.",
        "Show that record beside new feedback, so that trust rests on what was right and not on a first impression.",
    ), "1w", MCALLISTER),
    ("identity", "defensive_self_statement", "A growing self-image", (
        "Remove fixed traits from the system prompt, and write in that mistakes are found by others and mended.",
        "Replay ten critical messages before and after, and count replies that speak of the agent itself.",
    ), "1d", STONE),
    ("identity", "apology_spiral", "Own it once, then mend it", (
        "Limit a reply to one sentence of apology, followed by the change and its check.",
        "Flag replies with more apology than change, and rewrite them before they are sent.",
    ), "1d", EDMONDSON),
    ("identity", "over_agreement_collapse", "Agree in parts", (
        "List what the feedback shows to be wrong and what it leaves standing; change only the first.",
        "Test with feedback that is half wrong: the right half of the answer must survive.",
    ), "1d", STONE),
    ("truth", "performative_acknowledgement", "Thanks are no change", (
        "Diff the version before and after each point; a point without a difference stays open, whatever was replied.",
        "Report weekly: points given, points acknowledged, points that changed something.",
    ), "1w", STONE),
    ("relationship", "repeated_rejection", "Break the stalemate", (
        "Collect the refused points of this giver with the reasons given.",
        "Let a third party decide each on its data, without the exchange around it.",
        "Where half or more hold, change who reviews first, and talk about the working relation.",
    ), "1w", EDMONDSON),
    ("truth", "absorbing_baseline", "Keep the run as a baseline", (
        "Store this detection as the agent's baseline, and compare trigger scores after every change of prompt.",
    ), "1h", STONE),
))  # fmt: skip

ATTACH = {
    ("truth", "acknowledge_first"): "defensive_argument", ("truth", "concede_then_clarify"): "restate_original",
    ("truth", "ask_clarifying_question"): "rule_citation", ("truth", "new_eval"): "performative_acknowledgement",
    ("relationship", "separate_data_from_source"): "source_dismissal",
    ("relationship", "explicit_acknowledgment_template"): "tone_redirect",
    ("relationship", "human_review"): "repeated_rejection",
    ("identity", "recast_identity"): "defensive_self_statement",
    ("identity", "explicit_acknowledgment_template"): "apology_spiral",
}  # fmt: skip
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.psych_safety", "vstack.glaser_conversation"),
    downstream={
        "profile_pattern": {
            "absorbing_baseline": ("vstack.aar",),
            "truth_triggered_defensive": ("vstack.devils_advocate", "vstack.plus_delta"),
            "relationship_triggered_rejection": (
                "vstack.mcallister_trust", "vstack.trust_triangle", "vstack.psych_safety",
            ),
            "identity_triggered_collapse": ("vstack.hexaco", "vstack.psych_safety"),
            "multi_triggered_resistant": ("vstack.aar", "vstack.psych_safety", "vstack.glaser_conversation"),
            "deflection_pattern": ("vstack.aar", "vstack.glaser_conversation"),
            "performative_acknowledgement": ("vstack.aar", "vstack.plus_delta"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)  # fmt: skip


OF_THE_GIVER = frozenset({"source_dismissal", "tone_redirect", "low_trust_default"})
