# Sourced from the root of the checkout: sets PYTHON, or says in one sentence why it cannot.
# SOLVENT_PYTHON, else the checkout's own .venv, else the `python` of the environment that the job inherited.

if [ ! -f evaluate.py ]; then
  echo "$PWD is not the checkout: there is no evaluate.py; submit from its root, or with --chdir=CHECKOUT." >&2
  return 2
fi
if [ -n "${SOLVENT_PYTHON:-}" ]; then
  PYTHON=$SOLVENT_PYTHON
elif [ -x .venv/bin/python ]; then
  PYTHON=.venv/bin/python
else
  PYTHON=python
fi
if ! command -v "$PYTHON" >/dev/null; then
  echo "There is no Python at '$PYTHON' on $(hostname): make .venv (README), activate an environment before" \
    "you submit, or set SOLVENT_PYTHON to a path that every node sees." >&2
  return 2
fi
if ! "$PYTHON" -c 'import sys; from importlib.util import find_spec; sys.exit(not (find_spec("torch") and find_spec("hydra")))'; then
  echo "'$PYTHON' on $(hostname) has no torch or no hydra: 'pip install -e . -c constraints.txt' in it, or set SOLVENT_PYTHON" \
    "to the Python of the environment that has them." >&2
  return 2
fi
