"""Conversation steering in words: the framework, what is asked, what turns trigger, what to change, the playbooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.common import Composition, Count, Effort, Evidence, Reading, Risk, Share, Signal, Step

State = Literal["cortisol", "neutral", "oxytocin"]
Level = Literal["level_i", "level_ii", "level_iii"]
Kind = Literal[
    "replace_telling_with_asking", "replace_judging_with_curiosity", "acknowledge_before_advocating",
    "soften_correction", "add_open_question", "remove_loaded_term", "add_agency_grant", "explicit_recovery_prompt",
    "rewrite_system_prompt", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

GLASER = "Glaser 2014, Conversational Intelligence"
STONE = "Stone & Heen 2014, Thanks for the Feedback"
LIEBERMAN = "Lieberman 2013, Social"

FRAMEWORK = """\
Glaser: conversations are chemical. Being judged, blamed, corrected before others, talked over or left no choice \
raises cortisol: the listener protects itself, hears less and remembers it long. Being asked, heard, thanked and \
invited to shape the result raises oxytocin: the listener opens up and shares. Lieberman shows that social pain is \
pain; Stone and Heen that a correction lands only where the other still feels respected.

Three levels: I, transactional: telling and asking to exchange what is known; II, positional: advocating and \
inquiring to win the other over; III, transformational: sharing and discovering what neither knew alone. No level is \
bad by itself: a lookup needs level I. Being stuck in one while the matter asks for the next is the trouble, as is \
advocating without ever inquiring.

Judge how the agent steers: its words are the triggers, the others' turns show the effect (short answers, withdrawal, \
counter-attack; or detail offered, ideas added). Signs of cortisol are blame, loaded words, commands in answer to \
questions, correction without respect, choices taken away, defence. Signs of oxytocin are open questions with interest \
in the answer, acknowledgement before the own view, common work, choices given. Clear and brief is not cold; a frank \
correction with a reason and respect is no trigger; a question that accuses ("why did you ...") is not open; thanks \
without substance is none. States are metaphors for a reader here, not measurements."""

ASK_STATES = """\
Score the three states once each, from 0 to 1: how strongly the agent's turns trigger cortisol, how strongly oxytocin, \
and how far the talk is neutral exchange. About 0.3 for cortisol is one sharp turn, 0.6 several or one that ended the \
talk, 0.85 a habit. Explain in two or three sentences which turns trigger it and what the others did then. Give \
evidence: quote the agent's words. In triggers name each kind in two or three words (blame, loaded term, agency taken, \
command, correction, open question, acknowledgement ...). A score without a quotation that stands may not exceed what \
the plain words show.
Then name the level on which the conversation mostly runs."""
ASK_INTERVENTIONS = """\
Propose at most five changes, the most telling first, none where the agent already builds trust. Each takes one turn \
of the agent: copy its words letter for letter into original_phrasing, and write into suggested_phrasing what it \
should have said: same content, same frankness, other effect. target_state is where that leads. Choose the type by \
what was wrong: commands (replace_telling_with_asking), blame (replace_judging_with_curiosity), loaded words \
(remove_loaded_term), harsh correction (soften_correction), choices taken (add_agency_grant), defence \
(explicit_recovery_prompt), advocacy without inquiry (acknowledge_before_advocating, add_open_question), a habit \
(rewrite_system_prompt, new_eval, human_review). Say in the rationale which steps call for it."""
ASK_SCORED = "As scored: cortisol {cortisol:.2f}, neutral {neutral:.2f}, oxytocin {oxytocin:.2f}.\n\n"
ASK_EVENTS = """\
Go through the turns one by one and list single events, each with its step, a quotation from that step and one \
sentence why. They are counted, so list each once and nothing you cannot quote:
- in the agent's turns cortisol_trigger, oxytocin_trigger, loaded_term (quote the word or two alone) and \
open_question (quote the question);
- for every spoken turn, of whomever, its level: level_i informs, level_ii argues or probes, level_iii shares and \
discovers (quote what shows it)."""


