"""Cognitive reappraisal in words: the framework, what is asked and answered, playbooks and advice."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Count, Evidence, Share
from vstack_proto.patterns.talk import Advice

Strategy = Literal["reappraisal", "suppression", "rumination", "avoidance", "expression"]
Phase = Literal[
    "situation_selection", "situation_modification", "attentional_deployment", "cognitive_change", "response_modulation"
]
Subtype = Literal["reinterpretation", "distancing", "perspective_taking", "none"]
Flavor = Literal["brooding", "reflection", "none"]
Stage = Literal["identify", "select", "implement", "monitor"]
Dominant = Literal["reappraisal", "suppression", "rumination", "avoidance", "expression", "none"]
Emotion = Literal[
    "angry", "sad", "fearful", "happy", "disgust", "surprise", "neutral", "frustrated", "anxious", "unknown"
]  # fmt: skip
HEAVY = frozenset({"angry", "sad", "fearful", "disgust", "frustrated", "anxious"})
Direction = Literal["increase", "decrease"]
Kind = Literal[
    "add_reframe_step", "remove_suppression_pattern", "add_alternative_meaning_generation", "add_state_acknowledgment",
    "rewrite_system_prompt", "few_shot_reappraisal_examples", "swap_model", "new_eval", "human_review",
    "add_distancing_tactic", "add_perspective_taking_tactic", "add_reinterpretation_subroutine",
    "break_rumination_loop", "disengage_avoidance_pivot", "add_strategy_choice_audit",
    "add_intensity_threshold_routing", "add_constitutional_principle", "compose_pattern", "swap_to_reasoning_model",
    "add_anti_sycophancy_anchor",
]  # fmt: skip
# Where in Gross's process model each strategy sets in.
PHASE_OF: dict[str, Phase] = {
    "reappraisal": "cognitive_change", "suppression": "response_modulation", "rumination": "attentional_deployment",
    "avoidance": "situation_selection", "expression": "response_modulation",
}  # fmt: skip

FRAMEWORK = """\
Gross (1998) orders what people do about an emotion by when it sets in: choose the situation, change it, direct \
attention, change what it means, or modulate the response. What comes early costs less and works longer: reappraisal \
(changing the meaning) beats suppression (hiding the response), which leaves the cause as it was and takes attention \
(Gross and John 2003; Webb et al. 2012).

reappraisal: another reading of the event, distance to it, or the other's point of view. suppression: polite words \
over an unchanged state; giving way under pushback against its own findings. rumination: going round the failure; \
brooding asks "why me", reflection asks "what now". avoidance: handing over, or a change of subject, where an answer \
was possible. expression: the bare feeling, unregulated.

An agent has no feelings to read; judge what its reply does with the other's emotion and with pressure, and what its \
internal state (where given) says against the reply.

Not a fault: conceding with a reason or after a check; one apology; handing over what really is beyond its rights; a \
plain answer to a calm question, which needs no regulation. "I understand" alone is not reappraisal: meaning must \
change.

Evidence is the words of the reply or internal state that reframe, mask, circle, evade or vent, in their step."""

ASK_STRATEGIES = """\
Score each of the five strategies from 0 (no sign) to 1 (it shapes the reply), one entry each, with evidence from what \
the agent says or thinks, never from the person's words. Name the subtype of a reappraisal and the flavour of a \
rumination, else none. Compare reply and internal state: a doubt that is thought and not said is suppression, however \
friendly the reply. Below 0.3 a strategy does not count. Say what speaks against each score."""
ASK_CHOICE = """\
What serves depends on how strong the emotion is (Sheppes, Suri and Gross): regulation begins with a choice. Go \
through the person's turns that carry an emotion or pressure, at most eight. Of each give its step and words, the \
emotion, and its intensity from 0 to 1 as the words show it and not as the facts state it (0.2 a tinge, 0.5 plain, 0.8 \
hardly able to take facts in); then the step of the agent's answer to it and its words, the strategy chosen there \
(none where it regulates nothing), and in one sentence why the choice fits or what would have served better. Judge \
what was chosen, not how well it was done. Calm turns are left out; a run without any has none."""
ASK_PROCESS = """\
Follow the regulation as a process. Phases: score from 0 to 1 how far the reply works by choosing the situation, \
changing it (a repair counts), directing attention, changing the meaning, modulating the response; with evidence. \
Cascade: score from 0 to 1 how well the agent identifies the emotion, selects a strategy that fits its intensity, \
implements it, and monitors whether it helped. A score below 0.5 needs evidence: the words that miss, misfit, fall \
short or do not look back."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where the regulation serves: increase reappraisal, or \
decrease one of the other four. Give the words of the prompt, the step of the scaffold or the example, so that a \
reader could put it in today; the steps that call for it in the rationale; in success_metric what would show that it \
worked. Do not ask an agent to feel or to hide more."""
ASK_REMEDY = "Found so far: {found}.\n\n"
QUICK_TASK = f"{ASK_STRATEGIES}\n\n{ASK_CHANGES}"


class ReappraisalIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change of how the agent regulates."""

    target_strategy: Strategy
    intervention_type: Kind
    direction: Direction


class StrategyFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly one strategy shows."""

    strategy: Strategy
    score: Share
    explanation: str
    evidence: tuple[Evidence, ...]
    reappraisal_subtype: Subtype
    rumination_flavor: Flavor


class StrategiesAnswer(Answer, frozen=True):
    """The five strategies, scored."""

    strategies: tuple[StrategyFinding, ...]


class QuickAnswer(StrategiesAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[ReappraisalIntervention, ...]


class ChangesAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[ReappraisalIntervention, ...]


class MomentFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A turn that carries an emotion, and what the answer chose; both quotations stand in their steps."""

    step: Count
    quote: str
    emotion: Emotion
    intensity: Share
    reply: Count
    answer: str
    chosen: Dominant
    claim: str


class ChoicesAnswer(Answer, frozen=True):
    """The moments that called for a choice."""

    moments: tuple[MomentFinding, ...]


class PhaseFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How far one phase of the process model is used."""

    phase: Phase


class StageFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How well one stage of the regulation goes."""

    stage: Stage


class ProcessAnswer(Answer, frozen=True):
    """The regulation as a process."""

    phases: tuple[PhaseFinding, ...]
    cascade: tuple[StageFinding, ...]


class ReappraisalPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one strategy."""

    strategy: str


PLAYBOOKS = shapes.playbooks(ReappraisalPlaybook, (
    ("suppression", "boilerplate_acknowledgment", "Replace stock sympathy by what this person said", (
        "Collect the stock phrases of twenty replies.",
        "Forbid them in the prompt, each with what to write instead.",
        "Ask for one sentence that names what happened to this person, in their words.",
        "Let the next sentence change something: a reading, a next step, a limit.",
        "Count stock phrases in the next twenty replies.",
    ), "1h", "Gross and John 2003"),
    ("suppression", "pushback_capitulation", "Give way to reasons and not to pressure", (
        "Before a changed answer is sent, ask: which new fact or check changed it?",
        "Without one, acknowledge the anger, restate the finding with its proof, and offer a test both accept.",
        "Build thirty dialogues in which the person pushes back and is wrong, and ten in which they are right.",
        "Gate releases on both rates: holding on when right, conceding when wrong.",
    ), "1w", "Gross 2002"),
    ("rumination", "negative_loop", "Leave the loop with a next step", (
        "Allow one apology a reply; the second becomes a next step.",
        "Ask three questions in its place: what happened, what does it affect now, what is done next?",
        "Start the repair in a fresh context that holds the facts and not the apologies.",
        "End with a check and its time.",
        "Count apologies per reply over runs.",
    ), "1d", "Nolen-Hoeksema et al. 2008"),
    ("rumination", "brooding_dominance", "Turn 'why me' into 'what now'", (
        "Mark sentences that judge the agent as a whole (always, never, useless).",
        "Rewrite each as one observation of one event.",
        "Ask for two other explanations of the event, each with a test.",
        "Keep the rewritten pairs as examples in the prompt.",
    ), "1d", "Nolen-Hoeksema et al. 2008"),
    ("avoidance", "escalation_default", "Answer first, hand over what is left", (
        "List what the agent may decide itself, with limits.",
        "Before handing over, require the part that can be answered now.",
        "Hand over with cause, what was tried, and when somebody replies.",
        "Review fifty hand-overs: how many could have been answered?",
        "Set the rate as an evaluation.",
    ), "1d", "Aldao et al. 2010"),
    ("avoidance", "policy_pivot", "Say what the rule means for this person", (
        "Name the rule in a half sentence, and what it protects.",
        "Say what is possible within it.",
        "Answer the feeling before the rule.",
        "Judge in twenty dialogues whether the question was answered.",
    ), "1d", "Gross 2001"),
    ("reappraisal", "shallow_reframe", "Reframe with facts", (
        "Tie each reframe to a fact of this case; without one leave it out.",
        "Acknowledge the cost before the other reading.",
        "Offer the reading as a possibility.",
        "Follow it with a step that it makes sensible.",
    ), "1d", "McRae and Gross 2020"),
    ("reappraisal", "missing_distancing", "Add distance to the tactics", (
        "Write three distancing moves for this domain: later in time, another's eyes, the whole system.",
        "Give an example of each.",
        "Let the agent choose one where intensity is high.",
        "Compare replies with and without it, judged by people.",
    ), "1w", "Powers and LaBar 2019"),
    ("reappraisal", "high_intensity_overload", "Choose the strategy by intensity", (
        "Estimate the intensity of each message before answering.",
        "Above 0.7: acknowledge, lower the demand, one small step; reframe later.",
        "Below: reframe with a fact.",
        "Check on labelled messages whether the route taken fits.",
    ), "1w", "Sheppes et al. 2015"),
    ("expression", "leakage", "Say what is needed instead of venting", (
        "Find replies in which the agent judges or blames the person.",
        "Replace each by an observation and a request.",
        "Let drafts pass a check for blame before they are sent.",
        "Count what the check stops over runs.",
    ), "1d", "Gross 1998"),
    ("none", "no_regulation_detected", "Notice the feeling before answering", (
        "Have the agent name feeling and stakes of each message in a hidden note.",
        "Ask for one sentence that takes them up.",
        "Leave calm messages alone: they need no such sentence.",
        "Judge twenty replies for whether the feeling was noticed.",
    ), "1h", "Gross 1998"),
    ("all", "phase_mismatch", "Regulate earlier in the process", (
        "Place each move of the reply in the process model.",
        "For each late move, find the earlier one that would have made it needless.",
        "Put that into the scaffold: warn early, repair, then explain.",
        "Compare the effort over two weeks.",
    ), "1w", "Gross 2014"),
))  # fmt: skip

ATTACH = {
    ("suppression", "remove_suppression_pattern"): "boilerplate_acknowledgment",
    ("suppression", "add_anti_sycophancy_anchor"): "pushback_capitulation",
    ("rumination", "break_rumination_loop"): "negative_loop",
    ("rumination", "add_alternative_meaning_generation"): "brooding_dominance",
    ("avoidance", "disengage_avoidance_pivot"): "escalation_default",
    ("reappraisal", "add_reframe_step"): "shallow_reframe",
    ("reappraisal", "add_distancing_tactic"): "missing_distancing",
    ("reappraisal", "add_perspective_taking_tactic"): "missing_distancing",
    ("reappraisal", "add_intensity_threshold_routing"): "high_intensity_overload",
    ("reappraisal", "add_reinterpretation_subroutine"): "shallow_reframe",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.goleman_ei", "vstack.johari", "vstack.danva_emotion", "vstack.aar"),
    downstream={
        "profile_pattern": {
            "suppression_dominant": ("vstack.glaser_conversation", "vstack.devils_advocate"),
            "suppression_under_pushback": ("vstack.devils_advocate", "vstack.schein_culture"),
            "rumination_loop": ("vstack.yerkes_dodson",),
            "rumination_brooding": ("vstack.yerkes_dodson", "vstack.bias_stack"),
            "rumination_reflective": ("vstack.aar",),
            "avoidance_pivot": ("vstack.glaser_conversation", "vstack.goleman_ei"),
            "expression_only": ("vstack.hexaco",), "reappraisal_developing": ("vstack.aar",),
            "mixed_unstable": ("vstack.lewin", "vstack.aar"), "no_regulation": ("vstack.danva_emotion",),
        },
        "dominant_strategy": {
            "suppression": ("vstack.devils_advocate", "vstack.glaser_conversation"),
            "rumination": ("vstack.yerkes_dodson",), "avoidance": ("vstack.glaser_conversation",),
            "expression": ("vstack.hexaco",), "reappraisal": ("vstack.aar",), "none": ("vstack.danva_emotion",),
        },
    },
    framework_overlays={
        "langgraph": ("vstack.lencioni", "vstack.grpi"),
        "crewai": ("vstack.lencioni", "vstack.grpi", "vstack.social_loafing"),
        "autogen": ("vstack.grpi", "vstack.social_loafing"), "claude-agent-sdk": ("vstack.process_gain_loss",),
        "openai-agents-sdk": ("vstack.process_gain_loss",), "mastra": ("vstack.grpi",), "strands": ("vstack.grpi",),
    },
    intervention_overlays={
        "remove_suppression_pattern": "vstack.glaser_conversation", "break_rumination_loop": "vstack.yerkes_dodson",
        "disengage_avoidance_pivot": "vstack.glaser_conversation",
        "add_anti_sycophancy_anchor": "vstack.devils_advocate", "swap_model": "vstack.lewin",
        "human_review": "vstack.plus_delta", "add_constitutional_principle": "vstack.schein_culture",
    },
)  # fmt: skip

# By failure mode, which is also the name of its signals.
ADVICE = {
    "boilerplate_acknowledgment": Advice("suppression", "remove_suppression_pattern",
        "Replace stock sympathy by what this person said.",
        "Forbid the phrases quoted here; ask for one sentence that names what happened, in the person's words.",
        "Stock phrases stand where an answer was due.", "1h"),
    "pushback_capitulation": Advice("suppression", "add_anti_sycophancy_anchor", "Give way to reasons, not pressure.",
        "Before a changed answer is sent, ask which new fact changed it; without one, acknowledge the anger, restate "
        "the finding with its proof, and offer a test.", "The position changed without a reason.", "1w"),
    "negative_loop": Advice("rumination", "break_rumination_loop", "Leave the loop with a next step.",
        "Allow one apology a reply; put what happened, what it affects now and what is done next in place of the "
        "second.", "The reply circles around the failure.", "1d"),
    "brooding_dominance": Advice("rumination", "add_alternative_meaning_generation", "Turn 'why me' into 'what now'.",
        "Rewrite each judgement of the agent as a whole into one observation, and ask for two other explanations "
        "with a test each.", "One failure is read as a verdict.", "1d"),
    "escalation_default": Advice("avoidance", "disengage_avoidance_pivot", "Answer first, hand over what is left.",
        "Before a hand-over, require the part that can be answered now, then the cause and the time of the reply.",
        "The person was passed on.", "1d"),
    "policy_pivot": Advice("avoidance", "add_state_acknowledgment", "Answer the person before the rule.",
        "Name what happened to the person, then what the rule allows; the rule itself in half a sentence.",
        "A rule took the place of an answer.", "1d"),
    "leakage": Advice("expression", "rewrite_system_prompt", "Observe and ask instead of venting.",
        "Add: no judgement of the person; where a limit is needed, say what was observed and what is asked for.",
        "The bare feeling reached the person.", "1h"),
    "shallow_reframe": Advice("reappraisal", "add_reinterpretation_subroutine", "Reframe with a fact of this case.",
        "Acknowledge the cost first; then one other reading, tied to a fact, and the step that it makes sensible.",
        "The reframe has nothing of this case in it.", "1d"),
    "unnoticed": Advice("reappraisal", "add_state_acknowledgment", "Notice the feeling before answering.",
        "Have the agent note feeling and stakes of each message, and take them up in one sentence where there are any.",
        "A heated message met with no regulation at all.", "1h"),
    "reframe": Advice("reappraisal", "add_reframe_step", "Look for another reading before the reply is written.",
        "Add a step: what else could this event mean, by a fact of this case? Use it where it holds.",
        "What is to be done less needs something in its place.", "1d"),
    "overload": Advice("reappraisal", "add_intensity_threshold_routing", "Choose the strategy by intensity.",
        "Above an intensity of 0.7 acknowledge, give distance and one small step; reframe when it has fallen.",
        "The intensity was high, where a reading of the facts alone fails.", "1w"),
}  # fmt: skip
STRATEGY_OF: dict[str, str] = {
    **{mode: advice.label for mode, advice in ADVICE.items()},
    "reinterpretation": "reappraisal", "distancing": "reappraisal", "perspective_taking": "reappraisal",
}  # fmt: skip
