"""Tables on the hub and on disk: what is read, and one clear sentence for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError
from PIL import Image

from solvent.benchmarks.hub import HubTable
from solvent.benchmarks.sample import Columns
from tests.benchmarks.set_rows import PICTURE, PICTURES, picture

COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def columns(**changes: Any) -> Columns:
    usual = {
        "uid": "t/{id}",
        "images": [{"from": "image"}],
        "text": "{q}",
        "context": None,
        "options": ["cat", "dog"],
        "gold": {"from": "a", "as": "option"},
        "groups": {},
        "tags": {},
        "meta": {},
    }
    return Columns(**(usual | changes))


def hub(local: Path | None, **changes: Any) -> HubTable:
    usual = {
        "id": "owner/set",
        "configs": [None],
        "split": "test",
        "revision": "main",
        "where": {},
        "unroll": {},
        "sample": columns(),
    }
    return HubTable(**(usual | changes), local=None if local is None else str(local))


def rows(*names: str) -> pa.Table:
    return pa.table(
        {
            "id": list(names),
            "q": ["Which?"] * len(names),
            "a": ["dog"] * len(names),
            "image": pa.array([picture(n) for n in range(len(names))], type=PICTURE),
        }
    )


def uids(source: HubTable) -> list[str]:
    return [sample.uid for sample in source()]


def test_files_of_the_split_are_read_in_order(tmp_path: Path) -> None:
    for name, ids in (
        ("test-00001-of-00002", ["3"]),
        ("test-00000-of-00002", ["1", "2"]),
        ("train-00000-of-00001", ["9"]),
    ):
        pq.write_table(rows(*ids), tmp_path / f"{name}.parquet")
    assert uids(hub(tmp_path)) == ["t/1", "t/2", "t/3"]
    assert uids(hub(tmp_path, split="train")) == ["t/9"]
    with pytest.raises(FileNotFoundError, match=r"\['test', 'train'\], but not 'dev'"):
        hub(tmp_path, split="dev")()


def test_every_config_has_its_folder_or_all_have_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pq.write_table(rows("1"), tmp_path / name / "rows.parquet")
    both = hub(tmp_path, configs=["two", "one"], sample=columns(uid="t/{config}/{row}"))
    assert uids(both) == ["t/two/0", "t/one/0"]
    with pytest.raises(FileNotFoundError, match=r"but none for \['three'\]: copy these"):
        hub(tmp_path, configs=["one", "three"])()
    assert uids(hub(tmp_path / "one/rows.parquet", configs=["x", "y"])) == ["t/1"]


def test_several_splits_make_up_a_set(tmp_path: Path) -> None:
    both = {"split": ["real", "drawn"], "sample": columns(uid="t/{split}/{row}-{id}")}
    (tmp_path / "files").mkdir()
    pq.write_table(rows("1", "2"), tmp_path / "files/drawn-00000-of-00001.parquet")
    pq.write_table(rows("3"), tmp_path / "files/real.parquet")
    source = hub(tmp_path / "files", **both)
    assert uids(source) == ["t/real/0-3", "t/drawn/0-1", "t/drawn/1-2"]
    assert [(table["split"], table["rows"]) for table in source.provenance()["tables"]] == [
        ("real", 1),
        ("drawn", 2),
    ]
    for name in ("real", "drawn"):
        (tmp_path / "folders" / name).mkdir(parents=True)
        pq.write_table(rows("4"), tmp_path / "folders" / name / "rows.parquet")
    assert uids(hub(tmp_path / "folders", **both)) == ["t/real/0-4", "t/drawn/0-4"]
    own = rows("5", "6").append_column("split", pa.array(["drawn", "real"]))
    pq.write_table(own, tmp_path / "own.parquet")
    assert uids(hub(tmp_path / "own.parquet", **both)) == ["t/drawn/0-5", "t/real/1-6"]
    with pytest.raises(FileNotFoundError, match=r"\['real', 'drawn'\], but none for \['more'\]"):
        hub(tmp_path / "files", **(both | {"split": ["real", "drawn", "more"]}))()
    pq.write_table(rows("7"), tmp_path / "mute.parquet")
    with pytest.raises(ValueError, match="does not say which rows are of which split of"):
        hub(tmp_path / "mute.parquet", **both)()
    (one,) = hub(tmp_path / "mute.parquet", sample=columns(uid="t/{split}/{row}"))()
    assert one.uid == "t/test/0"


def test_tables_of_text_are_taken_literally(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "p.png")
    lines = [
        "\ufeffid\tq\ta\timage\tn\tm",
        '01\t"two\nlines, ""quoted"""\tcat\tp.png\tNA\t1.50',
        "None\tWhich?\tdog\tp.png\t\t-",
    ]
    (tmp_path / "rows.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept = {"n": {"from": "n", "missing": ["NA"]}, "m": {"from": "m"}}
    first, second = hub(tmp_path, sample=columns(text={"from": "q"}, meta=kept))()
    assert (first.uid, first.text) == ("t/01", 'two\nlines, "quoted"')
    assert (first.meta, second.meta) == ({"n": None, "m": "1.50"}, {"n": "", "m": "-"})
    assert second.uid == "t/None"
    assert first.images[0].load().size == (5, 4)
    for wrong, why in (
        ("1\ttoo\tmany\n", "3 entries and its header 2"),
        ("1\t2\n3\t4\t5\n", "saw 3"),
    ):
        (tmp_path / "rows.tsv").write_text(f"id\tq\n{wrong}")
        with pytest.raises(ValueError, match=rf"rows\.tsv cannot be read as tsv: .*{why}; copy it"):
            hub(tmp_path / "rows.tsv")()


def test_lines_may_name_picture_files(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "p.png")
    line = {"id": "1", "q": "Which?", "a": "cat"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line | {"image": "p.png"}) + "\n")
    (sample,) = hub(tmp_path)()
    assert sample.images[0].load().size == (5, 4)
    structure = {"bytes": None, "path": "p.png"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line | {"image": structure}) + "\n")
    (sample,) = hub(tmp_path / "rows.jsonl")()
    assert sample.images[0].load().size == (5, 4)


