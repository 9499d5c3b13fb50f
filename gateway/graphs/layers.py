"""Layered drawing of a directed graph without cycles, part one: layers and the order within them.

Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system structures (1981). Layers by longest
path; edges over several layers go through dummy vertices; crossings are reduced by sweeps that sort each layer by the
barycenters of its neighbours and counted with an accumulator tree (Barth, Jünger, Mutzel: Simple and efficient bilayer
cross counting, 2002). Everything is deterministic: ties keep the order there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

SWEEPS: Final = 24
"""Sweeps over a small graph; large ones get fewer."""
DUMMIES: Final = 30_000
"""Dummy vertices of one graph; edges that would need more are drawn straight through."""
WORK: Final = 1_500_000
"""Edges looked at by all sweeps together."""

Layers = list[list[int]]


class Layered:
    """Vertices are numbers from 0; those from `count` on are dummies. `down` and `up` link neighbouring layers.

    `chains` has for every edge the dummies it goes through, None when it goes straight.
    """

    def __init__(self, count: int, edges: Sequence[tuple[int, int]]) -> None:
        self.count = count
        self.layer = _longest_path(count, edges)
        self.layers: Layers = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for vertex, layer in enumerate(self.layer):
            self.layers[layer].append(vertex)
        self.down: dict[int, list[int]] = {}
        self.up: dict[int, list[int]] = {}
        self.chains: dict[tuple[int, int], list[int] | None] = {}
        left = DUMMIES
        for tail, head in sorted(edges, key=lambda e: (self.layer[e[1]] - self.layer[e[0]], e)):
            span = self.layer[head] - self.layer[tail] - 1
            left -= span
            self.chains[tail, head] = self._chain(tail, head) if left >= 0 or not span else None

    def _chain(self, tail: int, head: int) -> list[int]:
        chain: list[int] = []
        before = tail
        for layer in range(self.layer[tail] + 1, self.layer[head]):
            dummy = len(self.layer)
            self.layer.append(layer)
            self.layers[layer].append(dummy)
            chain.append(dummy)
            self._link(before, dummy)
            before = dummy
        self._link(before, head)
        return chain

    def _link(self, tail: int, head: int) -> None:
        self.down.setdefault(tail, []).append(head)
        self.up.setdefault(head, []).append(tail)

    def untangle(self) -> int:
        """Order the layers so that few edges cross; how many do."""
        links = sum(len(heads) for heads in self.down.values())
        best, fewest = [list(layer) for layer in self.layers], crossings(self.layers, self.down)
        worse = 0
        for sweep in range(max(4, min(SWEEPS, WORK // max(links, 1)))):
            if not fewest or worse > 4:
                break
            self._sweep(downwards=sweep % 2 == 0)
            found = crossings(self.layers, self.down)
            worse += 1
            if found < fewest:
                best, fewest, worse = [list(layer) for layer in self.layers], found, 0
        self.layers = best
        return fewest

    def _sweep(self, *, downwards: bool) -> None:
        neighbours = self.up if downwards else self.down
        order = range(1, len(self.layers)) if downwards else range(len(self.layers) - 2, -1, -1)
        place: dict[int, float] = {}
        for number in order:
            for n, vertex in enumerate(self.layers[number - 1 if downwards else number + 1]):
                place[vertex] = n
            layer = self.layers[number]
            wanted: dict[int, float] = {}
            for n, vertex in enumerate(layer):
                near = neighbours.get(vertex)
                wanted[vertex] = sum(place[v] for v in near) / len(near) if near else n
            layer.sort(key=wanted.__getitem__)


def _longest_path(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each vertex: as far down as its longest way from the top; what nothing precedes stands near its
    first successor. Vertices are numbered in topological order."""
    layer = [0] * count
    after: list[list[int]] = [[] for _ in range(count)]
    first = [True] * count
    for tail, head in edges:
        after[tail].append(head)
        first[head] = False
    for vertex in range(count):
        for head in after[vertex]:
            layer[head] = max(layer[head], layer[vertex] + 1)
    for vertex in range(count):
        if first[vertex] and after[vertex]:
            layer[vertex] = min(layer[head] for head in after[vertex]) - 1
    return layer


def crossings(layers: Sequence[Sequence[int]], down: Mapping[int, Sequence[int]]) -> int:
    """How many pairs of edges between neighbouring layers cross."""
    total = 0
    for upper, lower in pairwise(layers):
        place = {vertex: n for n, vertex in enumerate(lower)}
        size = 1
        while size < len(lower):
            size *= 2
        tree = [0] * (2 * size)
        for vertex in upper:
            for at in sorted(place[head] for head in down.get(vertex, ())):
                node = at + size
                tree[node] += 1
                while node > 1:
                    if node % 2 == 0:
                        total += tree[node + 1]
                    node //= 2
                    tree[node] += 1
    return total
