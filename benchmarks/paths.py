"""Where data lie: relative paths start at the repository root, whatever the working directory."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VARIABLE = "SOLVENT_DATA"


def resolve(path: str | Path) -> Path:
    """An absolute path; a relative one is taken from the repository root."""
    return (REPOSITORY / Path(path).expanduser()).resolve()


def require(path: Path, obtain: str) -> Path:
    """`path`, or a `FileNotFoundError` that says in one sentence what to do.

    Args:
        path: a file or folder that must exist.
        obtain: how to get the data, as a clause ("clone https://... there").
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: point the environment variable {VARIABLE} to the folder "
            f"that holds the data, or {obtain}."
        )
    return path
