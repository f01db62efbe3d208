"""Make libraries disappear from a Python subprocess."""

from __future__ import annotations


def blocking(*libraries: str) -> str:
    """Code after which importing any of the libraries, or modules, raises ModuleNotFoundError."""
    return f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if any(f"{{name}}.".startswith(f"{{each}}.") for each in {libraries!r}):
            raise ModuleNotFoundError(f"{{name}} is blocked in this test")
sys.meta_path.insert(0, Blocked())
"""
