#!/usr/bin/env python3
"""Count words: an endpoint's program in plain Python.

stdin:  {"params": {"text": "..."} or {"texts": ["...", ...]}, "run_id": "...", ...}
stdout: {"results": [...], "new_entries": [...], "warnings": [...]}
stderr: one line a message; it becomes a searchable log.
Files written to $RUNSTEAD_ARTIFACTS are kept with the run.
"""

import json
import os
import re
import secrets
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid() -> str:
    """48 bits of milliseconds and 80 bits of chance in Crockford's base 32."""
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def count(text: str) -> dict[str, Any]:
    """How many words there are, how many different ones, and the most frequent."""
    words = Counter(re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", text.lower()))
    return {
        "words": words.total(),
        "unique": len(words),
        "characters": len(text),
        "top": [{"word": word, "count": n} for word, n in words.most_common(5)],
    }


def main() -> int:
    request = json.load(sys.stdin)
    params = request["params"]
    texts = params["texts"] if "texts" in params else [params.get("text", "")]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        print("ERROR params.text must be a string, params.texts a list of strings", file=sys.stderr)
        return 2
    counts = [count(text) for text in texts]
    words = sum(each["words"] for each in counts)

    if artifacts := os.environ.get("RUNSTEAD_ARTIFACTS"):
        Path(artifacts, "counts.json").write_text(json.dumps(counts, indent=2, ensure_ascii=False))
    print(f"INFO counted {words} words in {len(texts)} texts", file=sys.stderr)

    now = datetime.now(UTC).isoformat()
    entry = {
        "id": new_ulid(),
        "type": "metrics",
        "created_at": now,
        "updated_at": now,
        "schema_version": 1,
        "payload": {"texts": len(texts), "words": words},
        "source": "wordcount",
        "tags": ["example"],
    }
    warnings = [] if words else ["there were no words to count"]
    json.dump({"results": counts, "new_entries": [entry], "warnings": warnings}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