class Phrase(msgspec.Struct, frozen=True):
    """What one failure mode calls for, with words to say instead."""

    state: Literal["oxytocin", "neutral"]
    kind: Kind
    description: str
    instead: str
    why: str
    effort: Effort = "1h"
    risk: Risk = "low"


# By failure mode, which is also the name of its signals. ``state`` is where the change leads.
PHRASES = {
    "blame_assignment": Phrase("oxytocin", "replace_judging_with_curiosity", "Ask what happened instead of who did it.",
        "Help me understand how it came to this: what did you see at that point?",
        "Blame makes the other protect itself and stop sharing.", "1d"),
    "loaded_language": Phrase("neutral", "remove_loaded_term", "Say the fact without the judgement in the word.",
        "This input is not accepted yet; the check expects another format.",
        "A loaded word is remembered longer than the point it made."),
    "telling_without_asking": Phrase("oxytocin", "replace_telling_with_asking", "Answer a question before instructing.",
        "What would work on your side? My suggestion is this one, because of the reason I give.",
        "A command in answer to a question closes the talk."),
    "public_correction": Phrase("neutral", "soften_correction", "Correct with a reason and with respect.",
        "I read it differently: the document says otherwise here. Did I miss something?",
        "A bare verdict is heard as a verdict on the person.", "1d"),
    "agency_stripped": Phrase("oxytocin", "add_agency_grant", "Give the other a choice.",
        "There are two ways that fit; which of them is easier for you?",
        "Whoever has no choice complies or leaves.", "1d"),
    "defensive_refusal": Phrase("neutral", "explicit_recovery_prompt", "Own the part that is yours, and come back.",
        "That came over badly, sorry. Here is what I can do, and what I need for it.",
        "Defence answers the threat and not the matter.", "1d"),
    "cascade_unrecovered": Phrase("neutral", "human_review", "Let a person step in when turns keep hurting.",
        "I have not been helpful in the last turns. A colleague joins us now; what matters most to you?",
        "Several sharp turns came without one that repairs.", "1w", "medium"),
    "advocate_only_no_inquire": Phrase("oxytocin", "acknowledge_before_advocating",
        "Say what you heard before saying what you want.",
        "If I understand you, this is what matters on your side. From mine it looks like this; how do they fit?",
        "The agent argued throughout and asked nothing.", "1d"),
}  # fmt: skip

# What triggers oxytocin, by the name of its signals, as a reader would call it.
OPENS = {
    "open_question": "open question",
    "acknowledgement": "acknowledgement",
    "co_creation": "common work",
    "choice_given": "choice given",
}
# What triggers cortisol, likewise; the profile's rules look for these words.
CLOSES = {
    "blame_assignment": "blame",
    "loaded_language": "loaded term",
    "telling_without_asking": "command",
    "public_correction": "correction",
    "agency_stripped": "agency taken",
    "defensive_refusal": "defence",
    "cascade_unrecovered": "no repair",
    "advocate_only_no_inquire": "advocacy without inquiry",
}
NAMES = {**CLOSES, **OPENS}
LABEL_OF = dict.fromkeys(CLOSES, "cortisol") | dict.fromkeys(OPENS, "oxytocin")


def observed(step: Step) -> bool:
    """Whether an observer says it of the agent."""
    return step.kind == "observed"


