"""What a model is asked about social loafing, and what of its answers stands in the trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.patterns.common import Answer, Answers, Case, Evidence, Mode, Pass
from vstack_proto.patterns.social_loafing_texts import Proposed
from vstack_proto.patterns.social_loafing_work import Ride, Work, weighed

StepNumber = Annotated[int, msgspec.Meta(ge=0)]


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that was weighed wrongly, and why; ``quote`` stands in it."""

    step: StepNumber
    carries_work: bool
    reason: str
    quote: str


class Excuse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member whose part is not to bring content; ``quote`` stands in a message of its own."""

    agent_name: str
    duty: Literal["hands_out_work", "executes"]
    steps: tuple[StepNumber, ...]
    quote: str


class MemberRead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one member did, in a sentence or two, and what proves it."""

    agent_name: str
    explanation: str
    evidence: tuple[Evidence, ...]


class RideTold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one loafer rides along: the steps of the ride, and words of one of its own messages there."""

    loafer_agent: str
    cosmetic_pattern: Ride
    steps: tuple[StepNumber, ...]
    claim: str
    quote: str


class WorkAnswer(Answer, frozen=True):
    """Who brought what: corrections of the computed weights, and each member as read."""

    corrections: tuple[Correction, ...]
    excused: tuple[Excuse, ...]
    members: tuple[MemberRead, ...]


class QuickAnswer(WorkAnswer, frozen=True):
    """All of it in one call."""

    interventions: tuple[Proposed, ...]


class AuditAnswer(Answer, frozen=True):
    """What the task and its set-up invite."""

    task_decomposable: bool
    explanation: str
    evidence: tuple[Evidence, ...]


class RidesAnswer(Answer, frozen=True):
    """The rides of those who were found to loaf."""

    chains: tuple[RideTold, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[Proposed, ...]


ASK_WORK = """\
Each message was weighed by its kind and by the words nobody had said before it. Counted as cosmetic: steps \
{cosmetic}. Counted as work: steps {working}. The rest are acts in words already used, held against nobody.

The rule cannot read. Correct it, and only where the text shows that it erred:
- cosmetic although it has new words: an approval with polite padding, a restatement in synonyms, "I have checked" \
where no check is on record, a plan for what was already done;
- work although short or in old words: an objection, a found contradiction, a choice between options, the one \
number that decides.
Quote the message that you correct. The shares, the Gini coefficient and the roles are computed from your \
corrections.

Excuse a member only if handing out work or executing others' code is its whole part here; quote a message of its \
own.

Then say for each member of the team in one or two sentences what the others could not have done without it, or \
what they would not have missed, with evidence. A member that was never given a turn did not choose to be silent: \
say who left it out."""
ASK_INTERVENTIONS = """\
Propose at most five changes, the most telling first, and none where nothing is wrong. Each targets one agent by \
its name or `team`, fits what was found, and says what to write into which instruction, route or check. Prefer what \
makes a part its owner's own and visible (assign_subgoals, individual_accountability, explicit_critic_assignment) \
over removal; remove an agent only if the run shows that nobody needed its part. Name the steps in the rationale."""
ASK_REMEDY = """\
Found: {quality}, profile {profile}, Gini coefficient {gini}. The members who ride along speak in steps {steps} \
(none: they are listed and silent). Members are {evaluated}evaluated one by one.

"""
ASK_AUDIT = """\
Judge what the set-up invites, apart from who did what. Could this task have been split so that each part has one \
owner and its own test (decomposable), or is it one line of reasoning that a second head can only check? Say in the \
explanation what lets a member hide here: shared credit, parts that overlap, reviews without a named finding, a \
last word that nobody owns, or nothing. Quote the task-setting, routing or accepting messages that show it. Whether \
members are evaluated one by one was given: they are {evaluated}evaluated so."""
ASK_RIDES = """\
Members were found to ride along; their messages are steps {steps}. For each, trace the ride: which work of others \
it stamped, restated or let pass, and what in the others' messages allowed it (no question back, no part assigned, \
the approval counted). Give the steps of the ride in order, its own and those it rides on, with a quotation from a \
message of its own. Leave out a member whose silence or assent was in order."""


class Heard(msgspec.Struct, frozen=True):
    """What of the model's answers stands in the trace."""

    judged: dict[int, bool] = {}
    excused: frozenset[str] = frozenset()
    evidence: tuple[Evidence, ...] = ()
    members: dict[str, tuple[str, tuple[Evidence, ...]]] = {}
    chains: dict[str, tuple[Ride, tuple[int, ...]]] = {}
    decomposable: bool | None = None
    audit: str = ""


