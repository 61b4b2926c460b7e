"""What makes another cell, and what does not: the table of docs/identity.md, row by row."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from safetensors.torch import load_file, save_file

from solvent.cells import loading
from solvent.cells.asking import identify
from solvent.cells.identity import cell_folder, fingerprint
from solvent.cells.request import parse
from solvent.core import digests
from solvent.core.trees import at, differing
from tests.conftest import ROOT

Composed = Callable[..., DictConfig]
Change = Callable[[Path], None]
REDUCERS = "solvent.benchmarks.reducers"
COLOURS = ("red", "green", "blue", "white")
FIRST = {  # folders of cells of the first models, as they were written
    "tiny": "0b977edb1b7c",
    "tiny_blind": "eacbed2cef27",
    "tiny_prior": "88f4761c3a96",
    "llava_1_5_7b": "f23c65fae4cb",
    "llava_onevision_7b": "2d6a213c3475",
    "qwen2_5_vl_3b": "a8e18365800b",
    "qwen2_5_vl_7b": "95e7c8d3d99a",
}


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "digests"))
    monkeypatch.setattr(digests, "FRESH", -60.0)  # what is kept is used, as it will be by users
    datasets.disable_progress_bars()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data set and a checkpoint of one's own."""
    folder = tmp_path / "own"
    data = folder / "data"
    data.mkdir(parents=True)
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (8, 8), colour).save(data / f"{number}.png")
    write(data, rows())
    ignored = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(ROOT / "solvent/models/checkpoints/tiny", folder / "model", ignore=ignored)
    return folder


def rows() -> list[dict[str, Any]]:
    return [
        {"index": n, "question": f"Which colour? {n}", "image": f"{n}.png", "answer": "AB"[n % 2],
         "A": "red", "B": "green", "C": "blue", "D": "white", "category": "GQA",
         "l2_category": "x"}
        for n in range(4)
    ]  # fmt: skip


