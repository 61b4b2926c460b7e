"""Where data lie: relative paths start at the repository root, whatever the working directory."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[2]
VARIABLE = "SOLVENT_DATA"


def resolve(path: str | Path) -> Path:
    """An absolute path; a relative one is taken from the repository root."""
    try:
        return (REPOSITORY / Path(path).expanduser()).resolve()
    except (RuntimeError, OSError) as error:  # a loop of links, nobody's home, too long a name
        raise ValueError(f"the path {str(path)!r} leads nowhere: {error}") from error


def check_inside(path: str) -> str:
    """`path`, relative to a data folder; `ValueError` where it leads out of that folder.

    It stands in a table that somebody else wrote, and must not show the model (or whoever reads
    the results) any other file of this machine. Links below the folder are the user's own.
    """
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts or "\0" in path:
        raise ValueError(
            f"expected the path of a picture below the data folder, but the table has {path!r}: "
            "correct the table, or link the pictures into the folder"
        )
    return path


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
