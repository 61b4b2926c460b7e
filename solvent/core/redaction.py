"""What must never leave the machine: tokens, keys, passwords, in settings or in text.

Settings are judged by the names of their keys; text by what it holds: the values of environment
variables whose names say that they are secret, credentials in URLs, tokens of well-known form, and
what is assigned to such a name. Paths, digests, special tokens and words stay. What is redacted
stays as it is when it is redacted again.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from solvent.core.secret_names import (
    is_expression,
    is_mixed,
    is_open,
    is_plain,
    looks_random,
    may_name_a_secret,
    names_a_secret,
)

REDACTED = "[redacted]"
SHORTEST = 8  # characters of a secret that is looked for in text: shorter ones are words
WORKING_DIRECTORIES = ("PWD", "OLDPWD")  # of the shell: no passwords
NO_TOKENS = ("git", "anonymous")  # users in URLs

# Prefixes and alphabets of tokens: https://github.com/gitleaks/gitleaks (config/gitleaks.toml)
# and, of Groq and NVIDIA, https://github.com/mongodb/kingfisher (crates/kingfisher-rules); those
# of xAI, Replicate and W&B are of keys as they are handed out. Lengths are lower bounds: they have
# only grown.
FORMS = {
    "hf_": r"[A-Za-z0-9]{16,}",
    "sk-": r"(?:[A-Za-z0-9]{20,}[\w-]*|(?:proj|ant|or|svcacct|admin)-[\w-]{16,})",
    "gsk_": r"[A-Za-z0-9]{20,}",
    "xai-": r"[A-Za-z0-9]{20,}",
    "r8_": r"[A-Za-z0-9]{20,}",
    "nvapi-": r"[\w-]{20,}",
    "pplx-": r"[A-Za-z0-9]{20,}",
    "AIza": r"[\w-]{30,}",
    "ya29.": r"[\w-]{20,}",
    "GOCSPX-": r"[\w-]{20,}",
    "AKIA": r"[0-9A-Z]{16}\b",
    "ASIA": r"(?=[A-Z]*\d)[0-9A-Z]{16}\b",
    "wandb_v": r"\d_\w{16,}",
    "ghp_": r"[A-Za-z0-9]{20,}",
    "gho_": r"[A-Za-z0-9]{20,}",
    "ghu_": r"[A-Za-z0-9]{20,}",
    "ghs_": r"[A-Za-z0-9]{20,}",
    "ghr_": r"[A-Za-z0-9]{20,}",
    "github_pat_": r"\w{20,}",
    "glpat-": r"[\w.-]{16,}",
    "npm_": r"[A-Za-z0-9]{20,}",
    "pypi-": r"\w{24,}[\w-]*",
    "dckr_pat_": r"[\w-]{20,}",
    "xox": r"[abeprs]-[\w.-]{10,}",
    "eyJ": r"[\w-]{8,}(?:\.[\w-]+){1,4}",  # JSON web tokens: signed, encrypted, or neither
}
BEARER = r"(?<=\bBearer )(?:[\w.~+/=-]{12,}|(?=[a-zA-Z]*\d)[\w.~+/=-]{8,})"
PEM = (
    r"-----BEGIN[ A-Z0-9]*PRIVATE KEY[ A-Z]*-----"
    r"(?:(?:(?!-----)[\s\S])*-----END[ A-Z0-9]*-----|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})*)"
)
SIGNS = re.compile("|".join(map(re.escape, (*FORMS, "Bearer ", "PRIVATE KEY"))))
BEGINS = r"(?:(?<!\w)|(?<=\\[nrt]))"  # a word, also after a line's end that was written out
KNOWN = re.compile(
    "|".join([BEARER, PEM, *(BEGINS + re.escape(sign) + rest for sign, rest in FORMS.items())])
)

IN_URL = re.compile(
    r"://(?P<user>[^/\s:@\"'<>\\?#]*)(?::(?!\d{1,5}[?#,;)])(?P<password>[^/\s\"'<>\\]*))?@"
)
SIGNATURE = re.compile(
    r"(?P<before>[?&][\w.-]*(?:signature|sig|key)=)(?P<value>[^&\s\"'#<>\\]+)", re.IGNORECASE
)
WEBHOOK = re.compile(
    r"((?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks|\.webhook\.office\.com)/)"
    r"[^\s\"'<>\\]+"
)

MENTIONS = re.compile(
    r"pass|pwd|secret|token(?!s)|key|creds|credential|authorization|cookie|jwt|sig"
)
SECRETS = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|cred(?:ential)?|authorization|cookie|jwt)"
)
ASSIGNS = re.compile(
    rf"{SECRETS}(?:s|\d+)?(?<!tokens)\\*[\"']?[ \t]*[=:]|sig(?:nature)?="
    rf"|--(?:\w+-)*\w*{SECRETS}[ \t]"
)
ASSIGNED = re.compile(
    rf"""
    (?: (?<![\w.\\-]) | (?<=\\[nrt]) )
    (?P<option> --? )?
    (?P<mark> \\*["'] )? (?P<name> [\w.-]* {SECRETS} s?\d* ) (?(mark) (?P=mark) )
    (?P<sign> [ \t]* (?: =(?!=) | :(?![:/=]) ) [ \t]* | (?(option) [ \t]+ | (?!) ) )
    (?: (?P<quote> \\*["'] ) (?P<quoted> (?: (?!(?P=quote)) (?: \\. | [^\\\n] ) )* )
        (?= (?P=quote) )
      | (?: \\*["'] )? (?P<bare> \[ [^\]\n]* \]
        | (?: [^\s"'`\\,;&] | \\[^nrt"'\s] | [,;&] (?! \s | $ | [A-Za-z_][\w.-]*[=:] ) )+ )
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
HEADER = re.compile(
    r"(?P<before>authorization\\*[\"']?\s*[:=]\s*\\*[\"']?(?:basic|bearer|digest|token)\s+)"
    r"(?P<value>[^\s\"'`\\,;]+)",
    re.IGNORECASE,
)
IN_WORDS = ("password", "passphrase", "pass", "secret", "secrets", "token", "cookie", "credential",
            "credentials", "authorization")  # fmt: skip


def redacted(value: Any) -> Any:
    """A tree of settings, equal but for its secrets; tuples become lists."""
    if isinstance(value, Mapping):
        return {_key(key): _under(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return redacted_text(value) if isinstance(value, str) else value


def redacted_text(text: str) -> str:
    """A text, equal but for its secrets."""
    if not may_hold_secrets(text):
        return text
    for secret in secrets_of_environment():
        text = text.replace(secret, REDACTED)
    text = IN_URL.sub(_without_credentials, text)
    text = SIGNATURE.sub(_without_end, text)
    text = WEBHOOK.sub(rf"\1{REDACTED}", text)
    text = KNOWN.sub(REDACTED, text)
    text = HEADER.sub(_without_end, text)
    return ASSIGNED.sub(_without_value, text)


def may_hold_secrets(text: str) -> bool:
    """Whether a text has to be looked at closely; most need not, and this is fast. A line of JSON
    has to wherever a text in it has to.
    """
    small = text.lower()
    return bool(
        "://" in text
        or SIGNS.search(text)
        or (MENTIONS.search(small) and ASSIGNS.search(small))
        or any(secret in text for secret in secrets_of_environment())
    )


class RedactedFormatter(logging.Formatter):
    """Log messages, with their tracebacks: other packages log whatever they are given."""

    def format(self, record: logging.LogRecord) -> str:
        """The whole text of a record."""
        return redacted_text(super().format(record))


@cache
def secrets_of_environment() -> tuple[str, ...]:
    """What the environment held under names of secrets when first asked, the longest first.

    Also as it stands in JSON, in the `repr` of a text, and in URLs.
    """
    found = {
        form
        for secret in _secrets(os.environ)
        for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""))
    }
    return tuple(sorted(found, key=len, reverse=True))


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        secret = value.strip()
        if name in WORKING_DIRECTORIES or len(secret) < SHORTEST:
            continue
        if is_open(secret) or is_plain(secret):
            continue  # it stands in many a text, and nobody could say which of them is the secret
        if names_a_secret(name) or (may_name_a_secret(name) and looks_random(secret)):
            yield secret


def _key(key: Any) -> Any:
    return redacted_text(key) if isinstance(key, str) else key


def _under(name: str, value: Any) -> Any:
    if names_a_secret(name):
        return _hidden(value)
    if isinstance(value, str) and may_name_a_secret(name) and looks_random(value):
        return _hidden(value)
    return redacted(value)


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return REDACTED if isinstance(value, str) and not is_open(value) else value


def _without_credentials(found: re.Match[str]) -> str:
    """A user's name alone is none, but with the web, where tokens stand in its place."""
    begun = found.string[max(0, found.start() - 5) : found.start()].lower()
    web = begun.endswith(("http", "https"))
    token = web and found["user"] and found["user"] not in NO_TOKENS
    return f"://{REDACTED}@" if found["password"] or token else found[0]


def _without_end(found: re.Match[str]) -> str:
    """A header, or a part of a query, where `key=word` is one of many."""
    before, value = found["before"], found["value"]
    shown = is_open(value) or (before.lower().endswith("key=") and is_plain(value))
    return found[0] if shown else f"{before}{REDACTED}"


def _without_value(found: re.Match[str]) -> str:
    """What is assigned in a text, without its value where that is secret."""
    group = "quoted" if found["bare"] is None else "bare"
    whole = found[group]
    entire = group == "quoted" or whole.startswith("[")
    value = whole if entire else whole.rstrip("()[]{}>.,;:")
    if is_open(whole) or is_open(value) or not _is_secret(found, value):
        return found[0]
    start = found.start(group) - found.start()
    return f"{found[0][:start]}{REDACTED}{found[0][start + len(value) :]}"


def _is_secret(found: re.Match[str], value: str) -> bool:
    """Whether a value that is assigned in a text is secret.

    `NAME=value` and `"name": "value"` are said to a machine. Elsewhere a sentence or an expression
    may go on: "What is the password: a cat?", `token = find(text)`.
    """
    name, sign, bare = found["name"], found["sign"], found["bare"]
    if not names_a_secret(name):
        return may_name_a_secret(name) and looks_random(value)
    if bare is None:
        return True
    if is_expression(bare, name) and not (name.isupper() and sign == "="):
        return False
    if sign == "=" or _is_alone(found):
        return True
    return is_mixed(value) if name.lower() in IN_WORDS and ":" in sign else not is_plain(value)


def _is_alone(found: re.Match[str]) -> bool:
    """Whether it is a line of YAML, `password: value` in small letters and nothing else, or an
    option with another or nothing behind it, `--token value`.
    """
    text, start, end = found.string, found.start(), found.end()
    before = text[text.rfind("\n", 0, start) + 1 : start]
    until = text.find("\n", end)
    after = text[end : len(text) if until < 0 else until].strip(" \t\r\"'")
    if found["option"] and not found["sign"].strip():
        return not after or after.startswith("-")
    small = found["name"] == found["name"].lower()
    return small and ":" in found["sign"] and not before.strip(" \t-") and not after
