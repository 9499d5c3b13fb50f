"""What a step needs: as written, chosen by a switch, made from assets; and the order that follows."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

from actors.workflows.definition.document import Document, token
from actors.workflows.definition.model import AssetModel
from actors.workflows.definition.problems import Problem, nearest
from actors.workflows.definition.scopes import Block, every


def written(document: Document, block: Block) -> list[Problem]:
    """Enter `needs`, and what the switches choose between."""
    problems: list[Problem] = []
    for name, model in block.steps.items():
        at = block.at(name)
        for n, need in enumerate(model.needs):
            if need == name:
                problems.append(document.problem(f"{at}/needs/{n}", f"{name} cannot need itself"))
            elif need not in block.steps:
                problems.append(document.problem(f"{at}/needs/{n}", *_unknown(block, name, need)))
            else:
                block.need(name, need, "needs")
        for n, case in enumerate(model.switch or ()):
            for m, target in enumerate(case.then):
                where = f"{at}/switch/{n}/then/{m}"
                if target == name:
                    problems.append(document.problem(where, f"{name} cannot choose itself"))
                elif target not in block.steps:
                    problems.append(document.problem(where, *_unknown(block, name, target)))
                else:
                    block.need(target, name, f"the switch {name}")
    return problems


def _unknown(block: Block, step: str, name: str) -> tuple[str, str]:
    if any(name in outer.steps for outer, _ in block.around(step)):
        hint = (
            "it stands in a block around this one, which begins after it when an expression reads it, or by needs there"
        )
        return f"the step {name!r} is not in this block", hint
    return f"there is no step {name!r} here", nearest(name, [s for s in block.steps if s != step])


def assets(document: Document, root: Block, declared: Mapping[str, AssetModel]) -> list[Problem]:
    """Enter what follows from assets: whoever consumes one needs whoever produces it, wherever the two stand."""
    problems: list[Problem] = []
    producers: dict[str, tuple[Block, str]] = {}
    for block in every(root):
        for name, model in block.steps.items():
            for n, produced in enumerate(model.produces):
                asset, where = produced.asset, f"{block.at(name)}/produces/{n}"
                if asset in producers:
                    other = producers[asset][1]
                    problems.append(document.problem(where, f"the asset {asset!r} is made by {other} already"))
                elif asset in declared and declared[asset].external:
                    message = f"the asset {asset!r} is external, but made here"
                    problems.append(document.problem(where, message, "leave out external: true"))
                producers.setdefault(asset, (block, name))
    for name, asset in declared.items():
        if not asset.external and name not in producers:
            hint = "give it a make, let a step produce it, or say external: true"
            at = f"/assets/{token(name)}"
            problems.append(document.problem(at, f"nobody makes the asset {name!r}", hint, key=True))
    for block in every(root):
        for name, model in block.steps.items():
            for n, asset in enumerate(model.consumes):
                where = f"{block.at(name)}/consumes/{n}"
                found = producers.get(asset)
                if found is not None:
                    message = _between(block, name, *found, asset)
                    if message:
                        problems.append(document.problem(where, message))
                elif asset not in declared:
                    hint = nearest(asset, [*producers, *declared]) if producers or declared else ""
                    hint = hint or "when it comes from outside, declare it under assets with external: true"
                    problems.append(document.problem(where, f"nobody makes the asset {asset!r}", hint))
    return problems


def _between(block: Block, step: str, made_in: Block, maker: str, asset: str) -> str:
    """Enter a need in the block that both stand in; or say why there can be none."""
    chain = {id(b): name for b, name in made_in.around(maker)}
    for common, name in block.around(step):
        if id(common) not in chain:
            continue
        other = chain[id(common)]
        if other != name:
            common.need(name, other, f"the asset {asset}")
            return ""
        if (block, step) == (made_in, maker):
            return f"{step} makes {asset!r} itself"
        return f"{asset!r} is made by {maker}, which is within {other} as this is" if maker != other else (
            f"{asset!r} is made by {other}, which has not ended while its own steps run"
        )  # fmt: skip
    return ""


def order(document: Document, block: Block) -> tuple[list[str], list[Problem]]:
    """Every step after those it needs, otherwise by name, so that it does not matter how the document is sorted.

    A cycle is a problem that shows the cycle; what is on it stands last. Kahn 1962.
    """
    left = {name: len(needs) for name, needs in block.needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in left}
    for name, needs in block.needs.items():
        for need in needs:
            dependents[need].append(name)
    ready = [name for name, count in left.items() if count == 0]
    heapify(ready)
    found: list[str] = []
    problems: list[Problem] = []
    waiting = dict.fromkeys(sorted(left))
    while waiting:
        while ready:
            name = heappop(ready)
            if name not in waiting:
                continue
            del waiting[name]
            found.append(name)
            for dependent in dependents[name]:
                left[dependent] -= 1
                if left[dependent] == 0:
                    heappush(ready, dependent)
        if waiting:
            cycle = _cycle(block, waiting)
            why = ", ".join(f"{a} needs {b} ({block.needs[a][b]})" for a, b in pairwise(cycle))
            message = f"a cycle: {' → '.join(cycle)}"
            problems.append(document.problem(block.at(cycle[0]), message, why, key=True))
            ready = cycle[1:]
            heapify(ready)
    return found, problems


def _cycle(block: Block, waiting: Mapping[str, None]) -> list[str]:
    """A cycle among steps each of which waits for another one of them."""
    name = next(iter(waiting))
    path: dict[str, int] = {}
    while name not in path:
        path[name] = len(path)
        name = next(need for need in block.needs[name] if need in waiting)
    return [*list(path)[path[name] :], name]
