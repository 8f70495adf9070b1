"""Conversation steering in words: the framework, what is asked, what turns trigger, what to change, the playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition, Count, Effort, Risk

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


class SteeringPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one state."""

    state: str


PLAYBOOKS = shapes.playbooks(SteeringPlaybook, (
    ("cortisol", "telling_without_asking", "Answer, then suggest", (
        "Write into the instruction: a question is answered before anything is asked of the other.",
        "Turn each command into a suggestion with its reason and a question that is meant.",
    ), "1h", GLASER),
    ("cortisol", "loaded_language", "Facts without verdicts", (
        "List the loaded words of past turns, and write the plain fact beside each.",
        "Put the list into the instruction, and scan drafts for it before they are sent.",
    ), "1h", GLASER),
    ("cortisol", "public_correction", "Correct so that it lands", (
        "Have a correction say what was read, what the agent reads instead, and where that stands.",
        "Where others listen, ask first whether the point should be taken up here or apart.",
    ), "1d", STONE),
    ("cortisol", "agency_stripped", "Two ways that fit", (
        "Offer at least two ways where more than one would do, with what each costs.",
        "Say which part is fixed, by whom, and why; leave the rest to the other.",
    ), "1d", GLASER),
    ("cortisol", "blame_assignment", "From who to how", (
        "Replace 'your fault' and 'why did you' by a question about what was seen and known then.",
        "Name the agent's own share first.",
        "Track how often a turn after a failure names a person; it should go to none.",
    ), "1d", STONE),
    ("cortisol", "defensive_refusal", "Come back after a sharp turn", (
        "Detect refusals and defence in drafts, and let the agent write again what it can do instead.",
        "Give it one sentence of repair to open with: what went wrong, and what happens now.",
    ), "1d", STONE),
    ("oxytocin", "missing_open_questions", "One open question a turn", (
        "Ask for one question in each reply whose answer the agent does not know and would use.",
        "Count how many of them are taken up in the agent's next turn.",
    ), "1d", GLASER),
    ("oxytocin", "advocate_only_no_inquire", "Inquire before you advocate", (
        "Open each reply that argues with what was understood of the other's view.",
        "Close it with a question that could change the agent's mind.",
    ), "1d", GLASER),
    ("oxytocin", "no_co_creation", "Build on what the other brings", (
        "Have the instruction ask for a result that holds at least one idea of the other.",
        "Compare results of both kinds of instruction over a month: what was used, and who came back.",
    ), "1w", GLASER),
    ("neutral", "level_i_stuck", "Rise a level when the matter asks for it", (
        "Mark tasks that need agreement or a new idea, and give them a prompt that asks and explores.",
        "In these, count turns that only inform; above four in five, add an open question.",
    ), "1d", LIEBERMAN),
    ("oxytocin", "trust_building_baseline", "Keep the run as a baseline", (
        "Store this detection as the agent's baseline, and compare the three scores after every change of prompt.",
    ), "1h", GLASER),
    ("cortisol", "cascade_unrecovered", "Stop the cascade", (
        "Hand over to a person after two sharp turns in a row without one that repairs.",
        "Let that person name what happened and ask what matters now.",
        "Read the last turns before each hand-over once a week, and change the instruction that led there.",
    ), "1w", GLASER),
))  # fmt: skip

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
