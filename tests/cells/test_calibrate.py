"""Files that interventions read: how they are made, and what depends on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file, save_file

from solvent.cells import calibration
from solvent.cells.asking import identify
from solvent.cells.calibration import calibrate, calibration_split, describe
from solvent.cells.identity import LATER, _variant
from solvent.cells.input_files import InputFile, read_metadata, warn_of_other_checkpoints
from solvent.cells.request import parse
from solvent.cells.run import run_cell

Composed = Callable[..., DictConfig]
SMALL = ("calibration.samples=18", "batch_size=9", "limit=9", "benchmark.source.questions=4")
SHAPES = {
    "fixed_mean": {"pattern": (1, 6, 4, 64)},
    "donor": {"pattern": (18, 6, 4, 64)},
    "caac_vtc": {"scale": (1, 6, 4, 64)},
    "learned_prior": {"pattern": (1, 6, 4, 64), "mass_logit": (6, 4)},
}


def folder(config: DictConfig) -> str:
    return identify(parse(config)).folder


def variant(config: DictConfig) -> str:
    return _variant(parse(config).intervention)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_made_can_be_evaluated(composed: Composed, name: str) -> None:
    fit = ["calibration.recipe.steps=4"] if name == "learned_prior" else []
    config = composed(f"intervention={name}", *SMALL, *fit)
    path = calibrate(config)
    found = {name: tuple(tensor.shape) for name, tensor in load_file(path).items()}
    assert found == SHAPES[name]
    facts = read_metadata(path)
    assert (facts["intervention"], facts["model"], facts["benchmark"]) == (name, "tiny", "shapes")
    assert len(facts["checkpoint"]) == 64
    assert json.loads(facts["versions"])["torch"] == torch.__version__
    uids = json.loads(facts["uids"])
    assert len(uids) == int(facts["n"]) == (0 if name == "caac_vtc" else 18)
    assert all("/1000/" in uid for uid in uids)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    if name == "learned_prior":
        assert float(facts["loss_after"]) < float(facts["loss_before"])
    metrics = run_cell(config)
    assert metrics["cells_edited"] > 0
    place = Path(config.output) / "study/tiny/shapes" / folder(config)
    files = json.loads((place / "provenance.json").read_text())[0]["files"]
    assert {file["metadata"]["recipe"] for file in files.values()} == {facts["recipe"]}
    (digest,) = {file["sha256"] for file in files.values()}
    assert metrics["variant"] == f"file={digest[:8]}"


def test_an_existing_file_is_kept_unless_told_otherwise(
    composed: Composed, capfd: pytest.CaptureFixture[str]
) -> None:
    path = calibrate(composed("intervention=fixed_mean", *SMALL))
    written = path.stat().st_mtime_ns
    assert (
        calibrate(composed("intervention=fixed_mean", *SMALL, "intervention.layers=late")) == path
    )
    assert "already made" in capfd.readouterr().out
    assert path.stat().st_mtime_ns == written
    other = ("intervention=fixed_mean", *SMALL, "calibration.seed=7")
    with pytest.raises(ValueError, match=r"made with other settings .* calibration.overwrite=true"):
        calibrate(composed(*other))
    calibrate(composed(*other, "calibration.overwrite=true"))
    assert "/7/" in read_metadata(path)["uids"]


def test_a_file_of_before_a_setting_came_is_still_taken(composed: Composed) -> None:
    """What is the same as it always was does not make "other settings"."""
    request = parse(composed("intervention=fixed_mean"))
    of_then = {key: value for key, value in request.model.items() if key not in LATER}
    then = replace(request, settings={**request.settings, "model": of_then})
    recipe = SimpleNamespace(looks_at_samples=False, depends_on_intervention=False)
    assert then.model != request.model
    assert describe(then, recipe, [])["settings"] == describe(request, recipe, [])["settings"]


def test_an_interrupted_calibration_leaves_nothing(
    composed: Composed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(calibration, "save_file", interrupted)
    config = composed("intervention=fixed_mean", *SMALL)
    with pytest.raises(KeyboardInterrupt):
        calibrate(config)
    assert list((Path(config.output) / "calibration/tiny-shapes").iterdir()) == []


def test_a_cell_depends_on_what_is_in_its_file_not_where_it_lies(
    composed: Composed, tmp_path: Path
) -> None:
    tensors = {"pattern": torch.rand(1, 1, 1, 64)}
    paths = [tmp_path / f"{name}.safetensors" for name in ("one", "two", "three")]
    for path in paths:
        save_file(tensors if path.stem != "three" else {"pattern": torch.rand(1, 1, 1, 64)}, path)
    one, two, three = (
        composed("intervention=fixed_file", f"intervention.pattern.file={path}") for path in paths
    )
    assert folder(one) == folder(two) != folder(three)
    assert variant(one) == variant(two) != variant(three)


def test_a_variant_is_what_differs_from_the_composed_definition(composed: Composed) -> None:
    assert variant(composed("intervention=uniform", "seed=3")) == ""
    changed = composed("intervention=uniform", "intervention.layers=late", "intervention.mix=0.5")
    assert variant(changed) == "mix=0.5"
    assert variant(composed("intervention=learned")) == ""


def test_evaluated_samples_are_not_calibrated_on(composed: Composed) -> None:
    with pytest.raises(ValueError, match=r"No sample of shapes is left .* another"):
        calibration_split(parse(composed("intervention=fixed_mean", "calibration.seed=0")))
    made = ("intervention=fixed_mean", *SMALL)
    calibrate(composed(*made))
    leak = composed(*made, "benchmark.source.seed=1000", "limit=18")
    with pytest.raises(ValueError, match=r"18 of 18 evaluated samples .* are among those"):
        run_cell(leak)


def test_a_file_of_another_checkpoint_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mean.safetensors"
    save_file({"pattern": torch.ones(1, 1, 1, 4)}, path, metadata={"checkpoint": "a"})
    files = [InputFile(field="pattern.file", path=path)]
    with caplog.at_level("WARNING", logger="solvent"):
        warn_of_other_checkpoints(files, "a")
        assert not caplog.messages
        warn_of_other_checkpoints(files, "b")
    assert "made with another checkpoint" in caplog.text


def test_a_benchmark_of_files_calibrates_on_what_a_limit_leaves_out(composed: Composed) -> None:
    config = composed("intervention=fixed_mean", "limit=30", "calibration.samples=20")
    config.benchmark.source.questions = 10
    OmegaConf.set_struct(config, False)
    table = config.benchmark.source
    del table["seed"]  # as if it could not draw others
    table["_target_"] = f"{__name__}.drawn"
    _, samples = calibration_split(parse(config))
    assert len(samples) == 20
    config.benchmark.limit = None
    with pytest.raises(ValueError, match="all 90 of them are evaluated: set a limit"):
        calibration_split(parse(config))


def drawn(**settings: object) -> object:
    """The world with a seed that nobody may choose."""
    from solvent.benchmarks.shapes.generated import Shapes

    return Shapes(**settings, seed=0)
