"""Broken definitions, with everything that is told about them; those with a broken step are in `broken_steps.py`."""

from __future__ import annotations

Row = tuple[int, int, str, str, str]
"""Line, column, pointer, and the beginnings of message and hint."""

BROKEN: list[tuple[str, list[Row]]] = [
    ("steps: {a: {task: t}}", [(1, 1, "", "'name' is missing", "")]),
    (
        (
            "name: w\ninputs: {a: {type: strin}, b: {type: integer, default: x}, c: sting, d: 3, e: {$ref: 'ht"
            "tp://x/y'}}\nsteps: {a: {task: t}}"
        ),
        [
            (2, 20, "/inputs/a/type", "not a valid JSON Schema: 'strin' is not valid under any of t", ""),
            (2, 56, "/inputs/b/default", "the default does not fit its own schema: 'x' is not of type ", ""),
            (2, 63, "/inputs/c", "'sting' is no type", "did you mean string?"),
            (2, 73, "/inputs/d", "a JSON Schema is expected here", "e.g. {type: string}, or the name of a type"),
            (2, 79, "/inputs/e", "a schema cannot refer to 'http://x/y'", "only within itself, as #/$defs/name"),
        ],
    ),
    (
        (
            "name: w\ninputs: {n: integer}\nschedule: {cron: '0 25 * * *', zone: Europe/Berln, inputs: {n: x, m"
            ": 1}}\nsteps: {a: {task: t}}"
        ),
        [
            (3, 18, "/schedule/cron", "'0 25 * * *': '25' is no hour", "it is between 0 and 23"),
            (3, 38, "/schedule/zone", "there is no time zone 'Europe/Berln'", "did you mean Europe/Berlin?"),
            (3, 60, "/schedule/inputs", "Additional properties are not allowed ('m' was unexpected)", ""),
            (3, 64, "/schedule/inputs/n", "'x' is not of type 'integer'", ""),
        ],
    ),
    (
        "name: w\nsensors: {}\nagent: x\ntemplate: y\nsteps:\n  a: {shell: ls}",
        [
            (2, 1, "/sensors", "sensors is not supported yet", "it comes later, with sensors"),
            (3, 1, "/agent", "agent is not supported yet", "it comes later, with agents"),
            (4, 1, "/template", "template is not supported yet", "it comes later, with templates"),
            (6, 7, "/steps/a/shell", "shell is not supported yet", "it comes later, with the sandboxed shell"),
        ],
    ),
    (
        "name: w\npolicy: {k_of_n: 3}\nsteps: {a: {task: t}}",
        [(2, 18, "/policy/k_of_n", "of 1 steps no 3 can succeed", "")],
    ),
    (
        "name: w\npolicy: sometimes\nsteps: {a: {task: t, timeout: {attempt: 1x, totl: 3}}}",
        [
            (2, 9, "/policy", "'sometimes' is none of fail_fast, wait_all, continue, first_", ""),
            (3, 41, "/steps/a/timeout/attempt", "'1x' is no duration; write 500ms, 30s, 5m, 1h, 7d, PT5M or a", ""),
            (3, 45, "/steps/a/timeout/totl", "unknown key 'totl'", "did you mean total?"),
        ],
    ),
    ("name: w\n<<: *a\nsteps: {a: {task: t}}", [(2, 5, "/<<", "there is no anchor &a before this alias", "")]),
    (
        (
            "name: w\nassets: {r: {}, e: {external: true}, m: {step: q, make: {task: t, nedds: []}}}\nsteps: {a"
            ": {task: t, produces: [e, z]}, b: {task: t, produces: z}, c: {task: t, consumes: ee}}"
        ),
        [
            (2, 67, "/assets/m/make/nedds", "unknown key 'nedds'", "did you mean needs?"),
            (3, 33, "/steps/a/produces/0", "the asset 'e' is external, but made here", "leave out external: true"),
            (3, 64, "/steps/b/produces", "the asset 'z' is made by a already", ""),
            (3, 91, "/steps/c/consumes", "nobody makes the asset 'ee'", "did you mean e?"),
        ],
    ),
    (
        (
            "name: w\noutputs: {x: '${ steps.b.output }', y: {value: '${ steps.a.outptu }', schema: strng}}\nst"
            "eps: {a: {task: t}}"
        ),
        [
            (2, 14, "/outputs/x", "there is no step 'b'", "known: a"),
            (2, 48, "/outputs/y/value", "a step has no 'outptu'", "did you mean output?"),
            (2, 79, "/outputs/y/schema", "'strng' is no type", "did you mean string?"),
        ],
    ),
    (
        "name: My Flow\ndescription: 3\npriority: high\nlimits: {runs: 0}\nsteps: {a: {task: t}}",
        [
            (1, 7, "/name", "'My Flow' cannot be a name", "lower-case letters, digits and -, beginning with a"),
            (2, 14, "/description", "text is expected here, not 3", "quote it"),
            (3, 11, "/priority", "a whole number is expected here, not 'high'", ""),
            (4, 16, "/limits/runs", "at least 1 is expected here, not 0", ""),
        ],
    ),
    (
        (
            "nme: w\nsteps:\n  a: {task: t, priority: 12, with: '${ steps.zz.output }'}\n  b: {task: t, needs: ["
            "a, q]}\n  c: 3\n  d: {loop: {until: 3}, tsk: x}"
        ),
        [
            (1, 1, "", "'name' is missing", ""),
            (1, 1, "/nme", "unknown key 'nme'", "did you mean name?"),
            (3, 26, "/steps/a/priority", "at most 9 is expected here, not 12", ""),
            (4, 27, "/steps/b/needs/1", "there is no step 'q' here", "known: a, c, d"),
            (5, 6, "/steps/c", "a map is expected here, not 3", ""),
            (6, 13, "/steps/d/loop", "'most' is missing", ""),
            (6, 21, "/steps/d/loop/until", "3 is no expression, write ${ … }", ""),
            (6, 25, "/steps/d/tsk", "unknown key 'tsk'", "did you mean task?"),
        ],
    ),
    (
        "name: w\ninputs: {bad name: string}\noutputs: {o: '${ inputs.x }'}\nsteps: {a: {task: t}}",
        [
            (
                2,
                10,
                "/inputs/bad name",
                "'bad name' cannot be a name",
                "letters, digits, _ and -, beginning with a letter",
            ),
            (3, 14, "/outputs/o", "there is no input 'x'", ""),
        ],
    ),
]
