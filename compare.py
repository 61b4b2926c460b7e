"""Compare the finished cells of a study: verdicts against a margin, a page, tables and figures.

python compare.py study=demo
"""

from __future__ import annotations

from solvent.commands.compare import command, main

if __name__ == "__main__":
    command.run(main)
