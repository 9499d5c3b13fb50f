"""Every test the library ships for persistence modules is run here and passes, or is named with its reason."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Final
from unittest import TestCase

import eventsourcing
import pytest

from tests.eventsourcing import test_contract

LEFT_OUT: Final = {
    "eventsourcing.tests.persistence.TranscoderTestCase": (
        "tests transcoders; a transcoder is the application's, and this module brings none"
    ),
    "eventsourcing.tests.postgres_utils": (
        "drops the tables of the library's own recorder, and imports examples that are not in its distribution"
    ),
}
"""Test cases, and modules that cannot be imported, which do not apply."""


def modules() -> list[str]:
    """The modules with tests in the library's distribution."""
    found = [module.name for module in pkgutil.walk_packages(eventsourcing.__path__, "eventsourcing.")]
    return [name for name in found if "tests" in name.split(".") and not name.endswith(".tests.__init__")]


def shipped() -> Iterator[tuple[str, type[TestCase]]]:
    for name in modules():
        if name in LEFT_OUT:
            continue
        for cls in vars(importlib.import_module(name)).values():
            if inspect.isclass(cls) and issubclass(cls, TestCase) and cls.__module__ == name:
                yield f"{name}.{cls.__name__}", cls


def run_here() -> list[type[TestCase]]:
    return [c for c in vars(test_contract).values() if inspect.isclass(c) and issubclass(c, TestCase)]


def test_every_shipped_suite_is_run_or_left_out_with_a_reason() -> None:
    here = run_here()
    for name, cls in shipped():
        inherited = any(issubclass(mine, cls) for mine in here)
        bases = {"RecorderTestCase"}  # has no tests of its own
        if cls.__name__ in bases:
            continue
        assert inherited != (name in LEFT_OUT), f"{name} is neither run nor left out, or both"


def test_what_is_left_out_is_shipped() -> None:
    names = {name for name, _ in shipped()} | set(modules())
    assert set(LEFT_OUT) <= names


def test_a_module_left_out_cannot_be_imported() -> None:
    for name in LEFT_OUT:
        if name in modules():
            with pytest.raises(ImportError):
                importlib.import_module(name)


def test_no_shipped_test_is_hidden_by_one_of_the_same_name() -> None:
    """A test overridden here calls the shipped one: nothing passes because it was replaced."""
    for cls in run_here():
        for name, function in vars(cls).items():
            if name.startswith("test") and any(hasattr(base, name) for base in cls.__mro__[1:]):
                assert f"super().{name}(" in inspect.getsource(function), f"{cls.__name__}.{name}"


def test_the_suites_that_others_must_start_are_started() -> None:
    """Some shipped tests are methods that a subclass has to call."""
    source = inspect.getsource(test_contract)
    for _, cls in shipped():
        for name in vars(cls):
            if name.startswith(("_test_", "optional_test_")):
                assert f"self.{name}(" in source, f"{cls.__name__}.{name} is not called"
