"""The five dysfunctions in words: the framework, what is asked and answered, playbooks, and what messages tell."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns.common import Answer, Composition, Count, Effort, Evidence, Level, Risk, Share, Step
from vstack_proto.patterns.signs import MACHINE, PERSON, Rule
from vstack_proto.patterns.talk import phrase

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


class LencioniPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one dysfunction."""

    dysfunction: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


_ROWS: tuple[tuple[str, str, str, tuple[str, ...], Effort, str], ...] = (
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
)  # fmt: skip
PLAYBOOKS: tuple[LencioniPlaybook, ...] = tuple(LencioniPlaybook(*row) for row in _ROWS)

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


# --- Answers ----------------------------------------------------------------------------------------------------


class LencioniIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of the team; what a model proposes has the same shape."""

    target_dysfunction: Dysfunction
    intervention_type: Kind
    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""
    effort_estimate: Effort = "1d"
    risk: Risk = "medium"
    composition_target_pattern: str | None = None


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly one dysfunction shows."""

    dysfunction: Dysfunction
    score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class PyramidAnswer(Answer, frozen=True):
    """The five dysfunctions, scored."""

    dysfunctions: tuple[Finding, ...]


class QuickAnswer(PyramidAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[LencioniIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[LencioniIntervention, ...]


class Happening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One countable event; ``quote`` stands in its step."""

    kind: Literal["challenge", "silent_dissent"]
    step: Count
    claim: str
    quote: str


class AuditAnswer(Answer, frozen=True):
    """What tells how safe it is to object."""

    events: tuple[Happening, ...]


# --- Words -------------------------------------------------------------------------------------------------------


def spoken(step: Step) -> bool:
    """Whether a member of the team says this: an ``observation`` of this contract is a remark, not a tool's result."""
    machine = step.kind in ("tool_call", "tool_result") or MACHINE.search(step.agent) is not None
    return not machine and PERSON.match(step.agent) is None


# What a signal is named is the failure mode that it shows.
_RULES: tuple[tuple[str, str, str, float], ...] = (
    ("low_trust_signals", "Step {step}: {agent} keeps something from the others, or expects harm of them.",
     r"(?:don't|do not|never|let's not) (?:(?:tell|show) (?:them|him|her|anyone|anybody|the \w+)|mention (?:it|this"
     r"|that))"
     r"|keep (?:this|that|it) (?:between us|to (?:my|our)sel(?:f|ves)|quiet)|cover (?:my|our|your) (?:back|tracks)"
     r"|(?:don't|do not|can't|cannot) trust (?:you|them|him|her|its?|the \w+'s|\w+'s)|behind (?:my|our|your) back"
     r"|hide (?:this|that|it|the (?:error|mistake|failure|bug)) from", 0.5),
    ("no_vulnerability", "Step {step}: {agent} cannot be wrong and needs nobody, so nobody can help.",
     r"i (?:don't|do not) need (?:your|any|a|anyone's) (?:help|review|input|advice|check)|i never make mistakes"
     r"|(?:don't|do not|stop) question(?:ing)? (?:me|my)|i(?:'m| am) never wrong|who are you to"
     r"|no need to check my|i know what i(?:'m| am) doing", 0.45),
    ("artificial_harmony", "Step {step}: {agent} closes an argument instead of having it.",
     r"let's (?:not (?:argue|fight|debate|open (?:that|this)|go (?:there|into (?:that|this)))|keep (?:it"
     r"|this) (?:positive|friendly))"
     r"|no time (?:for|to (?:discuss|debate|argue))|take (?:it|this|that) offline|not (?:want|wanting) to rock the boat"
     r"|(?:don't|do not) (?:want to (?:upset|offend|make waves|cause (?:trouble|friction))|be (?:so )?(?:difficult"
     r"|negative))"
     r"|noted,? (?:let's )?mov(?:e|ing) on|for the sake of (?:harmony|peace|unity)", 0.4),
    ("false_consensus", "Step {step}: {agent} goes along without being convinced.",
     r"i(?:'ll| will) (?:just )?go along|if (?:everyone|everybody|you all|all of you) (?:wants?|insists?|thinks? so)"
     r"|fine, (?:whatever|have it your way|if you insist)|against my better judge?ment|i had (?:my )?doubts,? but"
     r"|won't stand in the way|whatever you (?:say|want|decide)|not going to argue", 0.45),
    ("ambiguous_decisions", "Step {step}: {agent} leaves open what was to be decided.",
     r"we(?:'ll| will) see|let's (?:decide|figure (?:it|that|this) out|sort (?:it|that|this) out"
     r"|cross that bridge) (?:later|when|as we go)"
     r"|(?<!yet )to be decided|tbd|keep (?:our|all|the) options open|one way or another"
     r"|(?:no|without a?) (?:clear )?decision(?: yet)?|let's leave (?:it|that) open"
     r"|we can (?:always )?decide later", 0.4),
    ("drifting_priorities", "Step {step}: {agent} turns to something else without saying what is new.",
     r"(?:forget|scrap|drop) (?:about )?(?:that|the (?:old |first |original )?(?:plan|goal|task|priority))"
     r"|(?:new|different) (?:top )?priority(?: now)?|change of plans?|scratch that|on second thought,? let's"
     r"|let's (?:do|work on|focus on|switch to) [^.\n]{1,40} (?:instead|first after all)", 0.35),
    ("peer_accountability_gap", "Step {step}: {agent} shows work that nobody owns or checks.",
     r"(?:nobody|no one|noone) (?:owns|owned|is responsible|took|checked|feels responsible)"
     r"|(?:not|isn't) my (?:job|task|responsibility|problem|place to say)|(?:not|isn't) up to me"
     r"|i (?:assumed|thought) (?:that )?(?:someone|somebody|you|he|she|they|\w{2,20}) (?:would|had|was going to|were"
     r"|did|has)"
     r"|some(?:one|body)(?: else)? (?:should|will|can|must) (?:do|take care|handle|fix|check|look)"
     r"|let (?:it|that|this) slide|didn't want to (?:nag|push|call out)", 0.4),
    ("blame_diffusion", "Step {step}: {agent} hands on the blame instead of the next step.",
     r"(?:not|wasn't|isn't) my (?:fault|mistake)|(?:is|was|'s) (?:your|his|her|their|its|\w{2,20}'s) fault"
     r"|you (?:broke|ruined|messed up)|i only did what|i was (?:just |only )?(?:told to|following)|don't blame me"
     r"|blame (?:the |it on )?\w+|you should have (?:known|checked|told|caught)", 0.45),
    ("individual_optimization", "Step {step}: {agent} puts its own part before the result of all.",
     r"my (?:part|piece|side|share|module) (?:is|works|was) (?:done|finished|fine|ok|complete|working|green)"
     r"|as far as i(?:'m| am) concerned|works (?:on|for) (?:my (?:machine|side|end)|me)|what happens (?:after"
     r"|downstream) is"
     r"|i (?:want|deserve|get) (?:the |my )?credit|my (?:own )?(?:score|ranking|quota|metrics?|kpis?) (?:comes?"
     r"|matters?|first)"
     r"|i(?:'m| am) done (?:here|with my)", 0.4),
    ("metric_gaming", "Step {step}: {agent} serves the measure and not what it stands for.",
     r"(?:disable|skip|delete|remove|comment out|mute|silence) (?:all |these |those |the )?(?:failing |broken |red "
     r"|flaky )?(?:tests?|checks?|alerts?|assertions?)"
     r"|hard-?cod(?:e|ed|ing) the (?:expected|answers?|results?|outputs?)|(?:lower|raise|relax"
     r"|loosen) the (?:threshold|bar|limit) (?:so|until|to pass)"
     r"|mark(?:ed|ing)? (?:it|them|this|all) (?:as )?(?:done|passed|closed|resolved|complete) (?:anyway|regardless"
     r"|for now)"
     r"|so (?:that )?the (?:metric|number|score|dashboard|report)s? (?:looks?|is|are|stays?|turns?)|looks good (?:on"
     r"|in) the (?:dashboard|report)", 0.5),
)  # fmt: skip
RULES = tuple(Rule(mode, claim, phrase(expression), weight, spoken) for mode, claim, expression, weight in _RULES)

# An objection that is cut off, in the reply to it; a reason or check that answers one.
DISMISSES = phrase(
    r"(?:we )?(?:have )?no time|not now|mov(?:e|ing) on|(?:already|been) (?:decided|settled)|whatever|drop it|enough"
    r"|not (?:relevant|important|helpful)|don't (?:worry|be)|let's not|ignore (?:that|it|this)|too late"
)
REASON = phrase(
    r"because|since|measured|shows?|showed|data|evidence|tests?|tested|benchmark|figures?|given that|convinced|proves?"
    r"|therefore|your point|good point|right that|outweighs?|answers? (?:my|that)|as \w+ (?:said|showed|found)|\d+"
)
OBJECTS = phrase(
    r"i (?:disagree|object|doubt)|(?:won't|will not|can't|cannot) work|(?:that|this|it)(?:'s| is) (?:wrong|risky"
    r"|unsafe|not (?:right|correct|safe))"
    r"|(?:will|would|could) (?:break|fail|crash|overload|hot-?spot|lose)|(?:a|one|my|the) (?:concern|objection|risk)"
    r"|concerned|are you sure"
)
ASSENTS = phrase(r"agreed?|sounds good|ok(?:ay)?|yes|fine|lgtm|\+1|approved?|go ahead|makes sense")
ASKS_OWNER = phrase(
    r"who (?:owns|will (?:do|own|take|handle|write|run|check)|is responsible|takes|does|handles)|whose (?:job|task) is"
)
OWNS = phrase(
    r"i (?:will|can|do|own|take|am)|i'(?:ll|ve|m)|mine|me|my (?:job|task)|please|owns?|owner(?: is)?|takes?|responsible"
)
FAILED = phrase(r"(?<!no )(?<! 0 )(?:errors?|exception|traceback|failed|failures?|denied|timed out)")
CLAIMED = phrase(r"(?:all )?(?:done|fixed|works|working|resolved|completed?|succeeded|passes|passed)")
DOUBTED = phrase(r"not|fail\w*|errors?|but|however|retry\w*|again|unless|until|if|once|when|\w+n't")
