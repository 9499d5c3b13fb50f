"""Blocks of steps, one within another, and what is seen from a place in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from actors.workflows.definition.document import token
from actors.workflows.definition.model import StepModel
from actors.workflows.expressions import ROOTS

LATER_ROOTS: Final = {"secrets": "the vault", "env": "the vault", "agent": "agents", "asset": "sensors"}
"""Names that expressions will begin with some day."""

RESERVED: Final = frozenset(
    (
        *ROOTS, *LATER_ROOTS, "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for",
        "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    )
)  # fmt: skip
"""What an item of a map cannot be called."""


class Block:
    """The steps of one block, in the step `owner` of the block `outer`.

    `needs` has for every step the steps it needs, and why. `inner` are the blocks within, by pointer.
    """

    def __init__(
        self, pointer: str, steps: Mapping[str, StepModel], outer: Block | None = None, owner: str = ""
    ) -> None:
        self.pointer = pointer
        self.steps = steps
        self.outer = outer
        self.owner = owner
        self.needs: dict[str, dict[str, str]] = {name: {} for name in steps}
        self.inner: dict[str, Block] = {}

    def at(self, step: str) -> str:
        """The pointer of a step."""
        return f"{self.pointer}/{token(step)}"

    def around(self, step: str) -> Iterator[tuple[Block, str]]:
        """This block and the step, then each block around it and the step that holds it."""
        block: Block | None = self
        while block is not None:
            yield block, step
            step, block = block.owner, block.outer

    def visible(self) -> list[str]:
        """Every step that an expression in this block can name."""
        return [name for block, _ in self.around("") for name in block.steps]

    def need(self, step: str, needed: str, why: str) -> None:
        """A step of this block needs another one; the first reason is the one that is told."""
        self.needs[step].setdefault(needed, why)


class View(NamedTuple):
    """A place that an expression stands at: in a step of a block (or at its end), with names besides the usual ones.

    `own`: the step's own result is known there.
    """

    block: Block
    step: str = ""
    names: frozenset[str] = frozenset()
    own: bool = False

    def seeing(self, *names: str) -> View:
        """The same with more names."""
        return self._replace(names=self.names | set(names))


def open_blocks(pointer: str, steps: Mapping[str, StepModel]) -> Block:
    """The block of a workflow, with all blocks within."""
    root = Block(pointer, steps)
    todo = [root]
    while todo:
        block = todo.pop()
        for name, step in block.steps.items():
            at = block.at(name)
            for key, held in (("steps", step.steps), ("catch/steps", step.catch and step.catch.steps),
                              ("finally/steps", step.finally_ and step.finally_.steps)):  # fmt: skip
                if held is not None:
                    inner = block.inner[f"{at}/{key}"] = Block(f"{at}/{key}", held, block, name)
                    todo.append(inner)
    return root


def every(root: Block) -> Iterator[Block]:
    """A block and all within."""
    todo = [root]
    while todo:
        block = todo.pop()
        yield block
        todo.extend(reversed(block.inner.values()))
