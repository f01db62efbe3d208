#!/bin/sh
# Install what pip cannot: `install_system_libraries.sh [base|corpus] [python version]`.
#   base    Python's venv module; what Qt needs to open a window; PortAudio with its way to the
#           desktop's sound server
#   judges  for training and tests: FluidSynth and a small soundfont; Rubber Band, the rival in the
#           tables; Polyphone, a reader of our exports; libatomic for the SFZ player; PulseAudio and
#           Xvfb, a sound card and a display for machines without
#   corpus  the large soundfonts of the full training corpus (350 MB) and the synthesizers whose
#           presets are played for it
# On Debian and its kin missing packages are installed with apt, elsewhere they are named.
set -eu

what=${1:-base}
version=${2:-3}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian or Ubuntu, so no system package was installed. On macOS and Windows the"
    echo "program needs none; on other Linux it needs PortAudio and the xcb libraries of Qt 6."
    echo "For training and its tests install FluidSynth and Rubber Band yourself:"
    echo "  macOS:   brew install fluid-synth rubberband"
    echo "  Fedora:  sudo dnf install portaudio fluidsynth-libs rubberband"
    echo "  Windows: choco install fluidsynth"
    exit 0
fi

case $what in
    base)
        packages="python$version-venv libportaudio2 libasound2-plugins fontconfig fonts-dejavu-core
            libdbus-1-3 libegl1 libgl1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4
            libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xkb1"
        ;;
    judges)
        packages="fluidsynth libatomic1 libfluidsynth3 opl3-soundfont polyphone pulseaudio
            pulseaudio-utils rubberband-cli xauth xvfb"
        ;;
    corpus)
        packages="fluid-soundfont-gm musescore-general-soundfont-lossless opl3-soundfont
            amsynth whysynth yoshimi-data zynaddsubfx-data zynaddsubfx-dssi"
        ;;
    *) echo "Unknown set of packages '$what'; use base, judges or corpus." >&2; exit 2 ;;
esac

missing=
for package in $packages; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    # a Python from elsewhere brings its own venv
    if [ "$package" = "python$version-venv" ] && "python$version" -c 'import ensurepip' 2>/dev/null; then
        state=installed
    fi
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
    echo "Installing$missing needs your password."
else
    echo "Please install these packages as root, then run make again:$missing" >&2
    exit 1
fi
echo "Installing$missing ..."
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
