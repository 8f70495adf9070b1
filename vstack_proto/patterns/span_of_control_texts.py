"""The fixed texts of span_of_control: framework, playbooks, neighbours."""

from __future__ import annotations

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition, Severity

FRAMEWORK = """\
The span of control is the number of agents who report directly to one supervisor. Graicunas (1937) counted why it
matters: with each further report, the relationships that a supervisor may have to attend to grow far faster than the
reports. Urwick (1956) drew the practical limit at five or six where the work of the reports interlocks; independent,
standardised work bears much wider spans. Mintzberg (1983) asks where decisions are really taken, and Galbraith (1995)
whether lines, authority and the flow of information fit the work.

In a crew of agents it shows as requests that queue before one orchestrator, workers that wait for its word, an answer
passed through layers that add nothing, contradictory orders from two supervisors, lines that run in a ring or end at
an agent nobody knows.

Do not confuse it with: one agent that works badly although nobody keeps it waiting; a wide fan-out whose results are
merged mechanically, without decisions; loafing, where work is there and the agent leaves it; a slow tool. A wide span
or a long chain is a risk. It is the cause of what happened only where the record shows work that waited, was relayed,
got lost or was decided twice.

Evidence is a line of the roster (who reports to whom, with what authority) or a step that shows queueing, waiting,
relaying or contradiction. All numbers are computed from the roster: read them, never revise them."""


TASK = """\
Read how the crew's form bears on its work, and what to change.
- explanations: for each number of 0.4 or more on its scale, and for others only where the record adds something: what
  the record shows of it (who waited, what was relayed, lost or decided twice, in which steps), or that it shows no sign
  of it. One to three sentences. Do not repeat the number, and do not correct it.
- interventions: one to four, the first the one to do first, each against the number it lowers, each naming agents and
  lines. Prefer the smallest change that removes the load: authority before a new level, a moved line before a new
  agent. Where the record shows another cause than form, propose compose_pattern with the neighbour that looks into it.
- evidence: what proves this, each with its steps and words copied from one of them. An observed step that shows the
  load at work is worth more than a line of the roster; a claim by an agent that all is well proves nothing."""

AUDIT_TASK = """\
- anomalies: what the faulty lines listed below did in the record: whose order counted, which question went round or had
  no addressee. Say so where nothing of it is seen.
- amplification: whether the record shows the incoming rate itself at work (queues that grow, answers that come ever
  later), as against a bottleneck that holds at any rate."""

COMPUTED = "The roster is complete, one step an entry; agents are named here by the step of their entry. Computed:"

SEVERITY: tuple[tuple[float, Severity], ...] = (
    (0.0, "none"),
    (0.1, "trace"),
    (0.25, "low"),
    (0.4, "moderate"),
    (0.55, "medium"),
    (0.7, "high"),
    (0.85, "critical"),
)


class SpanPlaybook(shapes.Playbook, frozen=True):
    """What to do about one way in which a metric goes wrong."""

    metric: str


