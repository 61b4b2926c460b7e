"""Pictures that a table holds as text: the base64 form of a picture's file.

Nothing but the text itself tells such an entry from the path of a file, so the rule is this. An
entry is a picture where it

- starts as the base64 form of a PNG, JPEG, GIF, WEBP, BMP or TIFF file does, or as
  `data:image/png;base64,` does; or
- stands in a column that has such entries, and is longer than any path (`LONGEST_PATH`): what was
  damaged at its start is an error of its sample, not a file of that name.

Everything else is a path, the number of another row, or an address (`https://...`), which nobody
follows. A text that starts with "[" and is a list of such entries, as Python writes it, holds
several pictures.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Sequence

# First bytes of the formats in base64, as far as they do not depend on what follows them.
STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk[0-3]", "SUkqA", "TU0AK")
DATA = r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,"
PATTERN = rf"^\s*(?:\[\s*['\"])?(?:{DATA}|(?:{'|'.join(STARTS)})[A-Za-z0-9+/]{{20}})"  # Arrow's too
LONGEST_PATH = 1024  # characters; a component may have 255
HEAD = LONGEST_PATH + 1  # characters that tell what an entry is
_PREFIX = re.compile(rf"\s*{DATA}")
_START = re.compile(PATTERN)


def is_picture(text: str) -> bool:
    """Whether an entry, or its first `HEAD` characters, are a picture in base64."""
    return _START.match(text) is not None or len(text) > LONGEST_PATH


def is_list(text: str) -> bool:
    """Whether an entry may be a list of pictures, as Python writes it."""
    return text.lstrip().startswith("[")


def listed(text: str) -> Sequence[str]:
    """The entries of a list, as Python writes it. Raises `ValueError` where it is none."""
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("it is no list as Python writes it") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("it is no list of texts")
    return found


def decoded_base64(text: str) -> bytes:
    """The bytes of the file. Raises `ValueError` where the text is damaged."""
    prefix = _PREFIX.match(text)
    body = "".join(text[prefix.end() if prefix else 0 :].split())
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"its base64 text is damaged ({error})") from error
