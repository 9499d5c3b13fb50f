from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from actors.workflows.definition import as_assets, as_steps, compile_workflow, read
from actors.workflows.definition.writing import dump
from tests.workflows.definitions import CEL, EVERYTHING, compiled, definitions, problems

BY_ASSET = """\
name: w
assets:
  raw: {external: true}
  clean:
    description: Without the dirt.
    x-owner: ada
    make: {task: wash, consumes: raw}
  report/pdf:
    step: report
    make: {task: write, with: {from: "${ steps.clean.output }"}, produces: {asset: report/pdf, checks: []}}
steps:
  tell: {task: mail, consumes: [report/pdf]}
"""


def test_steps_that_make_assets_stand_under_the_assets() -> None:
    plan = compiled(BY_ASSET).plan
    assert [(s.name, s.needs) for s in plan.root.steps] == [
        ("clean", ()), ("report", ("clean",)), ("tell", ("report",)),
    ]  # fmt: skip
    assert plan.root.steps[0].produces[0].asset == "clean"


def test_the_views_convert_into_each_other_as_documents() -> None:
    by_step = as_steps(read(BY_ASSET))
    value = read(by_step).value
    assert value["assets"] == {
        "raw": {"external": True},
        "clean": {"description": "Without the dirt.", "x-owner": "ada"},
    }
    assert value["steps"]["clean"] == {"task": "wash", "consumes": "raw", "produces": "clean"}
    again = read(as_assets(read(by_step))).value
    assert again["assets"]["clean"] == read(BY_ASSET).value["assets"]["clean"]
    assert again["assets"]["report/pdf"]["step"] == "report"
    assert compiled(by_step).plan == compiled(BY_ASSET).plan == compiled(dump(again)).plan


def test_the_definition_that_uses_everything_converts_without_loss() -> None:
    document = read(EVERYTHING)
    plan = compile_workflow(document, CEL).plan
    by_asset = as_assets(document)
    assert "make" in by_asset
    assert compiled(by_asset).plan == plan
    assert compiled(as_steps(read(by_asset))).plan == plan
    assert read(as_steps(read(by_asset))).value == document.value


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_any_definition_converts_without_loss(value: dict[str, Any]) -> None:
    text = dump(value)
    before = compiled(text).plan
    by_asset = as_assets(read(text))
    assert compiled(by_asset).plan.hash == before.hash
    by_step = as_steps(read(by_asset))
    assert compiled(by_step).plan.hash == before.hash
    assert _plain(read(by_step).value) == _plain(value)
    assert as_assets(read(by_step)) == as_assets(read(as_steps(read(by_step))))


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Without the difference between one asset and a list of one."""
    for step in value["steps"].values():
        match step.get("produces"):
            case [str(asset)] | {"asset": asset} if step["produces"] in ([asset], {"asset": asset}):
                step["produces"] = asset
    return value


def test_problems_of_an_asset_stand_where_it_is_written() -> None:
    found = problems(BY_ASSET.replace("consumes: raw", "consumes: rav, nedds: x"))
    assert [(p.line, p.pointer) for p in found] == [(7, "/assets/clean/make/nedds")]
    found = problems(BY_ASSET.replace("consumes: raw", "consumes: rav"))
    assert [(p.line, p.pointer, p.hint) for p in found] == [
        (7, "/assets/clean/make/consumes", "did you mean raw?")
    ]  # fmt: skip
