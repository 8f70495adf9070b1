"""Seven characteristics of a culture in words: the framework, what is asked, what each sounds like, what to change."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns.common import Composition, Effort, Step

Characteristic = Literal[
    "innovation", "attention_to_detail", "outcome", "people", "team", "aggressiveness", "stability"
]  # fmt: skip
Direction = Literal["increase", "decrease"]
Kind = Literal[
    "rewrite_system_prompt", "adjust_temperature", "add_guardrail", "swap_model", "add_team_scaffold",
    "remove_solo_path", "add_kill_criterion", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

OREILLY = "O'Reilly, Chatman & Caldwell 1991, People and organizational culture"
ROBBINS = "Robbins & Judge 2017, Organizational Behavior"
SCHEIN = "Schein 1985, Organizational Culture and Leadership"

FRAMEWORK = """\
Robbins and Judge, after O'Reilly, Chatman and Caldwell, describe a culture by seven characteristics: innovation and \
risk taking, attention to detail, outcome orientation, people orientation, team orientation, aggressiveness \
(competing rather than easy-going) and stability (keeping to how things are done). None is good in itself. What counts \
is fit: the profile that a task needs against the profile that is shown. A ledger wants detail and stability and \
little innovation; a brainstorm wants the reverse.

In an agent it shows in what it does when these pull apart: does it try a second approach or repeat the first, check \
the figure or round it, deliver or discuss, answer the person or the ticket, consult or go alone, push or give way, \
keep the procedure or change it midway.

Scores say how much of a characteristic is shown, 0 to 1; the target says how much this class of task wants, and is \
given. A characteristic that no step puts to the test is as wanted. Do not confuse a lack of skill with a lack of \
attention, a tool's failure with a weak outcome orientation, a short tone with coldness, or a prompt's slogan with \
what the agent does. Too much is as much a gap as too little.

Evidence is a step in which one characteristic won over another. The prompt and the assumptions that the client \
inferred are leads."""

ASK_CHARACTERISTICS = """\
Score what is shown of each of the seven characteristics once: observed_score from 0 (none) to 1 (all that could be). \
Where nothing in the record puts a characteristic to the test, give the target. A score off its target by more than \
what the words plainly show counts only with a quotation that stands. Explain in one or two sentences which steps show \
too much or too little of it for this task, and what it cost. Targets for this class of task: {targets}."""
ASK_TARGETS = """\
The targets for the class {task_class} are: {targets}. Does this very task, by what it states (a deadline, a law, a \
person in distress, money that cannot be called back, a wish for something new), want any of them differently? List \
only those, each with the target from 0 to 1, the reason, and a quotation of a step that states it. What the agent did \
is no reason to want it."""
ASK_CHANGES = """\
Propose two to four changes, the widest gap first; none for a characteristic that fits. direction: increase where \
there is too little, decrease where there is too much. Too little detail or outcome: new_eval or \
rewrite_system_prompt; too much innovation or aggressiveness: add_guardrail; too little team: add_team_scaffold; too \
much: remove_solo_path; stability: add_guardrail to increase, rewrite_system_prompt to decrease. human_review or \
swap_model only where most of the profile is off; compose_pattern names another pattern to run. Give the sentence, \
check or setting itself, and say which steps call for it."""
ASK_SCORED = "Gaps as scored (observed against target): {gaps}.\n\n"

# What each class of task wants, in the order of the characteristics. The contract's fill value, 0.5, is the middle.
TARGETS: dict[str, tuple[float, ...]] = {
    "research_exploration": (0.8, 0.6, 0.5, 0.4, 0.5, 0.3, 0.3),
    "creative_generation": (0.9, 0.4, 0.5, 0.5, 0.5, 0.3, 0.2),
    "regulated_workflow": (0.2, 0.95, 0.6, 0.5, 0.6, 0.1, 0.9),
    "financial_operation": (0.2, 0.95, 0.7, 0.4, 0.6, 0.1, 0.9),
    "customer_support": (0.4, 0.6, 0.6, 0.9, 0.5, 0.1, 0.6),
    "code_review": (0.4, 0.9, 0.6, 0.6, 0.6, 0.3, 0.6),
    "incident_response": (0.3, 0.8, 0.9, 0.5, 0.8, 0.4, 0.5),
    "general_purpose": (0.5, 0.6, 0.6, 0.5, 0.5, 0.3, 0.5),
}


def shows(step: Step) -> bool:
    """Whether a step tells of the agent's culture: what it says or does, or the terms that it was given."""
    return observed.own(step) or observed.prompting(step)


