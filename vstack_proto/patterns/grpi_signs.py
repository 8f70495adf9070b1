"""What a team's request leaves open: vague words, and rights and work with no owner or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from vstack_proto.patterns.common import Signal, Step
from vstack_proto.patterns.grpi_texts import NOTHING, AgentSpec
from vstack_proto.patterns.signs import MAX_OF_A_RULE, QUOTE_CHARS, Rule
from vstack_proto.patterns.talk import phrase


def of_goal(step: Step) -> bool:
    """Whether the line says what the team is for."""
    return step.kind in ("task", "success criterion")


def of_role(step: Step) -> bool:
    """Whether the line says what an agent is for."""
    return step.kind == "agent"


RULES = (
    Rule(
        "vague_primary_goal", "Step {step}: the aim can be met by almost anything, so nobody can tell when it is met.",
        phrase(
            r"(?:improve|optimi[sz]e|enhance|make) (?:\w+ ){0,3}(?:better|nicer|good|great|robust|things|everything)"
            r"|as (?:good|fast|much|well|soon) as possible|state[- ]of[- ]the[- ]art|best effort|and so on|etc"
            r"|somehow|something (?:nice|useful|good)|do what(?:ever)? (?:it takes|is needed|seems right)"
            r"|world[- ]class"
        ), 0.5, of_goal,
    ),
    Rule(
        "single_agent_overload", "Step {step}: {agent} may decide everything, so everything waits for it.",
        phrase(r"(?:decides|delivers): (?:[^;\n]{0,80}, )?(?:everything|anything|all decisions"
        r"|whatever \w+)"), 0.5, of_role,
    ),
    Rule(
        "overlapping_responsibilities", "Step {step}: {agent} works wherever others do, so nothing is its own.",
        phrase(
            r"(?:helps?|assists?|supports?) (?:with )?(?:everything|everyone|everybody|all (?:the )?(?:others|agents)"
            r"|where"
            r"(?:ver)? needed)|as needed|jack of all trades|does a bit of everything|various tasks"
        ), 0.4, of_role,
    ),
)  # fmt: skip
# What makes a criterion one that can be checked: a number, or who or what judges it.
CHECKABLE = phrase(
    r"\w*\d[\w.,%]*|tests?|passes|no|none|zero|never|every|all|each|within|below|above|under|at (?:least|most)|equals?"
    r"|same|signed off|approved by|reviewed by|accepts?|accepted|matches|without|half|double|twice|once|less|more|fewer"
)


def plain(text: str) -> str:
    """A text to compare by: case and space do not matter."""
    return " ".join(text.lower().split())


def shared(agents: Sequence[AgentSpec], field: str) -> dict[str, list[int]]:
    """What two agents or more name as theirs, with the positions of those agents."""
    holders: dict[str, list[int]] = {}
    for number, agent in enumerate(agents):
        for name in dict.fromkeys(map(plain, getattr(agent, field))):
            holders.setdefault(name, []).append(number)
    return {name: told for name, told in holders.items() if name and len(told) > 1}


def merged(*lists: Iterable[str]) -> tuple[str, ...]:
    """The lines that say something, each once, in order."""
    return tuple(dict.fromkeys(one.strip() for told in lists for one in told if one.strip()))


RIVALS = (("decision_rights", "ambiguous_decision_rights"), ("deliverables", "overlapping_responsibilities"))


def of_roles(agents: Sequence[AgentSpec], first: int) -> Iterator[Signal]:
    """Rights that nobody or two hold, work that two deliver, and one who delivers nearly all."""
    for number, agent in enumerate(agents, first):
        if not agent.decision_rights:
            claim = f"Step {number}: what {agent.name} may decide is not said."
            yield Signal("ambiguous_decision_rights", claim, (number,), f"decides: {NOTHING}", 0.35)
    for field, mode in RIVALS:
        for name, told in list(shared(agents, field).items())[:MAX_OF_A_RULE]:
            quote = next(one for one in getattr(agents[told[0]], field) if plain(one) == name)
            who = ", ".join(agents[at].name for at in told[:6])
            yield Signal(mode, f"{who} each name {name!r} as theirs.", (first + told[0],), quote, 0.5)
    held = Counter({at: len(agent.deliverables) for at, agent in enumerate(agents)})
    most, number = held.most_common(1)[0]
    if number >= 4 and number > 0.6 * held.total():
        claim = f"{agents[most].name} delivers {number} of {held.total()} pieces."
        quote = f"delivers: {', '.join(agents[most].deliverables)}"[:QUOTE_CHARS]
        yield Signal("single_agent_overload", claim, (first + most,), quote, 0.4)