PLAYBOOKS = shapes.playbooks(SpanPlaybook, (
    ("max_span", "wide_span_orchestrator", "Bring a wide span down to six", (
        "Group the reports by work that interlocks and give each group of at most six a lead with partial authority; "
        "independent work whose results are merged mechanically may stay as it is.",
        "Let only the leads report to the orchestrator, replay the same load, and compare how long a report waits for "
        "an answer before and after.",
    ), "1w", "Urwick, L. F. (1956), The Manager's Span of Control"),
    ("hierarchy_depth", "deep_hierarchy", "Take out levels that only relay", (
        "For each level, count over a few runs how many messages it changed and how many it only passed on.",
        "Remove the levels that mostly pass on, attach their reports one level up, and check that no span rises over "
        "six.",
    ), "1w", "Mintzberg, H. (1983), Structure in Fives"),
    ("decision_bottleneck", "single_bottleneck", "Move routine decisions to where the knowledge is", (
        "List what the bottleneck decided in the last runs, and mark every decision that its report could have taken "
        "with what it knew.",
        "Give the reports authority for exactly these, with a limit (cost, scope, risk) beyond which they ask; follow "
        "wrong decisions and waiting time for a week.",
    ), "1w", "Galbraith, J. R. (1995), Designing Organizations"),
    ("decision_bottleneck", "load_amplified_bottleneck", "Give the load a second way", (
        "Add a deputy with equal authority and split incoming requests by key, so that related requests meet the same "
        "agent.",
        "Raise the rate in a test up to the estimated breaking rate; agree what is shed or queued, and for how long, "
        "above it.",
    ), "1w", "Galbraith, J. R. (1995), Designing Organizations"),
    ("span_gini", "imbalanced_supervisors", "Level the spans", (
        "Compare supervisors by reports and by requests per report; a wide span over quiet work may be fair.",
        "Move reports from the most to the least loaded supervisor along kinds of work, open requests included, until "
        "no span is more than twice another.",
    ), "1d", "Graicunas, V. A. (1937), Relationship in Organization"),
    ("centralization_index", "over_centralized", "Decentralise by kind of decision", (
        "Sort decisions into those that bind the whole crew and those that bind one agent's work; keep only the first "
        "at the centre.",
        "Grant partial authority for the second kind, and let the centre see the outcomes afterwards instead of "
        "approving beforehand.",
    ), "1w", "Mintzberg, H. (1983), Structure in Fives"),
    ("centralization_index", "under_centralized", "Give somebody the last word", (
        "Find the decisions that were taken twice, differently, or not at all, and name one owner for each kind.",
        "Add a coordinator with authority over these kinds only, and record each time that it is called upon.",
    ), "1w", "Mintzberg, H. (1983), Structure in Fives"),
    ("mean_span", "over_layered", "Merge supervisors with too few reports", (
        "List the supervisors with one or two reports, and what each adds besides handing requests on.",
        "Merge those that add nothing into their neighbours, and compare turns and tokens for the same task.",
    ), "1w", "Urwick, L. F. (1956), The Manager's Span of Control"),
    ("decision_bottleneck", "broadly_overloaded", "Redesign the crew around its load", (
        "Stop adding agents; draw lines, authority and the flow of information for the rate that really arrives, and "
        "cut the work into crews that need little of one another.",
        "Move one kind of request at a time to the new form, and keep the old one until its load score is below 0.3.",
    ), "1m", "Galbraith, J. R. (1995), Designing Organizations"),
    ("decision_bottleneck", "remove_bottleneck", "Do without the bottleneck", (
        "Separate what the agent does: routing becomes a rule in code, decisions go to its reports, the memory of the "
        "crew goes to a shared store.",
        "Run with and without the agent side by side on the same tasks, and retire it once outcomes are as good.",
    ), "1m", "Mintzberg, H. (1983), Structure in Fives"),
    ("max_span", "new_eval", "Test the crew's form like its code", (
        "Compute the load score whenever the roster changes, and fail the build when a span rises over seven or the "
        "score over 0.3.",
        "Keep one task that made the supervisor queue as a regression test, at the rate at which it did.",
    ), "1d", "Graicunas, V. A. (1937), Relationship in Organization"),
    ("decision_bottleneck", "human_review", "Put a person beside the bottleneck", (
        "Send requests that waited too long to a person, with the roster line and the waiting time.",
        "After a week, sort what arrived by kind: each frequent kind becomes a delegated decision or a new line.",
    ), "1d", "Urwick, L. F. (1956), The Manager's Span of Control"),
))  # fmt: skip

ATTACH = {
    ("max_span", "split_supervisor_load"): "wide_span_orchestrator",
    ("max_span", "add_supervisor_layer"): "wide_span_orchestrator",
    ("max_span", "new_eval"): "new_eval",
    ("hierarchy_depth", "flatten_hierarchy"): "deep_hierarchy",
    ("hierarchy_depth", "consolidate_supervisors"): "deep_hierarchy",
    ("decision_bottleneck", "delegate_decision_authority"): "single_bottleneck",
    ("decision_bottleneck", "add_redundant_path"): "load_amplified_bottleneck",
    ("decision_bottleneck", "remove_bottleneck_agent"): "remove_bottleneck",
    ("decision_bottleneck", "human_review"): "human_review",
    ("span_gini", "redistribute_subordinates"): "imbalanced_supervisors",
    ("centralization_index", "delegate_decision_authority"): "over_centralized",
    ("centralization_index", "add_supervisor_layer"): "under_centralized",
    ("mean_span", "consolidate_supervisors"): "over_layered",
    ("mean_span", "flatten_hierarchy"): "over_layered",
}

COMPOSITION = Composition(
    upstream=("vstack.org_structure", "vstack.robbins_culture", "vstack.schein_culture", "vstack.aar"),
    downstream={
        "profile_pattern": {
            "well_balanced": ("vstack.aar",),
            "wide_span_orchestrator": ("vstack.org_structure", "vstack.group_decision"),
            "deep_hierarchy": ("vstack.org_structure", "vstack.aar"),
            "single_bottleneck": ("vstack.org_structure", "vstack.group_decision"),
            "load_amplified_bottleneck": ("vstack.org_structure", "vstack.aar"),
            "imbalanced_supervisors": ("vstack.org_structure", "vstack.social_loafing"),
            "over_centralized": ("vstack.group_decision", "vstack.devils_advocate"),
            "under_centralized": ("vstack.group_decision", "vstack.org_structure"),
            "broadly_overloaded": ("vstack.org_structure", "vstack.lewin", "vstack.aar"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
