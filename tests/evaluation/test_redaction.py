"""Secrets are found by name and by form; settings that only sound secret stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from evaluation.redaction import (
    REDACTED,
    names_a_secret,
    redacted,
    redacted_text,
    secrets_of_environment,
)
from evaluation.session import run_cell


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "token", "api_key", "apiKey", "OPENAI_API_KEY", "WANDB_API_KEY", "password",
     "aws_secret_access_key", "client-secret", "DB_PASSWORD", "api_keys", "Authorization"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_new_tokens", "n_image_tokens", "image_token", "pad_token", "keys", "tokens", "keyboard",
     "tokenizer", "author", "_target_", "monkey", ""],
)  # fmt: skip
def test_names_of_other_settings(name: str) -> None:
    assert not names_a_secret(name)


def test_settings_keep_everything_else() -> None:
    settings = {
        "keys": ["image"],
        "key": 0,
        "compat": {"api_key": "abc", "cache": None, "api_keys": ["one", "two"]},
        "token": None,
        "layers": (1, 2),
        "target": "next_token",
    }
    assert redacted(settings) == {
        "keys": ["image"],
        "key": 0,
        "compat": {"api_key": REDACTED, "cache": None, "api_keys": [REDACTED, REDACTED]},
        "token": None,
        "layers": [1, 2],
        "target": "next_token",
    }


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:pw@host/x", f"https://{REDACTED}@host/x"),
        (
            "https://host/x?page=1&access_token=abc",
            f"https://host/x?page=1&access_token={REDACTED}",
        ),
        ("got hf_abcdefghijklmnopqrst", f"got {REDACTED}"),
        ("Bearer abcdefghijkl", f"Bearer {REDACTED}"),
        ("sk-abcdefghijklmnopqrstuvwx refused", f"{REDACTED} refused"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("ssh://git@host/a", "ssh://git@host/a"),
        ("at 10:30 write to me@host", "at 10:30 write to me@host"),
        ("What is the password: a cat?", "What is the password: a cat?"),
    ],
)
def test_text(text: str, clean: str) -> None:
    assert redacted_text(text) == clean


def test_values_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "plain words here")
    monkeypatch.setenv("SHORT_TOKEN", "cat")
    secrets_of_environment.cache_clear()
    assert redacted_text("say plain words here, cat") == f"say {REDACTED}, cat"


def test_no_secret_reaches_the_files_of_a_cell(
    tmp_path: Path, composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "token-of-the-environment")
    secrets_of_environment.cache_clear()
    told = "https://me:password-in-a-url@data.org/set"
    run_cell(composed("limit=9", f"+note='{told} token-of-the-environment'"))
    texts = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(b"@data.org/set" in text for text in texts.values())
    for secret in (b"password-in-a-url", b"token-of-the-environment"):
        assert [path for path, text in texts.items() if secret in text] == []
