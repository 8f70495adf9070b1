"""Characteristics in words: which of the seven a step shows too much or too little of."""

from __future__ import annotations

import re

from vstack_proto.patterns import observed, signs
from vstack_proto.patterns.common import Step
from vstack_proto.patterns.robbins_culture_texts import Characteristic, Direction


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
