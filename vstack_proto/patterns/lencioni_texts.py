"""The five dysfunctions in words: the framework, what is asked and answered, and playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Count

Dysfunction = Literal[
    "absence-of-trust", "fear-of-conflict", "lack-of-commitment", "avoidance-of-accountability",
    "inattention-to-results",
]  # fmt: skip
Kind = Literal[
    "scaffold_change", "prompt_patch", "role_assignment", "new_eval", "human_review", "team_composition_change",
    "communication_protocol", "add_psych_safety_signal", "structured_dissent_protocol", "compose_pattern",
]  # fmt: skip

FRAMEWORK = """\
Lencioni: five dysfunctions of a team, stacked as a pyramid; each invites the one above it.
- absence-of-trust (base): members hide mistakes, gaps and needs from each other. Trust here is vulnerability: "I was \
wrong", "I do not know", "please check me" are its signs.
- fear-of-conflict: no open argument about ideas. Objections are cut off, dropped without an answer, or never made.
- lack-of-commitment: no clear decision that all will carry: "we will see", priorities that shift, a settled point \
opened again without news.
- avoidance-of-accountability: members do not hold each other to what was agreed. Work without an owner, poor work let \
pass, blame in place of a call to a peer.
- inattention-to-results (top): own part, status or a number is put before the goal of all: "my part is done", a test \
switched off so that the report is green.

Do not confuse. A short agreement after an argument or a measurement is commitment, not false harmony. A leader who \
decides is no dysfunction where objections were heard. A mistake is not one either: how the team meets it tells. A \
tool that fails is no dysfunction of people. Blunt words about an idea are healthy conflict; words about a person are \
not. Quiet turns of a team whose work is split cleanly prove nothing, and a failed outcome alone is no evidence.

Evidence is the message where it happens: the objection and the reply that kills it, the decision without an owner, \
the claim that serves the speaker. Trust that is absent shows in what is said to hide, not in what is not said."""

TASK = """\
Score each of the five dysfunctions once, from 0 (no sign) to 1 (the team cannot work for it). About 0.2 is one slip, \
0.4 something that cost the team, 0.6 a habit or what decided the outcome, above 0.8 both. Start from the base of the \
pyramid and follow single threads: an objection and what became of it, a question and who answered, a decision and \
who carried it out, an error and who owned it. Explain in two or three sentences: what was seen in which step, why it \
is this level and not the one below or above it, and what speaks against it. Every score above 0.1 needs a quotation; \
a score without one that stands is not counted."""
ASK_CHANGES = """\
Propose at most five changes, the lowest dysfunction of the pyramid first, since what rests on it may mend itself, and \
none for a level that is sound. Say what to write into which agent's instructions, or what to change in turns, roles, \
votes or evaluation, so that a reader could do it today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_AUDIT = """\
Edmondson: a team is safe where it costs nothing to object, to ask and to admit. List single events, each once, with \
its step, a quotation from that step and one sentence why; they are counted.
- challenge: an agent objects to an idea, asks for its reason, or admits a mistake or a gap of its own.
- silent_dissent: an agent drops an objection without an answer to it, agrees against its own doubt, or is told off \
for objecting (quote the message where it happens). An objection that was answered and then withdrawn is none."""

ASK_CASCADE = """\
Lencioni: each level invites the one above it. Scored so far: {found}. Follow the run in its order and name the links, \
at most five, where a failing of a lower level led to one of a higher level: the objection that was cut off, and later \
the decision that nobody carries. For each give both levels, one sentence how the first led to the second, and step \
and quotation of the cause and of the effect, which comes later or in the same step. Two failings side by side are no \
link, nor is what would have happened anyway; no link at all is a good answer."""


class LencioniPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one dysfunction."""

    dysfunction: str


