"""The wheel: what is in it, and that it works without the repository around it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.repository.tree import PACKAGES, ROOT, files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", target],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_packages_and_the_configuration_of_the_bus(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path) for path in files() if path.parts[0] in PACKAGES}
    assert wanted - inside == set()
    assert "infra/embedded/nats.conf" in inside
    assert any(name.endswith(".sql") for name in inside)
    assert any(name.startswith("gateway/templates/") for name in inside)
    assert {name.partition("/")[0] for name in inside if ".dist-info" not in name} == set(PACKAGES)
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_the_lock_pins_what_is_asked_for_and_names_no_registry() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {Requirement(line.rstrip(" \\")).name: Requirement(line.rstrip(" \\")) for line in lock.splitlines()
              if line and not line.startswith((" ", "#"))}  # fmt: skip
    asked = [Requirement(each) for each in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]
    for requirement in asked:
        version = str(pinned[requirement.name].specifier).removeprefix("==")
        assert version in requirement.specifier, f"{requirement} is pinned to {version}: scripts/setup --lock"
    assert "://" not in lock
    assert not [line for line in lock.splitlines() if line.startswith("-")]


def test_the_command_of_an_installed_wheel_runs_anywhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    script = f"""
import sys
sys.path = [{str(site)!r}, *(path for path in sys.path if path != {str(ROOT)!r})]
from importlib.metadata import distribution, entry_points
from pathlib import Path
import infra.embedded.nats as nats
from gateway.main import main
assert Path(nats.__file__).is_relative_to({str(site)!r})
assert nats.configuration().is_relative_to({str(site)!r})
assert any(entry.name == "thespis" for entry in entry_points(group="console_scripts"))
sys.argv = ["thespis", "--version"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("thespis 0.1.0")
