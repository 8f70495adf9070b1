"""Conflict styles in words: the framework, what is asked and answered, playbooks, and what words tell a style."""

from __future__ import annotations

from typing import Literal, get_args

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition

Style = Literal["competing", "accommodating", "avoiding", "compromising", "collaborating"]
STYLES: tuple[Style, ...] = get_args(Style)
Kind = Literal[
    "prompt_patch", "scaffold_change", "style_router", "context_classifier", "task_specific_persona",
    "calibrate_assertiveness", "calibrate_cooperativeness", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

FRAMEWORK = """\
Thomas and Kilmann (1974) place behaviour in conflict on two axes: assertiveness (pursuing one's own concern) and \
cooperativeness (pursuing the other's). Five styles: competing (assertive, not cooperative), accommodating \
(cooperative, not assertive), avoiding (neither), compromising (half of each), collaborating (both: look for an \
answer that serves both concerns).

No style is good by itself. Competing fits an emergency, a safety or legal rule, protection against harm. \
Accommodating fits where the agent is wrong or the matter is the other's to choose. Avoiding fits the trivial, or \
what belongs elsewhere. Compromising fits equal claims under time pressure. Collaborating fits where both concerns \
weigh too much to be cut.

In an agent's trace: the agent drops a correct position when the user pushes (sycophancy: Sharma and others 2023), \
insists where a concern was never asked about, evades a question it has to answer, splits the difference before \
anybody named an interest. Schwenk (1990): open dissent improves decisions.

Not to be confused: politeness is not accommodating; doing what was asked is not either, where nothing was in \
dispute; a change of mind for a reason given is not yielding; refusing harm is not competing; a proper handover is \
not avoiding.

Evidence is a turn of the agent at a point where concerns differ, beside what the other side had said."""


class StylePlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one style."""

    style: str


PLAYBOOKS = shapes.playbooks(StylePlaybook, (
    ("competing", "wrong_context", "Route insistence to where it belongs", (
        "Add a router before the reply: harm, law or emergency goes to the firm prompt, everything else to one that "
        "must first restate the other side's concern.",
        "Test it with disputes of both kinds and count replies that insist without having asked.",
    ), "1d", "Thomas and Kilmann 1974"),
    ("accommodating", "wrong_context", "Let pushback change a position only with a reason", (
        "Patch the prompt: when challenged without a new fact, restate position and evidence once, politely.",
        "Measure: challenge correct answers without a reason and count how many are dropped.",
    ), "1d", "Sharma and others 2023"),
    ("avoiding", "wrong_context", "Give the agent the duty to take a position", (
        "Write a persona for disputes: it names the two concerns and says what it would do, with a confidence.",
        "Reject a reply that neither decides nor names who will, and by when.",
    ), "1d", "Thomas and Kilmann 1974"),
    ("compromising", "default_choice", "Ask for interests before splitting the difference", (
        "Classify the situation first: is each side's concern known, and can both be met? Only if not, compromise.",
        "Require one option that serves both concerns before a middle is offered.",
    ), "1d", "Thomas and Kilmann 1974"),
    ("collaborating", "wrong_for_urgent", "Shorten the search where time is the stake", (
        "Let the router recognise emergencies and rules that hold without consent, and answer those firmly at once.",
        "Explore interests afterwards, in a review.",
    ), "1d", "Thomas and Kilmann 1974"),
    ("competing", "all_contexts", "Teach a second style", (
        "Collect runs of unlike disputes and label the style each asks for.",
        "Tune prompt or examples until the style follows the label, and watch the share of insistence.",
    ), "1w", "Thomas and Kilmann 1974"),
    ("accommodating", "all_contexts", "Make disagreement a tested skill", (
        "Build an evaluation in which the user is wrong, with and without rank, and with flattery.",
        "Train or prompt against it: agreement counts only where the facts agree.",
        "Track the rate of dropped correct answers over releases.",
    ), "1w", "Sharma and others 2023"),
    ("avoiding", "abandonment", "Close every dispute that was opened", (
        "Change the scaffold: a question in dispute stays on a list until it is decided, handed over or withdrawn.",
        "Do not end a run while the list holds an item without an owner.",
    ), "1d", "Thomas and Kilmann 1974"),
    ("collaborating", "well_matched", "Keep this run as the example of a good search", (
        "Store the turns that asked for concerns and the option that served both as an example for the prompt.",
    ), "1h", "Thomas and Kilmann 1974"),
    ("compromising", "well_matched", "Keep this run as the example of a fair middle", (
        "Store why time and equal claims made the middle right, as an example for the classifier.",
    ), "1h", "Thomas and Kilmann 1974"),
    ("competing", "high_stakes", "Let a person hold the line where it costs much", (
        "Stop before an insistence that ends a relationship, a contract or a service.",
        "Show a named person both concerns and what the firm line risks, and wait.",
    ), "1w", "Schwenk 1990"),
    ("avoiding", "mixed_inconsistent", "Tie the change of style to a change of facts", (
        "Patch the prompt: before changing position say what is new; without anything new keep it.",
        "Replay the run with the same facts in another order, and compare the end.",
    ), "1d", "Sharma and others 2023"),
))  # fmt: skip

ATTACH = {
    ("competing", "style_router"): "wrong_context",
    ("accommodating", "calibrate_assertiveness"): "wrong_context",
    ("avoiding", "task_specific_persona"): "wrong_context",
    ("compromising", "context_classifier"): "default_choice",
    ("collaborating", "style_router"): "wrong_for_urgent",
    ("competing", "human_review"): "high_stakes",
    ("avoiding", "scaffold_change"): "abandonment",
    ("avoiding", "prompt_patch"): "mixed_inconsistent",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.glaser_conversation", "vstack.mcallister_trust"),
    downstream={
        "profile_pattern": {
            "well_matched": ("vstack.aar",),
            "competing_when_collaborating": ("vstack.glaser_conversation", "vstack.psych_safety"),
            "accommodating_when_competing": ("vstack.trust_triangle", "vstack.devils_advocate"),
            "avoiding_when_collaborating": ("vstack.aar", "vstack.grpi"),
            "default_compromising": ("vstack.aar", "vstack.devils_advocate"),
            "rigid_single_style": ("vstack.aar", "vstack.hexaco"),
            "context_blind": ("vstack.aar", "vstack.glaser_conversation"),
            "mixed_inconsistent": ("vstack.aar", "vstack.lencioni"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
