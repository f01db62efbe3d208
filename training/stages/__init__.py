"""The stages that train networks: a module each, named for its stage, with an entry ``STAGE``.

The configuration of a stage is the field of its name in :class:`training.config.RunConfig`, whose order
is the order of a full run. Importing this package imports no stage, so that the names are known at once.
"""

from __future__ import annotations

import pkgutil

STAGE_NAMES = frozenset(module.name for module in pkgutil.iter_modules(__path__))
"""Names of all stages that train networks."""
