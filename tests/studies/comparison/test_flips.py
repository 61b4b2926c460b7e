"""Which flips a gallery shows, what it says of them, and where their models look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from interventions import load
from interventions.methods.cutting import behind
from solvent.cells.revisited.attention_maps import attention_maps, edited_layers
from solvent.cells.revisited.stored_cell import StoredCell
from solvent.cells.run import run_cell
from solvent.core.paths import CONF
from solvent.core.types import Prediction, Sample
from solvent.storage import records
from solvent.storage.folder import CellFolder
from solvent.studies.comparison.flip_choice import Flippable, Shown, choose, shares
from solvent.studies.comparison.flips import Gallery, flips

TINY = Path(__file__).resolve().parents[3] / "solvent/models/checkpoints/tiny"
ARMS = ("learned", "uniform", "knockout")
SIDE = 320


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of answers by intervention; `knock` is a condition of the control's tests."""
    output = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Figure, "savefig", lambda figure, path, **settings: Path(path).touch())
        for arm in ARMS:
            tests = ["diagnostic=[exchange]"] if arm == "learned" else []
            given = [f"output={output}", "limit=45", f"intervention={arm}", *tests]
            with initialize_config_dir(str(CONF), version_base="1.3"):
                config = compose("evaluate", given)
            run_cell(config)
    places = (output / "study" / "tiny" / "shapes").iterdir()
    found = {place.name.partition("-")[0]: place for place in places}
    return found | {"knock": found["learned"] / "diagnostics" / "knock"}


def answers(folder: Path) -> dict[str, Prediction]:
    """In the order of their uids, which need not be that of the file."""
    return {row.uid: row for row in sorted(CellFolder(folder).stored(), key=lambda row: row.uid)}


def pair(cells: Mapping[str, Path], arm: str) -> Flippable:
    control, changed = answers(cells["learned"]), answers(cells[arm])
    return Flippable(
        key=arm,
        arm_folder=cells[arm],
        control_folder=cells["learned"],
        uids=[*control],
        arm_credit=np.array([row.credit for row in changed.values()]),
        control_credit=np.array([row.credit for row in control.values()]),
    )


def made_up(change: Mapping[str, float], key: str = "arm") -> Flippable:
    nowhere = Path("nowhere")
    values = np.array([*change.values()])
    return Flippable(
        key=key,
        arm_folder=nowhere,
        control_folder=nowhere,
        uids=[*change],
        arm_credit=np.clip(values, 0, 1),
        control_credit=np.clip(-values, 0, 1),
    )


def asked(uids: Sequence[str]) -> dict[str, Prediction]:
    """`kind/image/number`: its slice and its image."""
    return {
        uid: Prediction(
            uid=uid, condition="real", raw=None, scores=None, parsed=0, gold=0, status="ok",
            credit=1.0, visual_mass=None, cells_edited=0, groups={"image": uid.split("/")[1]},
            tags={"kind": uid.split("/")[0]},
        )
        for uid in uids
    }  # fmt: skip


def test_large_changes_come_first_then_other_images_and_slices() -> None:
    alike = {f"{kind}/{image}/{n}": -1.0 for kind in "ab" for image in "xyz" for n in "01"}
    many = made_up({"a/x/small": -0.4, "a/q/gain": 1.0, "b/q/none": 0.0, **alike})
    chosen = choose(many, 7, 0, asked, Shown())
    directions = [direction for direction, _ in chosen]
    assert directions == ["lost"] * 6 + ["gained"]
    lost = [uid for direction, uid in chosen if direction == "lost"]
    assert "a/x/small" not in lost
    assert len({uid.split("/")[1] for uid in lost[:3]}) == 3  # three images before one comes again
    assert sorted(uid[0] for uid in lost) == [*"aaabbb"]
    turned = made_up(
        dict(reversed([*zip(many.uids, many.arm_credit - many.control_credit, strict=True)]))
    )
    assert choose(turned, 7, 0, asked, Shown()) == chosen
    (only,) = choose(many, 1, 1, asked, Shown())
    assert only == ("gained", "a/q/gain")


