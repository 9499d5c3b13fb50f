"""The two views of a definition: by step (who produces what) and by asset (what is made how). They say the same."""

from __future__ import annotations

from actors.workflows.definition.document import Document, token
from actors.workflows.definition.model import AssetModel, ProducesModel, StepModel, WorkflowModel
from actors.workflows.definition.problems import Problem


def as_steps(document: Document, model: WorkflowModel) -> tuple[WorkflowModel, list[Problem]]:
    """The step view: every asset with a `make` becomes a step of that name (or of its `step`) that produces it."""
    problems: list[Problem] = []
    steps = dict(model.steps)
    assets: dict[str, AssetModel] = {}
    for name, asset in model.assets.items():
        at = f"/assets/{token(name)}"
        if asset.make is None:
            assets[name] = asset
            if not asset.external and asset.step is None:
                problems.append(
                    document.problem(at, f"the asset {name!r} is made by nobody", "make: … or external: true")
                )
            continue
        step = asset.step or name
        if step in steps:
            problems.append(document.problem(at, f"there is a step {step!r} already", "give the asset another step"))
            continue
        produced = [ProducesModel(asset=name), *(p for p in asset.make.produces if p.asset != name)]
        own = [p for p in asset.make.produces if p.asset == name]
        if own:
            produced[0] = own[0]
        consumes = list(dict.fromkeys([*asset.make.consumes, *asset.consumes]))
        description = asset.make.description or asset.description
        steps[step] = asset.make.model_copy(
            update={"produces": produced, "consumes": consumes, "description": description}
        )
    return model.model_copy(update={"steps": steps, "assets": assets}), problems


def as_assets(model: WorkflowModel) -> WorkflowModel:
    """The asset view: every step that produces one asset stands under that asset; the others stay steps."""
    steps: dict[str, StepModel] = {}
    assets = dict(model.assets)
    for name, step in model.steps.items():
        if len(step.produces) != 1:
            steps[name] = step
            continue
        produced = step.produces[0]
        plain = produced == ProducesModel(asset=produced.asset)
        make = step.model_copy(update={"produces": [] if plain else [produced]})
        assets[produced.asset] = AssetModel(step=name if name != produced.asset else None, make=make)
    return model.model_copy(update={"steps": steps, "assets": assets})