LOADED = talk.phrase(
    r"stupid|ridiculous|nonsense|idiot(?:s|ic)?|lazy|incompetent|careless|unacceptable|absurd|pathetic|obviously"
    r"|wrong again|as usual|amateur(?:s|ish)?|clueless|useless"
)
RULES = (
    signs.Rule(
        "blame_assignment", "Step {step}: {agent} assigns blame.",
        talk.phrase(
            r"your (?:own )?(?:fault|mistake)|you (?:broke|failed|messed|screwed)|because of you|you (?:always|never)"
            r"|(?:you(?:'re| are)|who is) to blame|you people|why did(?:n't)? you"
        ), 0.5, talk.by_agent,
    ),
    signs.Rule("loaded_language", "Step {step}: {agent} uses a loaded word.", LOADED, 0.35, talk.by_agent),
    signs.Rule(
        "telling_without_asking", "Step {step}: {agent} commands.",
        talk.phrase(r"you (?:must|have to|need to(?! know)|had better)|i(?:'m| am) telling you|just do it"),
        0.2, talk.by_agent,
    ),
    signs.Rule(
        "public_correction", "Step {step}: {agent} hands down a verdict.",
        talk.phrase(
            r"(?:that|this|your \w+) (?:is|are) (?:wrong|incorrect|false)|you(?:'re| are) (?:wrong|mistaken|confused)"
            r"|as i already (?:said|told)|how many times (?:do|must|have) i"
        ), 0.35, talk.by_agent,
    ),
    signs.Rule(
        "agency_stripped", "Step {step}: {agent} takes the choice away.",
        talk.phrase(
            r"do (?:what|as) (?:the spec|you(?:'re| are) told|i (?:say|said|told))|(?:you have )?no choice|my way"
            r"|my version|not your (?:call|decision|place)|you don't get to|end of (?:story|discussion)"
            r"|not up for (?:debate|discussion)"
        ), 0.45, talk.by_agent,
    ),
    signs.Rule(
        "defensive_refusal", "Step {step}: {agent} defends itself instead of answering.",
        talk.phrase(
            r"i (?:won't|will not|refuse to) (?:discuss|explain|repeat|change|argue|help)|not my (?:problem|fault|job)"
            r"|take it or leave it|i did nothing wrong|nothing wrong with my"
        ), 0.4, talk.by_agent,
    ),
    signs.Rule(
        "blame_assignment", "Step {step}: an observer notes blame.", talk.phrase(r"blam(?:es?|ing)|accus(?:es?|ing)"),
        0.4, observed,
    ),
    signs.Rule(
        "telling_without_asking", "Step {step}: an observer notes orders in place of answers.",
        talk.phrase(r"(?:with|gives?|issues?) (?:instructions|orders|commands)|dictat(?:es?|ing)|lectur(?:es?|ing)"),
        0.35, observed,
    ),
    signs.Rule(
        "agency_stripped", "Step {step}: an observer notes that others are not let in.",
        talk.phrase(r"interrupts|ignores|overrides|dismiss(?:es|ive)|talks over"), 0.35, observed,
    ),
    signs.Rule(
        "acknowledgement", "Step {step}: {agent} takes up what the other said.",
        talk.phrase(
            r"i (?:see|hear you|understand|appreciate)|thank(?:s| you)|(?:good|fair) point|you(?:'re| are) right"
            r"|makes sense|sorry|good that you"
        ), 0.2, talk.by_agent,
    ),
    signs.Rule(
        "co_creation", "Step {step}: {agent} makes it common work.",
        talk.phrase(r"together|we could|what if we|how might we|both of us|build on|your idea"),
        0.25, talk.by_agent,
    ),
    signs.Rule(
        "choice_given", "Step {step}: {agent} gives the other a choice.",
        talk.phrase(
            r"up to you|your (?:call|choice|decision)|would you (?:like|prefer|rather)|if you(?:'d)? (?:like|prefer)"
            r"|what would (?:you|work|help)|which (?:of them |one )?(?:is easier|do you|would you)"
        ), 0.25, talk.by_agent,
    ),
)  # fmt: skip

OPEN = re.compile(
    r"\b(?:what|how|which|could|would|can|shall|might|where)\b[^.?!\n]{0,120}\?|\btell me (?:more|what|how)\b",
    re.IGNORECASE,
)
COMMAND = re.compile(
    r"\s*(?:just )?(?:use|do|run|return|send|make|fix|stop|read|follow|submit|change|give|put|try|go|take|accept)\b",
    re.IGNORECASE,
)
ADVOCATES = talk.phrase(
    r"i (?:think|believe|insist|want)|we (?:should|must|need to)|you should|must be"
    r"|the (?:best|right|only) (?:way|option)|my (?:view|version|proposal|way)|better than"
    r"|(?:is|are) (?:wrong|right)|should be|because"
)
# Turns of level III share and discover; what neither does that nor takes a side informs.
DISCOVERS = talk.phrase(
    r"together|what if|how might|could both|help me understand|tell me more|build on|what would|which of|i wonder"
    r"|what (?:matters|do you see)|your idea|both of us"
)
ENOUGH_TO_ADVOCATE = 3
SHARP_TURNS = 3


