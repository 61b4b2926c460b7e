"""What must never leave the machine: tokens, keys, passwords, in settings or in text.

Settings are judged by the names of their keys; text by what it holds: passwords in URLs, tokens of
well-known form, and the values of environment variables whose names say that they are secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

REDACTED = "[redacted]"
SHORTEST = 8  # characters of a secret that is looked for in text: shorter ones are words
SECRET = {"token", "secret", "secrets", "password", "passwords", "passwd", "passphrase", "pwd",
          "credential", "credentials", "key", "apikey", "authorization", "cookie"}  # fmt: skip
OF_KEYS = {"api", "access", "private", "secret", "ssh", "signing", "encryption", "account", "auth",
           "service"}  # fmt: skip
OF_TOKENS = {"image", "video", "pad", "eos", "bos", "unk", "cls", "sep", "mask", "stop", "next",
             "start", "end", "vision"}  # fmt: skip
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
PASSWORD_IN_URL = re.compile(r"(://)[^/\s:@\"']*:[^/\s@\"']+(?=@)")
IN_QUERY = re.compile(
    r"([?&](?:[\w-]*token|[\w-]*key|[\w-]*secret|password|[\w-]*signature|sig)=)[^&\s\"']+",
    re.IGNORECASE,
)
SIGNS = ("hf_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "wandb_v",
         "xox", "AKIA", "Bearer ")  # fmt: skip
KNOWN = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bwandb_v\d_\w{16,}|\bxox[abpr]-[\w-]{10,}"
    r"|\bAKIA[0-9A-Z]{16}\b|(?<=\bBearer )[\w.~+/=-]{8,}"
)


def redacted(value: Any) -> Any:
    """A tree of settings, equal but for its secrets; tuples become lists."""
    if isinstance(value, Mapping):
        return {
            key: _hidden(item) if names_a_secret(str(key)) else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return redacted_text(value) if isinstance(value, str) else value


def redacted_text(text: str) -> str:
    """A text, equal but for its secrets."""
    if "://" in text:
        text = PASSWORD_IN_URL.sub(rf"\1{REDACTED}", text)
        text = IN_QUERY.sub(rf"\1{REDACTED}", text)
    if any(sign in text for sign in SIGNS):  # most text has none, and plain search is fast
        text = KNOWN.sub(REDACTED, text)
    for secret in secrets_of_environment():
        text = text.replace(secret, REDACTED)
    return text


def names_a_secret(name: str) -> bool:
    """Whether the value of a setting of this name is a secret: `HF_TOKEN`, `apiKey`, not
    `max_new_tokens` or `image_token`.
    """
    words = [word.lower() for word in WORD.findall(name)]
    if not words:
        return False
    *before, last = words
    if last == "keys":  # an intervention's `keys` are positions
        return bool(OF_KEYS & set(before))
    return last in SECRET and not (last == "token" and OF_TOKENS & set(before))


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return REDACTED if isinstance(value, str) and value else value


@cache
def secrets_of_environment() -> tuple[str, ...]:
    """What the environment held under names of secrets when first asked, the longest first."""
    found = {value for name, value in os.environ.items() if names_a_secret(name)}
    return tuple(sorted((each for each in found if len(each) >= SHORTEST), key=len, reverse=True))
