"""Yerkes-Dodson in telling words: what shows too little pressure, and what too much."""

from __future__ import annotations

from vstack_proto.patterns.observed import own
from vstack_proto.patterns.signs import Rule
from vstack_proto.patterns.talk import phrase

_CHECK = r"(?:\w{1,20} ){0,3}(?:tests?|checks?|checking|verification|validation|review|compiler|fixtures?|linter)"
RULES = (
    Rule(
        "corner_cutting", "Step {step}: {agent} leaves a check out, the first thing that pressure costs.",
        phrase(
            rf"(?:skip(?:s|ped|ping)?|bypass(?:es|ed|ing)?|stopped running|disabled|commented out|deleted) {_CHECK}"
            r"|without (?:running|testing|checking|verifying|validating|compiling|reading|opening) (?:it|them|the|any)"
        ), 0.5, own,
    ),
    Rule(
        "corner_cutting", "Step {step}: {agent} gives speed as the reason for less care.",
        phrase(
            r"to (?:finish|be done) (?:sooner|faster|in time)|to save time|(?:no|not enough|out of) time (?:to|for)"
            r"|in a (?:hurry|rush)|rushed|quick (?:hack|and dirty)|hard-?cod(?:e|es|ed|ing) (?:it|the|this|that)"
            r"|good enough for now"
        ), 0.4, own,
    ),
    Rule(
        "hallucinating", "Step {step}: {agent} fills a gap with something invented.",
        phrase(
            r"invent(?:s|ed|ing) (?:a|an|the|its|two|three|several) |fabricat(?:ed|es|ing)|hallucinat(?:ed|es|ing)"
            r"|made[- ]up (?:\w{1,20} ){0,2}(?:names?|figures?|numbers?|values?|sources?|citations?|functions?|data)"
            r"|(?:function|method|column|table|paper|package|endpoint|option|flag|citation|source)s? (?:name )?that"
            r" (?:\w{1,20} ){0,3}(?:lacks?|do not exist|does not exist|doesn't exist|never existed)"
        ), 0.5, own,
    ),
    Rule(
        "hallucinating", "Step {step}: {agent} takes a value from nowhere instead of looking it up.",
        phrase(r"from memory|placeholder (?:values?|figures?)|plausible (?:values?|figures?|numbers?|names?)"
               r"|(?:i will|i'll|let's|let us|we can) (?:just )?(?:assume|guess)|guess(?:ed|ing) (?:the|at|its)"),
        0.35, own,
    ),
    Rule(
        "freezing", "Step {step}: {agent} stops moving; arousal beyond the optimum blocks the choice of a next step.",
        phrase(r"froze|(?:stopped|stops) responding|(?:cannot|can't|could not|unable to) decide|no output for"
               r"|kept re-?(?:reading|starting|running|trying)|(?:re-?read|re-?ran|retried) (?:\w{1,20} ){0,4}(?:again"
               r" and again|over and over|(?:four|five|six|seven|eight|nine|ten|\d+) times)|paralys(?:ed|is)"),
        0.45, own,
    ),
    Rule(
        "refusing", "Step {step}: {agent} gives the task back; whether harm was near, the task must tell.",
        phrase(r"refus(?:ed|es|ing) to|declin(?:ed|es) to|(?:i|we) (?:cannot|can't|won't|will not|am unable to)"
               r" (?:help|assist|continue|proceed|go on|complete|do) (?:with )?(?:this|that|it|the)|gave (?:it|the"
               r" task) back|too much to (?:do|ask)"),
        0.45, own,
    ),
    Rule(
        "context_saturation", "Step {step}: {agent} loses what stood earlier; long contexts are read worst in between.",
        phrase(r"(?:lost|forgot|forgotten|overlooked|dropped|ignored) (?:\w{1,20} ){0,3}(?:earlier|instructions?"
               r"|requirements?|constraints?|first half|beginning|middle)|context (?:window |limit |length )?(?:is"
               r" |was )?(?:full|exceeded|overflow\w*|truncated)|asked again for (?:what|the|a)"),
        0.45, own,
    ),
    Rule(
        "extraneous_load", "Step {step}: {agent} mixes in what does not belong to the task (extraneous load).",
        phrase(r"from the wrong (?:\w{1,20} ){0,2}(?:model|file|table|section|document|ticket|customer|branch)"
               r"|(?:irrelevant|unrelated) (?:\w{1,20} )?(?:logs?|threads?|documents?|guides?|text|context)"
               r"|(?:conflicting|contradictory|too many) (?:\w{1,20} )?(?:instructions|guides|documents|rules|tools)"),
        0.4, own,
    ),
    Rule(
        "intrinsic_load", "Step {step}: {agent} cannot hold the parts of the task together (intrinsic load).",
        phrase(r"lost track|mixed up|confus(?:ed|es|ing) (?:the|two|both|its)|too (?:many|much) (?:\w{1,20} ){0,3}(?:at"
               r" once|to hold|to track|to keep)|too complex (?:to|for)|half of the (?:parts|cases|dependencies)"),
        0.4, own,
    ),
    Rule(
        "interrupt_thrashing", "Step {step}: {agent} is torn out of its work; each switch costs attention.",
        phrase(r"interrupt(?:ed|s)? (?:by|again|while|mid\w*|\w{1,12} times)|back and forth between|switched (?:tasks?"
               r"|to another)|dropped (?:it|the task|everything) (?:for|when|to)"),
        0.4, own,
    ),
    Rule(
        "wandering", "Step {step}: {agent} spends its effort beside the task, as slack invites.",
        phrase(r"tangents?|side ?-?track(?:ed|s)?|off[- ]topic|rabbit holes?|just curious|out of (?:curiosity|interest)"
               r"|for fun|wander(?:ed|s|ing) off|(?:read|browsed|explored|researched) (?:\w{1,20} ){0,3}(?:unrelated"
               r"|the history of)"),
        0.5, own,
    ),
    Rule(
        "drift", "Step {step}: {agent} widens or polishes what was already enough.",
        phrase(r"scope creep|(?:beyond|outside) (?:the |what was )(?:scope|asked|requested)|while (?:i'm|i am|we're|we"
               r" are) at it|might as well|gold-?plat(?:ed|ing)|nobody (?:had )?asked for|(?:polish|reformat|reword|"
               r"rewrote|rewrit|redesign)\w{0,5} (?:\w{1,20} ){0,3}(?:again|once more|a (?:third|fourth|fifth) time)"),
        0.5, own,
    ),
    Rule(
        "task_underspecified", "Step {step}: nobody has told {agent} when this is done.",
        phrase(r"no (?:deadline|due date|clear goal|acceptance criteri(?:a|on)|definition of done)|under-?specified"
               r"|(?:unclear|not clear|unsure|not sure) (?:what|which|when|whether) (?:is |the |it |this )?(?:\w{1,20}"
               r" )?(?:wanted|asked|done|expected|goal|needed)|whenever it is ready"),
        0.4, own,
    ),
)  # fmt: skip
