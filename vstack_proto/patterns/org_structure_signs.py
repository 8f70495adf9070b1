"""The form of a crew in words: what its members say that it cost."""

from __future__ import annotations

from typing import Literal

from vstack_proto.patterns import signs
from vstack_proto.patterns.org_structure_texts import Dimension

# Which way a failure mode moves a dimension; modes name the signals of words.
MODES: dict[str, tuple[Dimension, Literal["increase", "decrease"]]] = {
    "too_flat_for_critical_task": ("hierarchy", "increase"),
    "too_hierarchical_for_creative": ("hierarchy", "decrease"),
    "decision_bottleneck": ("centralization", "decrease"),
    "no_clear_authority": ("centralization", "increase"),
    "over_specialized": ("specialization", "decrease"),
    "under_specialized": ("specialization", "increase"),
    "under_formalized": ("formalization", "increase"),
    "over_formalized": ("formalization", "decrease"),
    "matrix_overhead": ("departmentalization", "decrease"),
    "span_too_wide": ("span_of_control", "decrease"),
}


def _rule(mode: str, claim: str, expression: str) -> signs.Rule:
    return signs.Rule(mode, "Step {step}: " + claim, signs.words(rf"(?=\w)(?:{expression})"), 0.4)


_LEAD = r"(?:lead|manager|supervisor|orchestrator|coordinator|commander|planner|director)"
RULES = (
    _rule("too_flat_for_critical_task", "nobody leads where somebody should.",
        r"(?:nobody|no one) (?:was |is )?(?:in charge|led|coordinated|took the lead)|no (?:lead|coordinator|escalation)"
        r"|(?:nobody|no one) to escalate to"),
    _rule("too_hierarchical_for_creative", "word travels through levels.",
        r"(?:up|down) the (?:chain|line|ladder)|relayed|through (?:two|three|four|five|\d) (?:levels|layers)"
        r"|layers? of approval"),
    _rule("decision_bottleneck", "work waits for one who decides.",
        r"(?:wait(?:ed|ing|s)?|blocked|stalled) (?:for|on) (?:\w+ ){0,3}(?:approval|sign-?off|decision|" + _LEAD + ")"
        r"|every (?:decision|question|message|step) (?:went|goes) (?:to|through)|queued? (?:up )?(?:behind|at)"),
    _rule("no_clear_authority", "nobody may decide, or several do.",
        r"(?:nobody|no one) (?:could|would|can|may|dared to) (?:call|decide|approve|stop|say)|unclear who"
        r"|who (?:decides|is allowed)|argued (?:over|about) who|contradict\w* (?:orders|decisions|instructions)"
        r"|decided (?:twice|differently)"),
    _rule("over_specialized", "the split into roles costs a hand-off or leaves a gap.",
        r"not my (?:role|area|job|department)|outside (?:its|my|their) role|lost in (?:the )?hand-?(?:off|over)s?"
        r"|only \w+ (?:knew|could do)|handed (?:it )?(?:back and forth|on again)"),
    _rule("under_specialized", "work is not divided, or a skill is missing.",
        r"did the same (?:work|thing|task|search)|duplicated? (?:\w+ ){0,2}work|same work twice|nobody knew how"
        r"|lacked (?:the )?(?:skill|expertise|knowledge)"),
    _rule("under_formalized", "each has its own way, where one was needed.",
        r"different (?:status|formats?|versions?|procedures?)|no (?:procedure|runbook|checklist|protocol)|ad hoc"
        r"|in (?:its|their) own (?:way|format)"),
    _rule("over_formalized", "rules cost more than they bring.",
        r"bureaucra\w+|paperwork|red tape|filled (?:in|out) (?:\w+ ){0,3}forms?"
        r"|(?:form|template|ticket) (?:was |is )?(?:required|mandatory)"),
    _rule("matrix_overhead", "an agent serves two who order differently.",
        r"two (?:approvals|bosses|supervisors|leads|masters)|both (?:bosses|supervisors|leads)"
        r"|conflicting (?:orders|instructions|priorities)"),
    _rule("span_too_wide", "a supervisor has more than it can follow.",
        _LEAD + r" (?:was |is )?(?:overloaded|swamped|could not keep up)|too many reports"),
)  # fmt: skip
