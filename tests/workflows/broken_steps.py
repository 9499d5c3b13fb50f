"""Definitions with a broken step, with everything that is told about them."""

from __future__ import annotations

from tests.workflows.broken_definitions import Row

BROKEN_STEPS: list[tuple[str, list[Row]]] = [
    (
        "name: w\nsteps:\n  a: {task: t, retry: no}",
        [(3, 23, "/steps/a/retry", "a whole number is expected here, not 'no'", "")],
    ),
    (
        "name: w\nsteps:\n  a: {task: t, optional: yes}",
        [
            (
                3,
                26,
                "/steps/a/optional",
                "true or false is expected here, not 'yes'",
                "yes is a text in YAML 1.2; write true or false",
            )
        ],
    ),
    (
        "name: w\nsteps:\n  a: {task: t, trigger: all_sucess}",
        [
            (
                3,
                25,
                "/steps/a/trigger",
                "'all_sucess' is none of all_success, all_failed, one_success",
                "did you mean all_success?",
            )
        ],
    ),
    (
        "name: w\nsteps:\n  a: {task: t, priority: 12}",
        [(3, 26, "/steps/a/priority", "at most 9 is expected here, not 12", "")],
    ),
    (
        "name: w\nsteps:\n  a: {value: 1, loop: {until: 'output > 3'}}",
        [(3, 23, "/steps/a/loop", "'most' is missing", "")],
    ),
    (
        "name: w\nsteps:\n  a: {value: 1, loop: {most: 3}}",
        [
            (
                3,
                17,
                "/steps/a/loop",
                "a loop says when it is over: while or until",
                "for a fixed number of times write a map over a lis",
            )
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {task: t, needs: [b]}\n  b: {task: t, with: '${ steps.c.output }'}\n  c: {task"
            ": t, consumes: x}\n  d: {task: t, produces: x, needs: a}"
        ),
        [(3, 3, "/steps/a", "a cycle: a → b → c → d → a", "a needs b (needs), b needs c (reads steps.c), c ne")],
    ),
    (
        (
            "name: w\nsteps:\n  g:\n    steps:\n      i: {task: t, with: '${ steps.b.output }'}\n  b: {task: t, wi"
            "th: '${ steps.i.output }'}\n  c: {task: t, needs: i}"
        ),
        [
            (6, 22, "/steps/b/with", "i is within g, out of sight", "let g give it as its output"),
            (7, 23, "/steps/c/needs", "there is no step 'i' here", "known: b, g"),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  g:\n    steps:\n      i: {task: t, with: '${ steps.b.output }'}\n  b: {task: t, ne"
            "eds: g}"
        ),
        [(6, 3, "/steps/b", "a cycle: b → g → b", "b needs g (needs), g needs b (reads steps.b in i)")],
    ),
    (
        (
            "name: w\nsteps:\n  a:\n    task: t\n    catch: {steps: {x: {task: t, with: '${ steps.a.output }'}}}\n"
            "    finally: {steps: {x: {value: '${ error.kind }'}}, output: 3}"
        ),
        [
            (
                5,
                40,
                "/steps/a/catch/steps/x/with",
                "a has not ended while what is in it runs",
                "in a catch read `error`, in a finally `outcome`",
            ),
            (6, 55, "/steps/a/finally/output", "unknown key 'output'", "known: policy, steps"),
        ],
    ),
    (
        ("name: w\nsteps:\n  a: {task: t, with: '${ steps.a.output }', undo: {task: u, with: '${ steps.a.output }'}}"),
        [(3, 22, "/steps/a/with", "a cannot read its own result", "in until and in checks it is `output`")],
    ),
    (
        "name: w\nsteps:\n  s: {switch: [{then: b}, {when: 'true', then: [s, zz]}]}\n  b: {task: t}",
        [
            (
                3,
                16,
                "/steps/s/switch/0",
                "a case without when is for otherwise: only the last one can ",
                "give it a when",
            ),
            (3, 49, "/steps/s/switch/1/then/0", "s cannot choose itself", ""),
            (3, 52, "/steps/s/switch/1/then/1", "there is no step 'zz' here", "known: b"),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {value: 1, queue: gpu, labels: {a: b}, mode: wait, version: 2, output: 3, po"
            "licy: continue, inclusive: true, with: 1}"
        ),
        [
            (3, 17, "/steps/a/queue", "queue belongs to task", "a is a value"),
            (3, 29, "/steps/a/labels", "labels belongs to task", "a is a value"),
            (3, 45, "/steps/a/mode", "mode belongs to workflow", "a is a value"),
            (3, 57, "/steps/a/version", "version belongs to workflow", "a is a value"),
            (3, 69, "/steps/a/output", "output belongs to group", "a is a value"),
            (3, 80, "/steps/a/policy", "policy belongs to group", "a is a value"),
            (3, 98, "/steps/a/inclusive", "inclusive belongs to switch", "a is a value"),
            (3, 115, "/steps/a/with", "with belongs to task and workflow", "a is a value"),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {wait: {for: 1h, event: X}}\n  b: {wait: {until: '2026-01-01T00:00:00Z', matc"
            "h: 'event.x'}}\n  c: {wait: soon}"
        ),
        [
            (3, 13, "/steps/a/wait", "a wait is for a duration, until a time, or for an event, not", ""),
            (4, 45, "/steps/b/wait/match", "match belongs to a wait for an event", "say event: …"),
            (5, 13, "/steps/c/wait", "'soon' is no duration; write 500ms, 30s, 5m, 1h, 7d, PT5M or", ""),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {task: t, with: {p: {$secret: db}, q: '${ secrets.db }', r: '${ 1 + 2.0 }', "
            "s: '${ 1 + }', t: '${ inputs.a }${ inputs.b }'}}"
        ),
        [
            (
                3,
                27,
                "/steps/a/with/p/$secret",
                "$secret cannot be written in a definition",
                "secrets by reference come later, with the vault",
            ),
            (3, 44, "/steps/a/with/q", "secrets is not supported yet", "it comes later, with the vault"),
            (
                3,
                66,
                "/steps/a/with/r",
                "1 + 2.0: found no matching overload for '_+_' applied to '(i",
                "arithmetic does not mix int and double: write doub",
            ),
            (3, 85, "/steps/a/with/s", "1 +: Syntax error: mismatched input '<EOF>' expecting {'[', ", ""),
            (
                3,
                100,
                "/steps/a/with/t",
                "an expression must be the whole text",
                "join texts in the expression: ${ 'a ' + inputs.b }",
            ),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {task: t, map: {over: 3, zip: [[1]], as: steps}}\n  b: {task: t, map: [1,2], "
            "when: '${ item > 1 }', trigger: one_failed}"
        ),
        [
            (3, 21, "/steps/a/map", "a map goes over one of over, zip, cross, not over and zip", ""),
            (3, 28, "/steps/a/map/over", "3 is no list", "write a list, or ${ … }"),
            (
                3,
                47,
                "/steps/a/map/as",
                "an item cannot be called 'steps'",
                "expressions know that name as something else",
            ),
            (4, 34, "/steps/b/when", "item has no value here", "it has one in a map"),
            (
                4,
                60,
                "/steps/b/trigger",
                "one_failed looks at the steps that b needs, and it needs non",
                "say which under needs",
            ),
        ],
    ),
    (
        "name: w\nsteps:\n  1a: {task: 't t'}\n  b b: {task: t}\n  c:",
        [
            (
                3,
                3,
                "/steps/1a",
                "'1a' cannot be the name of a step",
                "letters, digits, _ and -, beginning with a letter",
            ),
            (
                4,
                3,
                "/steps/b b",
                "'b b' cannot be the name of a step",
                "letters, digits, _ and -, beginning with a letter",
            ),
            (5, 5, "/steps/c", "a map is expected here, not nothing", ""),
        ],
    ),
    ("name: w\nsteps: [a]", [(2, 8, "/steps", "a map is expected here, not a list", "")]),
    ("name: w\nsteps: {}", [(2, 8, "/steps", "a workflow has at least one step", "")]),
    (
        (
            "name: w\nsteps:\n  a: {approve: x, produces: y}\n  b: {approve: {what: 1, approvers: [ada], quorum:"
            " 2}}\n  c: {task: t, limits: [{name: db, units: 3, size: 2}], cache: true, volatile: true}"
        ),
        [
            (4, 52, "/steps/b/approve/quorum", "of 1 approvers no 2 can agree", ""),
            (5, 43, "/steps/c/limits/0/units", "3 units of a limit of 2 are never free", ""),
            (5, 80, "/steps/c/volatile", "a volatile step cannot be cached", "leave out one of cache and volatile"),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  g:\n    produces: r\n    steps:\n      a: {task: t, consumes: r}\n      b: {task: t"
            ", consumes: q}\n  h: {task: t, produces: q, needs: g}"
        ),
        [
            (3, 3, "/steps/g", "a cycle: g → h → g", "g needs h (the asset q), h needs g (needs)"),
            (6, 30, "/steps/g/steps/a/consumes", "'r' is made by g, which has not ended while its own steps ru", ""),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {task: t, needs: [b]}\n  b: {task: t, needs: [a]}\n  c: {task: t, needs: [d, a"
            "]}\n  d: {task: t, needs: c}"
        ),
        [
            (3, 3, "/steps/a", "a cycle: a → b → a", "a needs b (needs), b needs a (needs)"),
            (5, 3, "/steps/c", "a cycle: c → d → c", "c needs d (needs), d needs c (needs)"),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {task: t, with: {x: 'Hello ${ run.idd }', y: '${ run.idd }', z: '${ steps }'"
            ", w: '${ stepz.b.output }'}}"
        ),
        [
            (
                3,
                26,
                "/steps/a/with/x",
                "an expression must be the whole text",
                "join texts in the expression: ${ 'a ' + inputs.b }",
            ),
            (3, 51, "/steps/a/with/y", "a run has no 'idd'", "did you mean id?"),
            (3, 70, "/steps/a/with/z", "name the step: steps.NAME.output", "what is read must be known before the run"),
            (3, 87, "/steps/a/with/w", "unknown name 'stepz'", "did you mean steps?"),
        ],
    ),
    (
        (
            "name: w\ninputs: {size: integer}\nsteps:\n  a: {task: t, with: {x: '${ size }', y: '${ a.output }',"
            " z: '${ event.x }'}}\n  b: {value: '${ a.output }'}"
        ),
        [
            (4, 26, "/steps/a/with/x", "unknown name 'size'", "inputs.size?"),
            (4, 42, "/steps/a/with/y", "unknown name 'a'", "steps.a.output?"),
            (4, 62, "/steps/a/with/z", "event has no value here", "it has one in match"),
            (5, 14, "/steps/b/value", "unknown name 'a'", "steps.a.output?"),
        ],
    ),
    (
        ("name: w\nsteps:\n  a: {task: t, map: {over: [1], tolerate: 120%, as: x-y}, timeout: -1, labels: {a: 1}}"),
        [
            (3, 43, "/steps/a/map/tolerate", "'120%' is neither a number of items nor a share like 5%", ""),
            (3, 53, "/steps/a/map/as", "'x-y' cannot be a name", "letters, digits and _, beginning with a letter"),
            (3, 68, "/steps/a/timeout", "a duration is not negative", ""),
            (3, 84, "/steps/a/labels/a", "text is expected here, not 1", "quote it"),
        ],
    ),
    (
        "name: w\nsteps:\n  a: {value: 1, catch: {on: [x]}, finally: {steps: {}}}\n  b: {steps: {}}",
        [
            (3, 17, "/steps/a/catch", "there is nothing to do", "write steps, or an output"),
            (3, 52, "/steps/a/finally/steps", "there must be at least one", ""),
            (4, 14, "/steps/b/steps", "a group has at least one step", ""),
        ],
    ),
    (
        (
            "name: w\nsteps:\n  a: {task: t, map: {over: [1], as: x-y}}\n  b: {task: t, needs: a, retry: {on: 3,"
            " factor: 0.5}}"
        ),
        [
            (3, 37, "/steps/a/map/as", "'x-y' cannot be a name", "letters, digits and _, beginning with a letter"),
            (4, 38, "/steps/b/retry/on", "text is expected here, not 3", "quote it"),
            (4, 49, "/steps/b/retry/factor", "at least 1.0 is expected here, not 0.5", ""),
        ],
    ),
    (
        "name: w\nsteps:\n  a: {workflow: Other One, mode: later}\n  b: {task: ''}",
        [
            (
                3,
                17,
                "/steps/a/workflow",
                "'Other One' cannot be a name",
                "lower-case letters, digits and -, beginning with a",
            ),
            (3, 34, "/steps/a/mode", "'later' is none of wait, detach, forget", ""),
            (4, 13, "/steps/b/task", "a text is expected here, not an empty one", ""),
        ],
    ),
]
