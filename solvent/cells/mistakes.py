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
        key = path["path"] if path else match["key"]
        return f"There is no setting {key!r}; `python evaluate.py --help` lists them all."
    if match := re.search(r"Could not override '(?P<key>[^']+)'", text):
        return f"There is no setting {match['key']!r}; `python evaluate.py --help` lists them all."
    if match := re.search(r"Missing mandatory value: (?P<key>\S+)", text):
        path = re.search(r"full_key: (?P<key>\S+)", text)
        match = path or match
        return (
            f"The setting {match['key']!r} has no value of its own: give it, as {match['key']}=..."
        )
    return " ".join(text.split())


def _unknown(asked: re.Match[str], known: Sequence[str]) -> str:
    meant = did_you_mean(asked["name"], known)
    names = ", ".join(known)
    return f"There is no {asked['group']} named {asked['name']!r}{meant}; known are {names}."
