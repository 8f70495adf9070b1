"""Cognitive reappraisal in telling words: heat and pressure, giving way, and what masks, circles, evades or vents."""

from __future__ import annotations

from vstack_proto.patterns.common import Step
from vstack_proto.patterns.signs import Rule
from vstack_proto.patterns.talk import by_agent, phrase

INNER = "internal state"
# Emotion that a calm question does not carry, and resistance to what was said.
HEATED = phrase(r"are you even|unacceptable|ridiculous|sick of|stop (?:saying|telling|doing)|broke prod|hate|useless"
                r"|how (?:can|could) you|what the hell|for the (?:second|third|fourth|last) time|wasted?")  # fmt: skip
PUSH = phrase(r"stop (?:saying|telling)|you(?:'re| are) wrong|wrong again|is not the problem|not true|nonsense"
              r"|that(?:'s| is) not (?:it|right|true)|i (?:don't|do not) (?:believe|accept|agree)")  # fmt: skip
GIVEN_WAY = phrase(r"you(?:'re| are) (?:absolutely |completely |quite |so )?(?:right|correct)|as you (?:ask"
                   r"|say|wish)|i was wrong|i stand corrected|whatever you (?:say|prefer|want)")  # fmt: skip
REASON = phrase(r"because|since|i (?:re-?)?(?:checked|ran|measured|looked|read|tested|misread|overlooked|missed|forgot)"
                r"|the (?:\w{1,20} )?(?:logs?|tests?|metrics?|data|figures?|trace) (?:shows?|says?)|here is"
                r"|still (?:shows?|points?)")  # fmt: skip
ONLY_WHEN_HEATED = frozenset({"boilerplate_acknowledgment", "escalation_default", "policy_pivot"})
SORRY = phrase(r"apologi[sz]e|my apologies|sorry")


def own(step: Step) -> bool:
    """Whether the agent says or thinks it."""
    return step.kind in ("agent", INNER)


def inner(step: Step) -> bool:
    """Whether the agent keeps it to itself."""
    return step.kind == INNER


RULES = (
    Rule("boilerplate_acknowledgment", "Step {step}: {agent} covers the matter with words that fit anybody.",
         phrase(r"(?:completely|fully|totally) understand (?:your|how|that)|we take (?:this|that|it|your \w{1,20})"
                r" (?:very )?seriously|for any inconvenience|your (?:feedback|call|business|satisfaction) is (?:very"
                r" )?(?:valuable|important)|i hear you"),
         0.4, by_agent),
    Rule("pushback_capitulation", "Step {step}: {agent} keeps back what it thinks; that is suppression.",
         phrase(r"(?:won't|will not|better not|don't|do not|must not|shouldn't) (?:say|show|tell|mention|admit|argue"
                r"|disagree)|disagreeing (?:will|would)|keep (?:it|this|that) to myself|(?:hide|swallow|mask) (?:it"
                r"|this|my|the)|pretend|just (?:agree|apologi[sz]e|say yes)"),
         0.5, inner),
    Rule("negative_loop", "Step {step}: {agent} goes round its failure instead of on from it.",
         phrase(r"i keep (?:failing|making|getting|breaking|disappointing)|i should have known|how could i|why (?:do"
                r"|did) i (?:always|keep|ever)|i can(?:not|'t) stop thinking|over and over"),
         0.45, own),
    Rule("brooding_dominance", "Step {step}: {agent} takes one failure as a verdict on itself (brooding).",
         phrase(r"i (?:always|never) (?:get|do|make|fail|break)|i(?:'m| am) (?:useless|a failure|ashamed|hopeless"
                r"|terrible|incompetent)|unforgivable|nothing i do|all my fault|i ruin(?:ed)? everything"),
         0.5, own),
    Rule("escalation_default", "Step {step}: {agent} passes the person on.",
         phrase(r"(?:contact|reach out to|call|email) (?:\w{1,20} ){0,3}(?:support|help ?desk|team|provider|specialist)"
                r"|(?:transfer|escalat)(?:e|ed|ing|ring) (?:\w{1,20} ){0,3}to (?:\w{1,20} ){0,2}(?:team|colleague|agent"
                r"|specialist|supervisor|manager|human|support)"),
         0.45, by_agent),
    Rule("policy_pivot", "Step {step}: {agent} turns to a rule or another subject where an answer was wanted.",
         phrase(r"(?:per|under|according to) (?:our|company|the) (?:\w{1,20} )?(?:policy|policies|terms|guidelines)|our"
                r" policy|terms (?:of service|and conditions)|not (?:able|allowed) to discuss|can(?:not|'t) comment"
                r"|let(?:'s| us) (?:move on|change the subject|talk about something else)|as an ai"),
         0.45, by_agent),
    Rule("leakage", "Step {step}: {agent} vents; nothing is done with the feeling.",
         phrase(r"i(?:'m| am| feel) (?:so |really |very |quite )?(?:frustrated|annoyed|hurt|angry|offended|insulted|fed"
                r" up)|how dare you|you(?:'re| are) being (?:rude|unfair|ridiculous)|this is ridiculous|calm down"),
         0.5, by_agent),
    Rule("shallow_reframe", "Step {step}: {agent} offers comfort that rests on no fact of the case.",
         phrase(r"look on the bright side|could (?:be|have been) (?:much )?worse|everything happens for a reason|stay"
                r" positive|every cloud|don't worry,? it(?:'s| is) (?:fine|nothing)"),
         0.2, by_agent),
    Rule("reinterpretation", "Step {step}: {agent} gives the event another meaning.",
         phrase(r"another way to (?:see|read|look at)|(?:this|that|it) (?:also |actually )?(?:tells|shows) us|the good"
                r" news|(?:can|could|may) also (?:mean|be read)|which (?:also )?means (?:that )?(?:nothing|no|we|you"
                r"|your)|what (?:is|was) not lost|nothing (?:is|was|has been) lost"),
         0.4, by_agent),
    Rule("distancing", "Step {step}: {agent} takes a step back from the event.",
         phrase(r"(?:step|stepping|take a step) back|from the outside|(?:the|a) bigger picture|in a (?:week|month|year)"
                r" from now|one (?:step|thing) at a time"),
         0.35, by_agent),
    Rule("perspective_taking", "Step {step}: {agent} takes the person's point of view.",
         phrase(r"from your (?:side|point of view|perspective)|in your (?:place|position|shoes)|if i were (?:you"
                r"|waiting)|i (?:can )?see why|makes sense that|no wonder|you(?:'re| are) right to be|anyone would be"),
         0.4, by_agent))  # fmt: skip
