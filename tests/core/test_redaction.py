"""Secrets are found by name and by form; what only sounds secret stays, in settings and in text."""

from __future__ import annotations

import atexit
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from solvent.benchmarks.shapes.drawing import DrawnImage
from solvent.cells import run as session
from solvent.cells.rescoring import rescore
from solvent.commands import evaluate
from solvent.commands.commandline import Command
from solvent.core.redaction import (
    REDACTED,
    names_a_secret,
    redacted,
    redacted_text,
    secrets_of_environment,
)
from solvent.core.stopping import Stopped
from solvent.studies.overrides import redact
from solvent.tracking.clean_files import clean
from tests.conftest import ROOT

LETTERS = "aB3dE5fG7hJ9kLmN2pQrS4tUvW6xYz8" * 8


def made_up(prefix: str, length: int) -> str:
    """A token of somebody's form. No whole one stands in this file: scanners would find it."""
    return prefix + LETTERS[:length]


@pytest.fixture(autouse=True)
def _environment_of_this_test() -> Iterator[None]:
    secrets_of_environment.cache_clear()
    yield
    secrets_of_environment.cache_clear()


HIDDEN_NAMES = (
    "HF_TOKEN", "token", "hf_token", "api_key", "apiKey", "OPENAI_API_KEY", "WANDB_API_KEY",
    "password", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "pass", "PASSWORD2", "sshPassphrase",
    "aws_secret_access_key", "AccountKey", "client-secret", "DB_PASSWORD", "api_keys", "SECRET_KEY",
    "Authorization", "Proxy-Authorization", "access_token", "session_cookie", "SLURM_JWT",
    "compat.api_key", "KAGGLE_KEY", "google_credentials", "creds",
)  # fmt: skip
SHOWN_NAMES = (
    "max_new_tokens", "n_image_tokens", "image_token", "pad_token", "eos_token", "eos_token_id",
    "boi_token", "next_token", "decoder_start_token", "key", "keys", "query", "value",
    "key_padding_mask", "sort_key", "image_key", "tokens", "tokenizer", "keyboard", "monkey",
    "author", "passes", "bypass", "compass", "forward_pass", "PASS", "_target_", "GPG_KEY",
    "ssh_public_key", "PUBLIC_KEY", "AWS_ACCESS_KEY_ID", "API_KEY_FILE", "credentials_path",
    "token_type", "TOKENIZERS_PARALLELISM", "SSH_AUTH_SOCK", "KEYBOARD_LAYOUT", "OLDPWD", "study",
    "",
)  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN_NAMES)
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", SHOWN_NAMES)
def test_names_of_other_settings(name: str) -> None:
    assert not names_a_secret(name)


R = REDACTED
HEADER = "dXNlcjpwYXNzd29yZA=="
JWT = f"{made_up('eyJ', 20)}.{made_up('eyJ', 30)}.{LETTERS[:43]}"
HEX = "0123456789abcdef" * 4
PEM = "-----BEGIN RSA PRIVATE KEY-----\n{0}\n{0}\n-----END RSA PRIVATE KEY-----"
HOOK = "https://hooks.slack.com/"

