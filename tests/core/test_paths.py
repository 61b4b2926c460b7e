"""Where a relative path leads, in a checkout and where a wheel was installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from solvent.cells.provenance import provenance
from solvent.core import paths
from solvent.core.checkpoints import folder_of


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A root and a working directory; both have a folder `both`, and each its own."""
    root, here = tmp_path / "root", tmp_path / "here"
    for place, names in ((root, ("both", "shipped")), (here, ("both", "mine"))):
        for name in names:
            (place / name).mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(paths, "ROOT", root)
    return root, here


@pytest.mark.parametrize("installed", [False, True])
def test_a_relative_path_is_looked_for(
    places: tuple[Path, Path], installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, here = places
    monkeypatch.setattr(paths, "INSTALLED", installed)
    assert paths.resolve("shipped") == root / "shipped"
    assert paths.resolve("both") == root / "both"  # nothing that lies around stands in for ours
    assert paths.resolve("mine") == here / "mine"
    assert paths.resolve("nowhere") == (here if installed else root) / "nowhere"
    assert paths.resolve("./nowhere") == here / "nowhere"
    assert paths.resolve(here / "both") == here / "both"
    assert folder_of("mine") == root / "mine"  # which does not exist: it may be a name on the hub
    assert folder_of("./mine") == here / "mine"
    with pytest.raises(ValueError, match=r"model.checkpoint='~.*: the path .* leads nowhere"):
        folder_of("~who-is-that/mine")


def test_a_commit_is_never_somebody_else_s(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel, or an archive that was unpacked, inside of a repository that is not ours."""
    root, _ = places
    monkeypatch.setattr(paths, "INSTALLED", False)
    for command in (["init"], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "a",
                               "--allow-empty"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=root.parent, check=True, capture_output=True)
    assert provenance({})["code"]["commit"] is None
    (root.parent / ".git").rename(root / ".git")
    assert len(provenance({})["code"]["commit"]) == 40
    monkeypatch.setattr(paths, "INSTALLED", True)
    assert provenance({})["code"]["commit"] is None
