"""Compare the finished cells of a study: paired statistics, a table and a figure.

python compare.py study=demo
"""

from __future__ import annotations

from solvent.commands.compare import command, main

if __name__ == "__main__":
    command.run(main)