TOUCHED: list[tuple[str, Any, Any]] = [
    # Settings
    ("a key of settings", {"api_key": "abc"}, {"api_key": R}),
    ("a list of keys", {"api_keys": ["one", "two"]}, {"api_keys": [R, R]}),
    ("below a secret name", {"secrets": {"a": "me", "n": 1}}, {"secrets": {"a": R, "n": 1}}),
    ("deep down", {"compat": [{"token": "abc"}]}, {"compat": [{"token": R}]}),
    ("a short name", {"db": {"pass": "abc"}}, {"db": {"pass": R}}),
    ("a header", {"Authorization": f"Basic {HEADER}"}, {"Authorization": R}),
    ("a random value of some key", {"some_key": LETTERS[:30]}, {"some_key": R}),
    ("text among settings", {"url": "https://me:pw@h/x"}, {"url": f"https://{R}@h/x"}),
    ("a URL as a key", {"https://me:pw@h": 1}, {f"https://{R}@h": 1}),
    ("W&B's key by name", {"wandb_api_key": HEX[:40]}, {"wandb_api_key": R}),
    ("an override", ["+db.password=mypassword", "limit=9"], [f"+db.password={R}", "limit=9"]),
    # URLs
    ("user and password", "https://me:pw@host/x", f"https://{R}@host/x"),
    ("a password alone", "redis://:pw@host:6379/0", f"redis://{R}@host:6379/0"),
    ("a password with signs", "postgres://me:p@s#s:w@host/x", f"postgres://{R}@host/x"),
    ("a token for a user", "clone https://TOKEN@host/a.git", f"clone https://{R}@host/a.git"),
    ("a token for a user, git", "git+https://abc1@host/a", f"git+https://{R}@host/a"),
    ("a query", "https://h/x?page=1&access_token=abc", f"https://h/x?page=1&access_token={R}"),
    ("in the middle of a query", "https://h?api_key=abc&page=1", f"https://h?api_key={R}&page=1"),
    ("a signed URL", "https://h/x?Signature=aB3~d_&Expires=1", f"https://h/x?Signature={R}&Expires=1"),
    ("Azure's signature", "https://h/x?se=2026&sig=aB%2Bc3%3D", f"https://h/x?se=2026&sig={R}"),
    ("a key in a query", f"https://h/x?key={LETTERS[:20]}&q=1", f"https://h/x?key={R}&q=1"),
    ("a webhook", f"{HOOK}services/T0/B0/{LETTERS[:24]} failed", f"{HOOK}{R} failed"),
    # Tokens of well-known form
    *(
        (f"{sign}...", f"got {made_up(sign, length)}, refused", f"got {R}, refused")
        for sign, length in (
            ("hf_", 34), ("sk-", 48), ("sk-proj-", 60), ("sk-ant-api03-", 95), ("sk-or-v1-", 60),
            ("gsk_", 52), ("xai-", 80), ("r8_", 37), ("nvapi-", 64), ("pplx-", 48), ("AIza", 35),
            ("ya29.", 60), ("GOCSPX-", 28), ("wandb_v1_", 60), ("ghp_", 36), ("ghs_", 36),
            ("github_pat_", 82), ("glpat-", 20), ("npm_", 36), ("pypi-AgEI", 80), ("dckr_pat_", 27),
            ("xoxb-", 40),
        )
    ),
    ("AWS's keys", "AKIA" + "Q3EXAMPLE4567890" + " and ASIA" + "Q3EXAMPLE4567890", f"{R} and {R}"),
    ("a JSON web token", f"cookie {JWT} expired", f"cookie {R} expired"),
    ("a private key", f"key {PEM.format(LETTERS[:64])} refused", f"key {R} refused"),
    ("a private key that is cut", f"{PEM.format(LETTERS[:64])[:90]}", R),
    ("a bearer", "Bearer abcdefghijkl", f"Bearer {R}"),
    ("on a line of its own", f"first\n{made_up('hf_', 34)}\nlast", f"first\n{R}\nlast"),
    ("behind an escape", f"said 'first\\n{made_up('hf_', 34)}'", f"said 'first\\n{R}'"),
    # What is assigned in text
    ("a shell", "AWS_SECRET_ACCESS_KEY=wJalr/K7MDENG+bPx run", f"AWS_SECRET_ACCESS_KEY={R} run"),
    ("a shell, words", "PGPASSWORD=swordfish psql", f"PGPASSWORD={R} psql"),
    ("a shell, quotes", "export DB_PASS='two words'; psql", f"export DB_PASS='{R}'; psql"),
    ("a shell, comma", "DB_PASS=one,two psql", f"DB_PASS={R} psql"),
    ("an option", "run --token abcdef --limit 9", f"run --token {R} --limit 9"),
    ("an option, at the end", "run --api-key hunter", f"run --api-key {R}"),
    ("an option with =", "run --password=hunter --limit 9", f"run --password={R} --limit 9"),
    ("Azure", "Name=a;AccountKey=aB/3+d==;Suffix=core", f"Name=a;AccountKey={R};Suffix=core"),
    ("ODBC", "UID=sa;PWD=hunter2;Port=1", f"UID=sa;PWD={R};Port=1"),
    ("Python", 'Client(api_key="two words", n=3)', f'Client(api_key="{R}", n=3)'),
    ("JSON", '{"token": "abc", "n": 3}', f'{{"token": "{R}", "n": 3}}'),
    ("JSON in JSON", r'{"a": "{\"token\": \"abc\"}"}', rf'{{"a": "{{\"token\": \"{R}\"}}"}}'),
    ("an escaped quote", r'{"password": "a\"bc", "n": 3}', f'{{"password": "{R}", "n": 3}}'),
    ("a dictionary", "{'api_keys': ['one', 'two']}", f"{{'api_keys': {R}}}"),
    ("YAML", "a:\n  password: swordfish\n  n: 3", f"a:\n  password: {R}\n  n: 3"),
    ("YAML, a strong name", "wandb_api_key: " + HEX[:40], f"wandb_api_key: {R}"),
    ("TOML", 'password = "abc"', f'password = "{R}"'),
    ("a file of settings", "password = hunter2", f"password = {R}"),
    ("a sentence", "the password: hunter2 was refused", f"the password: {R} was refused"),
    ("a quote that is cut", "said token='abcdef", f"said token='{R}"),
    ("basic authorization", f"Authorization: Basic {HEADER}", f"Authorization: Basic {R}"),
    ("its dictionary", f"{{'Authorization': 'Basic {HEADER}'}}", f"{{'Authorization': '{R}'}}"),
    ("its command", 'curl -H "authorization: token ab"', f'curl -H "authorization: token {R}"'),
    ("a header of its own", "X-Api-Key: abc123def456", f"X-Api-Key: {R}"),
]  # fmt: skip

