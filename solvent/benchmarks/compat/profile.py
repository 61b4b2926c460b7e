"""A compat profile: which benchmarks are read by whose rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from solvent.benchmarks.benchmark import Benchmark
from solvent.benchmarks.freeform import FreeForm
from solvent.benchmarks.parsers import Parser
from solvent.benchmarks.sample import nearest


@dataclass(frozen=True, kw_only=True)
class OwnRules:
    """Every benchmark is read by the rules in its own YAML."""

    name: str

    def __call__(self, benchmark: Benchmark) -> Benchmark:
        """The benchmark as it is."""
        return benchmark


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How one benchmark is read; None keeps the benchmark's own rule.

    Attributes:
        parser: for questions with options.
        free: for questions without options.
    """

    parser: Parser | None
    free: FreeForm | None


@dataclass(frozen=True, kw_only=True)
class Unclaimed:
    """A benchmark that the other harness scores by what rules cannot reproduce.

    Attributes:
        why: what it does, for the refusal: the end of "does not claim the benchmark: ".
    """

    why: str


@dataclass(frozen=True, kw_only=True)
class Compat:
    """The rules of another harness.

    Attributes:
        name: for tables.
        rules: benchmark -> its rules; other benchmarks are refused, and so are those that it
            scores in a way that is `Unclaimed`.
    """

    name: str
    rules: Mapping[str, Rules | Unclaimed]

    def __call__(self, benchmark: Benchmark) -> Benchmark:
        """The benchmark with these rules.

        Raises `ValueError` where there are none for it, or where it ranks answers and reads none.
        """
        rules = self.rules.get(benchmark.name)
        if rules is None:
            raise ValueError(
                f"compat={self.name} has no rules for the benchmark {benchmark.name!r}; "
                f"{nearest(benchmark.name, self.rules)}; use compat=none"
            )
        if isinstance(rules, Unclaimed):
            raise ValueError(
                f"compat={self.name} does not claim the benchmark {benchmark.name!r}: {rules.why}; "
                "use compat=none"
            )
        if benchmark.answer.mode == "rank" and rules.parser is not None:
            raise ValueError(
                f"compat={self.name} reads generated answers and {benchmark.name} ranks its "
                "options: set benchmark.answer.mode=generate, or use compat=none"
            )
        return dataclasses.replace(
            benchmark,
            parser=rules.parser or benchmark.parser,
            free=rules.free or benchmark.free,
        )
