"""Steps and blocks of steps, planned."""

from __future__ import annotations

import re

import msgspec

from actors.workflows.definition.actions import Tasks, action, task
from actors.workflows.definition.expressions import Reader
from actors.workflows.definition.fields import NAME
from actors.workflows.definition.model import (
    ACTIONS,
    BELONGS,
    CatchModel,
    FinallyModel,
    StepModel,
)
from actors.workflows.definition.needs import order, written
from actors.workflows.definition.parts import LoopModel, MapModel, PolicyModel, ProducesModel
from actors.workflows.definition.scopes import RESERVED, Block, View
from actors.workflows.plan import (
    Check,
    Each,
    Graph,
    GroupAction,
    LimitUse,
    Loop,
    Policy,
    Produces,
    Retry,
    Step,
    Timeouts,
)

NAME_HINT = "letters, digits, _ and -, beginning with a letter"


class Planner:
    """Plans the blocks of one definition; what is wrong gathers in the reader."""

    def __init__(self, reader: Reader, tasks: Tasks | None) -> None:
        self.reader = reader
        self.tasks = tasks

    def graph(self, block: Block, policy: PolicyModel, names: frozenset[str]) -> Graph:
        """The steps of a block in order. `names` are known to expressions in all of it."""
        reader = self.reader
        made: dict[str, Step] = {}
        reader.problems += written(reader.document, block)
        for name, model in block.steps.items():
            if not re.match(NAME, name):
                reader.problem(block.at(name), f"{name!r} cannot be the name of a step", NAME_HINT, key=True)
            made[name] = self._step(block, name, model, View(block, name, names))
        found, problems = order(reader.document, block)
        reader.problems += problems
        dependents: dict[str, list[str]] = {name: [] for name in made}
        place = {name: n for n, name in enumerate(found)}
        needs: dict[str, tuple[str, ...]] = {}
        for name in found:
            needs[name] = tuple(sorted(block.needs[name], key=place.__getitem__))
            for need in needs[name]:
                dependents[need].append(name)
        steps = (
            msgspec.structs.replace(made[name], needs=needs[name], dependents=tuple(dependents[name])) for name in found
        )
        self._triggers(block)
        return Graph(tuple(steps), None, self._policy(block, policy))

    def _triggers(self, block: Block) -> None:
        for name, model in block.steps.items():
            if model.trigger != "all_success" and not block.needs[name]:
                message = f"{model.trigger} looks at the steps that {name} needs, and it needs none"
                self.reader.problem(f"{block.at(name)}/trigger", message, "say which under needs")

    def _policy(self, block: Block, policy: PolicyModel) -> Policy:
        if policy.k_of_n is None:
            return Policy(policy.mode)
        at = f"{block.pointer.rpartition('/')[0]}/policy"
        if "mode" in policy.model_fields_set:
            self.reader.problem(at, "a policy is a mode or k_of_n, not both")
        if policy.k_of_n > len(block.steps):
            self.reader.problem(f"{at}/k_of_n", f"of {len(block.steps)} steps no {policy.k_of_n} can succeed")
        return Policy("k_of_n", policy.k_of_n)

    def _step(self, block: Block, name: str, m: StepModel, outside: View) -> Step:
        reader, at = self.reader, block.at(name)
        self._one_action(at, name, m)
        view = outside
        each = None
        if m.map is not None:
            each = self._each(f"{at}/map", m.map, outside)
            view = view.seeing(m.map.as_, "item", "index", "key")
        loop = None
        if m.loop is not None:
            view = view.seeing("iteration")
            loop = self._loop(f"{at}/loop", m.loop, view)
        done = outside._replace(own=True)
        result = (done if m.map is None else view).seeing("output")
        r, t = m.retry, m.timeout
        if m.cache and m.volatile:
            reader.problem(f"{at}/volatile", "a volatile step cannot be cached", "leave out one of cache and volatile")
        undo = None
        if m.undo is not None:
            u, where = m.undo, f"{at}/undo"
            undo = task(
                reader, self.tasks, where, u.task, reader.value(f"{where}/with", u.with_, done), u.queue, u.labels
            )
        limits = (
            LimitUse(u.name, reader.value(f"{at}/limits/{n}/key", u.key, view), u.units, u.size)
            for n, u in enumerate(m.limits)
        )
        for n, u in enumerate(m.limits):
            if u.size is not None and u.units > u.size:
                reader.problem(f"{at}/limits/{n}/units", f"{u.units} units of a limit of {u.size} are never free")
        return Step(
            name,
            self._group(block, at, m, view) if m.steps is not None else action(reader, self.tasks, at, m, view),
            trigger=m.trigger,
            when=reader.expression(f"{at}/when", m.when, outside),
            each=each,
            loop=loop,
            retry=Retry(r.attempts, r.backoff, r.factor, r.longest, r.jitter, tuple(r.on)),
            timeouts=Timeouts(t.queued, t.attempt, t.heartbeat, t.total),
            catch=self._catch(block, f"{at}/catch", m.catch, outside) if m.catch is not None else None,
            catch_on=tuple(m.catch.on) if m.catch is not None else (),
            finally_=self._finally(block, f"{at}/finally", m.finally_, outside) if m.finally_ is not None else None,
            undo=undo,
            optional=m.optional,
            priority=m.priority,
            limits=tuple(limits),
            produces=tuple(self._produces(f"{at}/produces/{n}", p, result) for n, p in enumerate(m.produces)),
            consumes=tuple(dict.fromkeys(m.consumes)),
            cache=m.cache,
            volatile=m.volatile,
        )

    def _one_action(self, at: str, name: str, m: StepModel) -> None:
        said = m.model_fields_set
        given = [key for key in ACTIONS if key in said and (key == "value" or getattr(m, key) is not None)]
        if len(given) != 1:
            doing = f"{' and '.join(given)}" if given else "nothing"
            hint = f"exactly one of {', '.join(ACTIONS)}"
            self.reader.problem(at, f"a step does one thing, {name} does {doing}", hint, key=True)
            return
        for key, owners in BELONGS.items():
            if (f"{key}_" if key == "with" else key) in said and given[0] not in owners:
                hint = f"{name} is a {_KIND.get(given[0], given[0])}"
                if key == "output" and given[0] != "value":
                    hint += "; its result is steps.NAME.output"
                message = f"{key} belongs to {' and '.join(_KIND.get(o, o) for o in owners)}"
                self.reader.problem(f"{at}/{key}", message, hint, key=True)

    def _group(self, block: Block, at: str, m: StepModel, view: View) -> GroupAction:
        if not m.steps:
            self.reader.problem(f"{at}/steps", "a group has at least one step")
        inner = block.inner[f"{at}/steps"]
        graph = self.graph(inner, m.policy, view.names)
        output = self.reader.value(f"{at}/output", m.output, View(inner, "", view.names))
        return GroupAction(msgspec.structs.replace(graph, output=output))

    def _catch(self, block: Block, at: str, catch: CatchModel, view: View) -> Graph:
        if not catch.steps and "output" not in catch.model_fields_set:
            self.reader.problem(at, "there is nothing to do", "write steps, or an output", key=True)
        inner = block.inner[f"{at}/steps"]
        within = View(inner, "", view.names | {"error"})
        graph = self.graph(inner, catch.policy, within.names)
        return msgspec.structs.replace(graph, output=self.reader.value(f"{at}/output", catch.output, within))

    def _finally(self, block: Block, at: str, last: FinallyModel, view: View) -> Graph:
        return self.graph(block.inner[f"{at}/steps"], last.policy, view.names | {"outcome"})

    def _each(self, at: str, m: MapModel, view: View) -> Each:
        reader = self.reader
        given = [name for name in ("over", "zip", "cross") if getattr(m, name) not in (None, [])]
        if len(given) != 1:
            said = f"not {' and '.join(given)}" if given else "here is none of them"
            reader.problem(at, f"a map goes over one of over, zip, cross, {said}")
        if m.as_ in RESERVED and m.as_ != "item":
            reader.problem(
                f"{at}/as", f"an item cannot be called {m.as_!r}", "expressions know that name as something else"
            )
        if isinstance(m.over, int | float | bool) or (isinstance(m.over, str) and "${" not in m.over):
            reader.problem(f"{at}/over", f"{m.over!r} is no list", "write a list, or ${ … }")
        lists = [m.over] if m.over is not None else m.zip or m.cross
        where = (
            [f"{at}/over"]
            if m.over is not None
            else [f"{at}/{given[0] if given else ''}/{n}" for n in range(len(lists))]
        )
        over = tuple(reader.value(w, value, view) for w, value in zip(where, lists, strict=True))
        key = reader.value(f"{at}/key", m.key, view.seeing(m.as_, "item", "index"))
        share: float | None = None
        count = 0
        if isinstance(m.tolerate, float):
            share = m.tolerate
        else:
            count = m.tolerate
        combine = "zip" if m.zip else "cross" if m.cross else ""
        return Each(over, m.as_, combine, key, m.concurrency, count, share)

    def _loop(self, at: str, m: LoopModel, view: View) -> Loop:
        if m.while_ is None and m.until is None:
            hint = "for a fixed number of times write a map over a list, or until: ${ iteration.index == 4 }"
            self.reader.problem(at, "a loop says when it is over: while or until", hint, key=True)
        before = self.reader.expression(f"{at}/while", m.while_, view)
        return Loop(m.most, before, self.reader.expression(f"{at}/until", m.until, view.seeing("output")), m.pause)

    def _produces(self, at: str, p: ProducesModel, view: View) -> Produces:
        reader = self.reader
        checks = (
            Check(c.name, reader.expression(f"{at}/checks/{n}/expression", c.expression, view) or "", c.blocking)
            for n, c in enumerate(p.checks)
        )
        key = reader.value(f"{at}/key", p.key, view)
        return Produces(p.asset, key, reader.value(f"{at}/value", p.value, view), tuple(checks))


_KIND = {"steps": "group", "approve": "approval"}
"""What an action is called, where that is not its key."""
