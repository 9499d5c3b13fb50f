from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.workflows.plan import decode_plan, encode_plan
from gateway.cli.app import run
from gateway.graphs import (
    Drawing,
    Edge,
    Graph,
    Unknown,
    Vertex,
    as_json,
    dependencies,
    dependents,
    dot,
    focus,
    graph_of,
    impact,
    lay_out,
    mermaid,
    path,
    svg,
)
from gateway.graphs.layers import Layered, crossings
from tests.workflows.definitions import EVERYTHING, compiled

PLAN = compiled(EVERYTHING).plan


def _graph(count: int, edges: list[tuple[int, int]]) -> Graph:
    vertices = tuple(Vertex(f"s{n}", f"s{n}", "task") for n in range(count))
    return Graph("g", vertices, tuple(Edge(f"s{a}", f"s{b}") for a, b in edges))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 25))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=50, unique=True)) if pairs else []
    return _graph(count, edges)


def _sound(drawing: Drawing) -> None:
    """No box overlaps another one it is not around; edges go down; everything is within the drawing."""
    boxes = {b.vertex.place: b for b in drawing.boxes}
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
        if box.vertex.group:
            around = boxes[box.vertex.group]
            assert around.x <= box.x
            assert box.x + box.width <= around.x + around.width
            assert around.y < box.y
            assert box.y + box.height <= around.y + around.height
    by_group: dict[str, list[Any]] = {}
    for box in drawing.boxes:
        by_group.setdefault(box.vertex.group, []).append(box)
    for beside in by_group.values():
        rows: dict[int, list[Any]] = {}
        for box in beside:
            rows.setdefault(box.y + box.height // 2, []).append(box)
        for row in rows.values():
            for a, b in pairwise(sorted(row, key=lambda box: box.x)):
                assert a.x + a.width < b.x
        for upper, lower in pairwise(sorted(rows)):
            assert max(b.y + b.height for b in rows[upper]) < min(b.y for b in rows[lower])
    for route in drawing.routes:
        ys = [y for _, y in route.points]
        assert ys == sorted(ys)
        tail, head = boxes[route.edge.tail], boxes[route.edge.head]
        assert route.points[0] == (tail.x + tail.width // 2, tail.y + tail.height)
        assert route.points[-1] == (head.x + head.width // 2, head.y)
        assert tail.y + tail.height < head.y


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_boxes_never_overlap_and_edges_go_down(graph: Graph) -> None:
    drawing = lay_out(graph)
    assert len(drawing.boxes) == len(graph.vertices)
    assert len(drawing.routes) == len(graph.edges)
    _sound(drawing)


def test_groups_are_boxes_around_their_steps() -> None:
    graph = graph_of(PLAN)
    drawing = lay_out(graph)
    _sound(drawing)
    places = {b.vertex.place: b.vertex for b in drawing.boxes}
    assert places["group"].holds
    assert places["group/one"].group == "group"
    assert places["group!catch/mend"].group == "group!catch"
    assert Edge("choose", "deep", "chosen") in graph.edges
    assert Edge("group", "group!finally", "finally") in graph.edges


def test_edges_do_not_run_through_steps() -> None:
    chain = [(n, n + 1) for n in range(6)]
    drawing = lay_out(_graph(7, [*chain, (0, 6), (0, 3), (2, 6)]))
    for route in drawing.routes:
        for (x, top), (_, bottom) in zip(route.points[1::2], route.points[2::2], strict=False):
            for box in drawing.boxes:
                if box.y < bottom and top < box.y + box.height:
                    assert not box.x <= x <= box.x + box.width


def test_fewer_edges_cross_than_before_sorting() -> None:
    chance = random.Random(7)
    edges = sorted({(n - 1 - chance.randrange(min(n, 20)), n) for n in range(1, 300) for _ in range(2)})
    unsorted = Layered(300, edges)
    before = crossings(unsorted.layers, unsorted.down)
    after = unsorted.untangle()
    assert after < before * 0.6
    assert after == crossings(unsorted.layers, unsorted.down)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_crossings_are_counted_as_by_looking_at_every_pair(graph: Graph) -> None:
    number = {v.place: n for n, v in enumerate(graph.vertices)}
    layered = Layered(len(number), sorted((number[e.tail], number[e.head]) for e in graph.edges))
    place = {v: n for layer in layered.layers for n, v in enumerate(layer)}
    links = [(a, b) for a, heads in layered.down.items() for b in heads]
    pairs = sum(
        layered.layer[a] == layered.layer[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0
        for n, (a, b) in enumerate(links)
        for c, d in links[:n]
    )
    assert crossings(layered.layers, layered.down) == pairs


def test_a_tree_has_no_crossings() -> None:
    assert lay_out(_graph(127, [((n - 1) // 2, n) for n in range(1, 127)])).crossings == 0


def test_the_same_plan_gives_the_same_bytes() -> None:
    again = decode_plan(encode_plan(PLAN))
    assert svg(lay_out(graph_of(PLAN))) == svg(lay_out(graph_of(again)))
    assert as_json(lay_out(graph_of(PLAN))) == as_json(lay_out(graph_of(again)))


def test_svg_is_well_formed_and_shows_every_step_and_its_status() -> None:
    drawing = lay_out(graph_of(PLAN, {"list": "succeeded", "group/one": "failed"}))
    root = ElementTree.fromstring(svg(drawing))
    groups = {g.get("data-place"): g for g in root.iter("{http://www.w3.org/2000/svg}g")}
    assert set(groups) == {b.vertex.place for b in drawing.boxes}
    assert groups["group/one"].get("data-status") == "failed"
    assert len(groups["list"].findall("{http://www.w3.org/2000/svg}rect")) == 2
    assert len(groups["poll"].findall("{http://www.w3.org/2000/svg}rect")) == 1


def test_labels_of_any_kind_are_escaped() -> None:
    evil = "<script>&\"'\x00\ud800\n]]>"
    graph = Graph(
        evil, (Vertex(evil, evil, "task", detail=evil), Vertex("b", "日本語" * 30, "value")), (Edge(evil, "b"),)
    )
    drawing = lay_out(graph)
    text = svg(drawing)
    ElementTree.fromstring(text.encode())
    assert "<script" not in text
    assert "<script" not in mermaid(graph)
    label = mermaid(graph).splitlines()[1]
    assert label.count('"') == 2
    quotes = re.sub(r"\\.", "", dot(graph)).count('"')
    assert quotes % 2 == 0


def test_mermaid_and_dot_have_every_step_and_edge() -> None:
    graph = graph_of(PLAN)
    chart = mermaid(graph)
    assert chart.startswith("flowchart TD\n")
    assert chart.count("subgraph") == sum(v.holds for v in graph.vertices) == chart.count("  end\n")
    assert sum(">" in line and " n" in line and "-" in line for line in chart.splitlines()) >= len(graph.edges)
    digraph = dot(graph)
    assert digraph.count(" -> ") == len(graph.edges)
    assert digraph.count("{") == digraph.count("}")


def test_a_large_graph_is_laid_out() -> None:
    chance = random.Random(3)
    edges = sorted({(chance.randrange(max(0, n - 50), n), n) for n in range(1, 1200) for _ in range(2)})
    _sound(lay_out(_graph(1200, edges)))


def test_a_long_chain_with_long_edges_stays_bounded() -> None:
    edges = [(n, n + 1) for n in range(1500)] + [(0, n) for n in range(2, 1500)]
    drawing = lay_out(_graph(1501, sorted(edges)))
    assert len(drawing.routes) == len(edges)


DIAMOND = compiled("""
name: w
steps:
  a: {task: t, produces: raw}
  b: {task: t, consumes: raw}
  c: {steps: {d: {task: t}, e: {task: t, needs: d}}, needs: a}
  f: {task: t, needs: [b, c]}
  g: {task: t}
""").plan


def test_what_a_step_depends_on_and_what_depends_on_it() -> None:
    graph = graph_of(DIAMOND)
    assert dependencies(graph, "f") == ["a", "b", "c", "c/d", "c/e"]
    assert dependents(graph, "a") == ["b", "c", "c/d", "c/e", "f"]
    assert dependencies(graph, "c/e") == ["a", "c/d"]
    assert dependents(graph, "d") == ["c", "c/e", "f"]
    assert dependents(graph, "g") == []
    assert impact(graph, ["b", "g"]) == ["b", "f", "g"]
    assert dependents(graph, "raw") == dependents(graph, "a")


def test_a_way_from_one_step_to_another() -> None:
    graph = graph_of(DIAMOND)
    assert path(graph, "a", "f") == ["a", "b", "f"]
    assert path(graph, "d", "f") == ["c/d", "c", "f"]
    assert path(graph, "f", "a") == []
    assert path(graph, "a", "a") == ["a"]


def test_a_graph_can_be_cut_down_to_some_steps() -> None:
    graph = focus(graph_of(DIAMOND), ["c/e", "f"])
    assert [v.place for v in graph.vertices] == ["c", "c/e", "f"]
    assert graph.edges == (Edge("c", "f"),)
    _sound(lay_out(graph))


def test_an_unknown_step_is_named_with_the_nearest_one() -> None:
    with pytest.raises(Unknown, match="no step 'lisst'") as caught:
        dependencies(graph_of(PLAN), "lisst")
    assert caught.value.hint == "did you mean list?"


def test_graphs_of_files_are_printed_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(EVERYTHING)
    assert run(["workflows", "graph", "deps", str(file), "report"]) == 0
    assert capsys.readouterr().out.split() == ["list", "measure", "agree"]
    assert run(["workflows", "graph", "path", str(file), "list", "report"]) == 0
    assert capsys.readouterr().out.split() == ["list", "report"]
    assert run(["workflows", "graph", "impact", str(file), "agree", "-o", "dot"]) == 0
    assert '"agree" -> "report"' in capsys.readouterr().out
    assert run(["workflows", "graph", "show", str(file), "-o", "svg"]) == 0
    ElementTree.fromstring(capsys.readouterr().out)
    assert run(["workflows", "graph", "rdeps", str(file), "gropu"]) != 0
    assert "did you mean group?" in capsys.readouterr().err
