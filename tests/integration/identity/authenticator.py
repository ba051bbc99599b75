"""A passkey in software (W3C WebAuthn Level 3, section 6): what a browser and a security key do together."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Authenticator:
    """Has one passkey. The fields are what attacks bend."""

    origin: str = "http://127.0.0.1"
    site: str = "127.0.0.1"
    flags: int = _PRESENT | _VERIFIED
    uses: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential: bytes = field(default_factory=lambda: os.urandom(32))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What ``navigator.credentials.create`` answers."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.credential)) + self.credential + cbor2.dumps(public)
        data = self._data(_ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            {
                "clientDataJSON": b64(self._client("webauthn.create", options["challenge"])),
                "attestationObject": b64(attestation),
            }
        )

    def get(self, options: dict[str, Any], **client: Any) -> dict[str, Any]:
        """What ``navigator.credentials.get`` answers."""
        self.uses += 1
        data = self._data()
        said = self._client("webauthn.get", options["challenge"], **client)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64(said),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": None,
            }
        )

    def _data(self, more: int = 0) -> bytes:
        site = hashlib.sha256(self.site.encode()).digest()
        return site + bytes([self.flags | more]) + struct.pack(">I", self.uses)

    def _client(self, kind: str, asked: str, **bent: Any) -> bytes:
        facts = {"type": kind, "challenge": asked, "origin": self.origin, "crossOrigin": False}
        return json.dumps({**facts, **bent}).encode()

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": b64(self.credential),
            "rawId": b64(self.credential),
            "type": "public-key",
            "response": response,
        }
