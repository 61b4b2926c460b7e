"""Predictions of a file by column: what a comparison of ten thousand cells can hold in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float
from pyarrow import json as arrow_json

from solvent.storage.records import check_intact, parse

SCHEMA = pa.schema([("uid", pa.string()), ("credit", pa.float64())])


@dataclass(frozen=True, eq=False)
class Columns:
    """Uids, in alphabetical order, and what belongs to each.

    Axes: N predictions.
    """

    uids: pa.StringArray
    credit: Float[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def questions(self) -> str:
        """A digest of the uids: equal where the same questions were asked."""
        digest = hashlib.blake2b(digest_size=16)
        for buffer in self.uids.buffers()[1:]:
            digest.update(buffer)
        return digest.hexdigest()


def read_columns(path: Path, *, sealed: bool) -> Columns:
    """The predictions of a file.

    Args:
        path: of the file.
        sealed: whether its digest was compared already; otherwise every line's own is.

    Raises `ValueError` where a line is not as it was written, or a question is answered twice.
    """
    if not sealed:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                check_intact(line, path, number, needs_check=False)
    if path.stat().st_size == 0:
        return Columns(pa.array([], pa.string()), np.zeros(0))
    try:
        table = arrow_json.read_json(
            path,
            read_options=arrow_json.ReadOptions(
                use_threads=False, block_size=path.stat().st_size + 1
            ),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=SCHEMA, unexpected_field_behavior="ignore"
            ),
        ).combine_chunks()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is damaged ({error}): restore it, or move the folder away") from (
            error
        )
    if table["uid"].null_count or table["credit"].null_count:
        raise ValueError(f"{path} has a line without uid or credit: restore it")
    table = table.take(pc.sort_indices(table["uid"])).combine_chunks()
    uids = table["uid"].chunk(0)
    repeated = pc.equal(uids[1:], uids[:-1]) if len(uids) > 1 else pa.array([], pa.bool_())
    if pc.any(repeated).as_py():
        raise ValueError(
            f"{path} answers {uids.filter(pa.concat_arrays([pa.array([False]), repeated]))[0]} "
            "twice: restore it, or move the folder away and run the cell's command again"
        )
    return Columns(uids, table["credit"].to_numpy())


@dataclass(frozen=True)
class Asked:
    """What a question is a part of."""

    groups: Mapping[str, str]
    tags: Mapping[str, str]


def read_questions(path: Path) -> list[Asked]:
    """Groups and tags of the questions of a file, in the order of `read_columns`."""
    with path.open("rb") as file:
        rows = {row["uid"]: row for row in map(parse, file)}
    return [Asked(groups=rows[uid]["groups"], tags=rows[uid]["tags"]) for uid in sorted(rows)]
