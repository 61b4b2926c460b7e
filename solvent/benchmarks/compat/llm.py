"""A language model says what an answer states; the benchmark's own rules read what it says.

Published scores of free-form sets mostly rest on such a step (https://mathvista.github.io). It
never sees the gold answer, and what it once said about an answer is kept in a file, so that scoring
again costs nothing and gives the same. Several runs may share that file at the same time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solvent.benchmarks.benchmark import Benchmark
from solvent.benchmarks.freeform import FreeForm, FreeParser
from solvent.benchmarks.parsers import Parser, Reading
from solvent.core import paths
from solvent.core.files import append, disk_errors_explained, read_lines
from solvent.core.types import Accepted

NOTHING = "NONE"
OPENAI = "https://api.openai.com/v1"
SETTING = "compat.cache=FILE"
CHOICE = """Somebody answered a question by choosing one of these options:
{options}

The answer, between the marks:
<<<
{raw}
>>>

Which option does the answer choose? Reply with that option, copied exactly, and nothing else. If \
it chooses none, or several, reply with NONE."""
FREE = """Somebody answered a question. The answer, between the marks:
<<<
{raw}
>>>

Which {kind} does it give as its result? Reply with that alone. If it gives none, or several that \
differ, reply with NONE."""
KINDS = {"number": "number, in digits and without a unit,", "list": "list of numbers, in brackets,",
         "text": "word or short phrase", "yesno": "word, yes or no,",
         "formula": "formula"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Puts a language model before a benchmark's own rules.

    Attributes:
        name: for tables.
        model: as its server names it.
        base_url: of a server that speaks OpenAI's protocol; None: OpenAI's own, whatever the
            environment says. The key is taken from OPENAI_API_KEY.
        cache: JSON-lines file of what was said; a relative path starts at the repository root.
    """

    name: str
    model: str
    base_url: str | None
    cache: str

    def __call__(self, benchmark: Benchmark) -> Benchmark:
        """The benchmark with the extraction. Raises `ValueError` where it reads no answers."""
        if benchmark.answer.mode == "rank" and benchmark.free is None:
            raise ValueError(
                f"compat={self.name} reads generated answers and {benchmark.name} ranks its "
                "options: set benchmark.answer.mode=generate, or use compat=none"
            )
        free = benchmark.free and FreeForm(
            parser=FreeExtracted(extractor=self, rules=benchmark.free.parser),
            matcher=benchmark.free.matcher,
        )
        chosen = ChoiceExtracted(extractor=self, rules=benchmark.parser)
        return dataclasses.replace(benchmark, parser=chosen, free=free)

    def say(self, question: str) -> str:
        """What the model replies; "" where it finds nothing.

        Raises:
            ValueError: it does not reply.
            DiskError: the reply cannot be kept.
        """
        key = self._key(question)
        if key not in self._known:
            self._known[key] = self._ask(question)
            line = {"key": key, "model": self.model, "reply": self._known[key]}
            with disk_errors_explained(self._file, SETTING):
                self._file.parent.mkdir(parents=True, exist_ok=True)
            append(self._file, [json.dumps(line, ensure_ascii=False)], SETTING)
        reply = self._known[key].strip()
        return "" if reply.strip(".").upper() == NOTHING else reply

    def _key(self, question: str) -> str:
        """Digest of who is asked, and what; OpenAI's own server has no name, as in older files."""
        server = [] if self.base_url is None else [self.base_url]
        return hashlib.sha256("\n".join([*server, self.model, question]).encode()).hexdigest()

    def _ask(self, question: str) -> str:
        client = self._client
        import openai  # an extra, that only this profile needs

        try:
            answer = client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": question}],
                temperature=0,
                max_completion_tokens=64,
            )
        except openai.OpenAIError as error:
            raise ValueError(
                f"the model {self.model!r} that extracts answers did not reply ({error}): check "
                "compat.base_url, compat.model and OPENAI_API_KEY"
            ) from error
        return answer.choices[0].message.content or ""

    @cached_property
    def _client(self) -> Any:
        if importlib.util.find_spec("openai") is None:
            raise ValueError(
                f"compat={self.name} needs the package openai: pip install 'solvent[extractor]'"
            )
        import openai

        return openai.OpenAI(base_url=self.base_url or OPENAI, max_retries=5)

    @cached_property
    def _file(self) -> Path:
        return paths.resolve(self.cache)

    @cached_property
    def _known(self) -> dict[str, str]:
        """Replies by `_key`; the first one counts where two runs have asked the same."""
        known: dict[str, str] = {}
        with disk_errors_explained(self._file, SETTING):
            rows = list(read_lines(self._file)) if self._file.exists() else []
        for row in rows:
            if isinstance(row, dict) and {"key", "reply"} <= row.keys():  # no piece of a torn line
                known.setdefault(row["key"], row["reply"])
        return known


@dataclass(frozen=True, kw_only=True)
class ChoiceExtracted:
    """Reads the option that the language model found in an answer."""

    extractor: Extractor
    rules: Parser

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        listed = "\n".join(f"- {option}" for option in options)
        return self.rules(self.extractor.say(CHOICE.format(options=listed, raw=raw)), options)


@dataclass(frozen=True, kw_only=True)
class FreeExtracted:
    """Reads the free answer that the language model found in an answer."""

    extractor: Extractor
    rules: FreeParser

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The answer; of `gold` only the kind plays a role."""
        said = self.extractor.say(FREE.format(kind=KINDS[gold.kind], raw=raw))
        return self.rules(said, gold, question)