def write(data: Path, table: list[dict[str, Any]]) -> None:
    (data / "dev.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in table))


def asked(composed: Composed, place: Path, *overrides: str) -> DictConfig:
    return composed(
        "benchmark=vmcbench",
        "benchmark.expect=null",
        f"benchmark.source.local={place / 'data'}",
        f"model.checkpoint={place / 'model'}",
        "model.name=own",
        *overrides,
    )


def name(config: DictConfig) -> str:
    return identify(parse(config)).folder


def row(number: int, **changes: Any) -> Change:
    """Another value in one row of the table."""

    def change(place: Path) -> None:
        table = rows()
        table[number] |= changes
        write(place / "data", table)

    return change


def swap_options(place: Path) -> None:
    table = rows()
    table[1]["A"], table[1]["B"], table[1]["answer"] = "green", "red", "A"
    write(place / "data", table)


def one_pixel(place: Path) -> None:
    path = place / "data" / "2.png"
    with Image.open(path) as opened:
        picture = opened.copy()
    picture.putpixel((3, 3), (0, 0, 254))
    picture.save(path)


def one_weight(place: Path) -> None:
    path = place / "model" / "model.safetensors"
    weights = load_file(path)
    first = next(iter(weights))
    weights[first].view(-1)[0] += 1.0
    save_file(weights, path, metadata={"format": "pt"})


def byte(file: str, old: str, new: str) -> Change:
    def change(place: Path) -> None:
        path = place / "model" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def added(file: str, content: str) -> Change:
    return lambda place: (place / file).write_text(content) and None


ANOTHER: dict[str, Change] = {
    "a pixel": one_pixel,
    "a picture that is missing": lambda place: (place / "data" / "0.png").unlink(),
    "a label": row(3, answer="A"),
    "a question": row(0, question="Which colour is it?"),
    "an option": row(0, D="black"),
    "the order of options": swap_options,
    "a uid": row(0, index=17),
    "a tag": row(0, category="VQAv2"),
    "a row more": lambda place: write(place / "data", [*rows(), rows()[0] | {"index": 9}]),
    "the order of rows": lambda place: write(place / "data", rows()[::-1]),
    "a weight": one_weight,
    "a byte of the chat template": byte("chat_template.jinja", "{{", "{{ "),
    "the mean of pictures": byte("processor_config.json", '"image_mean": [', '"image_mean": [ '),
    "the tokenizer": byte("tokenizer.json", '"version"', ' "version"'),
    "the tokenizer's settings": byte("tokenizer_config.json", "{", "{ "),
    "the model's settings": byte("config.json", "{", "{ "),
    "where answers end": byte("generation_config.json", "{", "{ "),
    "an adapter": added("model/adapter_config.json", "{}"),
    "another chat template": added("model/chat_template.json", "{}"),
    "a slow tokenizer's words": added("model/merges.txt", "a b"),
}  # fmt: skip
THE_SAME: dict[str, Change] = {
    "its README": byte("README.md", "#", "# "),
    "what training left": added("model/optimizer.pt", "x"),
    "a picture that nobody is shown": lambda place: Image.new("RGB", (9, 9)).save(
        place / "data" / "more.png"
    ),
    "when files were written": lambda place: (
        [path.touch() for path in place.rglob("*") if path.is_file()] and None
    ),
}


@pytest.mark.parametrize("change", ANOTHER)
def test_content_makes_another_cell(composed: Composed, place: Path, change: str) -> None:
    before = name(asked(composed, place))
    assert name(asked(composed, place)) == before
    ANOTHER[change](place)
    assert name(asked(composed, place)) != before


@pytest.mark.parametrize("change", THE_SAME)
def test_what_decides_nothing_makes_no_other_cell(
    composed: Composed, place: Path, change: str
) -> None:
    before = name(asked(composed, place))
    THE_SAME[change](place)
    assert name(asked(composed, place)) == before


def test_where_things_lie_makes_no_other_cell(
    composed: Composed, place: Path, tmp_path: Path
) -> None:
    before = name(asked(composed, place))
    shutil.copytree(place, tmp_path / "copied")
    assert name(asked(composed, tmp_path / "copied")) == before
    place.rename(tmp_path / "moved")
    assert name(asked(composed, tmp_path / "moved")) == before
    for elsewhere in (f"output={tmp_path / 'x'}", "study=other", "tracking=jsonl",
                      "stuck_minutes=5", "max_failed=0.5", "model.max_memory={cpu: 1GiB}",
                      f"model.offload_folder={tmp_path}"):  # fmt: skip
        assert name(asked(composed, tmp_path / "moved", elsewhere)) == before


@pytest.mark.parametrize(
    "setting",
    ["batch_size=4", "limit=3", "condition=blank", "prompt=llava", "model.dtype=bfloat16",
     "benchmark.answer.mode=generate", "benchmark.shuffle=1", "diagnostic=[information]",
     "compat=lmms_eval", "intervention=uniform", "model.thinking=64", "model.chat_template=plain",
     "+model.image_settings.do_resize=false", "model.quantization=8bit"],
)  # fmt: skip
def test_settings_make_another_cell(composed: Composed, place: Path, setting: str) -> None:
    assert name(asked(composed, place, setting)) != name(asked(composed, place))


@pytest.mark.parametrize("model", FIRST)
def test_finished_cells_keep_their_names(composed: Composed, model: str) -> None:
    """Settings that models were given later say nothing where they change nothing."""
    known = identify(parse(composed(f"model={model}")))
    assert not {"image_settings", "chat_template", "thinking"} & set(known.definition["model"])
    assert list(known.definition["model"])[1:4] == ["name", "checkpoint", "revision"]
    assert known.folder == f"learned-{FIRST[model]}"


def test_names_of_ones_own_are_no_locations(composed: Composed, place: Path) -> None:
    """`local`, `root` and `cache` say where data lie in their places only."""
    names = {
        name(asked(composed, place, f"+benchmark.reducers.{key}={{_target_: {made}}}"))
        for key in ("local", "root", "cache")
        for made in (f"{REDUCERS}.Mean", f"{REDUCERS}.Detection, positive: red")
    }
    assert len(names) == 6
    mine = "+conditions.mine={_target_: solvent.diagnostics.conditions.Real}"
    assert name(asked(composed, place, mine, "condition=mine")) != name(asked(composed, place))


def test_shards_count_wherever_their_index_says_that_they_lie(
    composed: Composed, place: Path
) -> None:
    (place / "model/sub").mkdir()
    (place / "model/sub/part.safetensors").write_bytes(b"one")
    index = {"weight_map": {"a": "sub/part.safetensors", "b": "../outside.safetensors"}}
    (place / "model/model.safetensors.index.json").write_text(json.dumps(index))
    before = name(asked(composed, place))
    (place / "model/sub/part.safetensors").write_bytes(b"two")
    assert name(asked(composed, place)) != before


def test_rows_that_a_limit_leaves_out_make_no_other_cell(composed: Composed, place: Path) -> None:
    few = asked(composed, place, "limit=1")
    before = name(few)
    kept = json.loads(json.dumps(identify(parse(few)).definition))["data"]
    for number in range(4):
        row(number, question="Which?")(place)
        if identify(parse(few)).definition["data"] == kept:
            break
    else:
        pytest.fail("every row decided about a cell that asks one")
    assert name(few) == before


def test_a_commit_makes_another_cell_and_stands_for_the_rows(composed: Composed) -> None:
    """Nothing is fetched to name a cell of a data set or a model on the hub."""
    one, other = ("a" * 40, "b" * 40)
    names = {
        name(composed("benchmark=pope", "model=qwen2_5_vl_3b", f"{where}={commit}"))
        for where in ("benchmark.source.revision", "model.revision")
        for commit in (one, other)
    }
    assert len(names) == 4


def test_a_file_of_the_intervention_counts_by_its_content(
    composed: Composed, tmp_path: Path
) -> None:
    names = []
    for path, value in ((tmp_path / "a", 1.0), (tmp_path / "b", 1.0), (tmp_path / "c", 2.0)):
        save_file({"pattern": torch.full((1, 1, 1, 64), value)}, path)
        for spelt in (path, f"{tmp_path}//{path.name}", f"{tmp_path}/./{path.name}"):
            file = f"intervention.pattern.file={spelt}"
            names.append(name(composed("intervention=fixed_file", file)))
    assert len({*names[:6]}) == len({*names[6:]}) == 1
    assert names[0] != names[-1]


def test_names_of_what_differs(composed: Composed, place: Path) -> None:
    before = identify(parse(asked(composed, place))).definition
    one_pixel(place)
    byte("chat_template.jinja", "{{", "{{ ")(place)
    after = identify(parse(asked(composed, place, "benchmark.answer.mode=generate"))).definition
    assert differing(before, after) == [
        "benchmark.answer.mode", "data", "model.checkpoint.chat_template.jinja",
    ]  # fmt: skip
    assert [at({"a": {"b": 1}}, name) for name in ("a.b", "a.c", "a.b.c")] == [1, None, None]
    assert differing(before, before) == []


def test_a_move_of_the_code_makes_no_other_cell(composed: Composed) -> None:
    """Classes go by the names of before the package `solvent` was made: cells outlast it."""
    definition = identify(parse(composed("diagnostic=[information]"))).definition
    assert "solvent." not in json.dumps(definition)


def test_the_folder_says_where_and_what(composed: Composed, place: Path, tmp_path: Path) -> None:
    config = asked(composed, place)
    known = identify(parse(config))
    digest = fingerprint(known.definition)[:12]
    assert cell_folder(parse(config), known).path == (
        tmp_path / "study" / "own" / "vmcbench" / f"learned-{digest}"
    )


def test_a_file_that_is_copied_over_with_its_old_time_is_read_anew(
    composed: Composed, place: Path
) -> None:
    """`datasets` keeps what it read under a file's time: other rows must not be served."""
    before = identify(parse(asked(composed, place)))
    path = place / "data" / "dev.jsonl"
    times = path.stat()
    text = path.read_text()
    path.write_text(text.replace('"answer": "A"', '"answer": "C"'))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    config = asked(composed, place)
    assert identify(parse(config)).folder != before.folder
    _, samples = loading.load_benchmark(parse(config).benchmark)
    assert [sample.gold for sample in samples] == [2, 1, 2, 1]