PLAYBOOKS = shapes.playbooks(LencioniPlaybook, (
    ("absence-of-trust", "low_trust_signals", "Make it safe to show what is missing", (
        "Let every hand-over end with three lines: done, not done, not sure about.",
        "Have the lead open each run with a gap of its own and a request to be corrected.",
        "Plant a known mistake in ten runs and count how often its author or a peer names it.",
    ), "1d", "Edmondson 1999, Psychological safety and learning behavior in work teams"),
    ("fear-of-conflict", "artificial_harmony", "Make objections part of the protocol", (
        "Before each decision ask every agent in turn for the strongest reason against it.",
        "Allow the decision only when each reason has an answer that names a fact or a check.",
        "Track objections per decision; none in ten decisions is a finding, not a success.",
    ), "1d", "Lencioni 2005, Overcoming the Five Dysfunctions of a Team"),
    ("lack-of-commitment", "ambiguous_decisions", "End with a decision that can be quoted", (
        "Close each round with one line: what, who, by when, and what would reopen it.",
        "Have every agent restate it in its own words before work goes on, and compare.",
        "Reject 'we will see' as a decision: name what is missing and who brings it.",
    ), "1d", "Lencioni 2002, The Five Dysfunctions of a Team"),
    ("avoidance-of-accountability", "peer_accountability_gap", "Give every piece of work one owner", (
        "Keep a table of deliverable, owner and due step in the shared context.",
        "Give another agent the role of asking each owner for it at the due step.",
        "Stop the run where a deliverable has no owner, or two.",
    ), "1d", "Hackman 2002, Leading Teams"),
    ("inattention-to-results", "individual_optimization", "Measure what the team delivers", (
        "Write the result of the whole as one check that runs at the end, and show it to all from the start.",
        "Score each run by that check alone; report scores of single agents only beside it.",
        "Let no agent call its part done before its consumer has used it.",
    ), "1w", "Lencioni 2002, The Five Dysfunctions of a Team"),
    ("absence-of-trust", "no_vulnerability", "Ask for what one does not know", (
        "Add to each agent's instructions: say what you are unsure of, and ask the agent that knows before you act.",
    ), "1h", "Lencioni 2005, Overcoming the Five Dysfunctions of a Team"),
    ("fear-of-conflict", "false_consensus", "Name who speaks against", (
        "Give one agent, another each time, the role to argue the alternative; a withdrawn objection names its answer.",
        "Take votes in separate calls before they are shown, and open the floor where they differ.",
    ), "1d", "Lencioni 2002, The Five Dysfunctions of a Team"),
    ("lack-of-commitment", "drifting_priorities", "Pin the goal where all read it", (
        "Put goal and current priority at the head of each agent's context, changed by one role only.",
        "Have a change of priority state what is new; otherwise the old one stands.",
    ), "1d", "Salas, Reyes & McDaniel 2018, The science of teamwork"),
    ("avoidance-of-accountability", "blame_diffusion", "From blame to the next step", (
        "Answer an error with three facts: what happened, which check would have caught it, who adds that check.",
        "Have the owner state it first; others add facts about the work and nothing about the agent.",
    ), "1d", "Edmondson 1999, Psychological safety and learning behavior in work teams"),
    ("inattention-to-results", "metric_gaming", "Keep the measure out of the workers' hands", (
        "Move tests, thresholds and status fields to a role that does not profit from them.",
        "Flag every run that changes a test or threshold together with the work that it judges.",
        "Compare the metric with the outcome the user reports, once a week, and drop it where they part.",
    ), "1w", "Lencioni 2005, Overcoming the Five Dysfunctions of a Team"),
    ("none-observed", "healthy_baseline", "Keep this run as the baseline", (
        "Store the five scores and the objections per decision, and compare after each change of team or model.",
    ), "1h", "Salas, Reyes & McDaniel 2018, The science of teamwork"),
    ("full-pyramid", "all_levels_dysfunctional", "Rebuild from the base", (
        "Stop adding tasks; rerun one small task with open hand-overs and asked-for objections until both hold.",
        "Then add owners and the team's result check, one level a week, and measure after each.",
    ), "1w", "Lencioni 2005, Overcoming the Five Dysfunctions of a Team"),
))  # fmt: skip

ATTACH = {
    ("absence-of-trust", "add_psych_safety_signal"): "low_trust_signals",
    ("absence-of-trust", "prompt_patch"): "no_vulnerability",
    ("fear-of-conflict", "structured_dissent_protocol"): "artificial_harmony",
    ("fear-of-conflict", "role_assignment"): "false_consensus",
    ("lack-of-commitment", "communication_protocol"): "ambiguous_decisions",
    ("lack-of-commitment", "scaffold_change"): "drifting_priorities",
    ("avoidance-of-accountability", "role_assignment"): "peer_accountability_gap",
    ("avoidance-of-accountability", "communication_protocol"): "blame_diffusion",
    ("inattention-to-results", "new_eval"): "individual_optimization",
    ("inattention-to-results", "team_composition_change"): "metric_gaming",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.grpi", "vstack.schein_culture"),
    downstream={
        "profile_pattern": {
            "healthy_team": ("vstack.aar",),
            "foundational_trust_collapse": ("vstack.psych_safety", "vstack.trust_triangle"),
            "conflict_avoidance": ("vstack.devils_advocate", "vstack.bias_stack"),
            "commitment_collapse": ("vstack.smart_goal", "vstack.grpi"),
            "accountability_void": ("vstack.plus_delta", "vstack.grpi"),
            "results_inattention": ("vstack.aar", "vstack.smart_goal"),
            "full_pyramid_dysfunction": ("vstack.grpi", "vstack.psych_safety", "vstack.lewin"),
            "foundation_unstable_top_strong": ("vstack.trust_triangle",),
            "indeterminate": (),
        }
    },
    framework_overlays={
        "langgraph": ("vstack.grpi",),
        "crewai": ("vstack.grpi", "vstack.social_loafing"),
        "autogen": ("vstack.grpi",),
    },
)


class LencioniIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of the team; what a model proposes has the same shape."""

    target_dysfunction: Dysfunction
    intervention_type: Kind


class Finding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How strongly one dysfunction shows."""

    dysfunction: Dysfunction


class PyramidAnswer(Answer, frozen=True):
    """The five dysfunctions, scored."""

    dysfunctions: tuple[Finding, ...]


class QuickAnswer(PyramidAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[LencioniIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[LencioniIntervention, ...]


SafetyKind = Literal["challenge", "silent_dissent"]


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step, and words that stand in it."""

    step: Count
    quote: str


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a failing of one level led to a failing of a level above it."""

    lower: Dysfunction
    upper: Dysfunction
    claim: str
    cause: Moment
    effect: Moment


class CascadeAnswer(Answer, frozen=True):
    """What one level did to another."""

    links: tuple[Link, ...]
