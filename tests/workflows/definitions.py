"""Definitions to test with: one that uses everything, and random ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from actors.workflows.definition import Compiled, DefinitionInvalid, Problem, compile_workflow, read
from actors.workflows.plan import Graph, Step
from infra.cel import Cel

CEL = Cel()

EVERYTHING = """\
# A comment at the top
name: everything
description: Every construct once.
inputs:
  folder: {type: string, default: .}   # where
  sizes: {type: array, items: {$ref: "#/$defs/size"}, $defs: {size: {type: integer}}, default: [1, 2]}
  full: boolean
outputs:
  report: "${ steps.report.output }"
  typed: {value: "${ steps.total.output }", schema: {type: integer}}
policy: wait_all
limits: {concurrency: 8, runs: 4, timeout: 1h, queue: 100}
priority: 7
grace: 5s
schedule: {cron: "0 7 * * 1-5", zone: Europe/Berlin, gap: skip, jitter: 30s, inputs: {full: true}}
assets:
  raw: {external: true, description: From outside.}
metadata: {team: docs}
x-anything: [1, {two: 3}]
steps:
  list:
    description: The files.
    task: files.list@2
    with: {folder: "${ inputs.folder }", literal: "$${ this }"}
    consumes: raw
    produces: listing
    cache: true
    timeout: {queued: 10s, attempt: 1m, heartbeat: 5s, total: PT5M}
  measure:
    map: {over: "${ steps.list.output.files }", as: file, key: "${ file.path }", concurrency: 4, tolerate: 10%}
    task: +measure
    with: {path: "${ file.path }", at: "${ index }"}
    retry: {attempts: 3, backoff: 500ms, factor: 2, longest: 1m, jitter: 0, on: [timeout, lost]}
    limits: [{name: disk, key: "${ file.disk }", units: 1, size: 4}]
    queue: gpu
    labels: {zone: eu}
    priority: 9
    produces: {asset: measured, key: "${ 'a' }", checks: [{name: some, expression: "size(output) > 0"}]}
    x-note: kept out of the plan
  pairs: {map: {zip: ["${ inputs.sizes }", [3, 4]], as: pair}, value: "${ pair[0] + pair[1] }"}
  grid: {map: {cross: ["${ inputs.sizes }", [3, 4]]}, value: "${ item }"}
  total: {value: "${ steps.pairs.output.map(p, p)[0] }", needs: grid}
  choose:
    switch:
      - {when: "inputs.full", then: [deep, wide]}
      - {then: shallow}
  deep: {value: 1}
  wide: {value: 2, optional: true}
  shallow: {value: 3}
  join: {trigger: none_failed, needs: [deep, wide, shallow], value: null}
  poll:
    loop: {until: "${ output.done == true }", most: 5, pause: 1s}
    task: poll
    with: {last: "${ has(iteration.last.done) }", n: "${ iteration.index }"}
  group:
    steps:
      one: {task: t, with: "${ steps.poll.output }"}
      two: {task: t, needs: one, when: "${ steps.one.output.ok }"}
    output: {both: "${ steps.two.output }"}
    policy: {k_of_n: 1}
    catch:
      on: [timeout]
      steps: {mend: {task: t, with: "${ error.message }"}}
      output: "${ steps.mend.output }"
    finally: {steps: {clean: {task: t, with: "${ outcome.status }"}}}
    undo: {task: undo, with: {what: "${ steps.group.output }"}}
  pause: {wait: 5m, needs: group}
  until: {wait: {until: "2026-01-01T00:00:00Z"}}
  event: {wait: {event: Paid, match: "event.data.id == run.id", timeout: 1h}}
  child: {workflow: other, with: {x: 1}, version: 3, mode: detach, on_close: abandon}
  agree: {approve: {what: "${ steps.measure.output }", title: Report, approvers: [ada, bob], quorum: 2, expires: 1d}}
  report: {task: write, with: {ok: "${ steps.agree.output.approved }"}, consumes: [measured, listing], volatile: true}
"""


def compiled(text: str) -> Compiled:
    """A definition that is right."""
    return compile_workflow(read(text), CEL)


def problems(text: str | bytes, tasks: Any = None) -> list[Problem]:
    """What is wrong with a definition."""
    try:
        compile_workflow(read(text), CEL, tasks)
    except DefinitionInvalid as error:
        return error.problems
    return []


def step(graph: Graph, name: str) -> Step:
    """A step of a block."""
    return next(s for s in graph.steps if s.name == name)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Values of valid definitions: steps that need, read, produce and consume, in groups and maps."""
    count = draw(st.integers(1, 8))
    order = draw(st.permutations([f"s{n}" for n in range(count)]))
    steps: dict[str, Any] = {}
    made: list[str] = []
    for n in range(count):
        name = f"s{n}"
        made_step: dict[str, Any] = {}
        if draw(st.booleans()):
            made_step["description"] = draw(st.text(max_size=20))
        if n and draw(st.booleans()):
            needs = draw(st.lists(st.sampled_from([f"s{m}" for m in range(n)]), min_size=1, max_size=3, unique=True))
            made_step["needs"] = needs[0] if len(needs) == 1 and draw(st.booleans()) else needs
        read_from = f"${{ steps.s{draw(st.integers(0, n - 1))}.output }}" if n and draw(st.booleans()) else 1
        kind = draw(st.sampled_from(["task", "value", "group", "map"]))
        if kind == "group":
            made_step["steps"] = {"inner": {"value": read_from}, "last": {"task": "t", "needs": ["inner"]}}
        elif kind == "value":
            made_step["value"] = {"a": [read_from, None, 1.5], "b": draw(st.text(max_size=9).map(_harmless))}
        else:
            made_step |= {"task": "t", "with": {"x": read_from}}
            if kind == "map":
                made_step["map"] = {"over": [1, 2], "as": "x"}
        if draw(st.booleans()):
            asset = draw(st.sampled_from([name, f"asset/{n}", f"a{n}"]))
            form = draw(st.sampled_from(["plain", "list", "map", "checked"]))
            made_step["produces"] = {
                "plain": asset, "list": [asset], "map": {"asset": asset},
                "checked": [{"asset": asset, "checks": [{"name": "c", "expression": "true"}]}],
            }[form]  # fmt: skip
            if made and draw(st.booleans()):
                made_step["consumes"] = [draw(st.sampled_from(made))]
            made.append(asset)
        if draw(st.booleans()):
            made_step["x-note"] = draw(st.integers())
        steps[name] = made_step
    written = {"name": "w", "steps": {name: steps[name] for name in order}}
    if made and draw(st.booleans()):
        written["assets"] = {made[0]: {"description": "made here"}}
    return written


def _harmless(text: str) -> str:
    return text.replace("$", "")