UNTOUCHED: list[tuple[str, Any]] = [
    # Settings
    ("attention", {"query": "last", "key": "image", "value": "all", "keys": ["image", "system"]}),
    ("numbers", {"key": 0, "token": 12, "api_key": None, "password": False, "secret": 1.5}),
    ("special tokens", {"image_token": "<image>", "token": "<|image_pad|>", "pad_token": "[PAD]"}),
    ("numbers as text", {"token": "12", "max_new_tokens": "16"}),
    ("a reference", {"token": "${oc.env:HF_TOKEN}"}),
    ("a path under a secret name", {"credentials": f"{ROOT}/gone/key.json", "PWD": str(ROOT)}),
    ("targets", {"_target_": "solvent.benchmarks.shapes.generated.Shapes", "target": "next_token"}),
    ("digests", {"key": HEX, "commit": HEX[:40], "weights": HEX, "cache_key": HEX[:40]}),
    ("names under a key", {"model_key": "Qwen2ForConditionalGeneration-7B-Instruct"}),
    ("verdicts", {"PASS": "Another picture changes the answer", "verdict": "PASS"}),
    ("a study", {"study": "secret-passwords", "model": "tiny_prior"}),
    # Text
    ("questions", "What is the password on the note? What is the key: a cat?"),
    ("a question with a colon", "What is the password: a cat?"),
    ("an answer", "Password: swordfish"),
    ("a colour", "the key is red, the token: blue"),
    ("words that sound alike", "Basic shapes; the Bearer carrying it; passes: 3; bypass: full"),
    ("more of them", "compass=north keyboard=qwerty monkey: brown tokenizer=fast"),
    ("settings in text", "max_new_tokens=16 image_token=<image> intervention.keys=[image] key=0"),
    ("attention in text", "query=last key=image value: all, key: system"),
    ("a message", "there is no HF_TOKEN: set it, or give --token to log in; OPENAI_API_KEY=..."),
    ("an unknown token", "unknown token: <image>, token == pad, token = tokenizer(text)"),
    ("code", "  token = self.token or get_token(name)\n  f(token=token, api_key=self.api_key)"),
    ("switches", "Cannot use `token=False` here; PASSWORD=${PASSWORD} token=$HF_TOKEN"),
    ("a URL", "https://host:8080/path@v2?page=2&next=a@b.org#part"),
    ("a page of a URL", "https://host/x?key=image&page_token=<next>&tokens=12"),
    ("people in a URL", "https://host?to=me@host.org https://host:80?at=me@host.org"),
    ("users", "ssh://git@host/a ssh://me@host/a git@github.com:a/b.git https://git@host/a s3://bucket/a@b"),
    ("people", "at 10:30 write to me@host.org, or to Ann <ann@host.org>"),
    ("digests in text", f"commit {HEX[:40]}, sha256:{HEX}, key={HEX}"),
    ("uids", "shapes/balanced/0/existence/00024 nlvr/dev/1-0-0"),
    ("paths", "/data/hf_cache/models--a--b/sk-learn/xai-methods/npm_packages/secret/token.txt"),
    ("models", "llava-hf/llava-1.5-7b-hf Qwen/Qwen2.5-VL-7B-Instruct AIzawa xoxo-hugs"),
    ("a public key", "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"),
    ("W&B", 'wandb.Api(timeout=9) and wandb.init(project="keys")'),
    ("hidden already", f"token={R} Authorization: Basic {R} https://{R}@host Bearer {R}"),
]  # fmt: skip
TABLE = [*TOUCHED, *((what, value, value) for what, value in UNTOUCHED)]


