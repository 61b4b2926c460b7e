"""Where everything lies: the repository or what was installed, definitions, data."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent  # of the repository; where a wheel was installed, the folder of its packages
INSTALLED = (PACKAGE / "conf").is_dir()  # from a wheel, which has the definitions inside
CONF = (PACKAGE if INSTALLED else ROOT) / "conf"  # all definitions that come with solvent
VARIABLE = "SOLVENT_DATA"
OWN = "SOLVENT_CONFIG_DIR"  # names a folder of definitions of the user's own


def own_folder() -> Path | None:
    """The folder of the user's own definitions; None where there is none."""
    named = os.environ.get(OWN)
    return Path(named) if named else None


def definitions(group: str) -> dict[str, Path]:
    """The files of a group of definitions by name: ours, and the user's own."""
    places = [place / group for place in (CONF, own_folder()) if place]
    return {path.stem: path for place in places for path in sorted(place.glob("*.yaml"))}


def resolve(path: str | Path, *, here: bool = True) -> Path:
    """An absolute path, of something that need not be there.

    A relative one is looked for from the repository root (of a wheel: from the folder that it was
    installed in, for what it brings along), then from the folder of the user's own definitions,
    then from the working directory. What lies in none is taken from the repository root, and where
    there is no repository, or it is written `./...`, from the working directory.

    Args:
        path: as a user writes it; ~ is a home.
        here: whether the working directory counts.

    Raises:
        ValueError: the path leads nowhere.
    """
    try:
        asked = Path(path).expanduser()
        starts = [ROOT, *filter(None, [own_folder()]), *([Path.cwd()] if here else [])]
        lost = starts[-1] if INSTALLED or (here and str(path).startswith(".")) else ROOT
        found = (start for start in starts if (start / asked).exists())
        return (next(found, lost) / asked).resolve()
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
