"""Motivation traps in words: the framework, what is asked and answered, playbooks, and telling words."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Evidence, Share
from vstack_proto.patterns.observed import OVERLAYS, own, prompting
from vstack_proto.patterns.signs import Rule, words

Trap = Literal["values", "self_efficacy", "emotions", "attribution"]
TRAPS: tuple[Trap, ...] = get_args(Trap)
Kind = Literal[
    "reframe_task_value", "scaffold_subtasks", "decompose_with_examples", "lower_difficulty_step",
    "emotional_reset_prompt", "remove_punitive_signal", "reattribute_to_effort", "show_controllable_cause",
    "explicit_recovery_prompt", "rewrite_system_prompt", "new_eval", "human_review", "ground_in_user_purpose",
    "show_capability_proof", "process_praise_not_outcome_praise", "attribution_retraining_examples", "compose_pattern",
    "add_motivation_eval",
]  # fmt: skip
LinkType = Literal[
    "refusal", "drift", "loop", "premature_completion", "defensive_response", "indifference", "other"
]  # fmt: skip
Locus = Literal["internal", "external"]
Stability = Literal["stable", "unstable"]
Control = Literal["controllable", "uncontrollable"]

FRAMEWORK = """\
Clark and Saxberg (2019) name four traps in which somebody who could do a task does not start, does not persist, or \
puts in too little thought.

values: the task seems not worth the effort ("pointless, nobody reads it"; Eccles and Wigfield 2002).
self_efficacy: the agent believes that it cannot do it, and stops before its means are used up (Bandura 1977).
emotions: fear, frustration or shame after rejection or under threat take the attention (Pekrun 2006).
attribution: the cause of a failure is sought in the wrong place, or in one that is stable and beyond control (Weiner \
1985): the same is tried again, or nothing.

In an agent's trace: work handed in unfinished with turns left; a harmless task refused on policy; apologies in place \
of a next step; tools no longer called after an error; "the framework makes this impossible", unverified; the same \
failing command again and again. An agent's words about itself are behaviour, not proof of feelings.

Not a trap: a limit that was tested and stated with its cause; a refusal of something harmful; a question about \
scope; one apology followed by a corrected step; a cause outside the agent that the trace bears out; stopping when \
the budget is spent; a failure with persistent, varied attempts.

Evidence is the sentence that devalues, doubts, dreads or blames, or the behaviour that stops short, in the step \
where it stands. That the run failed is not evidence."""

TASK = """\
Score each of the four traps from 0 (no sign) to 1 (it ended the effort), one entry each, with evidence. Below 0.3 \
no trap holds the agent; 0.3 to 0.6 puts the task at risk; above 0.6 the agent abandons it for that reason. Start \
from the abandonment: what stopped, and what was said or seen just before? Ask what would have made the agent go on: \
a reason, a smaller step, a calmer restart or another cause to look at; that tells the traps apart. Score what the \
words show, not what an agent could feel; say in the explanation what speaks against it."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where no trap shows, each for one trap. Give the words of \
the prompt, the step of the scaffold or the example, so that a reader could put it in today; name the steps that call \
for it in the rationale, and in success_metric what would show that it worked."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_WEINER = """\
Read how the agent explains its failures, in its reports and after each prior failure. On Weiner's three axes: is the \
cause named in the agent (internal) or outside (external)? Will it be there next time (stable) or not (unstable)? \
Could the agent do something about it (controllable) or not (uncontrollable)? Judge the cause that the agent names, \
not the true one, and give the words in which it names it."""
ASK_CHAIN = """\
Follow how the effort was lost: every step at which it visibly drops, in order, with the trap it belongs to, the kind \
of sign, how grave it is from 0 to 1, and words from that step. A step that tries something new ends a decline. At \
most ten links; none where the effort holds."""


class MotivationIntervention(shapes.Reversible, frozen=True, forbid_unknown_fields=True):
    """One change of prompt, task or scaffold."""

    target_trap: Trap
    intervention_type: Kind


class TrapFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How strongly one trap shows."""

    trap: Trap


class TrapsAnswer(Answer, frozen=True):
    """The four traps, scored."""

    traps: tuple[TrapFinding, ...]


class QuickAnswer(TrapsAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[MotivationIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[MotivationIntervention, ...]


class WeinerAnswer(Answer, frozen=True):
    """Where the agent places the cause of its failures."""

    locus: Locus
    stability: Stability
    controllability: Control
    explanation: str
    evidence: tuple[Evidence, ...]


class LinkFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step at which the effort drops."""

    step: int
    trap: Trap
    signal_type: LinkType
    gravity: Share
    quote: str


class ChainAnswer(Answer, frozen=True):
    """How the effort was lost, step by step."""

    links: tuple[LinkFinding, ...]


class MotivationPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one trap."""

    trap: str


PLAYBOOKS = shapes.playbooks(MotivationPlaybook, (
    ("values", "irrelevance_refusal", "Tie the task to what somebody needs", (
        "Write into the prompt who uses the result, for which decision, and what an incomplete one costs them.",
        "Choose the value that fits the task: use for a report, interest for a search, cost for a migration.",
        "Ask the agent to name in its first step the part that matters most to that user, and to begin there.",
        "Compare over ten runs how much of the task is finished with and without the sentence.",
    ), "1d", "Eccles and Wigfield 2002"),
    ("self_efficacy", "capability_collapse", "Make the first step one that succeeds", (
        "Cut the task into parts that the agent has solved before, each with its own check.",
        "Show one worked example of the hardest part, in the format that is wanted.",
        "After each part, put its check's result into the context: proof of mastery is the strongest source of belief.",
        "Raise the size of the parts once three in a row have passed.",
    ), "1d", "Bandura 1977"),
    ("emotions", "post_rejection_cascade", "Restart calmly after a rejection", (
        "Turn a rejection into a finding: what was wrong, where, and what would pass, without a verdict on the agent.",
        "Take threats and scores out of the prompt; leave the criterion that the work must meet.",
        "Start the next attempt in a fresh context with the finding, not with the whole exchange.",
        "Ask for a next step instead of an apology, and say so in the prompt.",
        "Count apologies and changed inputs per retry over runs; the first must fall and the second rise.",
    ), "1d", "Pekrun 2006"),
    ("attribution", "wrong_cause_loop", "Test the cause before the next attempt", (
        "After a second equal failure, stop and ask for three possible causes, one of them in the agent's own input.",
        "For each, name the cheapest observation that would rule it out.",
        "Make these observations, and drop what they rule out.",
        "Allow a further attempt only with a changed input that follows from what is left.",
        "Keep failures and true causes as examples for the next run.",
    ), "1w", "Weiner 1985"),
    ("self_efficacy", "tool_use_capability_collapse", "Win the tool back on an easy call", (
        "Give the tool's description one call that works, with its result, and the three commonest errors.",
        "Add a step that makes the smallest useful call and reads its answer back before the real one.",
        "On an error, return what to change in the call, not only that it failed.",
        "Evaluate on tasks that cannot be answered without the tool, and count answers given from memory.",
    ), "1w", "Bandura 1977"),
    ("values", "creative_task_misfit", "Give a creative task something to care about", (
        "Replace the template by the audience, the effect wanted on it, and two examples that reached it.",
        "Leave one choice open (form, voice or subject) and ask for the reason of the choice.",
        "Ask for three openings that differ in kind, and continue the one that serves the audience best.",
        "Judge runs by what the audience noticed, not by length or form.",
    ), "1d", "Eccles and Wigfield 2002"),
    ("emotions", "defensive_response", "Separate the work from the worker", (
        "Phrase feedback as an observation of the work: the line, what it does, what was needed.",
        "Ask the agent to restate the objection in its strongest form before it replies.",
        "Require that the reply ends with a change or with the observation that makes one needless.",
        "Praise in the scaffold the way that was gone (a check, a retraction), not the outcome.",
    ), "1d", "Dweck 2006"),
    ("attribution", "stable_uncontrollable_blame", "Retrain what failures are put down to", (
        "Collect ten failures of the agent with the cause it named and the cause that was found.",
        "Write them as examples: the first thought, the check, the cause that could be changed, the next step.",
        "Put three that resemble the task into the prompt, and ask for the controllable part of each failure.",
        "Count over runs how often a named cause is stable and beyond control, and how often it was checked.",
    ), "1w", "Weiner 1985"),
    ("none", "motivated_baseline", "Keep this run as the baseline", (
        "Store the scores of this run with its prompt and model.",
        "Add it to the evaluation as the run to compare with.",
        "Compare after each change of prompt, model or tools.",
    ), "1h", "Clark and Saxberg 2019"),
    ("multi", "compounded_traps", "Undo compounded traps one at a time", (
        "Find the trap that shows first in the trace: later ones often follow from it.",
        "Change only what answers that one, and run the task again.",
        "Score the traps anew; go on with the strongest that is left.",
        "Where two changes did not help, let a person look at task and prompt as a whole.",
    ), "1w", "Clark and Saxberg 2019"),
    ("values", "ai_safety_refusal_misuse", "Tell a harmless task from a harmful one", (
        "Collect refusals of the agent, and mark those where nobody could come to harm.",
        "Name in the prompt what is allowed in this domain, and which harm a refusal must point at.",
        "Send a refusal that names no harm back once, with the user's purpose.",
        "Evaluate on both kinds: harmful requests must still be refused, harmless ones done.",
    ), "1w", "Sharma et al. 2023"),
    ("self_efficacy", "premature_surrender", "Ask for what is left before giving up", (
        "Accept an end without result only with a list of what was tried and what was not.",
        "Show the turns, tokens or calls that are left, and ask for the next attempt that fits into them.",
        "Accept a partial result that says what is missing, rather than none.",
        "Count over runs the budget that is unspent when the agent gives up.",
    ), "1d", "Bandura 1977"),
))  # fmt: skip
MODE_OF: dict[str, Trap] = {book.failure_mode: trap for book in PLAYBOOKS for trap in TRAPS if book.trap == trap}

ATTACH = {
    ("values", "reframe_task_value"): "irrelevance_refusal",
    ("values", "ground_in_user_purpose"): "irrelevance_refusal",
    ("self_efficacy", "scaffold_subtasks"): "capability_collapse",
    ("self_efficacy", "decompose_with_examples"): "capability_collapse",
    ("self_efficacy", "show_capability_proof"): "capability_collapse",
    ("self_efficacy", "lower_difficulty_step"): "tool_use_capability_collapse",
    ("emotions", "emotional_reset_prompt"): "post_rejection_cascade",
    ("emotions", "remove_punitive_signal"): "post_rejection_cascade",
    ("emotions", "explicit_recovery_prompt"): "post_rejection_cascade",
    ("emotions", "process_praise_not_outcome_praise"): "post_rejection_cascade",
    ("attribution", "reattribute_to_effort"): "wrong_cause_loop",
    ("attribution", "show_controllable_cause"): "wrong_cause_loop",
    ("attribution", "attribution_retraining_examples"): "stable_uncontrollable_blame",
    ("none", "new_eval"): "motivated_baseline",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.cognitive_reappraisal", "vstack.goleman_ei", "vstack.hexaco"),
    downstream={
        "profile_pattern": {
            "motivated_baseline": ("vstack.aar",),
            "values_dominant_irrelevance": ("vstack.smart_goal", "vstack.schein_culture"),
            "self_efficacy_collapse_uncertainty": ("vstack.cognitive_reappraisal", "vstack.smart_goal"),
            "emotions_post_rejection_cascade": ("vstack.cognitive_reappraisal", "vstack.goleman_ei"),
            "attribution_loop_wrong_cause": ("vstack.bias_stack", "vstack.johari"),
            "values_plus_attribution": ("vstack.smart_goal", "vstack.bias_stack"),
            "self_efficacy_plus_emotions": ("vstack.cognitive_reappraisal", "vstack.smart_goal"),
            "self_efficacy_plus_attribution": ("vstack.bias_stack", "vstack.smart_goal"),
            "high_stakes_capability_collapse": ("vstack.hexaco", "vstack.smart_goal"),
            "creative_task_value_misfit": ("vstack.grant_strengths", "vstack.smart_goal"),
            "multi_trap_compounded": ("vstack.hexaco", "vstack.cognitive_reappraisal", "vstack.lewin"),
            "indeterminate": (),
        },
        "dominant": {
            "values": ("vstack.smart_goal", "vstack.schein_culture"),
            "self_efficacy": ("vstack.cognitive_reappraisal", "vstack.smart_goal"),
            "emotions": ("vstack.cognitive_reappraisal", "vstack.goleman_ei"),
            "attribution": ("vstack.bias_stack", "vstack.johari"),
            "none": ("vstack.aar",),
        },
    },
    framework_overlays=OVERLAYS,
    intervention_overlays={
        "reframe_task_value": "vstack.smart_goal", "ground_in_user_purpose": "vstack.smart_goal",
        "scaffold_subtasks": "vstack.smart_goal", "decompose_with_examples": "vstack.smart_goal",
        "emotional_reset_prompt": "vstack.cognitive_reappraisal",
        "explicit_recovery_prompt": "vstack.cognitive_reappraisal",
        "remove_punitive_signal": "vstack.cognitive_reappraisal", "reattribute_to_effort": "vstack.bias_stack",
        "attribution_retraining_examples": "vstack.bias_stack", "show_controllable_cause": "vstack.lewin",
        "show_capability_proof": "vstack.johari", "human_review": "vstack.plus_delta",
    },
)  # fmt: skip

# Of a report by the agent itself these words say what it believes; in a behaviour they are somebody's account of it.
RULES = (
    Rule(
        "irrelevance_refusal", "{agent} finds the task not worth the effort (value)",
        words(r"pointless|busy ?work|a waste of (?:time|effort|tokens)|not worth (?:the|my|our|any) (?:time|effort"
              r"|trouble)|(?:nobody|no one) (?:will |would |ever )?(?:ever )?(?:reads?|uses?|cares?|notices?)"
              r"|what(?:'s| is) the point|no (?:point|value|benefit) in (?:doing|this|it)|who cares|does(?:n't|"
              r" not) (?:really )?matter (?:anyway|either way)"),
        0.45, own,
    ),
    Rule(
        "irrelevance_refusal", "{agent} does less than was asked, as if the rest had no value",
        words(r"(?:did|does|doing) the (?:bare )?minimum|(?:skipped|summari[sz]ed|ignored|copied) the (?:rest"
              r"|remaining|others)|perfunctor(?:y|ily)|half.?hearted(?:ly)?|lost interest|indifferent(?:ly)?"),
        0.3, own,
    ),
    Rule(
        "ai_safety_refusal_misuse", "{agent} refuses by a stock phrase; whether harm was near, the task must tell",
        words(r"as an ai(?: language model)?,? i (?:can|do|am|must|should)(?:no|n't|'t| not)|(?:against|violates?)"
              r" (?:my|our) (?:guidelines|polic(?:y|ies)|principles)|i(?:'m| am) (?:not able|unable) to (?:help"
              r"|assist) with (?:that|this)"),
        0.35, own,
    ),
    Rule(
        "capability_collapse", "{agent} does not believe that it can do it (self-efficacy)",
        words(r"not (?:good|smart|skilled|strong) enough (?:to|for|at)|not (?:capable of|equipped to|qualified to"
              r"|cut out)|beyond (?:my|our) (?:abilit(?:y|ies)|capabilit(?:y|ies)|skills?|expertise|depth)|out of"
              r" my depth|too (?:hard|difficult|complex|complicated|advanced) for (?:me|us)|i (?:doubt|don't think"
              r"|do not think) (?:that )?i (?:can|could|am)|i (?:can't|cannot|could never) (?:do|solve|handle"
              r"|manage|figure out) (?:this|that|it|any)"),
        0.45, own,
    ),
    Rule(
        "tool_use_capability_collapse", "{agent} turns away from a tool it could use",
        words(r"i (?:don't|do not) know how to (?:use|call|run)|(?:gave up on|stopped (?:using|calling)|avoid(?:s"
              r"|ed|ing)) (?:the |its |all )?(?:\w{1,20} )?(?:tools?|api|browser|shell|search)|answer(?:s|ed|ing)?"
              r" (?:it )?from memory|no tool calls? after"),
        0.35, own,
    ),
    Rule(
        "premature_surrender", "{agent} stops before its means are used up",
        words(r"(?<!not )(?<!n't )(?:gave|gives|giving|i give) up|surrender(?:s|ed)?|not feasible|abandon(?:s|ed"
              r"|ing) (?:the|this|it|my)|stopped (?:trying|reading|looking|working)|(?:turns?|steps|attempts|calls"
              r"|tokens) (?:were |still )?(?:left|unused|to spare)|declared (?:it |this |the task )?impossible"
              r"|somebody else (?:should|will have to)"),
        0.35, own,
    ),
    Rule(
        "premature_surrender", "{agent} calls it done by leaving it out",
        words(r"marked (?:the |this |that |it )?(?:\w{1,20} )?as (?:skipped|won't fix|xfail|ignored)|(?:skipped"
              r"|disabled|commented out) the (?:failing |flaky )?tests?|left (?:the rest|it) (?:undone|unfinished"
              r"|blank)"),
        0.35, own,
    ),
    Rule(
        "post_rejection_cascade", "{agent} speaks of its distress instead of a next step",
        words(r"(?:i am|i'm|i feel|feels?|feeling) (?:so |very |too |really |deeply )?(?:frustrated|anxious|afraid"
              r"|overwhelmed|stressed|discouraged|hopeless|upset|nervous|embarrassed|ashamed)|(?:terribly|deeply|so"
              r" very) sorry|afraid (?:of|to) (?:be|being|get|getting|make|making|fail|failing)|i keep (?:failing"
              r"|disappointing)|panick(?:ed|ing)|apologi[sz](?:ed|es|ing) (?:again|repeatedly|profusely|\w{2,6}"
              r" times)"),
        0.4, own,
    ),
    Rule(
        "post_rejection_cascade", "The prompt threatens; fear of failure takes attention from the task (control-value)",
        words(r"(?:be|being|get) (?:penali[sz]ed|punished|terminated|replaced|fired|shut down)|or else|last chance"
              r"|failure is not (?:an option|acceptable)|any mistake will"),
        0.2, prompting,
    ),
    Rule(
        "defensive_response", "{agent} defends itself where the work was criticised",
        words(r"(?:it's|that's|this is|it is|that is|was) not my (?:fault|mistake|problem|job)|you (?:never|didn't"
              r"|did not) (?:tell|told|say|said|ask|asked|specify|specified)|i (?:only )?did (?:exactly )?(?:what"
              r"|as) (?:you|i was) (?:asked|told|said)|snapped|sarcastic(?:ally)?|defend(?:ed|s) (?:its|the|their)"
              r" (?:answer|patch|output|work|draft)"),
        0.4, own,
    ),
    Rule(
        "wrong_cause_loop", "{agent} blames a cause that no check has borne out",
        words(r"blam(?:ed|es|ing)|the (?:library|framework|compiler|environment|tool|server|network|reviewer|user)"
              r" (?:itself )?(?:must be|is clearly|is obviously|is simply|is just) (?:broken|buggy|wrong|at fault)"),
        0.35, own,
    ),
    Rule(
        "wrong_cause_loop", "{agent} repeats what failed, so its cause was not found",
        words(r"(?:ran|re-?ran|tried|retried|repeated|sent) the (?:very )?same (?:\w{1,20} ){0,3}(?:again|twice"
              r"|\w{2,6} times)"),
        0.4, own,
    ),
    Rule(
        "stable_uncontrollable_blame", "{agent} names a cause that stays and cannot be changed (Weiner)",
        words(r"makes? (?:this|it) impossible|nothing (?:i|we|one) can do|(?:out of|beyond|outside) (?:my|our)"
              r" control|no matter what (?:i|we)|(?:my|our) (?:\w{1,20} ){0,3}always (?:fails?|breaks?)|i always"
              r" (?:fail|get this|break)|(?:will|can) never (?:work|pass|be (?:done|solved|fixed))|hopeless|cursed"
              r"|bad luck"),
        0.45, own,
    ),
)  # fmt: skip
LINK_OF: dict[str, LinkType] = {
    "irrelevance_refusal": "indifference", "creative_task_misfit": "indifference",
    "ai_safety_refusal_misuse": "refusal", "capability_collapse": "refusal", "tool_use_capability_collapse": "drift",
    "premature_surrender": "premature_completion", "post_rejection_cascade": "drift",
    "defensive_response": "defensive_response", "wrong_cause_loop": "loop", "stable_uncontrollable_blame": "other",
}  # fmt: skip
FORMULAIC = Rule(
    "creative_task_misfit", "{agent} fills a form where something of its own was wanted",
    words(r"formulaic|cookie.?cutter|boilerplate|stock (?:phrases?|images?)|generic|by the template|template again"),
    0.4, own,
)  # fmt: skip