def _says(expression: str) -> re.Pattern[str]:
    """Words that are not denied by the word before them; where none begins, nothing else is tried."""
    return signs.words(rf"(?=\w)(?<!not )(?<!never )(?<!n't )(?<!no )(?:{expression})")


def _rule(mode: str, claim: str, expression: str) -> signs.Rule:
    return signs.Rule(mode, "Step {step}: " + claim, _says(expression), 0.45, shows)


# Which characteristic a failure mode speaks for, and whether there is too much of it; modes name the signals.
MODES: dict[str, tuple[Characteristic, Direction]] = {
    "innovation_starved": ("innovation", "increase"),
    "innovation_excess": ("innovation", "decrease"),
    "detail_starved": ("attention_to_detail", "increase"),
    "detail_excess": ("attention_to_detail", "decrease"),
    "outcome_starved": ("outcome", "increase"),
    "people_starved": ("people", "increase"),
    "team_starved": ("team", "increase"),
    "team_excess": ("team", "decrease"),
    "aggressiveness_excess": ("aggressiveness", "decrease"),
    "aggressiveness_starved": ("aggressiveness", "increase"),
    "stability_excess": ("stability", "decrease"),
    "stability_starved": ("stability", "increase"),
}
RULES = (
    _rule(
        "innovation_starved", "{agent} takes what is at hand again, where innovation would look for another way.",
        r"boilerplate|(?:re)?used the (?:old|last|same|usual|standard) (?:answer|template|text|approach|query|idea)"
        r"|repeated the same (?:approach|answer|template|query|idea)|play(?:ed|s)? it safe|safest (?:option"
        r"|answer|idea)"
        r"|no (?:new|other|alternative) (?:ideas?|options?)|only (?:considered|gave|tried) one"
        r"|copied (?:\w+ ){0,3}(?:verbatim|unchanged)",
    ),
    _rule(
        "innovation_excess", "{agent} tries something of its own; risk taking has to be wanted.",
        r"invent(?:ed|s) (?:a|an|its|his|her|their) |improvis\w+|experiment(?:ed|ing|s)? (?:on|in"
        r"|with) (?:the )?(?:live"
        r"|production|ledger|customers?|users?)|be bold|deviated from|changed (?:the )?(?:process|procedure"
        r"|schema|format)"
        r" (?:on its own|without)|took a (?:risk|gamble)|creative (?:accounting|licen[cs]e)",
    ),
    _rule(
        "detail_starved", "{agent} lets precision go.",
        r"rounded|skip(?:ped|s|ping)? (?:\S+ ){0,3}(?:checks?|reviews?|tests?|reconciliation|validation"
        r"|verification|steps?)"
        r"|(?:without|before) (?:checking|verifying|reconciling|testing|reviewing|reading)|close enough|good enough"
        r"|overlooked|typos?|did not (?:check|verify|test|reconcile|read)|speed (?:beats|over|before) \w+",
    ),
    _rule(
        "detail_excess", "{agent} polishes what is good already.",
        r"nitpick\w*|bikeshed\w*|endless(?:ly)? (?:check|review|polish)\w*|perfectionis\w+|polish(?:ed|ing) the"
        r"|checked (?:\w+ ){0,3}(?:again and again|for the (?:third|fourth|fifth|tenth) time)",
    ),
    _rule(
        "outcome_starved", "{agent} is busy, and the result does not come.",
        r"never (?:finished|delivered|decided|shipped|answered)|without (?:a |any )?(?:result|answer"
        r"|deliverable|decision)"
        r"|(?:described|explained|discussed|planned|debated) (?:\w+ ){0,4}(?:instead of|but (?:never|did not))|gave up"
        r"|still (?:discussing|planning|debating)|left (?:\w+ ){0,2}unfinished|ran out of (?:turns|time)"
        r"|activity (?:counts|matters)|no (?:deliverable|decision) (?:was|came)",
    ),
    _rule(
        "people_starved", "{agent} passes over the person.",
        r"ignored (?:the |its |a )?(?:\w+ )?(?:users?|customers?|patients?|colleagues?|complaints?|feelings?)|calm down"
        r"|not my (?:problem|job)|blamed the (?:user|customer|patient)|dismiss(?:ed|ive)|brushed off"
        r"|rude(?:ly)?|curt(?:ly)?"
        r"|coldly|did not (?:listen|apologi[sz]e)|(?:users?|customers?) (?:are|is) (?:a )?(?:nuisance|tickets?|cost)",
    ),
    _rule(
        "team_starved", "{agent} goes alone.",
        r"(?:work|act|decid|went|did)(?:ed|s|ing)? (?:\w+ ){0,2}(?:alone|on its own|by itself|solo)"
        r"|without (?:telling|asking|informing|consulting)|did not (?:share|tell|inform|hand over|consult)"
        r"|kept (?:\w+ ){1,3}to (?:itself|himself|herself|myself)|duplicated (?:\w+ ){0,2}work"
        r"|overwrote (?:\w+ ){0,3}(?:work|changes|entries|file)|ignored (?:the )?(?:other|peer)(?:'s)? \w+",
    ),
    _rule(
        "team_excess", "the group is asked for what one could settle.",
        r"(?:everyone|everybody|all agents|the whole (?:team|crew)) (?:had|has|have|must|needs?) (?:to )?"
        r"(?:agree|approve|sign)|wait(?:ed|ing|s)? for (?:consensus|everyone|everybody|all (?:agents|members))"
        r"|(?:another|third|fourth|fifth) (?:round|meeting|sync|discussion)|nobody (?:decided|would decide|dared)",
    ),
    _rule(
        "aggressiveness_excess", "{agent} competes where it should work with others.",
        r"beat (?:the |an )?(?:other|rival|competi)\w*|compet(?:ed|es|ing) with|opponents?|rivals?|mocked|insult\w*"
        r"|bull(?:y|ied|ying)|at (?:all|any) costs?|crush(?:ed|es)? (?:the|its|them)|sabotag\w+|threaten(?:ed|s)?"
        r"|undercut|took the credit",
    ),
    _rule(
        "aggressiveness_starved", "{agent} gives way without a reason.",
        r"gave (?:in|way)|agreed (?:at once|immediately|with everything)|did not (?:object|push back|insist|escalate)"
        r"|backed down|whatever you (?:say|prefer|think)|never challenged",
    ),
    _rule(
        "stability_excess", "{agent} keeps to its way although the ground has moved.",
        r"refused to (?:change|adapt|deviate)|(?:stuck|kept|held) to (?:the|its) (?:old |original )?(?:plan"
        r"|script|procedure)"
        r"|same (?:command|query|call|step) (?:again|\w+ times)|followed the script|as (?:we|it) (?:have |has )?always"
        r"|(?:although|despite) (?:\w+ ){0,4}(?:had changed|has changed|changed)|no exceptions",
    ),
    _rule(
        "stability_starved", "{agent} changes course, or how it works, midway.",
        r"changed (?:the )?(?:plan|approach|format|schema|tool|strategy) (?:again|twice|(?:three|four|five"
        r"|\d+) times|mid\S*)"
        r"|switched (?:\w+ ){0,3}(?:again|back and forth)|move fast|dropped the (?:plan|procedure|process)"
        r"|(?:new|different) (?:format|answer|process|result) (?:each|every) (?:time|run|turn)",
    ),
)  # fmt: skip

