"""A PulseAudio server without a sound card: what is played into its null sink can be recorded.

Each server has a folder of its own for socket, state and ALSA settings, so it meets no other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

PROGRAMS = ("pulseaudio", "pactl", "parec")
SINK = "null0"
_PATIENCE_S = 10.0
_ALSA_PLUGIN = "libasound_module_pcm_pulse.so"


class PulseServer:
    """A server that can be started, killed and started again.

    Args:
        folder: An empty folder of its own, with a short path.
        sample_rate: Rate of the sink, Hz.
    """

    def __init__(self, folder: Path, sample_rate: int = 44100) -> None:
        self.sample_rate = sample_rate
        self._socket = folder / "native"
        self._process: subprocess.Popen[bytes] | None = None
        alsa = folder / "alsa.conf"
        # Without handle_underrun the plugin keeps underruns to itself.
        alsa.write_text(
            "pcm.!default { type pulse handle_underrun 1 }\nctl.!default { type pulse }\n"
        )
        self.environment = {
            "ALSA_CONFIG_PATH": str(alsa),
            "HOME": str(folder),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_STATE_PATH": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def start(self) -> None:
        """Start; returns when the sink is there."""
        # With rewinds the sink renders up to 2 s of silence ahead and plays nothing meanwhile.
        sink = (
            f"module-null-sink sink_name={SINK} rate={self.sample_rate} channels=2 "
            "format=float32le norewinds=1"
        )
        protocol = f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        self._process = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
                "-L",
                protocol,
                "-L",
                sink,
            ],
            env=os.environ | self.environment,
            stderr=subprocess.DEVNULL,
        )
        end_s = time.monotonic() + _PATIENCE_S
        while SINK not in self._control("list", "short", "sinks"):
            if time.monotonic() > end_s or self._process.poll() is not None:
                self.kill()
                raise RuntimeError("PulseAudio did not start.")
            time.sleep(0.02)

    def kill(self) -> None:
        """Take it away as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Record what a person would hear for as long as the context lasts."""
        with self._recorder(subprocess.PIPE) as process:
            assert process.stdout is not None
            with process.stdout:
                yield Recorder(process.stdout)

    @contextmanager
    def recording_to(self, path: Path) -> Iterator[None]:
        """Record into a file of raw stereo float32 that nobody need read meanwhile."""
        with path.open("wb") as file, self._recorder(file):
            yield

    @contextmanager
    def _recorder(self, out: int | IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [
                "parec",
                f"--device={SINK}.monitor",
                "--raw",
                "--format=float32le",
                "--channels=2",
                f"--rate={self.sample_rate}",
                "--latency-msec=5",
            ],
            env=os.environ | self.environment,
            stdout=out,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _control(self, *arguments: str) -> str:
        result = subprocess.run(
            ["pactl", *arguments],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        return result.stdout


class Recorder:
    """The sound at the sink's monitor, in the order it was played.

    Args:
        pipe: Raw stereo float32.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def read(self, frames: int) -> NDArray[np.float32]:
        """The next frames, [2, frames]; waits for them."""
        data = self._pipe.read(frames * 8)
        return np.frombuffer(data, np.float32).reshape(-1, 2).T


def missing_part() -> str | None:
    """What a server needs and this machine lacks; None if all is there."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not any(Path("/usr/lib").glob(f"*/alsa-lib/{_ALSA_PLUGIN}")):
        return "ALSA's PulseAudio plugin is not installed"
    return None


@contextmanager
def pulse_server(folder: Path, sample_rate: int = 44100) -> Iterator[PulseServer]:
    """A running server in ``folder``; the environment of this process makes it the default."""
    server = PulseServer(folder, sample_rate)
    before = {name: os.environ.get(name) for name in server.environment}
    server.start()
    os.environ.update(server.environment)
    try:
        yield server
    finally:
        server.kill()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