def test_places_are_shared_out_in_turns() -> None:
    few, many = made_up({"a/x/0": 1.0, "a/x/1": np.nan}), made_up({f"a/x/{n}": 1.0 for n in "0123"})
    assert shares([few, many, many], each=3, total=100) == [1, 3, 3]
    assert shares([few, many, many], each=3, total=6) == [1, 3, 2]
    assert shares([few, many, many], each=3, total=2) == [1, 1, 0]
    assert shares([], each=3, total=2) == []


def test_flips_say_what_was_asked_and_answered(
    cells: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pair(cells, arm) for arm in ("uniform", "knock")]
    decoded: list[bytes] = []
    decode = records.decode
    monkeypatch.setattr(records, "decode", lambda line: decoded.append(line) or decode(line))
    gallery = flips(pairs, each=2, total=3)
    assert len(decoded) <= 2 * (2 * 4 * 2 + 2 * 2)  # candidates, and both answers to the chosen
    assert gallery.remarks == []
    assert [flip.arm for flip in gallery.flips] == ["uniform", "uniform", "knock"]
    known = StoredCell(cells["learned"]).samples({flip.uid for flip in gallery.flips})
    for flip in gallery.flips:
        before, after = (answers(cells[arm])[flip.uid] for arm in ("learned", flip.arm))
        sample = known[flip.uid]
        assert flip.direction == ("lost" if before.credit > after.credit else "gained")
        assert (flip.question, flip.options) == (sample.text, sample.options)
        assert flip.gold == sample.options[sample.gold]
        assert flip.control_answer == sample.options[before.parsed]
        assert flip.arm_answer == sample.options[after.parsed]
        assert flip.picture.tobytes() == sample.images[0].load().tobytes()
        assert flip.control_attention is flip.arm_attention is flip.scale is None


def moved(cells: dict[str, Path], place: Path, change: Mapping[str, object]) -> Gallery:
    """The flips of `uniform`, whose control's configuration says otherwise in one group."""
    control = copytree(cells["learned"], place / "tiny" / "shapes" / "learned")
    path = control / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config.update({group: {**config[group], **new} for group, new in change.items()})
    path.write_text(yaml.safe_dump(config))
    return flips([replace(pair(cells, "uniform"), control_folder=control)], 2, 2, attention=True)


HUB = {"_target_": "solvent.benchmarks.hub.HubTable", "id": "nobody/NoSuchSet", "local": None}

SHIPPED = {"_target_": "interventions.load", "name": "uniform"}


@pytest.mark.parametrize(
    ("change", "pictures", "why"),
    [
        ({"benchmark": {"source": HUB}}, False, "nobody/NoSuchSet of the hub is not on this"),
        ({"benchmark": {"seed": 5}}, False, "no longer those that were answered"),
        ({"benchmark": {"parser": {"_target_": "os.getcwd"}}}, False, "would call 'os.getcwd'"),
        (
            {"conditions": {"real": SHIPPED | {"name": "./mine"}}},
            False,
            "'interventions.load'",
        ),
        ({"conditions": {"real": SHIPPED | {"a._target_": "b"}}}, False, "'interventions.load'"),
        ({"conditions": {"real": SHIPPED | {"mass": {"a": 1}}}}, False, "'interventions.load'"),
        ({"model": {"_target_": "os.getcwd"}}, True, "would run code that is not ours"),
        ({"model": {"trust_remote_code": True}}, True, "would run code that is not ours"),
        ({"model": {"checkpoint": "solvent/models/checkpoints/tiny_blind"}}, True, "is not what"),
        ({"intervention": {"_target_": "os.getcwd"}}, True, "would call 'os.getcwd'"),
    ],
)
def test_what_is_not_here_is_said_and_nothing_fails(
    cells: dict[str, Path], tmp_path: Path, change: Mapping[str, object], pictures: bool, why: str
) -> None:
    gallery = moved(cells, tmp_path, change)
    assert len(gallery.flips) == 2
    assert all((flip.picture is not None) == pictures for flip in gallery.flips)
    assert all(flip.options and flip.gold and flip.arm_attention is None for flip in gallery.flips)
    (remark,) = gallery.remarks
    lacking = "attention" if pictures else "picture"
    assert remark.startswith(f"gallery: flips of tiny on shapes have no {lacking}: ")
    assert why in remark


