"""The five dysfunctions in a team's messages: telling words, and what only the order of messages shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from vstack_proto.patterns.common import Reading, Signal, Step
from vstack_proto.patterns.signs import MACHINE, PERSON, Rule, first_line
from vstack_proto.patterns.talk import phrase


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


def by_course(reading: Reading) -> Iterator[Signal]:
    """What only the order of messages shows."""
    yield from _objections(reading)
    yield from _follow_ups(reading)
    yield from _one_voice(reading)


def _objections(reading: Reading) -> Iterator[Signal]:
    """An objection that the next speaker cuts off, or that its author drops without a reason."""
    pressed: dict[str, int] = {}
    last: tuple[int, Step] | None = None
    for number, step in enumerate(reading.steps):
        if not spoken(step):
            continue
        quote = first_line(step.content)
        if last is not None and last[1].agent != step.agent and DISMISSES.search(step.content):
            claim = f"Step {number}: {step.agent} cuts off the objection of step {last[0]} and does not answer it."
            yield Signal("artificial_harmony", claim, (number,), quote, 0.45)
        before = pressed.pop(step.agent, None)
        if before is not None and step.kind == "agreement" and not REASON.search(step.content):
            claim = f"Step {number}: {step.agent} drops its objection of step {before} and names no reason."
            yield Signal("false_consensus", claim, (number,), quote, 0.45)
        last = (number, step) if step.kind == "challenge" else None
        if last is not None:
            pressed[step.agent] = number


def _follow_ups(reading: Reading) -> Iterator[Signal]:
    """A question for an owner that no owner follows; a failed result that is reported as success."""
    asked: tuple[int, Step] | None = None
    failed: int | None = None
    for number, step in enumerate(reading.steps):
        if step.kind == "tool_result":
            failed = number if FAILED.search(step.content) else None
        if not spoken(step):
            continue
        if asked is not None and asked[1].agent != step.agent:
            if not OWNS.search(step.content):
                claim = f"Step {asked[0]}: {asked[1].agent} asks who owns it, and step {number} names nobody."
                yield Signal("peer_accountability_gap", claim, (asked[0],), first_line(asked[1].content), 0.4)
            asked = None
        if ASKS_OWNER.search(step.content):
            asked = (number, step)
        if failed is not None and CLAIMED.search(step.content) and not DOUBTED.search(step.content):
            claim = f"Step {number}: {step.agent} reports success although the result of step {failed} failed."
            yield Signal("metric_gaming", claim, (number,), first_line(step.content), 0.35)
        failed = None


def _one_voice(reading: Reading) -> Iterator[Signal]:
    """Many agreements by several and not one question or objection: nothing was argued."""
    said = [(number, step) for number, step in enumerate(reading.steps) if spoken(step)]
    kinds = Counter(step.kind for _, step in said)
    agreeing = [(number, step) for number, step in said if step.kind == "agreement"]
    if len(agreeing) < 4 or len({step.agent for _, step in agreeing}) < 3 or kinds["challenge"] or kinds["question"]:
        return
    number, last = agreeing[-1]
    claim = f"{len(agreeing)} agreements up to step {number}, and nobody asks or objects once."
    yield Signal("artificial_harmony", claim, (number,), first_line(last.content), 0.35)
