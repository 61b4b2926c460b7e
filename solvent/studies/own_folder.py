"""A folder of the user's own: definitions beside those that come with solvent, and their modules.

    DIR/intervention/mine.yaml  DIR/benchmark/mine.yaml  DIR/diagnostic/mine.yaml  ...
    DIR/mine.py                 the module that these name: `_target_: mine.Mine`

A command is told of it by `--config-dir DIR`, or by SOLVENT_CONFIG_DIR in its environment, which
is also how the processes that it starts know.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from solvent.core.paths import CONF, OWN, own_folder

OPTIONS = ("--config-dir", "-cd")  # as Hydra calls it
SWEEPS = ("-m", "--multirun")


class OwnDefinitions(SearchPathPlugin):
    """Lets Hydra look there, after conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folder, if there is one."""
        if folder := own_folder():
            search_path.append("own", f"file://{folder}")


@contextmanager
def own_definitions(folder: str | Path | None) -> Iterator[None]:
    """Inside, the folder's definitions are found, and modules that lie in it can be imported.

    It comes last of all: a folder `wandb` or `datasets` in it stands in for nobody's package.

    Args:
        folder: as it was typed; None: what the environment says, if anything.

    Raises:
        ValueError: it is none, or has a definition of a name that comes with solvent.
    """
    asked = folder or own_folder()
    if asked is None:
        yield
        return
    try:
        place = Path(asked).expanduser().resolve()
    except RuntimeError as error:  # a loop of links, nobody's home
        raise ValueError(f"the path {str(asked)!r} leads nowhere: {error}") from error
    check_own_folder(place)
    before, known = os.environ.get(OWN), str(place) in sys.path
    os.environ[OWN] = str(place)
    if not known:
        sys.path.append(str(place))
    Plugins.instance().register(OwnDefinitions)
    try:
        yield
    finally:
        if not known:
            sys.path.remove(str(place))
        if before is None:
            del os.environ[OWN]
        else:
            os.environ[OWN] = before


def check_own_folder(folder: Path) -> None:
    """Refuse what is no folder, and names of ours: Hydra would read ours and say nothing."""
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {folder}: --config-dir (or {OWN}) expects one that holds "
            "intervention/NAME.yaml, benchmark/NAME.yaml or other definitions of your own"
        )
    for path in sorted(folder.glob("diagnostic/*.yaml")):
        text, package = path.read_text(encoding="utf-8"), f"# @package diagnostic.{path.stem}"
        if "_target_" in text and text.partition("\n")[0].strip() != package:
            raise ValueError(
                f"{path} must begin with the line {package!r}: Hydra looks for it there"
            )
    for shipped in CONF.rglob("*.yaml"):
        own = folder / shipped.relative_to(CONF)
        if own.is_file() and own.read_bytes() != shipped.read_bytes():
            raise ValueError(
                f"{own} has the name of a definition that comes with solvent, which would be read "
                "in its place: give it a name of its own"
            )


def taken_out(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The folder that a command line names, and what is left of it.

    -m comes first, as Hydra takes it nowhere between settings. Raises `ValueError` where the option
    has no value.
    """
    folder, left, rest = None, [], iter(arguments)
    for each in rest:
        option, _, value = each.partition("=")
        if option in OPTIONS:
            folder = value if "=" in each else next(rest, "")
            if not folder:
                raise ValueError(f"{option} names no folder: write {option} DIR")
        else:
            left.append(each)
    several = [each for each in left if each in SWEEPS]
    return folder, several + [each for each in left if each not in SWEEPS]