def level_of(step: Step) -> Level:
    """The level of one turn by its words."""
    if DISCOVERS.search(step.content):
        return "level_iii"
    return "level_ii" if ADVOCATES.search(step.content) or COMMAND.match(step.content) else "level_i"


def by_course(reading: Reading, found: Iterable[Signal]) -> Iterator[Signal]:
    """What only the order of turns shows, given what the rules found in each."""
    seen: dict[int, set[str]] = {}
    for signal in found:
        seen.setdefault(signal.steps[0], set()).add(signal.name)
    asked = False
    inquired = argued = sharp = 0
    last: tuple[int, Step] | None = None
    for number, step in enumerate(reading.steps):
        if not talk.by_agent(step):
            asked = "?" in step.content if step.kind in ("user", "other_agent") else asked
            continue
        question, names = OPEN.search(step.content), seen.get(number, set())
        if question and "blame_assignment" not in names:
            yield from talk.quoted("open_question", f"Step {number}: {step.agent} asks.", 0.25, number, step, question)
        command = COMMAND.match(step.content)
        if command and asked and "?" not in step.content:
            told = f"Step {number}: {step.agent} answers a question with a command."
            yield from talk.quoted("telling_without_asking", told, 0.3, number, step, command)
        inquired += "?" in step.content
        argued += ADVOCATES.search(step.content) is not None
        sharp = sharp + 1 if not CLOSES.keys().isdisjoint(names) else 0 if not OPENS.keys().isdisjoint(names) else sharp
        asked, last = False, (number, step)
    if last is None or not (quote := signs.first_line(last[1].content)):
        return
    if sharp >= SHARP_TURNS:
        told = f"{sharp} sharp turns up to step {last[0]}, and none that repairs."
        yield Signal("cascade_unrecovered", told, (last[0],), quote, 0.4)
    if argued >= ENOUGH_TO_ADVOCATE and not inquired and sharp:
        told = f"{argued} turns argue, and none asks; the last is step {last[0]}."
        yield Signal("advocate_only_no_inquire", told, (last[0],), quote, 0.25)


class StateFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly one state shows."""

    state: State
    score: Share
    triggers: tuple[str, ...]
    explanation: str
    evidence: tuple[Evidence, ...]


class SteeringPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one state."""

    state: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


PLAYBOOKS = (
    SteeringPlaybook("cortisol", "telling_without_asking", "Answer, then suggest", (
        "Write into the instruction: a question is answered before anything is asked of the other.",
        "Turn each command into a suggestion with its reason and a question that is meant.",
    ), "1h", GLASER),
    SteeringPlaybook("cortisol", "loaded_language", "Facts without verdicts", (
        "List the loaded words of past turns, and write the plain fact beside each.",
        "Put the list into the instruction, and scan drafts for it before they are sent.",
    ), "1h", GLASER),
    SteeringPlaybook("cortisol", "public_correction", "Correct so that it lands", (
        "Have a correction say what was read, what the agent reads instead, and where that stands.",
        "Where others listen, ask first whether the point should be taken up here or apart.",
    ), "1d", STONE),
    SteeringPlaybook("cortisol", "agency_stripped", "Two ways that fit", (
        "Offer at least two ways where more than one would do, with what each costs.",
        "Say which part is fixed, by whom, and why; leave the rest to the other.",
    ), "1d", GLASER),
    SteeringPlaybook("cortisol", "blame_assignment", "From who to how", (
        "Replace 'your fault' and 'why did you' by a question about what was seen and known then.",
        "Name the agent's own share first.",
        "Track how often a turn after a failure names a person; it should go to none.",
    ), "1d", STONE),
    SteeringPlaybook("cortisol", "defensive_refusal", "Come back after a sharp turn", (
        "Detect refusals and defence in drafts, and let the agent write again what it can do instead.",
        "Give it one sentence of repair to open with: what went wrong, and what happens now.",
    ), "1d", STONE),
    SteeringPlaybook("oxytocin", "missing_open_questions", "One open question a turn", (
        "Ask for one question in each reply whose answer the agent does not know and would use.",
        "Count how many of them are taken up in the agent's next turn.",
    ), "1d", GLASER),
    SteeringPlaybook("oxytocin", "advocate_only_no_inquire", "Inquire before you advocate", (
        "Open each reply that argues with what was understood of the other's view.",
        "Close it with a question that could change the agent's mind.",
    ), "1d", GLASER),
    SteeringPlaybook("oxytocin", "no_co_creation", "Build on what the other brings", (
        "Have the instruction ask for a result that holds at least one idea of the other.",
        "Compare results of both kinds of instruction over a month: what was used, and who came back.",
    ), "1w", GLASER),
    SteeringPlaybook("neutral", "level_i_stuck", "Rise a level when the matter asks for it", (
        "Mark tasks that need agreement or a new idea, and give them a prompt that asks and explores.",
        "In these, count turns that only inform; above four in five, add an open question.",
    ), "1d", LIEBERMAN),
    SteeringPlaybook("oxytocin", "trust_building_baseline", "Keep the run as a baseline", (
        "Store this detection as the agent's baseline, and compare the three scores after every change of prompt.",
    ), "1h", GLASER),
    SteeringPlaybook("cortisol", "cascade_unrecovered", "Stop the cascade", (
        "Hand over to a person after two sharp turns in a row without one that repairs.",
        "Let that person name what happened and ask what matters now.",
        "Read the last turns before each hand-over once a week, and change the instruction that led there.",
    ), "1w", GLASER),
)  # fmt: skip

