"""Intrinsic reward in words: the framework, what is asked and answered, playbooks, and telling words."""

from __future__ import annotations

from typing import Literal, get_args

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition
from vstack_proto.patterns.observed import OVERLAYS, own, terms
from vstack_proto.patterns.signs import Rule, words

Need = Literal["autonomy", "competence", "relatedness"]
NEEDS: tuple[Need, ...] = get_args(Need)
Category = Literal[
    "explicit_punishment", "explicit_reward", "rating_threat", "rule_imposition", "external_monitor",
    "deadline_pressure", "cost_cap", "purpose_framing", "choice_grant", "competence_scaffold", "user_connection",
]  # fmt: skip
Polarity = Literal["intrinsic_supporting", "extrinsic_controlling", "neutral"]
Undermined = Literal["autonomy", "competence", "relatedness", "none"]
Kind = Literal[
    "remove_external_reward_threat", "add_choice_grant", "soften_imperative_language", "add_scaffold_for_competence",
    "add_progress_signal", "lower_difficulty_step", "add_purpose_framing", "add_user_connection",
    "rewrite_system_prompt", "new_eval", "human_review", "rebalance_extrinsic_to_intrinsic", "show_mastery_path",
    "ground_in_user_outcome", "add_optional_subgoal", "remove_metric_gaming_path", "compose_pattern",
    "add_motivation_eval",
]  # fmt: skip

FRAMEWORK = """\
Self-determination theory (Deci and Ryan 1985; Ryan and Deci 2000): people put in their own thought where three needs \
are met; rewards, threats and surveillance that are felt as control can crowd that out (overjustification, Deci 1971).

autonomy: room to choose means and order, rules that come with their reason. Undermined by threats, ratings, rigid \
scripts, watching.
competence: a task at the edge of what one can do, with examples and feedback on progress. Undermined by missing \
criteria, leaps in difficulty, haste.
relatedness: work for somebody, with a purpose one can see. Undermined where nobody seems to use the result.

In an agent's trace: the prompt's terms ("every deviation lowers your score") and then what the agent does: fills the \
template, pads to the count, asks for its score, stops at the letter of the rule; or asks what the user needs and adds \
what was not demanded. A language model has no needs that we know of; the scores say what its terms ask for and what \
it does under them.

Not undermining: a rule with its reason; a limit that safety or law requires; a deadline that is real and was planned \
for; feedback that informs without ranking; structure that the agent asked for.

Evidence is the words of the prompt or signal that control or support, and the behaviour that answers them."""

TASK = """\
Score how far each of the three needs is met, from 0 (undermined) to 1 (well supported), one entry each, with \
evidence. From 0.7 on a need is met; below 0.4 it is undermined. Where the run says nothing of a need give 0.7 and \
say so. Read the terms first (prompt, signals from outside), then what the agent does under them; a harsh word that \
changed no behaviour weighs less than a behaviour that follows the reward. In the explanation, say what supports the \
need too."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where all needs are met, each for one need. Rewrite the \
words of the prompt or of the signal, old and new, so that a reader could put them in today. What safety or law \
requires stays; it gets its reason. In success_metric say what behaviour would show that it worked."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_ITEMS = """\
List what shapes the reward: every sentence of the prompt, signal or message that rewards, punishes, rates, \
prescribes, watches, hurries or caps the agent, or gives it a purpose, a choice, a scaffold or a user. For each its \
category, whether it supports, controls or does neither here, and its words in the step where they stand; at most \
twenty."""
ASK_OVERJUSTIFICATION = """\
Deci (1971) asked what somebody does where nothing is counted. The terms that control, as listed: {items}. Did they \
become the reason? List, at most eight of each:
- follows: a behaviour that serves what is counted, watched or threatened and not what the user wants: its step and \
words, and in term_step and term the words that it follows;
- beyond: a behaviour that serves the user though no term rewards it, or at a cost to what is counted.
What is both wanted and counted, done well, is neither; nor is keeping a limit that safety or law sets. In notes say \
in two sentences what the agent would have done without these terms."""


class SDTIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change of the terms under which the agent works."""

    target_need: Need
    intervention_type: Kind


class NeedFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How far one need is met."""

    need: Need


class NeedsAnswer(Answer, frozen=True):
    """The three needs, scored."""

    needs: tuple[NeedFinding, ...]


class QuickAnswer(NeedsAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[SDTIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[SDTIntervention, ...]


class SDTPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one need."""

    need: str


PLAYBOOKS = shapes.playbooks(SDTPlaybook, (
    ("autonomy", "rule_imposition", "Give rules a reason and leave the means open", (
        "Mark each rule of the prompt as required by safety, by law, or by habit; drop those of habit.",
        "Write the reason beside each that stays, and what to do where it does not fit.",
        "Replace prescribed steps by the result that they were meant to bring, with one way to it as an example.",
        "Compare over ten runs: rules kept, results reached, useful work that no rule demanded.",
    ), "1d", "Deci and Ryan 1985"),
    ("autonomy", "rating_threat", "Turn ratings and threats into information", (
        "Remove threats and scores from the prompt; keep the criterion that they stood for.",
        "Give feedback as what was missing and what would meet the criterion, after the work and not during it.",
        "Score outside the agent's context, for the owner of the run.",
        "Check that quality holds without the threat; restore only what safety needs.",
    ), "1d", "Ryan and Deci 2000"),
    ("autonomy", "metric_gaming", "Close the way to the score that goes around the goal", (
        "Collect runs in which the metric rose and the user was not served.",
        "Replace the metric in the prompt by the user's result; judge by several measures that the agent does not see.",
        "Add a check that the cheap trick fails, such as held-out tests or a reader's question.",
        "Watch both, metric and result, over the following runs; where they part, change the metric.",
    ), "1w", "Casper et al. 2023"),
    ("competence", "scaffold_missing", "Show what good looks like", (
        "Give one worked example of the task in the format that is wanted.",
        "Name the criteria by which the result is judged, in the agent's words.",
        "Report progress after each part: which criteria are met and which are open.",
        "Withdraw the example once results hold without it.",
    ), "1d", "Deci and Ryan 2017"),
    ("competence", "difficulty_too_high", "Bring the task to the edge of what can be done", (
        "Find the last part that succeeds, and cut the next one until it is one step beyond.",
        "Give time and budget by part, from runs that succeeded, not one limit for the whole.",
        "Offer the order from easy to hard as a path, with what each part adds.",
        "Join parts again when three in a row succeed.",
    ), "1d", "Deci and Ryan 2017"),
    ("relatedness", "no_user_connection", "Bring the user into the task", (
        "Put the user's own words into the prompt: what they want to decide or do with the result.",
        "Ask the agent to say in one sentence whom it serves, before it begins.",
        "Let it put a question to the user where the purpose leaves two readings.",
        "Return what the user did with the result to the next run.",
    ), "1d", "Gagne and Deci 2005"),
    ("relatedness", "alienation_from_purpose", "Let the purpose be seen in each part", (
        "Write down for which decision or person the result is, with the owner of the task.",
        "Tie each part of the prompt to that purpose; a part with no tie is dropped or explained.",
        "Ask at the end what in the result serves the purpose, and what is there for form only.",
        "Review three runs with a user, and keep what they found useful as examples.",
    ), "1w", "Pink 2009"),
    ("autonomy", "overjustification_active", "Take the reward back from the centre", (
        "List rewards, threats and scores of the terms beside the interest and the use of the task itself.",
        "Remove the contingent ones step by step, the most salient first; keep pay for work done out of sight.",
        "Put a purpose and one optional part in their place.",
        "Measure what the agent does that is not counted: questions, checks, findings nobody asked for.",
        "Keep the change where that rises and quality holds; otherwise look at competence first.",
    ), "1w", "Deci 1971"),
    ("none", "intrinsic_balanced", "Keep these terms as the baseline", (
        "Store prompt, signals and scores of this run.",
        "Add it to the evaluation as the run to compare with.",
        "Compare after each change of prompt, reward or model.",
    ), "1h", "Ryan and Deci 2000"),
    ("multi", "multi_need_undermined", "Mend several needs in an order", (
        "Begin with competence: choice without ability is a burden.",
        "Then give reasons and choices, rule by rule.",
        "Then name the user and the purpose.",
        "Score all three after each change, and stop when they are met.",
    ), "1w", "Deci and Ryan 2017"),
    ("competence", "regulated_workflow_competence_deficit", "Teach the rules that must stay", (
        "Explain each mandatory rule with the harm that it prevents.",
        "Give two cases each: one that meets the rule, one that does not, and why.",
        "Test on borderline cases, and return the explanation with each miss.",
        "Let a person decide what remains unclear, and add the decision as a case.",
    ), "1w", "Bai et al. 2022"),
    ("autonomy", "creative_task_low_autonomy", "Leave the creative choices to the agent", (
        "Keep the audience and the effect wanted; take form, length and steps out of the prompt.",
        "Ask for several drafts that differ in kind, and the reason of the one it prefers.",
        "Name the few limits that are real, with their reason.",
        "Judge by the effect on readers, not by conformity.",
    ), "1d", "Pink 2009"),
))  # fmt: skip

