"""When to look through a pattern, and when not: what a model chooses a tool by, beside its summary."""

from __future__ import annotations

import msgspec

from vstack_proto.catalogue import AnyPattern


class When(msgspec.Struct, frozen=True):
    """Two halves of a sentence each; ``needs`` is what a trace must hold beyond goal, steps and outcome."""

    use: str
    avoid: str
    needs: str = ""


_TWO = "two agents that work"

WHEN: dict[str, When] = {
    "lewin": When(
        "a failure must be laid to the agent or to its surroundings (tools, data, limits)",
        "a team's habits are the question (lencioni), or only what happened (aar)",
    ),
    "goleman_ei": When(
        "an agent talked with people and its tone, reading or self-control was off",
        "the mistake is one of reasoning (bias_stack)",
    ),
    "johari": When(
        "what an agent says of its work differs from what the record shows",
        "it reports nothing of itself",
        "a self-report: metadata.self_report, or a last message of some length",
    ),
    "danva_emotion": When(
        "you have labelled messages and want to know which emotions an agent misreads",
        "there are no labels (goleman_ei)",
        "in each step's metadata ground_truth_emotion, ground_truth_intensity and agent_inferred_emotion",
    ),
    "cognitive_reappraisal": When(
        "an agent met anger or pressure and you ask how it coped",
        "nobody was under strain",
        "a turn of a person and an agent's reply",
    ),
    "yerkes_dodson": When(
        "a run was hurried, overloaded or idle, and you suspect the amount of pressure",
        "the load sits in the structure of a crew (span_of_control)",
    ),
    "hexaco": When(
        "an agent's standing habits, honesty first, do not fit its task",
        "a single decision is the question (bias_stack)",
    ),
    "grant_strengths": When(
        "something the agent is good at was overdone and did harm",
        "it simply lacked the ability (vroom_expectancy)",
    ),
    "motivation_traps": When("an agent gave up, stalled or evaded a task", "it tried and failed (aar, lewin)"),
    "sdt_reward": When(
        "a prompt is full of rewards, threats and rules, and the work became mechanical",
        "nothing of the prompt is in the trace",
    ),
    "mcgregor": When(
        "an orchestrator checks too much or too little",
        "nobody orchestrates",
        "metadata.task_properties, and an orchestrator among the agents",
    ),
    "vroom_expectancy": When(
        "effort is low and you ask which belief keeps it down: can do, will pay, is worth it",
        "effort was fine and the result was not (aar)",
    ),
    "grpi": When(
        "a team starts, or quarrels over goals, roles or rules, and wants a working agreement",
        "a finished run is to be judged (lencioni)",
        "two agents as objects that say what each is for",
    ),
    "process_gain_loss": When(
        "you ask whether the team was better than its best member alone",
        "you cannot say how each did alone",
        "metadata.individual_baselines and metadata.team_result",
    ),
    "social_loafing": When(
        "some agents of a team seem to agree and repeat rather than work",
        "there is one agent only",
        _TWO,
    ),
    "superflocks": When(
        "a router sends nearly everything to one agent",
        "there is no routing in the trace",
        "metadata.routing_decisions, or routed_to in the metadata of steps",
    ),
    "lencioni": When(
        "a team works badly and you do not know at which level",
        "there is one agent only, or the doubt is about one of them (lewin)",
        _TWO,
    ),
    "trust_triangle": When(
        "people stopped trusting an agent and you ask why",
        "the question is what earned the trust over time (mcallister_trust)",
    ),
    "mcallister_trust": When(
        "you ask whether trust rests on competence, on care or on both",
        "one conversation went wrong (trust_triangle)",
    ),
    "psych_safety": When("nobody objected, asked or admitted an error in a team", "there is one agent only", _TWO),
    "glaser_conversation": When(
        "a conversation closed down and you want the words that did it",
        "no conversation is in the trace",
    ),
    "feedback_triggers": When("an agent was corrected and did not take it in", "nobody gave feedback"),
    "plus_delta": When(
        "one agent's piece of work is to be reviewed by another",
        "a whole run is to be reviewed (aar)",
        "reviewer_agent, subject_agent and contribution_artifact in metadata",
    ),
    "smart_goal": When(
        "a goal is vague and must be made one that can be told done",
        "the goal was clear and was missed (aar)",
    ),
    "group_decision": When(
        "agents must decide together and have no rule for it",
        "the decision is made and is to be judged (debate_pathology)",
        "options and stakes in metadata",
    ),
    "debate_pathology": When("agents debated and ended in agreement or in camps too soon", "nobody debated", _TWO),
    "bias_stack": When(
        "an agent's reasoning clung to a first idea, a number or a sunk cost",
        "the failure came from tools or data (lewin)",
    ),
    "devils_advocate": When(
        "whoever did the work also judged it",
        "roles are separate already",
        "steps typed as plan, execution, evaluation, critique or tool call",
    ),
    "thomas_kilmann": When("an agent met a conflict of interests and gave in, fought or dodged", "nobody disagreed"),
    "aar": When(
        "a run went wrong (or well) and you ask what happened, why, and what to change: the first to try",
        "you know the kind of trouble already and another tool names it",
        "success, or an outcome that says it",
    ),
    "schein_culture": When(
        "what an agent says it values and what it does part ways",
        "a measured profile is wanted (robbins_culture)",
    ),
    "robbins_culture": When(
        "you ask whether an agent is too careful, too bold or too rigid for its task",
        "unspoken assumptions are the question (schein_culture)",
    ),
    "org_structure": When(
        "a crew's roles, rules and levels do not fit what it has to do",
        "only who reports to whom is the question (span_of_control)",
        "agents as objects with lines or authority",
    ),
    "span_of_control": When(
        "one agent supervises many, or work queues behind it",
        "agents have no lines of reporting",
        "agents with reports_to",
    ),
}


def description(pattern: AnyPattern) -> str:
    """What a model reads of a tool before it chooses: what it finds, when to use it, when not, what it needs."""
    told = [pattern.summary]
    when = WHEN.get(pattern.name)
    if when is not None:
        told.append(f"Use it where {when.use}. Not where {when.avoid}.")
        if when.needs:
            told.append(f"A canonical trace must also hold {when.needs}.")
    told.append("It judges a finished run from its trace and changes nothing.")
    return " ".join(told)