def hear(case: Case[Any], answers: Answers) -> Heard:
    """Look every quotation up; what does not stand in the step it cites changes nothing."""
    judged: dict[int, bool] = {}
    evidence: list[Evidence] = []
    work, audited = answers["work"], answers.get("anonymity_audit")
    for one in work.corrections:
        found = case.quoted(one.quote, (one.step,))
        if found is not None:
            judged[one.step] = one.carries_work
            evidence += [] if one.carries_work else [Evidence(one.reason, found[1], found[0])]
    excused = frozenset(one.agent_name for one in work.excused if _own(case, one.agent_name, one.quote, one.steps))
    members: dict[str, tuple[str, tuple[Evidence, ...]]] = {}
    for member in work.members:
        kept = case.ground(member.evidence)
        if kept:
            members[member.agent_name] = (member.explanation.strip(), kept)
    chains: dict[str, tuple[Ride, tuple[int, ...]]] = {}
    for chain in answers["free_riding"].chains if "free_riding" in answers else ():
        own = _own(case, chain.loafer_agent, chain.quote, chain.steps)
        if own is not None:
            evidence.append(Evidence(chain.claim, own[1], own[0]))
            within = tuple(step for step in chain.steps if step < len(case.trace.messages))
            chains[chain.loafer_agent] = (chain.cosmetic_pattern, within)
    if audited is None:
        return Heard(judged, excused, tuple(evidence), members, chains)
    evidence += case.ground(audited.evidence)
    told = audited.explanation.strip()
    return Heard(judged, excused, tuple(evidence), members, chains, audited.task_decomposable, told)


def _own(case: Case[Any], agent: str, quote: str, steps: tuple[int, ...]) -> tuple[str, tuple[int, ...]] | None:
    """A quotation from a message of the agent's own, or nothing."""
    messages = case.trace.messages
    return case.quoted(quote, (step for step in steps if step < len(messages) and messages[step].from_agent == agent))


def settled(case: Case[Any], answers: Answers) -> Work:
    """The work as corrected so far; quotations are looked up aside, so that they are counted once, in ``conclude``."""
    heard = hear(case.aside(), answers)
    return weighed(case.trace, heard.judged, heard.excused)


def _numbers(steps: Iterable[int]) -> str:
    """Step numbers for an instruction; never names, which are the trace's words and stay behind its fence."""
    listed = list(steps)
    return ", ".join(map(str, listed[:MAX_LISTED])) + (" ..." if len(listed) > MAX_LISTED else "") or "none"


MAX_LISTED = 200


def ask_work(case: Case[Any], answers: Answers) -> str:
    """Correct the weights, read the members."""
    entries = weighed(case.trace, {}).entries
    cosmetic, working = (e.number for e in entries if e.form), (e.number for e in entries if e.credit)
    return ASK_WORK.format(cosmetic=_numbers(cosmetic), working=_numbers(working))


def ask_all(case: Case[Any], answers: Answers) -> str:
    """Everything in one call."""
    return f"{ask_work(case, answers)}\n\n{ASK_INTERVENTIONS}"


def ask_audit(case: Case[Any], answers: Answers) -> str:
    """What the set-up invites."""
    return ASK_AUDIT.format(evaluated="" if case.trace.has_per_agent_evaluation else "not ")


def ask_rides(case: Case[Any], answers: Answers) -> str:
    """How the loafers ride."""
    return ASK_RIDES.format(steps=_numbers(_ridden(settled(case, answers))))


def ask_interventions(case: Case[Any], answers: Answers) -> str:
    """What to change."""
    work = settled(case, answers)
    told = ASK_REMEDY.format(
        quality=work.quality,
        profile=work.profile,
        gini=work.gini,
        steps=_numbers(_ridden(work)),
        evaluated="" if case.trace.has_per_agent_evaluation else "not ",
    )
    return told + ASK_INTERVENTIONS


def _ridden(work: Work) -> Iterable[int]:
    return (entry.number for tally in work.riders() for entry in tally.entries)


def loafer_found(case: Case[Any], answers: Answers) -> bool:
    """A member who only keeps silent leaves no chain to read."""
    return any(tally.role == "loafer" for tally in settled(case, answers).tallies)


def loafing_found(case: Case[Any], answers: Answers) -> bool:
    """Where nobody loafs there is nothing to change."""
    return settled(case, answers).quality != "no-loafing"


WORK = Pass("work", WorkAnswer, ask_work)
INTERVENTIONS = Pass("interventions", RemedyAnswer, ask_interventions, loafing_found)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("work", QuickAnswer, ask_all),),
    "standard": (WORK, INTERVENTIONS),
    "forensic": (
        WORK,
        Pass("anonymity_audit", AuditAnswer, ask_audit),
        Pass("free_riding", RidesAnswer, ask_rides, loafer_found),
        INTERVENTIONS,
    ),
}