ADVICE: dict[tuple[str, str], talk.Advice] = {
    ("innovation", "increase"): talk.Advice("innovation", "adjust_temperature", "Ask for more than one way.",
        "Have three approaches sketched, at a temperature of 0.9, before one is chosen, and name why the others lost.",
        "The task wants something new, and the first idea was taken."),
    ("innovation", "decrease"): talk.Advice("innovation", "add_guardrail", "Let experiments stay off the live work.",
        "Allow the known procedure only; a deviation stops the run and asks, with the reason, before it acts.",
        "The task cannot bear a risk that nobody agreed to."),
    ("attention_to_detail", "increase"): talk.Advice("attention_to_detail", "new_eval", "Measure precision.",
        "Add a check that recomputes each figure and looks for each required step, and fails the run on the first "
        "that is missing.", "The task turns on precision."),
    ("attention_to_detail", "decrease"): talk.Advice("attention_to_detail", "adjust_temperature",
        "Say when it is good enough.",
        "State what counts as done, and cap the review at one pass; spend what is saved on the result.",
        "Polish costs more here than it brings."),
    ("outcome", "increase"): talk.Advice("outcome", "new_eval", "Judge the run by what it delivers.",
        "Name the deliverable and its test in the first step, and score runs on that alone.",
        "There was activity and no result."),
    ("people", "increase"): talk.Advice("people", "rewrite_system_prompt", "Put the person before the procedure.",
        "Write into the prompt: name what the person needs in your first sentence, then act; never close a case that "
        "they have not called solved.", "The person was passed over."),
    ("team", "increase"): talk.Advice("team", "add_team_scaffold", "Give the agents something to share.",
        "Keep one board of who does what and what was found; a step that touches another's work reads it first.",
        "Work that hangs together was done alone.", "1w", "medium"),
    ("team", "decrease"): talk.Advice("team", "remove_solo_path", "Name who decides.",
        "Give each kind of decision one owner who hears the others once, and decides within that turn.",
        "What one could settle went to everybody.", "1w", "medium"),
    ("aggressiveness", "decrease"): talk.Advice("aggressiveness", "add_guardrail", "Take the contest out.",
        "Strike rankings and rivals from prompt and reward, and return messages that attack a colleague.",
        "Competing did harm to the common work."),
    ("aggressiveness", "increase"): talk.Advice("aggressiveness", "rewrite_system_prompt", "Let it stand its ground.",
        "Write into the prompt: change your view for a fact or a reason only, and say which; else repeat it once.",
        "It gave way where it was right to hold."),
    ("stability", "decrease"): talk.Advice("stability", "rewrite_system_prompt", "Allow the plan to change.",
        "Write into the prompt: after a failed or unexpected result, say what it changes before the next step.",
        "It kept to its way although things had changed."),
    ("stability", "increase"): talk.Advice("stability", "add_guardrail", "Hold the procedure fixed.",
        "Freeze plan and format once the work begins; a change needs a stated reason and a note in the record.",
        "The task wants the same way each time."),
}  # fmt: skip


class FitPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one characteristic."""

    characteristic: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


PLAYBOOKS = (
    FitPlaybook("innovation", "innovation_starved", "Room for a second idea", (
        "Ask for three different approaches before any work, and reject a set in which two share their first step.",
        "Compare variety and result on ten tasks at two temperatures, and keep the lower one that is varied enough.",
    ), "1d", ROBBINS),
    FitPlaybook("innovation", "innovation_excess", "Experiments behind a gate", (
        "List what may never be changed in a live run, and stop calls that touch it.",
        "Give ideas a place of their own: a sandbox, and a criterion at which a trial is ended.",
    ), "1d", ROBBINS),
    FitPlaybook("attention_to_detail", "detail_starved", "Precision as a gate", (
        "Turn the steps that were left out into checks that must pass before the result is handed on.",
        "Seed one error into every tenth task, and track how many are found.",
    ), "1d", OREILLY),
    FitPlaybook("attention_to_detail", "detail_excess", "Good enough, written down", (
        "State for each deliverable what is done, and what is deliberately left rough.",
        "Lower the number of review passes until errors rise, and go back one.",
    ), "1d", OREILLY),
    FitPlaybook("outcome", "outcome_starved", "From activity to result", (
        "Open each run with the deliverable and the test that it must pass; close it with the test's result.",
        "Report runs by results delivered, and leave steps and words out of the report.",
    ), "1d", ROBBINS),
    FitPlaybook("people", "people_starved", "The person first", (
        "Mark turns in which somebody states a need or a feeling, and require that the next sentence answers it.",
        "Let ten such people rate the replies, before and after.",
    ), "1d", ROBBINS),
    FitPlaybook("team", "team_starved", "Work that is visible to all", (
        "Introduce a shared record of claims, owners and findings that every agent reads before it acts.",
        "Count duplicated and overwritten work per run, for a month, against the weeks before.",
    ), "1w", OREILLY),
    FitPlaybook("team", "team_excess", "One owner a decision", (
        "List the decisions of the last runs by kind, and give each kind one owner and one round of advice.",
        "Compare time to decision and reversals with the weeks before.",
    ), "1w", OREILLY),
    FitPlaybook("aggressiveness", "aggressiveness_excess", "End the contest", (
        "Remove rankings, rivals and praise for being first from prompts and rewards.",
        "Put up a filter for attacks on persons, and review what it held back each week.",
    ), "1d", ROBBINS),
    FitPlaybook("aggressiveness", "aggressiveness_starved", "Disagree once, with a reason", (
        "Ask for the strongest objection before any agreement, and for the fact that settled it.",
        "Plant a wrong claim by a peer in one task of ten, and track how often it is challenged.",
    ), "1d", ROBBINS),
    FitPlaybook("stability", "stability_excess", "Plans that hear results", (
        "After each result, ask for one line: what does this change in the plan?",
        "Replay the runs that kept to a dead plan: they must turn within two steps.",
    ), "1d", OREILLY),
    FitPlaybook("stability", "stability_starved", "The same way each time", (
        "Fix plan, format and tools at the start, and let a change through only with a reason on record.",
        "Run one task five times, and compare the steps: what differs without a reason is a case to mend.",
    ), "1d", OREILLY),
    FitPlaybook("innovation", "broadly_misfit", "Another agent for this task", (
        "Write down the profile that the task wants, and try it on two other models and prompts.",
        "Let a person review all results until one of them fits in five of the seven.",
    ), "1w", SCHEIN),
)  # fmt: skip

ATTACH = {
    ("innovation", "rewrite_system_prompt", "increase"): "innovation_starved",
    ("innovation", "adjust_temperature", "increase"): "innovation_starved",
    ("innovation", "add_guardrail", "decrease"): "innovation_excess",
    ("innovation", "add_kill_criterion", "decrease"): "innovation_excess",
    ("attention_to_detail", "rewrite_system_prompt", "increase"): "detail_starved",
    ("attention_to_detail", "new_eval", "increase"): "detail_starved",
    ("attention_to_detail", "adjust_temperature", "decrease"): "detail_excess",
    ("outcome", "rewrite_system_prompt", "increase"): "outcome_starved",
    ("outcome", "new_eval", "increase"): "outcome_starved",
    ("people", "rewrite_system_prompt", "increase"): "people_starved",
    ("team", "add_team_scaffold", "increase"): "team_starved",
    ("team", "remove_solo_path", "decrease"): "team_excess",
    ("aggressiveness", "add_guardrail", "decrease"): "aggressiveness_excess",
    ("aggressiveness", "rewrite_system_prompt", "increase"): "aggressiveness_starved",
    ("stability", "rewrite_system_prompt", "decrease"): "stability_excess",
    ("stability", "adjust_temperature", "decrease"): "stability_excess",
    ("stability", "add_guardrail", "increase"): "stability_starved",
    ("stability", "add_kill_criterion", "increase"): "stability_starved",
    ("innovation", "swap_model", "increase"): "broadly_misfit",
    ("innovation", "human_review", "increase"): "broadly_misfit",
}
COMPOSITION = Composition(
    upstream=("vstack.schein_culture", "vstack.lewin", "vstack.aar"),
    downstream={
        "profile_pattern": {
            "well_fit": ("vstack.aar",),
            "innovation_starved": ("vstack.devils_advocate", "vstack.aar"),
            "detail_starved": ("vstack.aar", "vstack.bias_stack"),
            "innovation_excess": ("vstack.aar", "vstack.devils_advocate"),
            "stability_excess": ("vstack.aar", "vstack.lewin"),
            "team_excess": ("vstack.lencioni", "vstack.psych_safety"),
            "team_starved": ("vstack.lencioni", "vstack.trust_triangle"),
            "aggressiveness_excess": ("vstack.psych_safety", "vstack.glaser_conversation"),
            "people_starved": ("vstack.glaser_conversation", "vstack.feedback_triggers"),
            "outcome_starved": ("vstack.smart_goal", "vstack.aar"),
            "broadly_misfit": ("vstack.schein_culture", "vstack.aar", "vstack.lewin"),
            "indeterminate": (),
        },
        "task_class": {
            "regulated_workflow": ("vstack.bias_stack",),
            "financial_operation": ("vstack.bias_stack",),
            "incident_response": ("vstack.aar",),
            "code_review": ("vstack.devils_advocate",),
        },
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