@pytest.mark.parametrize(
    ("value", "expected"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_is_touched_and_what_is_not(value: Any, expected: Any, tmp_path: Path) -> None:
    """Alone, once more, and in a line of JSON that a tracker uploads."""
    assert redacted(value) == expected
    assert redacted(expected) == expected
    lines = tmp_path / "predictions.jsonl"
    lines.write_text(json.dumps({"raw": value, "n": 1}) + "\n")
    (line,) = clean(lines, tmp_path / "clean").read_text().splitlines()
    assert json.loads(line) == {"raw": expected, "n": 1}


def test_pages_and_settings_of_our_own_stay() -> None:
    paths = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("slurm/*"),
        *ROOT.glob("*.txt"),
    ]
    configs = [*ROOT.glob("conf/**/*.yaml")]
    for path in [*paths, *configs]:
        assert redacted_text(path.read_text()) == path.read_text(), path
    for path in configs:
        settings = yaml.safe_load(path.read_text())
        assert redacted(settings) == settings, path


def test_tuples_become_lists() -> None:
    assert redacted({"layers": (1, 2)}) == {"layers": [1, 2]}


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("MY_SERVICE_TOKEN", "plain words here", True),
        ("PGPASSWORD", "correcthorsebattery", True),
        ("SOME_NEW_SERVICE_KEY", LETTERS[:24], True),
        ("HF_TOKEN", "  from-a-file-1\n", True),
        ("SHORT_TOKEN", "cat", False),
        ("DB_PASSWORD", "postgres", False),  # a word, which stands in many a text
        ("PIN_TOKEN", "12345678", False),
        ("AUTH_TOKEN", "disabled", False),
        ("PWD", "gone/folder", False),
        ("OLDPWD", "gone/folder", False),
        ("SSH_AUTH_SOCK", f"/tmp/ssh-{LETTERS[:20]}/agent.1", False),
        ("SSL_KEY", str(ROOT / "conf"), False),
        ("API_KEY_FILE", "keys/of-the-service", False),
        ("GPG_KEY", HEX[:40], False),
        ("PUBLIC_KEY", LETTERS[:24], False),
        ("CACHE_KEY", HEX[:40], False),
        ("STUDY", "secret-study", False),
    ],
)
def test_values_of_the_environment(
    name: str, value: str, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    text = f"from {value.strip()}, there"
    assert redacted_text(text) == (f"from {REDACTED}, there" if hidden else text)


def test_values_of_the_environment_in_other_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = 'p"a\\s/s w0rd'
    monkeypatch.setenv("PGPASSWORD", secret)
    for written in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], "p%22a%5Cs%2Fs%20w0rd"):
        assert redacted_text(f"<{written}>") == f"<{REDACTED}>"


def test_long_texts_take_no_longer_than_they_are() -> None:
    """No pattern looks at a character again and again."""
    for piece in (
        "a",
        "-",
        "a-",
        "://",
        "://a:",
        "token",
        "token=",
        '"token": "',
        "\\n",
        "a.b",
        "?key=",
    ):
        began = time.process_time()
        redacted_text(f"token= ://@ Bearer PRIVATE KEY {piece * (50_000 // len(piece))}")
        assert time.process_time() - began < 2.0, piece


def test_a_record_of_hydra_without_secrets_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "multirun.yaml"
    redact(path)
    path.write_text("a:  1  # a remark\n")
    redact(path)
    assert path.read_text() == "a:  1  # a remark\n"


