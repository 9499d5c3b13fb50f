"""Layered drawing, part two: where on its line each vertex stands.

Sweeps move every vertex towards the mean of its neighbours, keeping order and distance. For one layer that is a least
squares problem with an exact answer: isotonic regression by pooling adjacent violators (Ayer, Brunk, Ewing, Reid,
Silverman 1955). Links between dummies weigh more, so that long edges run straight (Gansner, Koutsofios, North, Vo: A
technique for drawing directed graphs, 1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

ROUNDS: Final = 10
"""Times down and up again."""

_WEIGHTS: Final = (1.0, 2.0, 8.0)
"""Of a link by how many of its ends are dummies."""


def places(
    layers: Sequence[Sequence[int]],
    up: Mapping[int, Sequence[int]],
    down: Mapping[int, Sequence[int]],
    widths: Sequence[float],
    gap: float,
    count: int,
) -> list[float]:
    """The middle of each vertex; neighbours in a layer are at least `gap` apart. From `count` on they are dummies."""
    at = [0.0] * len(widths)
    for layer in layers:
        x = 0.0
        for vertex in layer:
            at[vertex] = x + widths[vertex] / 2
            x += widths[vertex] + gap
    size = sum(len(layer) for layer in layers)
    for _ in range(ROUNDS if size < 20_000 else 3):
        for layer in layers[1:]:
            _settle(layer, up, at, widths, gap, count)
        for layer in reversed(layers[:-1]):
            _settle(layer, down, at, widths, gap, count)
    for layer in layers:  # at last between both
        near = {v: [*up.get(v, ()), *down.get(v, ())] for v in layer}
        _settle(layer, near, at, widths, gap, count)
    left = min((at[v] - widths[v] / 2 for layer in layers for v in layer), default=0.0)
    return [x - left for x in at]


def _settle(
    layer: Sequence[int],
    near: Mapping[int, Sequence[int]],
    at: list[float],
    widths: Sequence[float],
    gap: float,
    count: int,
) -> None:
    offset = 0.0
    blocks: list[tuple[float, float, int]] = []  # (mean, weight, vertices)
    offsets: list[float] = []
    for n, vertex in enumerate(layer):
        if n:
            offset += (widths[layer[n - 1]] + widths[vertex]) / 2 + gap
        offsets.append(offset)
        total = weight = 0.0
        for other in near.get(vertex, ()):
            w = _WEIGHTS[(vertex >= count) + (other >= count)]
            total += at[other] * w
            weight += w
        wanted, weight = (total / weight, weight) if weight else (at[vertex], 0.05)
        mean, members = wanted - offset, 1
        while blocks and blocks[-1][0] > mean:
            other_mean, other_weight, others = blocks.pop()
            mean = (other_mean * other_weight + mean * weight) / (other_weight + weight)
            weight += other_weight
            members += others
        blocks.append((mean, weight, members))
    n = 0
    for mean, _, members in blocks:
        for _ in range(members):
            at[layer[n]] = mean + offsets[n]
            n += 1
