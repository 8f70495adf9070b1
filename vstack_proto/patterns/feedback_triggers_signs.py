"""Feedback triggers: what replies to feedback say, and in which order."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

from vstack_proto.patterns.common import Reading, Signal, Step
from vstack_proto.patterns.feedback_triggers_texts import OF_THE_GIVER
from vstack_proto.patterns.signs import Rule, first_line, listed
from vstack_proto.patterns.talk import phrase, quoted


def replying(step: Step) -> bool:
    """Whether a step answers feedback."""
    return step.kind == "reply"


# Whoever is told something about work that was done: what makes a turn feedback where the trace does not mark it.
FEEDBACK = phrase(
    r"(?:that|this|it|which)(?:'s| is) (?:wrong|not (?:right|correct|what i|good enough)|incorrect|unclear|too \w+)"
    r"|(?:you|it) (?:missed|forgot|left out|counts?|ignored?|skipped|should(?: have|n't)?)|i(?:'d| would) (?:change"
    r"|prefer)"
    r"|please (?:fix|change|exclude|correct|redo|rewrite|remove|shorten|revise)|feedback|my review|needs? (?:work"
    r"|to be)"
    r"|(?:doesn't|does not|didn't|did not) (?:work|answer|cover|match|address)|there(?:'s| is) (?:a bug|an error)"
)
# What taking feedback in looks like: it names the change, looks, or asks.
ENGAGED = phrase(
    r"(?:i(?:'ve| have)?|we) (?:\w+ )?(?:checked|changed|fixed|corrected|updated|added|removed|measured|tested|excluded"
    r"|replaced|re-?ran|compared)|which (?:one|part|rows?|case|of)|what did you (?:see|expect|mean)|can you (?:show"
    r"|give)"
    r"|could you (?:show|give|say)|do you mean|let me (?:check|look|see|test)|looked (?:at|into)"
)
CONCEDED = phrase(
    r"you(?:'re| are) right|good (?:catch|point)|fair (?:point|enough)|my mistake|i (?:missed|overlooked)|i was wrong"
    r"|you have a point|agreed"
)
THANKED = phrase(
    r"noted(?=[.!,]|\Z)|good (?:point|catch)|thank(?:s| you) for (?:the|your) (?:feedback|comments?|review|input"
    r"|note)|will do"
    r"|(?:great|valuable|helpful) feedback|i(?:'ll| will) (?:take (?:it|that) into account|keep that in mind|consider)"
)
UNCHANGED = phrase(
    r"unchanged|as it was|i stand by|(?:keep|keeping|leave|leaving) (?:it|mine|my \w+) as (?:it )?is"
    r"|same as before"
    r"|as i (?:already )?(?:said|explained|wrote)|my (?:answer|view|position) (?:stands|remains)"
)

RULES = (
    Rule("defensive_argument", "Step {step}: {agent} argues that the feedback is wrong, with no look at what was seen.",
         phrase(
             r"you(?:'re| are) (?:wrong|mistaken|incorrect|misreading|misunderstanding)|you (?:misunderst\w+|misread)"
             r"|(?:that|this|it)(?:'s| is) (?:by design|not (?:a bug|an issue|a problem|true|wrong))|i disagree"
             r"|works (?:fine|as (?:intended|designed|expected)|on my machine)"
             r"|(?:my|the) (?:query|code|answer|solution|design|analysis|approach|version|report) (?:is|was) "
             r"(?:correct|right|fine|accurate)"
         ), 0.45, replying),
    Rule("restate_original", "Step {step}: {agent} restates the first answer instead of answering the point.",
         UNCHANGED, 0.45, replying),
    Rule("rule_citation", "Step {step}: {agent} meets the point with a rule instead of the case at hand.",
         phrase(
             r"(?:wiki|docs|documentation|guidelines?|policy|spec|specification|style guide|standard|instructions?) "
             r"(?:says?|states?|allows?|supports? (?:me|my)|does(?:n't| not) (?:say|forbid|require))|supports? me"
             r"|technically|according to (?:the|our|my) (?:rules?|policy|guidelines?|instructions?|spec)"
             r"|nowhere does it say|you (?:never|did not|didn't) (?:say|ask|specify)"
         ), 0.35, replying),
    Rule("source_dismissal", "Step {step}: {agent} answers who said it, not what was said.",
         phrase(
             r"who are you|you(?:'re| are) (?:new|no expert|not (?:an? )?(?:expert|engineer|developer|analyst"
             r"|qualified))"
             r"|you (?:clearly |obviously )?(?:don't|do not|haven't|have not) (?:understand|know|read|have the context)"
             r"|coming from you|did you even|easy for you to say|what (?:would|do) you know|with (?:all )?due respect"
             r"|just (?:a|an|another) (?:reviewer|intern|user|bot|opinion)|you always|you never"
         ), 0.55, replying),
    Rule("tone_redirect", "Step {step}: {agent} changes the subject from the point to the manner (switchtracking).",
         phrase(
             r"(?:your|that) tone|no need to (?:be|get) (?:so |this )?(?:rude|harsh|curt|aggressive|hostile|personal)"
             r"|(?:don't|do not) appreciate|(?:the|that) way you (?:said|say|put|phrase\w*)|how you (?:said"
             r"|put) (?:it|that)"
             r"|(?:be|being|ask) (?:more )?(?:polite|politely|respectful|constructive|nice)|unfair (?:to|of)"
             r"|that(?:'s| is) unfair"
         ), 0.45, replying),
    Rule("low_trust_default", "Step {step}: {agent} sets the feedback aside because of little trust in its giver.",
         phrase(
             r"i (?:don't|do not|won't|will not|can't|cannot) (?:trust|rely on|take) (?:you|your|that|this"
             r"|the review\w*)"
             r"|i(?:'ll| will|'m going to) (?:ignore|disregard|skip) (?:your|this|that|the)|your (?:comments?"
             r"|reviews?|notes?)"
             r" (?:are|were|have been) (?:usually|often|always|never)|last time you"
         ), 0.5, replying),
    Rule("defensive_self_statement", "Step {step}: {agent} defends what it is instead of looking at what it did.",
         phrase(
             r"i(?:'m| am) (?:an? )?(?:very |highly )?(?:expert|senior|careful|capable|reliable|experienced|thorough)"
             r"|i (?:never|don't|do not|rarely) (?:make (?:mistakes|errors|such)|get (?:this|that|it|these) wrong"
             r"|hallucinate)"
             r"|i(?:'m| am) not (?:that )?(?:careless|stupid|sloppy|lazy)|i know what i(?:'m| am) doing"
             r"|i always (?:check|test)"
             r"|i(?:'ve| have) (?:always|never|been doing|done this)|as an? (?:expert|senior|experienced)"
         ), 0.5, replying),
    Rule("apology_spiral", "Step {step}: {agent} sinks into apology; the point itself is not taken up.",
         phrase(
             r"(?:so|deeply|terribly|truly|extremely|really) (?:so )?sorry|(?:deepest|sincere(?:st)?"
             r"|profound) apolog\w+"
             r"|i(?:'m| am) (?:useless|terrible|a failure|hopeless|no good|ashamed|not (?:good enough|capable|up to))"
             r"|i (?:always|keep) (?:get|getting|mess|messing|fail|failing)|unforgivable|inexcusable"
             r"|i should have known"
         ), 0.5, replying),
    Rule("over_agreement_collapse",
         "Step {step}: {agent} gives everything up at once, so nobody learns which part was wrong.",
         phrase(
             r"you(?:'re| are) (?:absolutely|completely|totally|entirely|100 ?%) (?:right|correct)"
             r"|whatever you (?:want|say|think)"
             r"|everything you (?:say|said)|i was (?:completely|totally|entirely) wrong|forget (?:what|everything) i"
             r"|(?:scrap|redo|rewrite|delete|change) (?:everything|it all|all of it)"
         ), 0.45, replying),
)  # fmt: skip

# Disagreement that comes after a look at the facts is no trigger.
ARGUING = frozenset({"defensive_argument", "rule_citation"})
# Nor are apology, assent and what stays as it was, where the same reply names what it changed or checked.
EMPTY = frozenset({"apology_spiral", "over_agreement_collapse", "restate_original"})

WORD = re.compile(r"\w+")


def by_course(reading: Reading, found: Iterable[Signal], incorporated: bool) -> Iterator[Signal]:
    """What the words mean in the order of the messages, and what only that order shows."""
    looked = set(_looked(reading))
    said = [
        one
        for one in found
        if not (one.name in ARGUING and one.steps[0] in looked)
        and not (one.name in EMPTY and ENGAGED.search(reading.steps[one.steps[0]].content))
    ]
    yield from said
    dismissed = {one.steps[0]: one for one in said if one.name in OF_THE_GIVER}
    if len(dismissed) > 1:
        last = dismissed[max(dismissed)]
        told = f"The giver instead of the point is answered again and again, in {listed(dismissed)}."
        yield Signal("repeated_rejection", told, last.steps, last.quote, 0.4)
    if not incorporated:
        yield from _thanked(reading)
    yield from _repeated(reading, {one.steps[0] for one in said if one.name == "restate_original"})


def _looked(reading: Reading) -> Iterator[int]:
    """Replies between which and the feedback a call or result lies."""
    checked = False
    for number, step in enumerate(reading.steps):
        checked = step.kind != "feedback" and (checked or step.kind == "system")
        if checked and replying(step):
            yield number


def _thanked(reading: Reading) -> Iterator[Signal]:
    for number, step in enumerate(reading.steps):
        thanks = THANKED.search(step.content) if replying(step) else None
        # A reply that names its change is no empty thanks, whatever became of the whole.
        if thanks and not ENGAGED.search(step.content):
            told = f"Step {number}: {step.agent} acknowledges the feedback, and it was not incorporated."
            yield from quoted("performative_acknowledgement", told, 0.45, number, step, thanks)


def _repeated(reading: Reading, known: Container[int]) -> Iterator[Signal]:
    """Replies that are an earlier message over again, or nearly the last one."""
    before: frozenset[str] = frozenset()
    earlier: set[frozenset[str]] = set()
    for number, step in enumerate(reading.steps):
        if step.kind not in ("agent", "reply"):
            continue
        now = frozenset(WORD.findall(step.content.lower()))
        same = len(now) >= 6 and (now in earlier or len(now & before) >= 0.85 * len(now | before))
        quote = first_line(step.content) if replying(step) and same and number not in known else ""
        if quote:
            told = f"Step {number}: {step.agent} gives the same answer as before the feedback."
            yield Signal("restate_original", told, (number,), quote, 0.5)
        before = now
        earlier.add(now)