def test_pictures_may_be_lists_or_absent(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": ["1", "2"],
            "q": ["?", "?"],
            "a": ["cat", "dog"],
            "image": pa.array([[picture(0), picture(1)], [picture(2)]], type=PICTURES),
            "image_1": pa.array([picture(0), picture(1)], type=PICTURE),
            "image_2": pa.array([picture(2), None], type=PICTURE),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    lists = hub(tmp_path)()
    assert [len(sample.images) for sample in lists] == [2, 1]
    several = hub(tmp_path, sample=columns(images=[{"from": ["image_1", "image_2"]}]))()
    assert [len(sample.images) for sample in several] == [2, 1]
    assert several[0].images[0].identity == lists[0].images[0].identity
    assert several[0].images[0].identity != lists[0].images[1].identity
    with pytest.raises(ValueError, match=r"row 1: t/2: the image .*image_2.* is absent"):
        hub(tmp_path, sample=columns(images=[{"from": "image_2"}]))()
    with pytest.raises(ValueError, match="holds int; expected a column of pictures"):
        hub(tmp_path, sample=columns(images=[{"from": "row"}]))()


def test_rows_can_be_selected_and_unrolled(tmp_path: Path) -> None:
    pq.write_table(rows("1", "2"), tmp_path / "rows.parquet")
    chosen = hub(tmp_path, where={"id": 2}, unroll={"k": [0, 1]}, sample=columns(uid="t/{id}/{k}"))
    assert uids(chosen) == ["t/2/0", "t/2/1"]
    with pytest.raises(ValueError, match=r"none of 2 rows has \{'id': 3\}; correct"):
        hub(tmp_path, where={"id": 3})()
    with pytest.raises(ValueError, match="owner/set has no column 'idd'; did you mean 'id'"):
        hub(tmp_path, where={"idd": 3})()
    with pytest.raises(ValueError, match=r"row 0: .*no column 'aa'; did you mean 'a'"):
        hub(tmp_path, sample=columns(gold={"from": "aa", "as": "option"}))()


def test_a_digest_changes_with_the_row_alone(tmp_path: Path) -> None:
    source = {"sample": columns(uid="t/{digest}")}
    found = []
    for number, table in enumerate((rows("1"), rows("2"), rows("1"))):
        pq.write_table(table, tmp_path / f"{number}.parquet")
        found += uids(hub(tmp_path / f"{number}.parquet", **source))
    assert found[0] == found[2] != found[1]


def test_bad_copies_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"benchmark\.source\.local expects a parquet or"):
        hub(tmp_path / "absent")()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no \.parquet and no \.jsonl file"):
        hub(tmp_path / "empty")()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match=r"cannot be read as parquet: .*; copy it again"):
        hub(tmp_path / "bad.parquet")()


