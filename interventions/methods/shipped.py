"""What comes with this package: its definitions, and the tables that some of them read."""

from __future__ import annotations

from pathlib import Path

HOME = Path(__file__).resolve().parents[2]  # the repository, or where a wheel was installed
CONF = HOME / "solvent" / "conf"  # in a wheel, which brings both packages
CONFIGS = (CONF if CONF.is_dir() else HOME / "conf") / "intervention"


def located(file: str) -> Path:
    """The path of a file that a definition names: from the working directory, or where nothing is
    there, of what comes with this package (`interventions/tables/...`).
    """
    path = Path(file)
    shipped = HOME / path
    return shipped if not path.exists() and shipped.is_file() else path
