"""From a definition to a plan: names resolved, dependencies found and ordered, expressions compiled, all errors at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from actors import cron
from actors.workflows.definition.assets import as_steps
from actors.workflows.definition.document import Document, token
from actors.workflows.definition.durations import seconds
from actors.workflows.definition.model import BlockModel, Policy, PolicyModel, ScheduleModel, StepModel, WorkflowModel
from actors.workflows.definition.problems import DefinitionInvalid, Problem, nearest
from actors.workflows.definition.shape import shape
from actors.workflows.expressions import ExpressionError, Expressions, Reference
from actors.workflows.plan import (
    Action,
    ApprovalAction,
    Case,
    Check,
    Each,
    Graph,
    GroupAction,
    LimitUse,
    Loop,
    Plan,
    Produces,
    Recurrence,
    Retry,
    Step,
    SwitchAction,
    TaskAction,
    Timeouts,
    ValueAction,
    WaitAction,
    WorkflowAction,
    encode_plan,
)
from actors.workflows.plan import Policy as PlanPolicy
from actors.workflows.tasks import Task
from actors.workflows.values import source_of
from events.errors import UnknownType

NAME_RE: Final = __import__("re").compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
RESERVED: Final = frozenset(
    ("inputs", "steps", "run", "index", "key", "iteration", "error", "outcome", "output", "event")
)
"""Names that an item of a map cannot have."""


class Tasks(Protocol):
    """Where tasks are looked up."""

    def find(self, name: str) -> Task:
        """The task, or UnknownType."""
        ...


class Compiled(msgspec.Struct, frozen=True):
    """A definition that is right: its plan (version 0 until it is published), and the model for what else it says."""

    plan: Plan
    model: WorkflowModel
    inputs: dict[str, Any]


def compile_workflow(document: Document, expressions: Expressions, tasks: Tasks | None = None) -> Compiled:
    """Check a definition and plan it. Without `tasks` their names are taken as they are. Raises DefinitionInvalid."""
    model, problems = shape(document)
    if model is None or problems:
        raise DefinitionInvalid(problems)
    model, problems = as_steps(document, model)
    compiler = _Compiler(document, expressions, tasks, model)
    compiler.problems += problems
    root = compiler.graph("/steps", model.steps, model.policy, _Scope(None, {}, frozenset()))
    outputs = compiler.outputs(model.outputs, model.steps)
    if not model.steps:
        compiler.problem("", "a workflow has at least one step")
    schema = compiler.input_schema(model.inputs)
    recurrence = _recurrence(compiler, model.schedule)
    if compiler.problems:
        raise DefinitionInvalid(compiler.problems)
    root = msgspec.structs.replace(root, output=outputs or None)
    plan = Plan(
        model.name, 0, "", root, schema, model.limits.concurrency, model.limits.timeout, model.priority, model.grace,
        model.limits.runs, model.limits.queue, recurrence,
    )  # fmt: skip
    digest = blake2b(encode_plan(plan), digest_size=16).hexdigest()
    return Compiled(msgspec.structs.replace(plan, hash=digest), model, schema)


def _recurrence(compiler: _Compiler, model: ScheduleModel | None) -> Recurrence | None:
    if model is None:
        return None
    for at, check, text in (("/schedule/cron", cron.parse, model.cron), ("/schedule/zone", cron.zone_of, model.zone)):
        try:
            check(text)
        except cron.CronError as error:
            compiler.problem(at, error.message, error.hint)
    return Recurrence(
        model.cron, model.zone, model.gap, model.overlap or "", model.catch_up, model.concurrent, model.jitter,
        model.inputs,
    )  # fmt: skip


class _Scope:
    """The steps of one block, and what an expression in it can see besides them."""

    def __init__(self, outer: _Scope | None, steps: Mapping[str, StepModel], names: frozenset[str]) -> None:
        self.outer = outer
        self.steps = steps
        self.names = names

    def has(self, name: str) -> bool:
        return name in self.steps or (self.outer is not None and self.outer.has(name))

    def all(self) -> list[str]:
        return [*self.steps, *(self.outer.all() if self.outer is not None else ())]


class _Compiler:
    def __init__(self, document: Document, expressions: Expressions, tasks: Tasks | None, model: WorkflowModel) -> None:
        self.document = document
        self.expressions = expressions
        self.tasks = tasks
        self.model = model
        self.problems: list[Problem] = []

    def problem(self, pointer: str, message: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.document.problem(pointer, message, hint, key=key))

    # -- blocks

    def graph(self, pointer: str, steps: Mapping[str, StepModel], policy: Policy, around: _Scope) -> Graph:
        scope = _Scope(around, steps, around.names)
        producers = self._producers(pointer, steps)
        made: dict[str, Step] = {}
        needs: dict[str, dict[str, str]] = {}
        for name, model in steps.items():
            at = f"{pointer}/{token(name)}"
            if not NAME_RE.fullmatch(name):
                self.problem(
                    at, f"{name!r} is no name for a step", "letters, digits, _ and -, beginning with a letter", key=True
                )
            found = needs[name] = dict[str, str]()
            self._written_needs(at, name, model, steps, found)
            self._asset_needs(at, name, model, producers, found)
            made[name] = self._step(at, name, model, scope, found)
        for switch, model in steps.items():
            for case in model.switch or ():
                for target in case.then:
                    if target in needs and target != switch:
                        needs[target].setdefault(switch, f"the switch {switch}")
        order = self._order(pointer, needs)
        finished: list[Step] = []
        for name in order:
            dependents = tuple(other for other in order if name in needs[other])
            finished.append(
                msgspec.structs.replace(
                    made[name], needs=tuple(n for n in order if n in needs[name]), dependents=dependents
                )
            )
        return Graph(tuple(finished), None, self._policy(pointer, policy, len(steps)))

    def _policy(self, pointer: str, policy: Policy, count: int) -> PlanPolicy:
        if isinstance(policy, PolicyModel):
            if policy.k_of_n > count:
                self.problem(pointer.rpartition("/")[0] + "/policy", f"{policy.k_of_n} of {count} steps cannot succeed")
            return PlanPolicy("k_of_n", policy.k_of_n)
        return PlanPolicy(policy)

    def _producers(self, pointer: str, steps: Mapping[str, StepModel]) -> dict[str, str]:
        producers: dict[str, str] = {}
        for name, model in steps.items():
            for n, produced in enumerate(model.produces):
                other = producers.get(produced.asset)
                if other is not None and other != name:
                    at = f"{pointer}/{token(name)}/produces"
                    self.problem(f"{at}/{n}", f"the asset {produced.asset!r} is made by {other} already")
                producers[produced.asset] = name
        return producers

    def _written_needs(
        self, at: str, name: str, model: StepModel, steps: Mapping[str, StepModel], found: dict[str, str]
    ) -> None:
        for n, need in enumerate(model.needs):
            where = f"{at}/needs/{n}"
            if need == name:
                self.problem(where, f"{name} cannot need itself")
            elif need not in steps:
                self.problem(where, f"there is no step {need!r} here", nearest(need, [s for s in steps if s != name]))
            else:
                found[need] = "needs"
        for n, case in enumerate(model.switch or ()):
            for m, target in enumerate(case.then):
                if target not in steps:
                    self.problem(
                        f"{at}/switch/{n}/then/{m}", f"there is no step {target!r} here", nearest(target, steps)
                    )

    def _asset_needs(
        self, at: str, name: str, model: StepModel, producers: dict[str, str], found: dict[str, str]
    ) -> None:
        for n, asset in enumerate(model.consumes):
            producer = producers.get(asset)
            if producer == name:
                self.problem(f"{at}/consumes/{n}", f"{name} makes {asset!r} itself")
            elif producer is not None:
                found.setdefault(producer, f"the asset {asset}")
            elif asset not in self.model.assets:
                known = [*producers, *self.model.assets]
                self.problem(
                    f"{at}/consumes/{n}", f"nobody makes the asset {asset!r}",
                    nearest(asset, known) or "declare it under assets with external: true",
                )  # fmt: skip

    def _order(self, pointer: str, needs: dict[str, dict[str, str]]) -> list[str]:
        """Every step after those it needs, otherwise as written; a cycle is a problem that shows the cycle."""
        order: list[str] = []
        state: dict[str, int] = {}
        for start in needs:
            stack: list[tuple[str, Iterator[str]]] = []
            if start not in state:
                state[start] = 1
                stack.append((start, iter(needs[start])))
            while stack:
                name, rest = stack[-1]
                following = next((n for n in rest if state.get(n) != 2), None)
                if following is None:
                    state[name] = 2
                    order.append(name)
                    stack.pop()
                elif state.get(following) == 1:
                    path = [n for n, _ in stack]
                    cycle = [*path[path.index(following) :], following]
                    why = ", ".join(f"{a} needs {b} ({needs[a][b]})" for a, b in zip(cycle, cycle[1:], strict=False))
                    self.problem(f"{pointer}/{token(cycle[0])}", f"a cycle: {' → '.join(cycle)}", why, key=True)
                    return list(needs)
                else:
                    state[following] = 1
                    stack.append((following, iter(needs[following])))
        return order

    # -- a step

    def _step(self, at: str, name: str, m: StepModel, scope: _Scope, needs: dict[str, str]) -> Step:
        outside = scope

        def look(pointer: str, value: Any, within: _Scope, *extra: str) -> Any:
            return self.value(pointer, value, within, needs, name, extra)

        each = self._each(at, m, outside, look)
        if each is not None:
            scope = _Scope(scope.outer, scope.steps, scope.names | {each.name, "item", "index", "key"})
        if m.loop is not None:
            scope = _Scope(scope.outer, scope.steps, scope.names | {"iteration"})
        action = self._action(at, m, scope, look)
        loop = None
        if m.loop is not None:
            loop = Loop(
                m.loop.most, look(f"{at}/loop/while", m.loop.while_, scope),
                look(f"{at}/loop/until", m.loop.until, scope, "output"), m.loop.pause,
            )  # fmt: skip
        produces = tuple(
            Produces(
                p.asset, look(f"{at}/produces/{n}/key", p.key, scope), look(f"{at}/produces/{n}/value", p.value, scope, "output"),
                tuple(
                    Check(c.name, look(f"{at}/produces/{n}/checks/{k}/expression", c.expression, scope, "output"), c.blocking)
                    for k, c in enumerate(p.checks)
                ),
            )
            for n, p in enumerate(m.produces)
        )  # fmt: skip
        r, t = m.retry, m.timeout
        undo = None
        if m.undo is not None:
            undo = self._task(
                f"{at}/undo",
                m.undo.task,
                look(f"{at}/undo/with", m.undo.with_, outside, name),
                m.undo.queue,
                m.undo.labels,
            )
        return Step(
            name,
            action,
            trigger=m.trigger,
            when=look(f"{at}/when", m.when, outside),
            each=each,
            loop=loop,
            retry=Retry(r.attempts, r.backoff, r.factor, r.longest, r.jitter, tuple(r.on)),
            timeouts=Timeouts(t.queued, t.attempt, t.heartbeat, t.total),
            catch=self._block(f"{at}/catch", m.catch, outside, "error"),
            catch_on=tuple(m.catch.on) if m.catch is not None else (),
            finally_=self._block(f"{at}/finally", m.finally_, outside, "outcome"),
            undo=undo,
            optional=m.optional,
            priority=m.priority,
            limits=tuple(
                LimitUse(u.name, look(f"{at}/limits/{n}/key", u.key, scope), u.units, u.size)
                for n, u in enumerate(m.limits)
            ),
            produces=produces,
            consumes=tuple(m.consumes),
            cache=m.cache,
            volatile=m.volatile,
        )

    def _each(self, at: str, m: StepModel, scope: _Scope, look: Any) -> Each | None:
        if m.map is None:
            return None
        spec = m.map
        given = [
            name
            for name, value in (("over", spec.over), ("zip", spec.zip), ("cross", spec.cross))
            if value not in (None, [])
        ]
        if len(given) != 1:
            self.problem(f"{at}/map", "a map goes over one of over, zip, cross")
        if spec.as_ in RESERVED:
            self.problem(f"{at}/map/as", f"an item cannot be called {spec.as_!r}")
        over = [spec.over] if spec.over is not None else spec.zip or spec.cross
        share: float | None = None
        count = 0
        if isinstance(spec.tolerate, int):
            count = spec.tolerate
        else:
            try:
                share = float(spec.tolerate.removesuffix("%")) / 100
                if not spec.tolerate.endswith("%") or not 0 <= share <= 1:
                    raise ValueError
            except ValueError:
                self.problem(
                    f"{at}/map/tolerate", f"{spec.tolerate!r} is neither a number of items nor a share like 5%"
                )
        where = f"{at}/map/{given[0]}" if given and f"{at}/map/{given[0]}" in self.document.marks else f"{at}/map"
        lists = tuple(look(where, value, scope) for value in over)
        within = _Scope(scope.outer, scope.steps, scope.names | {spec.as_, "item", "index"})
        key = look(f"{at}/map/key", spec.key, within)
        combine = "zip" if spec.zip else "cross" if spec.cross else ""
        return Each(lists, spec.as_, combine, key, spec.concurrency, count, share)

    def _block(self, at: str, block: BlockModel | None, scope: _Scope, name: str) -> Graph | None:
        if block is None:
            return None
        if not block.steps and block.output is None:
            self.problem(at, "nothing to do", "write steps, or an output")
        inner = _Scope(scope, {}, scope.names | {name})
        graph = self.graph(f"{at}/steps", block.steps, block.policy, inner)
        within = _Scope(inner, block.steps, inner.names)
        output = self.value(f"{at}/output", block.output, within, None, "", ())
        return msgspec.structs.replace(graph, output=output)

    def _action(self, at: str, m: StepModel, scope: _Scope, look: Any) -> Action:
        given = look(f"{at}/with", m.with_, scope)
        if m.task is not None:
            return self._task(at, m.task, given, m.queue, m.labels)
        if m.workflow is not None:
            return WorkflowAction(m.workflow, given, m.version, m.mode, m.on_close)
        if m.wait is not None:
            return self._wait(at, m, scope, look)
        if m.approve is not None:
            a = m.approve
            if a.approvers and len(set(a.approvers)) < a.quorum:
                self.problem(
                    f"{at}/approve/quorum", f"{len(set(a.approvers))} approvers cannot be a quorum of {a.quorum}"
                )
            return ApprovalAction(
                look(f"{at}/approve/what", a.what, scope), a.title, tuple(a.approvers), a.quorum, a.expires
            )
        if m.switch is not None:
            cases = tuple(
                Case(tuple(c.then), look(f"{at}/switch/{n}/when", c.when, scope)) for n, c in enumerate(m.switch)
            )
            if sum(c.when is None for c in cases) > 1:
                self.problem(f"{at}/switch", "only one case can be without when")
            return SwitchAction(cases, m.inclusive)
        if m.steps is not None:
            if not m.steps:
                self.problem(f"{at}/steps", "a group has at least one step")
            graph = self.graph(f"{at}/steps", m.steps, m.policy, scope)
            within = _Scope(scope, m.steps, scope.names)
            output = self.value(f"{at}/output", m.output, within, None, "", ())
            return GroupAction(msgspec.structs.replace(graph, output=output))
        return ValueAction(look(f"{at}/value", m.value, scope))

    def _task(self, at: str, name: str, given: Any, queue: str, labels: dict[str, str]) -> TaskAction:
        if self.tasks is None:
            return TaskAction(name, given, queue, labels)
        try:
            task = self.tasks.find(name)
        except UnknownType as error:
            names = [n.partition("@")[0] for n in getattr(self.tasks, "names", list)()]
            self.problem(f"{at}/task", error.message, nearest(name, names) or error.hint)
            return TaskAction(name, given, queue, labels)
        return TaskAction(task.id, given, queue, labels, task.effect_class, task.code)

    def _wait(self, at: str, m: StepModel, scope: _Scope, look: Any) -> WaitAction:
        w = m.wait
        assert w is not None
        given = [n for n, v in (("for", w.for_), ("until", w.until), ("event", w.event)) if v not in (None, "")]
        if len(given) != 1:
            self.problem(f"{at}/wait", "a wait is for a duration, until a time, or for an event")
        length: Any = look(f"{at}/wait/for" if f"{at}/wait/for" in self.document.marks else f"{at}/wait", w.for_, scope)
        if length is not None and not (isinstance(length, str) and source_of(length) is not None):
            try:
                length = seconds(length)
            except ValueError as error:
                self.problem(f"{at}/wait", str(error))
        if w.timeout is not None:
            length = w.timeout
        if w.match:
            self._expression(f"{at}/wait/match", w.match, scope, None, m, ("event",))
        return WaitAction(length, look(f"{at}/wait/until", w.until, scope), w.event, w.match)

    # -- values and expressions

    def outputs(self, outputs: dict[str, Any], steps: Mapping[str, StepModel]) -> dict[str, Any]:
        scope = _Scope(None, steps, frozenset())
        return {name: self.value(f"/outputs/{token(name)}", v, scope, None, "", ()) for name, v in outputs.items()}

    def value(
        self, at: str, value: Any, scope: _Scope, needs: dict[str, str] | None, step: str, extra: tuple[str, ...]
    ) -> Any:
        """Check every expression in a value. Steps of the same block that it reads become needs."""
        if isinstance(value, str):
            source = source_of(value)
            if source is not None:
                self._expression(at, source, scope, needs, step, extra)
            elif "${" in value.replace("$${", ""):
                self.problem(
                    at, "an expression must be the whole text",
                    "join texts in the expression: ${ 'a ' + inputs.b }; a literal ${ is written $${",
                )  # fmt: skip
        elif isinstance(value, dict):
            for key, item in value.items():  # type: ignore[misc]
                self.value(f"{at}/{token(str(key))}", item, scope, needs, step, extra)  # type: ignore[arg-type]
        elif isinstance(value, list):
            for n, item in enumerate(value):  # type: ignore[arg-type]
                self.value(f"{at}/{n}", item, scope, needs, step, extra)
        return value

    def _expression(
        self, at: str, source: str, scope: _Scope, needs: dict[str, str] | None, step: Any, extra: tuple[str, ...]
    ) -> None:
        try:
            expression = self.expressions.compile(source, tuple(scope.names | set(extra)))
        except ExpressionError as error:
            self.problem(at, error.message, error.hint)
            return
        for reference in expression.references:
            self._reference(at, reference, scope, needs, step, extra)

    def _reference(
        self,
        at: str,
        reference: Reference,
        scope: _Scope,
        needs: dict[str, str] | None,
        step: Any,
        extra: tuple[str, ...],
    ) -> None:
        root = reference[0]
        if root == "inputs":
            if len(reference) > 1 and reference[1] not in self.model.inputs:
                self.problem(at, f"there is no input {reference[1]!r}", nearest(reference[1], self.model.inputs))
        elif root == "steps":
            if len(reference) < 2:
                self.problem(at, "name the step: steps.NAME.output", "what is read must be known before the run")
                return
            name = reference[1]
            if not scope.has(name):
                self.problem(at, f"there is no step {name!r}", nearest(name, scope.all()))
                return
            if len(reference) > 2 and reference[2] not in ("output", "status", "error", "attempts"):
                self.problem(at, f"a step has no {reference[2]!r}", f"steps.{name}.output.{reference[2]}?")
            if needs is not None and name in scope.steps and name not in extra:
                if name == step:
                    self.problem(at, f"{name} cannot read its own result")
                else:
                    needs.setdefault(name, f"reads steps.{name}")
        elif root != "run" and root not in scope.names and root not in extra:
            where = {
                "item": "in a map", "index": "in a map", "key": "in a map", "iteration": "in a loop",
                "error": "in a catch", "outcome": "in a finally", "output": "in until, and in checks", "event": "in match",
            }.get(root, "nowhere")  # fmt: skip
            self.problem(at, f"{root} has no value here", f"it has one {where}")

    def input_schema(self, inputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema of all inputs: those without a default are required."""
        return {
            "type": "object",
            "properties": inputs,
            "required": [name for name, schema in inputs.items() if "default" not in schema],
            "additionalProperties": False,
        }
