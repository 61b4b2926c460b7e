"""What went wrong, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from solvent.core.files import DiskError
from solvent.core.names import did_you_mean
from solvent.core.paths import CONF, definitions

ROOTS = ("evaluate", "compare", "show")  # files of the commands' settings


def sentence(error: BaseException) -> str:
    """What went wrong, in one sentence."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _explain(error)
    if isinstance(error, DiskError):
        return error.strerror  # without its number
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}): correct the path or the file"
    if isinstance(error, yaml.YAMLError):
        return f"A configuration file is no YAML: {' '.join(str(error).split())}."
    if str(error).startswith("Config group override must be a string or a list"):
        return "A group of settings has no name: choose one with GROUP=NAME, as in model=tiny."
    return str(error) or type(error).__name__


def _explain(error: BaseException) -> str:
    """Hydra's message in one sentence, with the nearest known name."""
    text = str(error)
    if match := re.search(r"Could not find '(?P<group>[^/']+)/(?P<name>[^']+)'", text):
        return _unknown(match, re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE))
    if match := re.search(  # one of a list of choices
        r"Could not load '(?P<group>[^/']+)/(?P<name>[^']+)'.*Config search path",
        text,
        flags=re.DOTALL,
    ):
        places = re.findall(r"path=file://(.+?),?$", text, flags=re.MULTILINE)
        files = [path for place in places for path in Path(place, match["group"]).glob("*.yaml")]
        return _unknown(match, sorted(path.stem for path in files))
    if match := re.search(r"Key '(?P<key>[^']+)' is not in struct", text):
        path = re.search(r"full_key: (?P<path>\S+)", text)
        return _no_setting(path["path"] if path else match["key"])
    if match := re.search(r"Could not override '(?P<key>[^']+)'", text):
        return _no_setting(match["key"])
    if match := re.search(r"Missing mandatory value: (?P<key>\S+)", text):
        path = re.search(r"full_key: (?P<key>\S+)", text)
        made_of_it = "while resolving interpolation" in text  # then full_key is what needs it
        match = match if made_of_it else path or match
        return (
            f"The setting {match['key']!r} has no value of its own: give it, as {match['key']}=..."
        )
    return " ".join(text.split())


def _no_setting(key: str) -> str:
    """With the nearest setting of its group, or of any command's."""
    group = key.split(".")[:-1]
    places = definitions(group[0]).values() if group else (CONF / f"{each}.yaml" for each in ROOTS)
    known = {place for path in places for place in _settings(path, group[1:])}
    full = [".".join([*group, each]) for each in sorted(known)]
    if key in full:
        return f"The setting {key!r} has no place for what it is given; add that with +{key}=..."
    return f"There is no setting {key!r}{did_you_mean(key, full)}; --help lists them all."


def _settings(path: Path, inside: Sequence[str]) -> list[str]:
    """Names that a file of definitions knows, at some depth; none where it has no such place."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name in inside:
        found = found.get(name) if isinstance(found, dict) else None
    return [each for each in found if each != "defaults"] if isinstance(found, dict) else []


def _unknown(asked: re.Match[str], known: Sequence[str]) -> str:
    inside = asked["name"].rpartition("/")[0]  # a folder of the group: tsv/pope
    if there := definitions(f"{asked['group']}/{inside}") if inside else {}:
        known = [f"{inside}/{each}" for each in there]
    meant = did_you_mean(asked["name"], known)
    names = ", ".join(known)
    return f"There is no {asked['group']} named {asked['name']!r}{meant}; known are {names}."
