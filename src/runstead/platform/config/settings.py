"""The sections of the platform, and the settings as a whole."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from runstead.kernel.limits import KIB, MIB, REQUEST_BODY_BYTES_MAX
from runstead.kernel.secret import Secret
from runstead.platform.config.fieldtypes import found
from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.tree import Origin

_DATABASE_URL: Final = re.compile(r"sqlite:///[^?]+|postgres(?:ql)?(?:\+psycopg)?://.+")

PROFILES: Final = ("dev", "staging", "prod")


HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]


class CorsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which pages of other sites may call this server from a browser."""

    origins: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(\*|https?://[A-Za-z0-9.:\[\]-]+)$", max_length=255)], ...],
        Meta(max_length=100, description="As https://app.example.org; * for every one. Empty: none."),
    ] = ()
    credentials: Annotated[
        bool, Meta(description="Whether browsers may send cookies along; not together with *.")
    ] = False
    headers: Annotated[
        tuple[HeaderName, ...], Meta(max_length=100, description="Request headers that such pages may set.")
    ] = ("Authorization", "Content-Type", "X-CSRF-Token", "X-Request-ID")
    expose: Annotated[
        tuple[HeaderName, ...], Meta(max_length=100, description="Response headers that such pages may read.")
    ] = ("X-Request-ID", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    max_age_seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="How long a browser may remember the answer to a preflight.")
    ] = 600


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            description="Address to listen on. Anything but loopback needs MASTER_PASSWORD (12 characters or more).",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")] = 8080
    engine: Annotated[
        Literal["granian", "uvicorn"], Meta(description="The HTTP engine; uvicorn needs the extra 'uvicorn'.")
    ] = "granian"
    body_max_bytes: Annotated[
        int,
        Meta(
            ge=KIB,
            le=1024 * MIB,
            description="Largest request body, for routes without a limit of their own.",
        ),
    ] = REQUEST_BODY_BYTES_MAX
    shutdown_grace_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="How long a stop waits for requests that are under way.")
    ] = 10
    backlog: Annotated[
        int, Meta(ge=1, le=65_535, description="Connections that the kernel holds before they are accepted.")
    ] = 1024
    connections_max: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Connections held at once; further ones wait in the backlog."),
    ] = 20_000
    allowed_hosts: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...],
        Meta(
            max_length=100,
            description="Host names that requests may carry. Empty: loopback names, or any when not on loopback.",
        ),
    ] = ()
    tls_cert: Annotated[
        Path | None, Meta(description="PEM file with the certificate chain; needs tls_key.")
    ] = None
    tls_key: Annotated[Path | None, Meta(description="PEM file with the private key; needs tls_cert.")] = None
    https: Annotated[
        Literal["off", "redirect", "require"],
        Meta(
            description="What becomes of requests in clear text: answered, sent over to HTTPS (others than GET are refused), "
            "or refused. Health probes are always answered."
        ),
    ] = "off"
    trusted_proxies: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
        Meta(
            max_length=100,
            description="Addresses and networks, as 10.0.0.0/8, of proxies whose Forwarded and X-Forwarded-* are believed.",
        ),
    ] = ()
    cors: CorsSettings = CorsSettings()
    headers: Annotated[
        dict[HeaderName, Annotated[str, Meta(pattern=r"^[\x20-\x7e]*$", max_length=4096)]],
        Meta(max_length=50, description="Security headers with other values; an empty value leaves one out."),
    ] = {}
    content_security_policy: Annotated[
        str,
        Meta(
            pattern=r"^[\x20-\x7e]*$",
            max_length=4096,
            description="For HTML of apps that set none; {nonce} is replaced by a new value for each request.",
        ),
    ] = ""
    access_log: Annotated[bool, Meta(description="One log line per request.")] = True


class StorageSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where things are kept."""

    data_dir: Annotated[
        Path, Meta(description="Folder of everything that the server keeps on this machine.")
    ] = Path("data")
    database_url: Annotated[
        str,
        Meta(
            max_length=4096,
            description="sqlite:///path or postgresql://user@host/name. Default: runstead.db in data_dir. "
            "One with a password belongs in RUNSTEAD_DATABASE_URL.",
        ),
    ] = ""
    objects_url: Annotated[
        str,
        Meta(
            max_length=4096,
            description="A folder, file:///path or s3://bucket/prefix. Default: objects in data_dir.",
        ),
    ] = ""
    readers: Annotated[int, Meta(ge=1, le=64, description="Database connections for reading.")] = 4


class ObservabilitySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The server's own log, and traces."""

    log_level: Annotated[
        Literal["trace", "debug", "info", "warning", "error"],
        Meta(description="The least important lines that are written."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="auto: for people on a terminal, JSON otherwise."),
    ] = "auto"
    log_file: Annotated[Path | None, Meta(description="Also write JSON lines to this file.")] = None
    log_max_bytes: Annotated[
        int,
        Meta(ge=10 * KIB, le=1024 * MIB, description="The log file is rotated when it would grow past this."),
    ] = 10 * MIB
    log_files: Annotated[int, Meta(ge=1, le=100, description="Log files kept, the current one included.")] = 5
    otlp_endpoint: Annotated[
        Annotated[str, Meta(pattern="^https?://", max_length=2048)] | None,
        Meta(description="Send traces there by OTLP over HTTP; needs the extra 'otel'."),
    ] = None


class ExecutionSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How programs and scripts are run."""

    sandbox: Annotated[
        Literal["auto", "required", "off"],
        Meta(
            description="auto: bubblewrap where it is to be had; required: refuse to run without; off: never."
        ),
    ] = "auto"
    secrets: Annotated[
        Literal["environment", "descriptor"],
        Meta(
            description="How programs get `secret://ID`: in the variable itself, or in a file that only they can open "
            "and whose path is in `NAME_FILE`."
        ),
    ] = "environment"
    script_workers: Annotated[int, Meta(ge=1, le=64, description="Processes that run JavaScript.")] = 2


def validate_server(server: ServerSettings, _base_dir: Path) -> Iterator[tuple[str, str]]:
    """What the types cannot say."""
    for number, name in enumerate(server.trusted_proxies):
        try:
            ipaddress.ip_network(name)
        except ValueError:
            yield (
                f"trusted_proxies.{number}",
                f"found {found(name)}, allowed: an address or a network, as 10.0.0.0/8",
            )
    if server.cors.credentials and "*" in server.cors.origins:
        yield "cors.credentials", "found true, allowed: false while cors.origins holds '*'"


def validate_storage(storage: StorageSettings, _base_dir: Path) -> Iterator[tuple[str, str]]:
    """URLs of a kind that there is no driver for. Told here, so that it is told with all the rest and its place."""
    database, objects = storage.database_url, storage.objects_url
    if database and not _DATABASE_URL.fullmatch(database):
        yield (
            "database_url",
            f"found {found(database)}, allowed: sqlite:///path or postgresql://user@host/name",
        )
    if "://" in objects and not objects.startswith(("file:///", "s3://")):
        yield "objects_url", f"found {found(objects)}, allowed: a folder, file:///path or s3://bucket/prefix"


PLATFORM_SECTIONS: Final[Mapping[str, SectionSpec]] = {
    "server": SectionSpec(type=ServerSettings, validate=validate_server),
    "storage": SectionSpec(type=StorageSettings, validate=validate_storage),
    "observability": SectionSpec(type=ObservabilitySettings),
    "execution": SectionSpec(type=ExecutionSettings),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The secrets: from the environment or ``.env``, never from the file."""

    admin_token: Secret | None = None
    master_password: Secret | None = None
    #: Seals what must be stored and read back; None: the key file of the data folder.
    master_key: Secret | None = None
    #: Section → name → secret.
    sections: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)

    def secret(self, section: str, name: str) -> Secret | None:
        """A secret of a section, or None when its variable is not set."""
        return self.sections.get(section, {}).get(name)

    def __iter__(self) -> Iterator[Secret]:
        """Every secret that is set: what a redactor must know."""
        for secret in (self.admin_token, self.master_password, self.master_key):
            if secret is not None:
                yield secret
        for named in self.sections.values():
            yield from named.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration that holds. Paths in it are absolute."""

    profile: str
    #: None when there is no file.
    config_file: Path | None
    #: What relative paths were resolved against: the folder of the configuration file, else the working folder.
    base_dir: Path
    server: ServerSettings
    storage: StorageSettings
    observability: ObservabilitySettings
    execution: ExecutionSettings
    credentials: Credentials
    sections: Mapping[str, Any] = field(default_factory=dict)
    #: The variables of the process over those of ``.env``, for what hands some of them to programs. Full of secrets.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Where each value that is not a default was written.
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict, repr=False)

    def section(self, name: str) -> Any:
        """A capability's section: its Struct, or a list of them.

        :raises KeyError: when no such section was handed to the loader.
        """
        return self.sections[name]
