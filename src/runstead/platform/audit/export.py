"""The trail in the forms that others read: NDJSON, CEF for ArcSight and its like, OCSF for data lakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from runstead import __version__
from runstead.kernel.clock import parse_rfc3339
from runstead.platform.audit.actions import ACTIONS
from runstead.platform.audit.chain import Stored

#: CEF counts from 0 to 10, OCSF from 1 (informational) to 6.
_CEF: Final = {"info": 2, "notice": 4, "warning": 7, "alert": 9}
_OCSF: Final = {"info": 1, "notice": 2, "warning": 3, "alert": 4}

#: Class of OCSF 1.3 by the area of the action: authentication, account change, group management, web resource activity, …
_CLASSES: Final = {
    "identity": (3, 3002, 1),
    "session": (3, 3002, 1),
    "user": (3, 3001, 1),
    "token": (3, 3001, 1),
    "group": (3, 3006, 1),
    "grant": (3, 3005, 1),
    "alert": (2, 2004, 1),
}
_API_ACTIVITY: Final = (6, 6003, 99)


def ndjson(one: Stored) -> bytes:
    """One JSON object a line."""
    return json.dumps(one.as_json(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def cef(one: Stored) -> bytes:
    """ArcSight's Common Event Format, revision 26: a header of seven fields between bars, then ``key=value``."""
    entry = one.entry
    meaning = ACTIONS.get(entry.action, ("info", entry.action))[1]
    header = "|".join(
        _header(part)
        for part in ("Runstead", "Runstead", __version__, entry.action, meaning, str(_CEF[entry.severity]))
    )
    facts = {
        "rt": str(round(parse_rfc3339(entry.at).timestamp() * 1000)),
        "externalId": str(one.seq),
        "outcome": entry.outcome,
        "suser": entry.actor,
        "src": entry.address,
        "cs1Label": "resource" if entry.resource else "",
        "cs1": entry.resource,
        "cs2Label": "requestId" if entry.request_id else "",
        "cs2": entry.request_id,
        "cs3Label": "hash",
        "cs3": one.hash,
        "msg": json.dumps(entry.details, sort_keys=True) if entry.details else "",
    }
    extension = " ".join(f"{key}={_value(value)}" for key, value in facts.items() if value)
    return f"CEF:0|{header}|{extension}\n".encode()


def _header(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")


def ocsf(one: Stored) -> bytes:
    """The Open Cybersecurity Schema Framework, version 1.3, one event a line."""
    entry = one.entry
    category, class_uid, activity = _CLASSES.get(entry.action.partition(".")[0], _API_ACTIVITY)
    event: dict[str, Any] = {
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "Runstead", "version": __version__},
            "uid": str(one.seq),
            "correlation_uid": entry.request_id,
        },
        "time": round(parse_rfc3339(entry.at).timestamp() * 1000),
        "category_uid": category,
        "class_uid": class_uid,
        "activity_id": activity,
        "activity_name": entry.action,
        "type_uid": class_uid * 100 + activity,
        "severity_id": _OCSF[entry.severity],
        "status_id": 1 if entry.outcome == "success" else 2,
        "status": entry.outcome,
        "actor": {"user": {"uid": entry.actor}},
        "src_endpoint": {"ip": entry.address},
        "resources": [{"uid": entry.resource}] if entry.resource else [],
        "unmapped": {"details": dict(entry.details), "hash": one.hash},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


#: Name → how a line is written, and its media type.
FORMATS: Final[dict[str, tuple[Callable[[Stored], bytes], str]]] = {
    "ndjson": (ndjson, "application/x-ndjson"),
    "cef": (cef, "text/plain; charset=utf-8"),
    "ocsf": (ocsf, "application/x-ndjson"),
}
