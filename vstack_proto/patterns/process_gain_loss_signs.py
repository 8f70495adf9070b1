"""Where a log tells of a loss: telling words, cost and size, silence, and the best member's answer that got lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vstack_proto.patterns.common import Signal, Step
from vstack_proto.patterns.process_gain_loss_texts import IndividualBaseline, TeamResult, cost_told
from vstack_proto.patterns.signs import QUOTE_CHARS, Rule, line_at, speaks
from vstack_proto.patterns.talk import phrase


def together(step: Step) -> bool:
    """Whether this was said in the team, or of the team's result; what a member did alone is the yardstick."""
    return step.kind != "alone" and speaks(step)


# What a signal is named is the failure mode that it shows.
_RULES: tuple[tuple[str, str, str, float], ...] = (
    ("high_overhead", "Step {step}: effort goes into being a team and not into the task.",
     r"(?:still |am |is |are |was |were )waiting (?:for|on) (?!a lock)|(?:another|one more|yet another) (?:round"
     r"|meeting|sync|call)|(?:both|all) (?:of us )?(?:did|wrote|built|ran) the same|already (?:did|done|wrote"
     r"|ran) (?:that|this|it)|duplicate[d]? (?:work|effort)|merge conflicts?|(?:which|what) (?:version|branch"
     r"|file) (?:are|is|do|should)|whose turn", 0.35),
    ("high_overhead", "Step {step}: many rounds were needed.",
     r"(?:[4-9]|\d\d|four|five|six|seven|eight|nine|ten|many|endless|countless) (?:rounds|meetings|iterations"
     r"|syncs)", 0.25),
    ("no_role_specialization", "Step {step}: all are set to the same work.",
     r"every(?:one|body),? (?:please )?(?:gives?|do(?:es)?|writes?|tr(?:y|ies)|answers?|works? on|takes? a look"
     r"|looks? at)|all of (?:you|us) (?:do|write|try|work)|who (?:does|is doing) what|(?:the )?same (?:query|code"
     r"|thing|work) as", 0.3),
    ("silent_agents", "Step {step}: {agent} adds nothing of its own.",
     r"(?:nothing|no comment|not much) (?:to add|from me)|same (?:here|for me)|what (?:he|she|they) said|ditto"
     r"|(?:i(?:'ll| will)|let me) leave (?:it|that|this) to|whatever you (?:all )?(?:think|decide|prefer)"
     r"|you (?:all )?decide", 0.35),
    ("premature_consensus", "Step {step}: {agent} closes the point before it is weighed.",
     r"noted,? (?:let's )?mov(?:e|ing) on|(?:we|everyone|everybody) (?:all )?agrees?(?: already)?,? (?:so|let's|then)"
     r"|no need to (?:check|discuss|verify|debate|look)|let's not (?:overthink|argue|reopen|go there)|no time (?:for"
     r"|to (?:discuss|check|debate))|good enough,? (?:let's|ship|move)|(?:it's|that's|it is|that is) settled", 0.45),
    ("broken_handoff", "Step {step}: something did not reach the one who needed it.",
     r"(?:didn't|did not|never) (?:get|got|received?|see|saw|attach|sent?|include|mention) (?:the|your|that|this|it"
     r"|any)|i (?:thought|assumed) (?:that )?you (?:meant|had|were|would|did)|(?:can|could"
     r"|please) (?:you )?(?:re-?send|send (?:it|that|this) again)|(?:got |was |were |is "
     r"|been )lost in (?:the )?(?:hand-?(?:off|over)|transfer|translation)|what do you mean by|where (?:is"
     r"|are) the (?:file|data|output|results?|draft)|in (?:what|which) format", 0.4),
    ("context_drift", "Step {step}: what was known is forgotten, or the task drifts.",
     r"(?:i|we) (?:forgot|lost track)|what (?:was|is) the (?:task|question|goal|requirement|deadline) again|remind me"
     r"|(?:we|i|you) already (?:said|agreed|decided|established|told)|as (?:i|we) (?:said|agreed|decided) (?:earlier"
     r"|above|before)|(?:context|history|thread|log) (?:is |was |got )?(?:too long|truncated|cut off)|(?:beside"
     r"|off) the (?:point|topic|task)", 0.4),
    ("averaged_to_mediocrity", "Step {step}: answers are blended so that all can agree.",
     r"meet in the middle|split the difference|(?:take|use|go with) (?:the|an) (?:average|mean|median)|average (?:them"
     r"|it|these|those|out)|compromise|somewhere (?:between|in the middle)|a bit of (?:both|everything|each)"
     r"|keep everyone happy|common denominator|(?:merge|combine|include) (?:all|everyone's|everybody's) (?:answers?"
     r"|ideas?|versions?|suggestions?|points?)", 0.45),
)  # fmt: skip
RULES = tuple(Rule(mode, claim, phrase(expression), weight, together) for mode, claim, expression, weight in _RULES)


def of_the_team(log: Sequence[Step], last: int, team: TeamResult, overhead: float | None) -> Iterator[Signal]:
    """Cost, size and silence; ``last`` is the step that tells the team's result."""
    members = f"by {', '.join(team.agents)}"[:QUOTE_CHARS]
    if overhead is not None and overhead > 1.5 and team.cost_units is not None:
        claim = f"The team costs {overhead:g} times what its best member costs alone."
        weight = round(min(0.6, 0.2 + 0.1 * overhead), 2)
        yield Signal("high_overhead", claim, (last,), cost_told(team.cost_units), weight)
    if len(team.agents) >= 5:
        links = len(team.agents) * (len(team.agents) - 1) // 2
        claim = f"{len(team.agents)} members have {links} links to keep up."
        yield Signal("high_overhead", claim, (last,), members, 0.3)
    silent = silent_in(log, team)
    if silent:
        claim = f"Of the team, and without a line in the log: {', '.join(silent)}."
        yield Signal("silent_agents", claim, (last,), members, round(min(0.6, 0.25 * len(silent)), 2))


def silent_in(log: Sequence[Step], team: TeamResult) -> list[str]:
    """Members without a line, in a log where at least two others have one."""
    spoke = {step.agent.strip().lower() for step in log}
    members = {name.strip().lower(): name for name in team.agents}
    return [name for key, name in members.items() if key not in spoke] if len(members.keys() & spoke) > 1 else []


FIGURE = re.compile(r"\d{2,12}(?:[.,]\d{1,6}){0,3}")


def of_the_best(log: Sequence[Step], best: IndividualBaseline, team: TeamResult) -> Iterator[Signal]:
    """The best member's figures were said in the log, and none of them is in what the team handed in."""
    figures = set(FIGURE.findall(best.output_summary))
    if not figures or figures & set(FIGURE.findall(team.output_summary)):
        return
    for number, step in enumerate(log):
        match = next((one for one in FIGURE.finditer(step.content) if one.group() in figures), None)
        if match is not None:
            claim = f"Step {number}: the best member's figure {match.group()} was known; the team's result lacks it."
            yield Signal("averaged_to_mediocrity", claim, (number,), line_at(step.content, *match.span()), 0.35)
            return