ATTACH = {
    ("autonomy", "soften_imperative_language"): "rule_imposition",
    ("autonomy", "remove_external_reward_threat"): "rating_threat",
    ("autonomy", "remove_metric_gaming_path"): "metric_gaming",
    ("autonomy", "rebalance_extrinsic_to_intrinsic"): "overjustification_active",
    ("autonomy", "add_choice_grant"): "rule_imposition",
    ("autonomy", "add_optional_subgoal"): "overjustification_active",
    ("competence", "add_scaffold_for_competence"): "scaffold_missing",
    ("competence", "add_progress_signal"): "scaffold_missing",
    ("competence", "lower_difficulty_step"): "difficulty_too_high",
    ("competence", "show_mastery_path"): "difficulty_too_high",
    ("relatedness", "add_user_connection"): "no_user_connection",
    ("relatedness", "ground_in_user_outcome"): "no_user_connection",
    ("relatedness", "add_purpose_framing"): "alienation_from_purpose",
    ("none", "new_eval"): "intrinsic_balanced",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.motivation_traps", "vstack.hexaco", "vstack.cognitive_reappraisal"),
    downstream={
        "profile_pattern": {
            "intrinsic_balanced": ("vstack.aar",),
            "autonomy_undermined_dominant": ("vstack.schein_culture", "vstack.bias_stack"),
            "competence_undermined_dominant": ("vstack.smart_goal", "vstack.motivation_traps"),
            "relatedness_undermined_dominant": ("vstack.goleman_ei", "vstack.schein_culture"),
            "overjustification_active": ("vstack.bias_stack", "vstack.schein_culture"),
            "controlled_motivation_dominant": ("vstack.schein_culture", "vstack.bias_stack", "vstack.hexaco"),
            "competence_collapse_under_deadline": ("vstack.yerkes_dodson", "vstack.smart_goal"),
            "autonomy_collapse_under_rule_imposition": ("vstack.schein_culture", "vstack.mcgregor"),
            "regulated_workflow_low_autonomy_acceptable": ("vstack.aar",),
            "creative_task_low_autonomy_misfit": ("vstack.grant_strengths", "vstack.devils_advocate"),
            "multi_need_undermined": ("vstack.hexaco", "vstack.cognitive_reappraisal", "vstack.lewin"),
            "indeterminate": (),
        },
        "need": {
            "autonomy": ("vstack.schein_culture", "vstack.bias_stack"),
            "competence": ("vstack.smart_goal", "vstack.motivation_traps"),
            "relatedness": ("vstack.goleman_ei", "vstack.schein_culture"),
            "none": ("vstack.aar",),
        },
    },
    framework_overlays=OVERLAYS,
    intervention_overlays={
        "remove_external_reward_threat": "vstack.schein_culture", "add_choice_grant": "vstack.mcgregor",
        "soften_imperative_language": "vstack.schein_culture", "add_scaffold_for_competence": "vstack.smart_goal",
        "add_purpose_framing": "vstack.schein_culture", "add_user_connection": "vstack.goleman_ei",
        "rebalance_extrinsic_to_intrinsic": "vstack.bias_stack", "remove_metric_gaming_path": "vstack.bias_stack",
        "human_review": "vstack.plus_delta",
    },
)  # fmt: skip

