"""Commits in the place of names that move: `main` is another model tomorrow.

The first run of a study that names a branch or tag of a model or a data set on the hub finds out
which commit that is, and writes it down for the study:

    <output>/<study>/revisions/model-<owner>--<name>@<branch>.json

Every later cell of the study takes that commit. Delete the file, or choose another study, to take
what the name stands for then.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from solvent.cells.request import Request, Settings
from solvent.core.checkpoints import folder_of
from solvent.core.files import make_folder, read_json, write_once

COMMIT = re.compile(r"[0-9a-f]{40}")
Kind = Literal["model", "dataset"]
SETTINGS = {"model": "model.revision", "dataset": "benchmark.source.revision"}
SECONDS = 20.0  # that the hub may take to answer

log = logging.getLogger("solvent")
Resolve = Callable[[Kind, str, str], str]


def pinned(request: Request, resolve: Resolve | None = None) -> Request:
    """The request with a commit for every revision of what lies on the hub.

    Args:
        request: of a cell.
        resolve: finds the commit; `commit_of` unless given.

    Raises:
        ValueError: nobody can say which commit is meant.
        PermissionError: it is gated.
    """
    folder = Path(request.output) / request.study / "revisions"
    for kind, where in (("model", request.model), ("dataset", request.benchmark["source"])):
        name = _on_hub(kind, where)
        if name is not None and not COMMIT.fullmatch(where["revision"]):
            commit = _pin(folder, kind, name, where["revision"], resolve or commit_of)
            request = request.changed(SETTINGS[kind], commit)
    return request


def is_pinned(source: Settings) -> bool:
    """Whether a commit says all about what a benchmark's rows are made of."""
    known = _on_hub("dataset", source) is not None
    return known and COMMIT.fullmatch(source["revision"]) is not None


def commit_of(kind: Kind, name: str, revision: str) -> str:
    """The commit that a branch or tag stands for: by the hub, without network by what is kept.

    Raises as `pinned` does.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"the {'data set' if kind == 'dataset' else kind} {name!r}"
    try:
        found = HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=SECONDS).sha
    except GatedRepoError as error:
        raise PermissionError(
            f"{what} is gated and no token opens it: accept its terms at "
            f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}, then run "
            "`hf auth login` or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise ValueError(
            f"{what} has no revision {revision!r}: set {SETTINGS[kind]} to one that it has"
        ) from error
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"the hub has no {what.removeprefix('the ')}, or it is private: correct the name, or "
            "run `hf auth login` with an account that may read it"
        ) from error
    except HFValidationError as error:
        raise ValueError(f"{what} is neither a folder here nor owner/name on the hub") from error
    except (HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        found = _kept(kind, name, revision)
        if found is None:
            raise FileNotFoundError(
                f"{what} is not on this machine at revision {revision!r}, and the hub cannot be "
                f"reached to ask which commit that is: connect once, set {SETTINGS[kind]} to a "
                "commit (40 hexadecimal digits), or name a local copy"
            ) from error
    return found


def _on_hub(kind: Kind, where: Settings) -> str | None:
    """The name on the hub of a model or a source of rows; None where it lies elsewhere."""
    if kind == "model":
        name = where["checkpoint"]
        return None if name.startswith(("/", ".", "~")) or folder_of(name).is_dir() else name
    hub = "id" in where and "revision" in where and where.get("local") is None
    return where["id"] if hub else None


def _pin(folder: Path, kind: Kind, name: str, revision: str, resolve: Resolve) -> str:
    place = folder / f"{kind}-{name.replace('/', '--')}@{quote(revision, safe='')}.json"
    if not place.exists():
        commit = resolve(kind, name, revision)
        log.info("%s at %s is commit %s for this study", name, revision, commit)
        row = {"name": name, "revision": revision, "commit": commit}
        make_folder(place.parent, needed=0)
        if not write_once(place, json.dumps(row, indent=2) + "\n"):
            log.info("another run has written %s first", place)
    row = read_json(place)
    row = row if isinstance(row, dict) else {}
    same = (row.get("name"), row.get("revision")) == (name, revision)
    if not same or not COMMIT.fullmatch(str(row.get("commit"))):
        raise ValueError(
            f"{place} should say which commit of {name} {revision!r} is for this study, but is "
            f"damaged: restore it, or delete it to take what {revision!r} stands for now"
        )
    return row["commit"]


def _kept(kind: Kind, name: str, revision: str) -> str | None:
    """The commit that this machine keeps for a name; None where it keeps none, or several."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type=kind)
    reference = folder / "refs" / revision
    if reference.is_file():
        return reference.read_text().strip()
    if kind == "model":
        return None
    import datasets  # keeps tables in a cache of its own: owner___name/config/version/commit

    *owner, short = name.split("/")
    kept_as = "___".join([*owner, datasets.naming.camelcase_to_snakecase(short)])
    tables = Path(datasets.config.HF_DATASETS_CACHE) / kept_as
    places = [path.name for path in tables.glob("*/*/*") if COMMIT.fullmatch(path.name)]
    return places[0] if len(set(places)) == 1 else None
