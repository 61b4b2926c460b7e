"""What `datasets` and the hub raise, in one sentence with the remedy."""

from __future__ import annotations

import ast
import re

from solvent.core.names import nearest


def explained(
    error: Exception, name: str, config: str | None, split: str, revision: str
) -> Exception | None:
    """The clear form of an error of `datasets.load_dataset`; None where it is no known one."""
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
    from httpx import TransportError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RevisionNotFoundError,
    )

    text = " ".join(str(error).split())
    page = f"https://huggingface.co/datasets/{name}"
    if isinstance(error, GatedRepoError) or "is a gated dataset" in text:
        return PermissionError(
            f"{name} is gated and no token opens it: accept its terms at {page}, then run "
            "`hf auth login` or set HF_TOKEN; or set benchmark.source.local to a copy."
        )
    if isinstance(error, RevisionNotFoundError) or text.startswith("Revision "):
        return ValueError(
            f"{name} has no revision {revision!r}: set benchmark.source.revision to one of "
            f"{page}/commits/main"
        )
    if isinstance(error, DataFilesNotFoundError):
        return ValueError(f"{name} holds no data files at revision {revision!r}: see {page}")
    if isinstance(error, DatasetNotFoundError):
        return ValueError(
            f"the hub has no data set {name!r}, or it is private: correct benchmark.source.id, or "
            "run `hf auth login` with an account that may read it"
        )
    if match := re.search(r"BuilderConfig '.*' not found\. Available: (\[.*\])", text):
        known = ast.literal_eval(match[1])
        return ValueError(
            f"{name} has no config {config!r}: correct benchmark.source.configs; "
            f"{nearest(str(config), known)}"
        )
    if match := re.search(r'Unknown split ".*"\. Should be one of (\[.*\])', text):
        known = ast.literal_eval(match[1])
        return ValueError(
            f"{name} has no split {split!r}: correct benchmark.source.split; "
            f"{nearest(split, known)}"
        )
    offline = ConnectionError | LocalEntryNotFoundError | TransportError | HfHubHTTPError
    if isinstance(error, offline) or "find cache for" in text:
        return FileNotFoundError(
            f"{name} (config {config!r}, revision {revision!r}) is not on this machine and the hub "
            "cannot be reached: connect once and run this again, or copy the data set here and set "
            "benchmark.source.local to its folder."
        )
    return None
