"""The two views of a definition: by step (who produces what) and by asset (what is made how). They say the same.

Both work on plain values, so that short forms, `x-` keys and metadata stay as they are written.
"""

from __future__ import annotations

from typing import Any, cast

from actors.workflows.definition.document import Document, token
from actors.workflows.definition.problems import Problem
from actors.workflows.definition.writing import dump

Map = dict[str, Any]


def as_steps(document: Document) -> str:
    """The definition with every asset's `make` as a step, as YAML. Comments are not kept."""
    value, _, _ = step_view(document)
    return dump(value)


def as_assets(document: Document) -> str:
    """The definition with every step that makes one asset under that asset, as YAML. Comments are not kept."""
    value, _, _ = step_view(document)
    return dump(asset_view(value))


def step_view(document: Document) -> tuple[Any, dict[str, str], list[Problem]]:
    """The value in the step view; where its steps stand in the text; and what keeps an asset from becoming a step."""
    value = document.value
    if not isinstance(value, dict) or not isinstance(cast("Map", value).get("assets"), dict):
        return cast("Any", value), {}, []
    written = cast("Map", value)
    steps: Any = written.get("steps", {})
    if not isinstance(steps, dict):
        return written, {}, []
    steps = dict(cast("Map", steps))
    assets: Map = {}
    moved: dict[str, str] = {}
    problems: list[Problem] = []
    for name, asset in cast("Map", written["assets"]).items():
        at = f"/assets/{token(name)}"
        if not isinstance(asset, dict) or not isinstance(cast("Map", asset).get("make"), dict):
            if isinstance(asset, dict) and "step" in asset:
                hint = "let the step produce it, or move the step here under make"
                problems.append(document.problem(f"{at}/step", "step names the step of a make", hint, key=True))
            assets[name] = asset
            continue
        known = cast("Map", asset)
        step = str(known.get("step", name))
        if step in steps:
            hint = "give the asset another name for its step: step: …"
            problems.append(document.problem(at, f"there is a step {step!r} already", hint, key=True))
            continue
        make = cast("Map", known["make"])
        steps[step] = {**make, "produces": _with_asset(make.get("produces"), name)}
        moved[f"/steps/{token(step)}"] = f"{at}/make"
        assets[name] = {key: said for key, said in known.items() if key not in ("make", "step")}
    assets = {name: asset for name, asset in assets.items() if asset != {}}
    found = {**written, "steps": steps, "assets": assets}
    if not assets:
        del found["assets"]
    return found, moved, problems


def asset_view(value: Map) -> Map:
    """The value in the asset view."""
    steps: Map = {}
    assets: Map = dict(value.get("assets", {}))
    for name, step in value.get("steps", {}).items():
        asset = _only_asset(step)
        known: Any = assets.get(asset, {}) if asset else {}
        if not asset or not isinstance(known, dict) or "make" in known:
            steps[name] = step
            continue
        make = dict(step)
        if _plain(make["produces"]):
            del make["produces"]
        assets[asset] = {**known, **({} if name == asset else {"step": name}), "make": make}
    rest = {key: said for key, said in value.items() if key not in ("steps", "assets")}
    return {**rest, **({"steps": steps} if steps else {}), **({"assets": assets} if assets else {})}


def _with_asset(produces: Any, asset: str) -> Any:
    """What a step under an asset produces: that asset, whether it is said again or not."""
    if produces is None:
        return asset
    said: list[Any] = cast("list[Any]", produces) if isinstance(produces, list) else [produces]
    names = [cast("Map", p).get("asset") if isinstance(p, dict) else p for p in said]
    return cast("Any", produces) if asset in names else [asset, *said]


def _only_asset(step: Any) -> str:
    """The asset that a step produces, when it is one; else nothing."""
    produces = cast("Map", step).get("produces") if isinstance(step, dict) else None
    if isinstance(produces, list):
        several = cast("list[Any]", produces)
        produces = several[0] if len(several) == 1 else None
    if isinstance(produces, dict):
        produces = cast("Map", produces).get("asset")
    return produces if isinstance(produces, str) else ""


def _plain(produces: Any) -> bool:
    """Whether nothing is said of an asset but its name."""
    if isinstance(produces, list) and len(cast("list[Any]", produces)) == 1:
        produces = cast("list[Any]", produces)[0]
    return isinstance(produces, str) or (isinstance(produces, dict) and set(cast("Map", produces)) == {"asset"})
