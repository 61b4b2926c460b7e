"""What an entry of an image column may hold, and what each becomes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from solvent.benchmarks.images import FileImage
from solvent.benchmarks.source import LocalFiles
from solvent.benchmarks.tables.base64_text import is_picture
from solvent.core.types import Sample
from tests.benchmarks.set_rows import PICTURE
from tests.benchmarks.test_hub import columns, hub

FORMATS = ("png", "jpeg", "gif", "webp", "bmp", "tiff")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def file_of(width: int, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 2), "red").save(file, kind)
    return file.getvalue()


def text_of(width: int, kind: str = "png") -> str:
    return base64.b64encode(file_of(width, kind)).decode()


def read(folder: Path, entries: list[Any], kind: pa.DataType, **changes: Any) -> list[Sample]:
    rows = {"id": [*map(str, range(len(entries)))], "q": ["?"] * len(entries)}
    table = pa.table(rows | {"a": ["cat"] * len(entries), "image": pa.array(entries, type=kind)})
    pq.write_table(table, folder / "rows.parquet")
    return [*hub(folder / "rows.parquet", **changes)()]


def widths(sample: Sample) -> list[int]:
    return [image.load().width for image in sample.images]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_base64_of_every_format_is_a_picture(kind: pa.DataType, tmp_path: Path) -> None:
    entries = [text_of(n, kind) for n, kind in enumerate(FORMATS, 1)]
    entries += [
        f"data:image/png;base64,{text_of(7)}",
        "\n".join([text_of(8)[:40], text_of(8)[40:]]),
    ]
    samples = read(tmp_path, entries, kind)
    assert [widths(sample) for sample in samples] == [[n] for n in range(1, 9)]


def test_a_picture_is_the_same_wherever_it_is_stored(tmp_path: Path) -> None:
    content = file_of(3)
    text = base64.b64encode(content).decode()
    structure = {"bytes": content, "path": "elsewhere.png"}
    found = []
    for entry, kind in (
        (text, pa.string()),
        (f"data:image/png;base64,{text}", pa.string()),
        (content, pa.binary()),
        (content, pa.large_binary()),
        (structure, PICTURE),
        ([text], pa.list_(pa.string())),
        ([content], pa.list_(pa.binary())),
        (str([text]), pa.string()),
    ):
        (sample,) = read(tmp_path, [entry], kind, sample=columns(uid="t/{digest}"))
        found.append((sample.uid, sample.images[0].identity))
    assert len(set(found)) == 1  # the digest of the row leaves its pictures out
    assert found[0][1] == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_lists_hold_several_pictures(tmp_path: Path) -> None:
    two = [text_of(1), text_of(2)]
    for entry, kind in (
        (two, pa.list_(pa.string())),
        ([file_of(1), file_of(2)], pa.list_(pa.binary())),
        (str(two), pa.string()),
    ):
        (sample,) = read(tmp_path, [entry], kind)
        assert widths(sample) == [1, 2]


def test_nothing_is_decoded_before_somebody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str) -> bytes:
        raise AssertionError("somebody looked")

    monkeypatch.setattr("solvent.benchmarks.images.decoded_base64", refuse)
    (sample,) = read(tmp_path, [text_of(1)], pa.string())
    with pytest.raises(AssertionError, match="somebody looked"):
        sample.images[0].load()


def test_a_damaged_text_is_an_error_of_its_sample(tmp_path: Path) -> None:
    good, cut = text_of(4), text_of(400, "bmp")[:-7]
    long = "?" + text_of(400, "bmp")
    samples = read(tmp_path, [good, cut, long, "[" + repr(good)], pa.string())
    assert widths(samples[0]) == [4]
    for sample, number in zip(samples[1:], (1, 2, 3), strict=True):
        with pytest.raises(OSError, match=f"'image' of row {number} .*base64 text is damaged"):
            sample.images[0].load()


def test_paths_stay_paths_and_count_in_the_digest(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(file_of(5))
    lines = [{"id": "1", "q": "?", "a": "cat", "image": "p.png"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (sample,) = hub(tmp_path, sample=columns(uid="t/{digest}"))()
    assert isinstance(sample.images[0], FileImage)
    assert widths(sample) == [5]
    plain = json.dumps(lines[0], sort_keys=True)
    assert sample.uid == f"t/{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
    mixed = read(tmp_path, ["p.png", text_of(6)], pa.string())
    assert [widths(sample) for sample in mixed] == [[5], [6]]
    assert not any(map(is_picture, ["p.png", "Qk1.bmp", "/9j/x.jpg", "COCO_val2014_1.jpg", "17"]))


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("https://example.org/a.jpg", pa.string()),
        ({"bytes": None, "path": "http://example.org/a.jpg"}, PICTURE),
        ([text_of(1), "https://example.org/a.jpg"], pa.list_(pa.string())),
    ],
)
def test_an_address_is_refused_and_not_followed(
    entry: Any, kind: pa.DataType, tmp_path: Path
) -> None:
    with pytest.raises(
        ValueError, match=r"owner/set, row 0: t/0: the image .*'image'.* address \(https?://.*down"
    ):
        read(tmp_path, [entry], kind)


def test_a_path_on_the_hub_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = datasets.Dataset.from_dict({"id": ["1"], "q": ["?"], "a": ["cat"], "image": ["a.png"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    with pytest.raises(ValueError, match=r"row 0: .*the path 'a\.png', .*benchmark\.source\.local"):
        hub(None)()
    with_text = datasets.Dataset.from_dict(table.to_dict() | {"image": [text_of(3)]})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: with_text)
    assert [widths(sample) for sample in hub(None)()] == [[3]]


def test_a_table_in_json_may_hold_pictures_too(tmp_path: Path) -> None:
    entries = [text_of(3), text_of(400, "bmp")[:-7], "p.png"]
    (tmp_path / "p.png").write_bytes(file_of(5))
    rows = [{"id": str(n), "q": "?", "a": "cat", "image": entry} for n, entry in enumerate(entries)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    source = LocalFiles(
        root=str(tmp_path),
        file="rows.json",
        format="array",
        obtain="make it",
        unroll={},
        sample=columns(),
    )
    good, cut, path = source()
    assert (widths(good), widths(path)) == ([3], [5])
    assert good.images[0].identity == hashlib.blake2b(file_of(3), digest_size=16).hexdigest()
    assert good.images[0].identity != cut.images[0].identity
    with pytest.raises(OSError, match=r"the image 'Qk.*'\.\.\. cannot be read: its base64 text is"):
        cut.images[0].load()