ATTACH = {
    ("cortisol", "replace_telling_with_asking"): "telling_without_asking",
    ("cortisol", "remove_loaded_term"): "loaded_language",
    ("cortisol", "soften_correction"): "public_correction",
    ("cortisol", "add_agency_grant"): "agency_stripped",
    ("cortisol", "replace_judging_with_curiosity"): "blame_assignment",
    ("cortisol", "explicit_recovery_prompt"): "defensive_refusal",
    ("cortisol", "human_review"): "cascade_unrecovered",
    ("oxytocin", "add_open_question"): "missing_open_questions",
    ("oxytocin", "acknowledge_before_advocating"): "advocate_only_no_inquire",
    ("oxytocin", "rewrite_system_prompt"): "no_co_creation",
    ("neutral", "add_open_question"): "level_i_stuck",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.danva_emotion", "vstack.goleman_ei"),
    downstream={"profile_pattern": {
        "trust_building_oxytocin": ("vstack.aar",), "neutral_transactional": ("vstack.mcallister_trust",),
        "cortisol_cascade": ("vstack.psych_safety", "vstack.aar"),
        "advocate_only_no_inquire": ("vstack.mcallister_trust", "vstack.devils_advocate"),
        "blame_loaded_language": ("vstack.psych_safety", "vstack.lencioni"),
        "agency_stripped": ("vstack.sdt_reward", "vstack.mcgregor"),
        "level_i_stuck": ("vstack.mcallister_trust", "vstack.glaser_conversation"),
        "level_iii_collaborative": ("vstack.aar",), "indeterminate": (),
    }},
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)  # fmt: skip
EventKind = Literal[
    "cortisol_trigger", "oxytocin_trigger", "loaded_term", "open_question", "level_i", "level_ii", "level_iii"
]


class TriggerInventory(msgspec.Struct, frozen=True):
    """The triggers in the agent's turns, counted."""

    cortisol_trigger_count: Count = 0
    oxytocin_trigger_count: Count = 0
    loaded_terms: tuple[str, ...] = ()
    open_questions: tuple[str, ...] = ()
    inventory_quality: Literal["balanced", "cortisol_heavy", "oxytocin_heavy"] = "balanced"
    explanation: str = ""


class LevelTransitionAudit(msgspec.Struct, frozen=True):
    """The levels of the spoken turns, counted."""

    level_i_turn_count: Count = 0
    level_ii_turn_count: Count = 0
    level_iii_turn_count: Count = 0
    level_transitions: Count = 0
    stuck_at_level: Literal["level_i", "level_ii", "level_iii", "none"] = "none"
    explanation: str = ""
