"""Durable records of 10 KB per second, against what the disk can do: a loop of write, fsync, link and fsync of the folder.

Read the ratios: both are measured in turn in the same run on the same disk. The whole service is measured (parsing, canonical
JSON, hash, record and its entries by time and by commit: three durable objects), with 1 and with 32 senders; HTTP is not.
Then what a record costs without the disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from runstead.capabilities.records import RecordsService, RecordsSettings, canonical_json, capability
from runstead.platform.storage.objects import FolderObjects
from runstead.testing.objects import MemoryObjects

RECORDS = 400
ROUNDS = 5
SENDERS = 32
#: The record and its entries by time and by commit.
OBJECTS = 3


def document() -> bytes:
    """A lineage export of about 10 KB: nested objects, texts and some numbers."""
    chance = random.Random(1)  # the same each time
    nodes: list[object] = []
    body = b""
    while len(body) < 10_000:
        edges = [{"to": f"node-{chance.randrange(99)}", "weight": chance.randrange(9)} for _ in range(3)]
        nodes.append(
            {"id": f"node-{len(nodes)}", "kind": "field", "path": "src/shop/checkout.py", "edges": edges}
        )
        body = json.dumps(
            {
                "organization": "acme",
                "project": "shop",
                "service": "checkout",
                "commit_sha": "a" * 40,
                "artifact": {"nodes": nodes},
            }
        ).encode()
    return body


def plain_loop(folder: Path, body: bytes) -> float:
    """Files per second."""
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    started = time.perf_counter()
    for number in range(RECORDS):
        temporary = f"{folder}/.{number}"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(file, body)
        os.fsync(file)
        os.close(file)
        os.link(temporary, f"{folder}/{number}")
        os.fsync(handle)
        Path(temporary).unlink()
    seconds = time.perf_counter() - started
    os.close(handle)
    return RECORDS / seconds


def service_on(objects: FolderObjects | MemoryObjects) -> RecordsService:
    records = capability(settings=RecordsSettings(), objects=objects, loopback=True)
    service: RecordsService = records.services["records"]
    return service


async def records_per_second(service: RecordsService, body: bytes, senders: int) -> float:
    async def send() -> None:
        for _ in range(RECORDS // senders):
            await service.ingest_body(body, actor="benchmark")

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(senders)))
    return (RECORDS // senders) * senders / (time.perf_counter() - started)


def milliseconds(work: Callable[[], object], times: int = 300) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times * 1000


def main() -> None:
    body = document()
    plain: list[float] = []
    served: dict[int, list[float]] = {1: [], SENDERS: []}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as name:
        folder = Path(name)
        for number in range(ROUNDS):
            plain.append(plain_loop(folder / f"plain{number}", body))
            for senders, rates in served.items():
                service = service_on(FolderObjects(folder / f"records{number}-{senders}"))
                rates.append(asyncio.run(records_per_second(service, body, senders)))
    loop = statistics.median(plain)
    print(f"{len(body)} bytes a record, {RECORDS} records, median of {ROUNDS} rounds")
    print(
        f"plain loop (write, fsync, link, fsync)  {loop:8.0f} /s   spread {min(plain):.0f} to {max(plain):.0f}"
    )
    for senders, rates in served.items():
        rate = statistics.median(rates)
        print(
            f"durable, indexed records, {senders:2} sender(s)  {rate:8.0f} /s   "
            f"spread {min(rates):.0f} to {max(rates):.0f}   ratio {rate / loop:.2f} "
            f"(durable objects: {rate * OBJECTS / loop:.2f})"
        )
    memory = asyncio.run(records_per_second(service_on(MemoryObjects()), body, 1))
    print(f"the same in memory, 1 sender            {memory:8.0f} /s")
    parsed = json.loads(body)
    print(f"canonical JSON {milliseconds(lambda: canonical_json(parsed)):.3f} ms", end=", ")
    parsed["artifact"]["float"] = 0.5
    print(f"with a float in it {milliseconds(lambda: canonical_json(parsed)):.3f} ms")


if __name__ == "__main__":
    main()
