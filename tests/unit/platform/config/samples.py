"""Sections as a capability would declare them, and a folder to put a configuration into."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from runstead.kernel.secret import Secret
from runstead.platform.config import ConfigError, SectionSpec, Settings, load


class Endpoint(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One HTTP route that runs one program."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$", description="Lower-case letters, digits and -.")]
    path: Annotated[str, Meta(min_length=1, max_length=200)]
    script_path: Path
    method: Literal["GET", "POST"] = "POST"
    timeout_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 30_000
    enabled: bool = True
    env: tuple[Annotated[str, Meta(pattern="^[A-Z_]+$")], ...] = ()


class Replication(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table within a section."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    region: str | None = None


class Records(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a capability with everything in it has."""

    data_dir: Path = Path("records")
    roots: tuple[Path, ...] = ()
    ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    labels: dict[str, str] = {}
    replication: Replication = Replication()
    ingest_token: Secret | None = None


def unique_names(endpoints: Sequence[Endpoint], base_dir: Path) -> Iterator[tuple[str, str]]:
    """As the real one does: names once, scripts that exist."""
    first_of: dict[str, int] = {}
    for index, endpoint in enumerate(endpoints):
        first = first_of.setdefault(endpoint.name, index)
        if first != index:
            yield (
                f"[{index}].name",
                f"found {endpoint.name!r} again, allowed: once (first: endpoints[{first}])",
            )
        if endpoint.script_path.name.startswith("missing"):
            shown = endpoint.script_path.relative_to(base_dir)
            yield f"[{index}].script_path", f"found {str(shown)!r}, allowed: an existing file"


SECTIONS: Mapping[str, SectionSpec] = {
    "endpoints": SectionSpec(type=list[Endpoint], validate=unique_names),
    "records": SectionSpec(
        type=Records,
        secrets={"RUNSTEAD_RECORDS_WEBHOOK_SECRET": "webhook_secret"},
        aliases={
            "STRICTURE_SERVER_DATA_DIR": "data_dir",
            "STRICTURE_SERVER_INGEST_TOKEN": "ingest_token",
            "STRICTURE_SERVER_REGION": "replication.region",
        },
    ),
}


class Folder:
    """A folder with configuration files, loaded as a server that is started there would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(
        self,
        *,
        config: Path | None = None,
        profile: str | None = None,
        overrides: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Settings:
        """Load with an environment of its own."""
        return load(
            SECTIONS, config=config, profile=profile, overrides=overrides, env=env or {}, cwd=self.path
        )

    def problems(
        self,
        *,
        config: Path | None = None,
        profile: str | None = None,
        overrides: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """What is wrong, as it is printed; empty when nothing is."""
        try:
            self.load(config=config, profile=profile, overrides=overrides, env=env)
        except ConfigError as error:
            return str(error).splitlines()
        return []