def plain_attention(sample: Sample) -> np.ndarray:
    """Of the last prompt token to the image's 8 x 8 tokens, by transformers alone."""
    processor = AutoProcessor.from_pretrained(TINY)
    model = AutoModelForImageTextToText.from_pretrained(
        TINY, attn_implementation="eager", dtype=torch.float32
    )
    content = [{"type": "image"}, {"type": "text", "text": sample.text}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(images=[sample.images[0].load()], text=[text], return_tensors="pt")
    with torch.no_grad():
        seen = torch.stack(model(**inputs, output_attentions=True).attentions)
    image = inputs["input_ids"][0] == model.config.image_token_id
    return seen[:, 0, :, -1, image].mean(dim=(0, 1)).reshape(8, 8).double().numpy()


@pytest.mark.parametrize("arm", ["uniform", "knockout", "knock"])
def test_maps_are_those_of_the_model(cells: dict[str, Path], arm: str) -> None:
    control, changed = StoredCell(cells["learned"]), StoredCell(cells[arm])
    uid = min(answers(cells["learned"]))
    maps = attention_maps(control, changed, [uid], SIDE)[uid]
    assert (maps.layers, maps.heads) == (tuple(range(6)), 4)
    expected = plain_attention(control.samples({uid})[uid])
    assert maps.control.mass == pytest.approx(expected.sum(), abs=1e-5)
    (density,) = maps.control.density
    spread = np.kron(expected * 64, np.ones((SIDE // 8, SIDE // 8)))
    np.testing.assert_allclose(density, spread, atol=1e-4)
    assert np.ptp(expected) > 0.001  # else any place would do
    (changed_density,) = maps.arm.density
    if arm == "uniform":
        np.testing.assert_allclose(changed_density, maps.arm.mass, atol=1e-6)
        assert maps.arm.mass > 0.01
    else:
        assert not changed_density.any()
        assert maps.arm.mass == 0.0


def test_means_are_over_the_layers_that_are_edited(cells: dict[str, Path]) -> None:
    model = StoredCell(cells["learned"]).model()
    late = load("uniform", layers=[4, 1])
    assert edited_layers(model, late) == (1, 4)
    assert edited_layers(model, behind(late, load("knockout", layers=[3]))) == (1, 3, 4)
    assert edited_layers(model, load("learned")) == tuple(range(6))


def test_both_maps_have_the_colours_of_one_scale(cells: dict[str, Path]) -> None:
    gallery = flips([pair(cells, arm) for arm in ("uniform", "knockout")], 1, 2, attention=True)
    assert gallery.remarks == []
    even, cut = gallery.flips
    assert even.scale.startswith("0 (violet) to ")
    assert even.scale.endswith("times even attention, mean over 4 heads and layers 0 to 5")
    assert cut.arm_mass == 0.0 < cut.control_mass
    for flip in gallery.flips:
        assert flip.control_attention.size == flip.arm_attention.size == (SIDE, SIDE)
    tops = [_yellow(flip.control_attention) for flip in gallery.flips]
    assert min(tops) >= 1 / 64  # one token of 8 x 8 at the least
    assert _yellow(cut.arm_attention) == 0.0 == _yellow(even.arm_attention)


def _yellow(picture: Image.Image) -> float:
    """Share of the picture in the colour of the top of the scale, at which blue is weakest."""
    red, _, blue = (np.asarray(part, dtype=int) for part in picture.split())
    return float((red - blue > 60).mean())
