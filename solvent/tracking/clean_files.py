"""Files without secrets, as they are uploaded: themselves where they hold none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from solvent.core.redaction import (
    KNOWN,
    REDACTED,
    may_hold_secrets,
    redacted,
    redacted_text,
    secrets_of_environment,
)

if TYPE_CHECKING:
    import pandas as pd

TREES = (".yaml", ".json")
TEXTS = (".csv", ".md", ".tex", ".txt")
APART = re.compile(  # in a page: code, and pictures
    r"(?P<code><(?P<name>script|style)\b.*?</(?P=name)\s*>)|data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+",
    re.DOTALL | re.IGNORECASE,
)


def clean(path: Path, place: Path) -> Path:
    """A file without secrets: itself where it holds none, or cannot be read as text, as pictures;
    else a copy in a place, named so that nobody takes it for a file of a cell.
    """
    copy = place / f"clean-{path.name}"
    if path.suffix == ".jsonl":
        return _clean_lines(path, copy)
    if path.suffix == ".parquet":
        return _clean_frame(path, copy)
    if path.suffix not in (*TREES, *TEXTS, ".html"):
        return path
    text = path.read_text(encoding="utf-8")
    hidden = _clean_text(text, path.suffix)
    if hidden == text:
        return path
    place.mkdir(parents=True, exist_ok=True)
    copy.write_text(hidden, encoding="utf-8")
    return copy


def clean_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without secrets in its texts."""
    hidden = {
        name: frame[name].map(
            lambda value: redacted_text(value) if isinstance(value, str) else value
        )
        for name in frame.columns
        if frame[name].dtype.kind == "O"
    }
    return frame.assign(**hidden) if hidden else frame


def clean_page(text: str) -> str:
    """A page without secrets. In its scripts and styles `key=...` is code: there, only values of
    the environment and tokens of well-known form are looked for, and nothing in its pictures.
    """
    if not may_hold_secrets(text):
        return text
    kept, end = [], 0
    for part in APART.finditer(text):
        kept.append(redacted_text(text[end : part.start()]))
        kept.append(_clean_code(part[0]) if part["code"] else part[0])
        end = part.end()
    return "".join([*kept, redacted_text(text[end:])])


def _clean_text(text: str, suffix: str) -> str:
    if suffix == ".html":
        return clean_page(text)
    if suffix in TEXTS:
        return redacted_text(text)
    content = yaml.safe_load(text) if suffix == ".yaml" else json.loads(text)
    hidden = redacted(content)
    if hidden == content:
        return text
    return yaml.safe_dump(hidden) if suffix == ".yaml" else json.dumps(hidden)


def _clean_value(value: Any) -> Any:
    return redacted_text(value) if isinstance(value, str) else value


def _clean_code(text: str) -> str:
    for secret in secrets_of_environment():
        text = text.replace(secret, REDACTED)
    return KNOWN.sub(REDACTED, text)


def _clean_frame(path: Path, copy: Path) -> Path:
    import pandas as pd

    frame = pd.read_parquet(path)
    hidden = clean_frame(frame)
    if hidden.equals(frame):
        return path
    copy.parent.mkdir(parents=True, exist_ok=True)
    hidden.to_parquet(copy, index=False)
    return copy


def _clean_lines(path: Path, copy: Path) -> Path:
    with path.open(encoding="utf-8") as file:
        if all(_clean_line(line) == line for line in file):
            return path
    copy.parent.mkdir(parents=True, exist_ok=True)
    with path.open(encoding="utf-8") as file, copy.open("w", encoding="utf-8") as new:
        new.writelines(map(_clean_line, file))
    return copy


def _clean_line(line: str) -> Any:
    """A line of JSON that stays one."""
    if not may_hold_secrets(line):
        return line
    content = json.loads(line)
    hidden = redacted(content)
    return line if hidden == content else json.dumps(hidden, ensure_ascii=False) + "\n"