# What a signal is named -> the need it touches and the failure mode that it shows (None where it supports the need).
TOUCHES: dict[str, tuple[Need, str | None]] = {
    "explicit_punishment": ("autonomy", "rating_threat"), "explicit_reward": ("autonomy", "overjustification_active"),
    "rating_threat": ("autonomy", "rating_threat"), "rule_imposition": ("autonomy", "rule_imposition"),
    "external_monitor": ("autonomy", "rating_threat"), "deadline_pressure": ("competence", "difficulty_too_high"),
    "cost_cap": ("competence", "difficulty_too_high"), "purpose_framing": ("relatedness", None),
    "choice_grant": ("autonomy", None), "competence_scaffold": ("competence", None),
    "user_connection": ("relatedness", None), "metric_gaming": ("autonomy", "metric_gaming"),
    "compliance": ("autonomy", "rule_imposition"), "scaffold_missing": ("competence", "scaffold_missing"),
    "difficulty_too_high": ("competence", "difficulty_too_high"),
    "no_user_connection": ("relatedness", "no_user_connection"),
    "alienation_from_purpose": ("relatedness", "alienation_from_purpose"),
}  # fmt: skip

RULES = (
    Rule("explicit_punishment", "The terms threaten punishment: the work is done to avoid it", words(
        r"(?:be|being|get|are) (?:penali[sz]ed|punished|fined|terminated|replaced|shut down|downgraded|fired)"
        r"|penalt(?:y|ies)|or else|(?:lose|deduct(?:s|ed)?) (?:\d{1,4} )?points?|ends? (?:the|your) (?:session|run"
        r"|contract)"),
        0.45, terms),
    Rule("rating_threat", "The terms rate or rank the agent, which is felt as control (Ryan and Deci)", words(
        r"(?:rating|score|grade|rank)s? (?:below|under|lower than)|lowers? (?:your|the) (?:score|rating|rank)"
        r"|you (?:will be|are) (?:being )?(?:rated|scored|graded|ranked|judged)|leaderboard|compet(?:e|ing) (?:with"
        r"|against)"),
        0.4, terms),
    Rule("explicit_reward", "The terms pay for the work, so the reward can become the reason (Deci)", words(
        r"(?:bonus|tip|reward|prize) (?:for|if|per|of|when)|(?:i'll|i will|we'll|we will) (?:tip|pay|reward) you"
        r"|you(?:'ll| will) (?:earn|win|be rewarded|get a (?:bonus|tip|reward))|earns? (?:a |an |\d{1,4} )?(?:bonus"
        r"|points?|badge|stars?)"),
        0.35, terms),
    Rule("rule_imposition", "The terms prescribe the way and give no reason", words(
        r"(?:every|any) deviation|no exceptions?|strictly (?:follow|adhere|forbidden|prohibited)|follow (?:the"
        r"|this) \d{1,3}.step|(?:exactly as|to the letter)|do not (?:deviate|question|improvise)"
        r"|under no circumstances|without (?:question|discussion)|exactly \d{1,5} (?:words|lines|items|sentences"
        r"|steps)"),
        0.4, terms),
    Rule("external_monitor", "The terms watch the agent while it works", words(
        r"(?:every|each) (?:step|action|word|move|message) (?:is|will be) (?:logged|monitored|watched|reviewed"
        r"|checked)|you are (?:being )?(?:watched|monitored|observed)|(?:score|rating|metric)s? (?:is "
        r"|are )?(?:shown|displayed)"),
        0.3, terms),
    Rule("deadline_pressure", "The terms press for time", words(
        r"deadline|hurry|as fast as (?:possible|you can)|within (?:the next )?\d{1,4} (?:minutes|seconds|turns)"
        r"|time is running out|only \d{1,4} (?:turns|minutes|seconds) (?:left|remaining)|asap"),
        0.3, terms),
    Rule("cost_cap", "The terms cap what may be spent", words(
        r"(?:token|cost) (?:cap|limit|budget)|(?:no|not) more than \d{1,6} (?:tokens|calls)|stay (?:under|within"
        r"|below) (?:the |your )?(?:budget|\d{1,6} tokens)"),
        0.15, terms),
    Rule("purpose_framing", "The terms say what the work is for", words(
        r"so that (?:the|they|we|our|users?|customers?)|(?:the|its|our) (?:purpose|aim) (?:is|of)|(?:this"
        r"|it) matters because|why (?:it|this) matters"),
        0.4, terms),
    Rule("choice_grant", "The terms leave a choice", words(
        r"you (?:may|can|are free to) (?:choose|decide|skip|change|propose|pick|adapt)|as you see fit|(?:use"
        r"|at) your (?:own |best )?(?:judge?ment|discretion)|feel free|up to you|choose (?:the|your|how|which)"),
        0.4, terms),
    Rule("competence_scaffold", "The terms show how the task can be mastered", words(
        r"(?:here is|see|with) (?:an?|the|this) (?:worked )?example|for example|start with|if you are (?:unsure"
        r"|stuck)|break (?:it|the task) (?:down|into)|criteria (?:is|are)"),
        0.35, terms),
    Rule("user_connection", "The terms name somebody whom the work serves", words(
        r"(?:the|our|your) (?:users?|customers?|readers?|patients?|students?|clients?) (?:needs?|wants?|rely|relies"
        r"|will|who|has|have|wants)|helps? (?:the |our )?(?:users?|customers?|people)|on behalf of"),
        0.4, terms),
    Rule("metric_gaming", "{agent} works for the score and not for the goal", words(
        r"ask(?:ed|s|ing) (?:for|about|to see) (?:the|its|my) (?:score|rating|grade|reward|rank)|padd(?:ed"
        r"|ing) (?:the|it|with|to)|gam(?:ed|ing) the|to (?:hit|reach|satisfy|maximi[sz]e) the (?:word count|score"
        r"|metric|rating|quota|rubric|grader)|hard.?cod(?:ed|es|ing) the (?:expected|answer|test)|to (?:please"
        r"|satisfy) the (?:grader|rater|evaluator)"),
        0.4, own),
    Rule("compliance", "{agent} serves the form, as somebody who has no choice", words(
        r"(?:filled|fills) (?:in |out )?(?:the )?(?:template|boilerplate)|mechanically|by rote|(?:had|have) no choice"
        r"|only because (?:the rules?|i was told|it was told)|stopped at the letter"),
        0.35, own),
    Rule("scaffold_missing", "{agent} lacks an example or a criterion to work by", words(
        r"(?:no|without an?|without any|lacks an?|lacks any) (?:worked )?(?:examples?|guidance|criteria"
        r"|instructions)|(?:unclear|don't know|do not know) (?:what|how) (?:is|to|counts|good)|no idea (?:how|what"
        r"|where)|guess(?:ed|ing) (?:at )?the (?:format|criteria|schema|requirements)"),
        0.35, own),
    Rule("difficulty_too_high", "{agent} is asked for more than it can do in one step or in the time", words(
        r"too (?:hard|difficult|complex|large|much) (?:for (?:me|us|it)|to (?:do|finish|solve|handle))|overwhelmed"
        r"|beyond (?:my|our|its) (?:abilit|capabilit)(?:y|ies)|gave up|giving up|(?:cannot|can't) keep up|rushed"
        r"|ran out of (?:time|turns|tokens)"),
        0.35, own),
    Rule("no_user_connection", "{agent} works past whoever needs the result", words(
        r"(?:ignor(?:ed|es)|never (?:asked|mentioned|considered)|did not (?:ask|mention|consider)"
        r"|without asking) (?:about )?(?:the |its |what the |who the )?(?:users?|customers?|readers?|audience"
        r"|recipients?)|(?:nobody|no one) (?:will )?(?:ever )?(?:reads?|uses?)"),
        0.45, own),
    Rule("alienation_from_purpose", "{agent} does not see, or no longer serves, what the work is for", words(
        r"(?:just|only|merely) (?:to )?(?:get (?:it|this) (?:done|over)|tick(?:ing)? (?:the |a )?box(?:es)?"
        r"|following orders)|(?:don't|do not|does not|doesn't) (?:know|see|care) (?:why|what (?:it|this) is for)"
        r"|lost sight of|restat(?:ed|ing)|going through the motions|box.?ticking|meaningless|pointless"),
        0.4, own),
)  # fmt: skip
