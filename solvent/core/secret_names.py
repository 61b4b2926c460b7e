"""Which names and values are secret: `HF_TOKEN` is, `pad_token` and the `key` of attention are not.

A name is judged by its words, the last of which says what it is. What the field knows of such names
and of values that are none: https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml
(rule generic-api-key), https://github.com/Yelp/detect-secrets (plugins/keyword.py).
"""

from __future__ import annotations

import os
import re

SECRET = {"password", "passwords", "passwd", "passphrase", "pass", "pwd", "secret", "secrets",
          "token", "credential", "credentials", "creds", "authorization", "cookie", "apikey",
          "jwt"}  # fmt: skip
RUN_TOGETHER = ("password", "passwd", "passphrase", "dbpass", "keypass", "storepass", "apikey",
                "secretkey", "accesskey", "privatekey", "accountkey", "authkey", "apisecret",
                "clientsecret", "apitoken", "accesstoken", "authtoken",
                "sessiontoken")  # fmt: skip
OF_KEYS = {"access", "account", "admin", "api", "app", "application", "auth", "client", "database",
           "db", "encryption", "license", "master", "private", "secret", "service", "shared",
           "signing", "ssh", "storage", "subscription",
           "anthropic", "aws", "azure", "gemini", "google", "groq", "hf", "huggingface", "kaggle",
           "mistral", "nvidia", "openai", "openrouter", "wandb"}  # fmt: skip
OF_TOKENS = {"anchor", "answer", "attention", "audio", "boi", "bos", "caption", "class", "cls",
             "current", "decoder", "end", "eoi", "eos", "fake", "first", "forced", "frame",
             "generated", "image", "last", "mask", "max", "middle", "min", "n", "newline", "next",
             "num", "pad", "padding", "patch", "per", "prefix", "previous", "prompt", "query",
             "region", "register", "row", "sep", "separator", "sink", "special", "start", "stop",
             "suffix", "target", "text", "unk", "video", "vision", "visual", "word"}  # fmt: skip
OF_ACCESS = {"access", "api", "auth"}
OF_PASSES = {"backward", "each", "first", "forward", "multi", "one", "second", "single",
             "two"}  # fmt: skip
PUBLIC = {"gpg", "pub", "public"}  # their keys are no secret
HINTS = {*SECRET, "auth", "key", "keys", "tokens"}  # a name with one of them may be of a secret

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
OPEN = re.compile(
    r"(?i:none|null|nil|true|false|yes|no|on|off|auto)"
    r"|-?\d{1,5}|-?\d*\.\d+(?:e[+-]?\d+)?|\d+(?::\d+)+|\[[\d\s.,-]*\]"  # numbers, times
    r"|<[^<>\s]*>|\[[A-Z_]+\]|[(){}\[\]]+"  # special tokens, placeholders, what only opens
    r"|\$[A-Z_]+|\$\{[^{}]*\}|\{\{[^{}]*\}\}"  # references
    r"|\*+|x{3,}|\.{3,}|\[redacted\]"  # hidden already
)
CODE = re.compile(r"(?P<name>[A-Za-z_][\w.]*)(?P<rest>[(\[](?:[A-Za-z_.]*|.*[)\]].*)|[)\]].*)?")
PLAIN = re.compile(r"(?:[a-z]+|[A-Z]+|[A-Z][a-z]+|\d+)")
LONGEST_WORD = 11  # characters of letters alone, or digits alone, that are taken for no secret
RUN = re.compile(r"[A-Za-z0-9]{16,}")
MIXED = re.compile(r"[A-Za-z0-9]{6,}")


def names_a_secret(name: str) -> bool:
    """Whether the value of a setting of this name is a secret: `HF_TOKEN`, `apiKey`, not
    `max_new_tokens` or `image_token`.
    """
    words = _words(name)
    if not words:
        return False
    *before, last = words
    if last in ("key", "keys", "tokens"):  # those of attention are roles and positions
        return bool(OF_KEYS & set(before)) and not PUBLIC & set(before)
    if last == "token":
        return bool(OF_ACCESS & set(before)) or not OF_TOKENS & set(before)
    if last == "pass":  # PASS is a verdict
        return name != "PASS" and not OF_PASSES & set(before)
    return last in SECRET or last.endswith(RUN_TOGETHER)


def may_name_a_secret(name: str) -> bool:
    """Whether it depends on the value: `SOME_KEY` may be of a secret, and of a sort order."""
    words = set(_words(name))
    return bool(HINTS & words) and not PUBLIC & words


def is_open(value: str) -> bool:
    """Whether a value is no secret, whatever it is called: nothing, a number, a special token, a
    reference, a path.
    """
    return not value or bool(OPEN.fullmatch(value)) or _is_path(value)


def is_expression(value: str, name: str) -> bool:
    """Whether what is assigned to a name is code, as in tracebacks: `self.token`, `get(name)`."""
    found = CODE.fullmatch(value)
    if found is None:
        return value.startswith(("(", "{"))
    called = (found["rest"] or "").startswith(("(", "["))
    attribute = "." in found["name"] and names_a_secret(found["name"])
    return called or attribute or found["name"].strip("_") == name.strip("_")


def is_plain(value: str) -> bool:
    """Whether a value is a word or a number that may stand in any text."""
    return len(value) <= LONGEST_WORD and bool(PLAIN.fullmatch(value))


def looks_random(value: str) -> bool:
    """Whether a value has a long run of letters of both cases and digits, as generated ones do.

    Names of classes and models have one digit at most; digests have no capitals.
    """
    return any(
        sum(map(str.isdigit, run)) > 1 and run != run.upper() and run != run.lower()
        for run in RUN.findall(value)
    )


def is_mixed(value: str) -> bool:
    """Whether a value has a run of letters and digits, as words of a sentence have not."""
    return any(not run.isalpha() and not run.isdigit() for run in MIXED.findall(value))


def _words(name: str) -> list[str]:
    """The words of the last part of a dotted name, without a number at its end."""
    words = [word.lower() for word in WORD.findall(name.rpartition(".")[2])]
    while words and words[-1].isdigit():
        words.pop()
    return words


def _is_path(value: str) -> bool:
    """Whether a value is a path that is there, or whose beginning is: base 64 has slashes too."""
    if "/" not in value or "://" in value:
        return False
    if value.startswith(("~/", "./", "../")):
        return True
    return os.path.exists("/".join(value.split("/")[:2]) if value.startswith("/") else value)
