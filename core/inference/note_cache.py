"""Rendered notes kept for as long as they fit, so that going back on the pad is instant."""

from __future__ import annotations

from collections import OrderedDict

from core.errors import ParameterError
from core.instrument import Region


class NoteCache:
    """The notes asked for last, by what they were rendered from; one thread owns it.

    Args:
        limit_bytes: Most bytes of samples kept; 0 keeps nothing.

    Raises:
        ParameterError: The limit is negative.
    """

    def __init__(self, limit_bytes: int) -> None:
        if limit_bytes < 0:
            raise ParameterError(
                f"A note cache of {limit_bytes} bytes cannot be made; use 0 or more."
            )
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._regions: OrderedDict[tuple[str, int], Region] = OrderedDict()

    def __len__(self) -> int:
        return len(self._regions)

    def get(self, settings_key: str, note: int) -> Region | None:
        """The note, which then counts as asked for last; None if it is not kept."""
        region = self._regions.get((settings_key, note))
        if region is not None:
            self._regions.move_to_end((settings_key, note))
        return region

    def put(self, settings_key: str, note: int, region: Region) -> None:
        """Keep a note; those asked for longest ago make room. One above the limit is not kept."""
        replaced = self._regions.pop((settings_key, note), None)
        if replaced is not None:
            self.held_bytes -= replaced.samples.nbytes
        if region.samples.nbytes > self.limit_bytes:
            return
        self._regions[settings_key, note] = region
        self.held_bytes += region.samples.nbytes
        while self.held_bytes > self.limit_bytes:
            _, oldest = self._regions.popitem(last=False)
            self.held_bytes -= oldest.samples.nbytes
