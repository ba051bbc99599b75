"""A new certificate without a restart."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.integration.http.process import service


def write_pair(folder: Path, name: str) -> None:
    """A certificate for this name, put in place as certificate managers do: key first, each by a rename."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    replace(folder / "key.pem", key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    replace(folder / "cert.pem", certificate.public_bytes(pem))


def replace(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").replace(path)


def now_served(port: int) -> str:
    """As below, while one engine takes over from the other: it may close a connection that it has just taken."""
    try:
        return served_name(port)
    except OSError:
        return ""


def served_name(port: int) -> str:
    found = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())
    return str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("engine", ["granian", "uvicorn"])
@pytest.mark.req("HTTP-006")
async def test_a_new_certificate_is_served_while_old_connections_go_on(engine: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "first.example")
    files = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    async with service(
        engine=engine, certificate_seconds=0.05, shutdown_grace_seconds=10, **files
    ) as running:
        assert await asyncio.to_thread(served_name, running.port) == "first.example"
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        slow = await running.connect(anyone)
        await slow.write(b"GET /slow?1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await running.printed("slow began")

        replace(tmp_path / "cert.pem", b"half a file")
        await running.said("the new certificate cannot be used")
        assert await asyncio.to_thread(served_name, running.port) == "first.example"
        write_pair(tmp_path, "second.example")
        await running.said("serving with a new certificate")
        # The engine of before may still take a connection or two.
        async with asyncio.timeout(20):
            while await asyncio.to_thread(now_served, running.port) != "second.example":
                pass

        assert b'{"slow":true}' in await slow.until(b"true}")
        slow.close()
        running.terminate()
        assert await running.ended() == 0