SECRETS = {
    "HF_TOKEN": "token-of-the-environment",
    "PGPASSWORD": "correcthorsebattery",
    "DB_PASS": "a b,c;d'e",
    "AWS_SECRET_ACCESS_KEY": "aB3/dE5+fG7hJ9kLmN2pQrS4tUvW6xYz81234567",
}
TYPED = {  # in overrides
    "+note": "https://me:password-in-a-url@data.org/set",
    "+service.api_key": "key-in-the-settings",
    "+service.folder": str(ROOT / "data"),
}
SAID = ("password-in-a-url", "key-in-the-settings", made_up("nvapi-", 40), *SECRETS.values())
FAULT = (
    f"not read by {made_up('nvapi-', 40)} nor https://me:password-in-a-url@data.org, "
    f"{' '.join(SECRETS.values())}"
)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """`python evaluate.py` among such an environment: its exit code, and all that it said."""
    for name, value in {**SECRETS, "PWD": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    level = logging.root.level
    monkeypatch.setattr(logging.root, "handlers", [])  # as in a terminal

    def call(*overrides: str) -> tuple[int, str]:
        typed = [f"{name}='{value}'" for name, value in TYPED.items()]
        arguments = [*overrides, f"output={tmp_path}", "limit=9", "tracking=jsonl", *typed]
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
        monkeypatch.setattr(evaluate, "command", Command())
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            evaluate.command.run(evaluate.main)
        return ended.value.code, "".join(capfd.readouterr())

    yield call
    logging.root.setLevel(level)


def without_secrets(folder: Path, said: str = "") -> dict[str, str]:
    """What a run left, by name of file; nothing of it, nor of what it said, is secret."""
    texts = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for secret in SAID:
        for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            assert form not in said
            assert [path for path, text in texts.items() if form.encode() in text] == []
            assert [path for path in texts if form in path.name] == []
    return {path.name: text.decode(errors="replace") for path, text in texts.items()}


@pytest.mark.usefixtures("undrawn")
def test_no_secret_leaves_a_run_however_it_ends(
    tmp_path: Path, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample fails, and the cell for it; it goes on to its end; others end in other ways."""
    load, ending = DrawnImage.load, []

    def broken(image: DrawnImage) -> Image.Image:
        if "/existence/" not in image.seed:
            return load(image)
        logging.getLogger("of.another.package").warning("retry: %s", FAULT)
        raise OSError(FAULT)

    def end(*_: Any) -> None:
        raise ending[-1]

    monkeypatch.setattr(DrawnImage, "load", broken)
    code, said = run("max_failed=0")
    assert code == 2
    assert f"retry: not read by {REDACTED}" in said
    assert "samples failed, more than max_failed=0" in said
    files = without_secrets(tmp_path, said)
    assert f"not read by {REDACTED}" in files["outcome.json"]
    assert f"not read by {REDACTED}" in files["part-0.jsonl"]
    assert '"event": "failed"' in files["tracking.jsonl"]

    code, said = run("-m", "max_failed=1")
    assert code == 0
    files = without_secrets(tmp_path, said)
    assert f"not read by {REDACTED}" in files["predictions.jsonl"]
    asked = yaml.safe_load(files["multirun.yaml"])["hydra"]["overrides"]["task"]
    assert f"+service.api_key='{REDACTED}'" in asked
    assert f"output={tmp_path}" in asked
    settings = yaml.safe_load(files["config.yaml"])
    assert settings["service"] == {"api_key": REDACTED, "folder": str(ROOT / "data")}
    assert settings["note"] == f"https://{REDACTED}@data.org/set"
    checkpoint = json.loads(files["provenance.json"])[-1]["model"]["checkpoint"]
    assert checkpoint == str(ROOT / "solvent/models/checkpoints/tiny")

    (cell,) = (tmp_path / "study/tiny/shapes").iterdir()
    changes = [f"benchmark.name={TYPED['+note']}", "parser=Words"]
    rescore(cell, changes, label=None, write=True)
    files = without_secrets(tmp_path)
    (rescored,) = [text for name, text in files.items() if name.startswith("metrics-")]
    assert json.loads(rescored)["changes"][0] == f"benchmark.name=https://{REDACTED}@data.org/set"

    monkeypatch.setattr(session, "compute", end)
    for error, expected, shown in (
        (RuntimeError(FAULT), 1, "RuntimeError: not read by"),
        (ValueError(FAULT), 2, "not read by"),
        (Stopped(FAULT, 75), 75, "Stopped: not read by"),
    ):
        ending.append(error)
        code, said = run("study=ends")
        assert code == expected
        assert f"{shown} {REDACTED}" in said
        assert f"not read by {REDACTED}" in without_secrets(tmp_path, said)["outcome.json"]


def test_a_sweep_that_cannot_be_composed_leaves_no_secret(
    tmp_path: Path, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra has written its record by then."""
    ending: list[Callable[[], None]] = []
    monkeypatch.setattr(
        atexit, "register", lambda call, *given: ending.append(partial(call, *given))
    )
    code, said = run("-m", "model.nothing=1,2")
    assert code == 2
    for each in ending:
        each()
    assert list(without_secrets(tmp_path, said)) == ["multirun.yaml"]
