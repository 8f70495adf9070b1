"""Conversation steering: what triggers a state, by words and by the order of turns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.common import Reading, Signal, Step
from vstack_proto.patterns.glaser_conversation_texts import Level

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
