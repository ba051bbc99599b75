"""Ids with slashes in the URLs of the API: ``/api/apps/team/shop/versions`` is the versions of ``team/shop``.

The router knows one segment for an id. Before it is asked, the slashes of an id are escaped; :func:`id_of` undoes that.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from runstead.capabilities.apps.assets.store import ASSET_BYTES_MAX
from runstead.capabilities.apps.model import SUBRESOURCES
from runstead.kernel.capability import Scope
from runstead.kernel.limits import MIB
from runstead.platform.http import BodyLimit

PREFIX: Final = "/api/apps/"
#: Sources may be so large on the wire; ``apps.script_max_bytes`` decides.
SOURCE_BYTES_MAX: Final = 4 * MIB
#: And forms of files, which go through memory.
FORM_BYTES_MAX: Final = 32 * MIB
BODY_LIMITS: Final = (
    BodyLimit(re.compile(r"/api/apps/.+", re.DOTALL), SOURCE_BYTES_MAX, "PUT"),
    BodyLimit(re.compile(r"/api/apps/.+/check", re.DOTALL), SOURCE_BYTES_MAX, "POST"),
    BodyLimit(re.compile(r"/api/apps/.+/assets/.+", re.DOTALL), ASSET_BYTES_MAX, "PUT"),
)


def address(scope: Scope) -> None:
    """Rewrite the path of a request below ``/api/apps/`` so that the id is one segment."""
    scope["path"] = escaped(scope["path"])


def escaped(path: str) -> str:
    """The id is everything before the first name of a sub-resource; an id does not hold one behind its first part."""
    parts = path[len(PREFIX) :].split("/")
    end = next((at for at, part in enumerate(parts) if at > 0 and part in SUBRESOURCES), len(parts))
    app_id = "%2F".join(part.replace("%", "%25") for part in parts[:end])
    return PREFIX + "/".join([app_id, *parts[end:]])


def id_of(segment: str) -> str:
    """The id that stands in one segment."""
    return unquote(segment)
