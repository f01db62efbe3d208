#!/bin/sh
# Make or update the virtual environment: `make_environment.sh FOLDER`.
# PYTHON names the interpreter to use, PIP_ARGS holds more options for pip.
set -eu

folder=$1
here=$(dirname "$0")

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ]; then
    echo "Python 3.11 or later was not found; install it, or name it: make setup PYTHON=/path/to/python" >&2
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
sh "$here/install_system_libraries.sh" base "$version"
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
# shellcheck disable=SC2086 # a list of words
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check ${PIP_ARGS:-} \
    --constraint constraints.txt --editable '.[training,dev]'
# Readers of our exports, for tests: both declare pyaudio, which they only need for playing aloud.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check ${PIP_ARGS:-} \
    --no-deps tinysoundfont==0.3.7 sfzen==2.6.2 midi-notes
