"""How often a comparison is wrong: the tables of docs/statistics.md about arms and their controls.

python -m tools.comparison_coverage                          # all tables; about ten minutes
python -m tools.comparison_coverage --runs 100 seeds curves  # less exact, some of them

Every world has a known truth. What is counted is what `compare.py` calls.
"""