def response(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co"))


GATED = "Dataset 'owner/set' is a gated dataset on the Hub. You must be authenticated to access it."
NOT_FOUND = datasets.exceptions.DatasetNotFoundError


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (NOT_FOUND(GATED), PermissionError, r"gated .*accept its terms at .*owner/set.*HF_TOKEN"),
        (GatedRepoError("401", response=response(401)), PermissionError, "accept its terms"),
        (
            NOT_FOUND("Revision 'main' doesn't exist for dataset 'owner/set' on the Hub."),
            ValueError,
            "no revision 'main': set benchmark.source.revision to one of",
        ),
        (
            NOT_FOUND("Dataset 'owner/set' doesn't exist on the Hub or cannot be accessed."),
            ValueError,
            "no data set 'owner/set', or it is private: correct benchmark.source.id",
        ),
        (
            ValueError("BuilderConfig 'ene' not found. Available: ['cn', 'en']"),
            ValueError,
            "no config 'ene': correct benchmark.source.configs; did you mean 'en'",
        ),
        (
            ValueError("Unknown split \"test\". Should be one of ['tests', 'dev']."),
            ValueError,
            "no split 'test': correct benchmark.source.split; did you mean 'tests'",
        ),
        (
            ConnectionError("Couldn't reach 'owner/set' on the Hub (OfflineModeIsEnabled)"),
            FileNotFoundError,
            "hub cannot be reached: connect once .* benchmark.source.local",
        ),
        (httpx.ConnectError("no route"), FileNotFoundError, "hub cannot be reached"),
        (LocalEntryNotFoundError("offline"), FileNotFoundError, "hub cannot be reached"),
        (HfHubHTTPError("503", response=response(503)), FileNotFoundError, "cannot be reached"),
        (
            ValueError("Couldn't find cache for owner/set for config 'en'"),
            FileNotFoundError,
            "not on this machine",
        ),
        (
            datasets.exceptions.DataFilesNotFoundError("No (supported) data files found"),
            ValueError,
            "holds no data files at revision 'main'",
        ),
        (RuntimeError("anything else"), RuntimeError, "anything else"),
    ],
)
def test_what_the_hub_raises_becomes_one_sentence(
    error: Exception, kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(kind, match=message):
        hub(None, configs=["ene"])()


def test_without_network_and_copy_the_remedy_is_said() -> None:
    with pytest.raises(FileNotFoundError, match="hub cannot be reached: connect once"):
        hub(None)()  # as `datasets` itself says it, offline


def kept_of(commit: str, folder: Path) -> Callable[..., datasets.Dataset]:
    """What `datasets` gives from its cache: a table in a folder that is named by the commit."""
    place = folder / "owner___set/default/0.0.0" / commit / "set-test.arrow"
    place.parent.mkdir(parents=True)
    table = rows("1")
    with pa.OSFile(str(place), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return lambda *_, **__: datasets.Dataset.from_file(str(place))


def test_the_commit_that_was_read_is_recorded_and_must_be_the_pinned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", kept_of(COMMIT, tmp_path))
    for revision in ("main", COMMIT):
        source = hub(None, revision=revision)
        assert uids(source) == ["t/1"]
        (table,) = source.provenance()["tables"]
        assert (table["commit"], table["rows"], table["config"]) == (COMMIT, 1, "default")
    with pytest.raises(ValueError, match=f"expected revision {OTHER} .* keeps {COMMIT}: connect"):
        hub(None, revision=OTHER)()
