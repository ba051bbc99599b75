"""An OpenID Connect provider in a process of its own, on Authlib's server: ``python oidc_provider.py`` prints its address.

It signs in whomever ``?user=`` of the authorization request names, insists on PKCE, and takes each code once.
``POST /bend`` makes it misbehave: what it is told there changes the next ID tokens.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import grants  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from authlib.oidc.core import OpenIDCode, UserInfo  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "runstead-tests", "client-secret-of-the-tests"
PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"sub": "1", "email": "ada@example.org", "email_verified": True, "preferred_username": "ada"},
    "bob": {"sub": "2", "email": "bob@example.org", "email_verified": False, "preferred_username": "bob"},
    "eve": {"sub": "3", "email": "eve@evil.example", "email_verified": True, "name": "Eve von Böse"},
}


class User:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_user_id(self) -> str:
        return str(PEOPLE[self.name]["sub"])


class Client:
    client_id = CLIENT_ID

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        return uri.endswith("/auth/callback/test")

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


class Code:
    def __init__(self, asked: Any, user: User) -> None:
        payload = asked.payload
        self.user = user
        self.client_id = CLIENT_ID
        self.redirect_uri = payload.redirect_uri
        self.nonce = payload.data.get("nonce")
        self.scope = payload.scope
        self.code_challenge = payload.data.get("code_challenge")
        self.code_challenge_method = payload.data.get("code_challenge_method")
        self.auth_time = int(time.time())

    def get_redirect_uri(self) -> str:
        return str(self.redirect_uri)

    def get_scope(self) -> str:
        return str(self.scope)

    def get_nonce(self) -> str:
        return str(self.nonce)

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


CODES: dict[str, Code] = {}
KEYS = [RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})]
BENT: dict[str, Any] = {}
ASKED: list[str] = []


class Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012 - as the base class has it

    def save_authorization_code(self, code: str, request: Any) -> None:
        CODES[code] = Code(request, request.user)

    def query_authorization_code(self, code: str, _client: Any) -> Code | None:
        return CODES.get(code)

    def delete_authorization_code(self, authorization_code: Any) -> None:
        for text in [text for text, one in CODES.items() if one is authorization_code]:
            del CODES[text]

    def authenticate_user(self, authorization_code: Any) -> User:
        user: User = authorization_code.user
        return user


class Identity(OpenIDCode):  # type: ignore[misc]
    def exists_nonce(self, _nonce: str, _request: Any) -> bool:
        return False

    def get_jwt_config(self, _grant: Any, _client: Any = None) -> dict[str, Any]:
        return {
            "key": KEYS[0].as_dict(private=True),
            "alg": "RS256",
            "iss": request.host_url.rstrip("/"),
            "exp": 300,
        }

    def generate_user_info(self, user: User, _scope: str) -> UserInfo:
        return UserInfo(PEOPLE[user.name])


def rsa_pem(key: RSAKey) -> bytes:
    return key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def bent(token: str) -> str:
    """The token again, otherwise than it should be."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    for name, value in BENT.get("claims", {}).items():
        claims.pop(name, None)
        if value is not None:
            claims[name] = value
    for name, seconds in BENT.get("times", {}).items():
        claims[name] = int(time.time()) + seconds
    how, key = BENT.get("sign", "right"), KEYS[0]
    if how == "none":
        return ".".join([b64(b'{"alg":"none"}'), b64(json.dumps(claims).encode()), ""])
    if how == "confused":
        signed = ".".join([b64(b'{"alg":"HS256","kid":"first"}'), b64(json.dumps(claims).encode())])
        return f"{signed}.{b64(hmac.digest(rsa_pem(key), signed.encode(), 'sha256'))}"
    if how == "stranger":
        key = RSAKey.generate_key(2048)
        return jwt.encode({"alg": "RS256", "kid": "first"}, claims, key)
    if how == "unpublished":
        return jwt.encode({"alg": "RS256", "kid": "unpublished"}, claims, RSAKey.generate_key(2048))
    if how == "embedded":
        key = RSAKey.generate_key(2048)
        return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)
    if how == "changed":
        head, _, signature = jwt.encode({"alg": "RS256", "kid": "first"}, claims, key).split(".")
        return ".".join([head, b64(json.dumps({**claims, "sub": "1"}).encode()), signature])
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def application() -> Flask:
    app = Flask(__name__)
    app.config["OAUTH2_SCOPES_SUPPORTED"] = ["openid", "email", "profile"]
    server = AuthorizationServer(
        app, query_client=lambda name: Client() if name == CLIENT_ID else None, save_token=lambda *_: None
    )
    server.register_grant(Grant, [Identity(require_nonce=True), CodeChallenge(required=True)])

    @app.get("/.well-known/openid-configuration")
    def description() -> Any:
        base = request.host_url.rstrip("/")
        return jsonify(
            {
                "issuer": BENT.get("issuer", base),
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/jwks",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    @app.get("/jwks")
    def jwks() -> Any:
        ASKED.append("jwks")
        return jsonify({"keys": [key.as_dict(private=False) for key in KEYS]})

    @app.get("/authorize")
    def authorize() -> Any:
        user = User(request.args.get("user", "ada"))
        grant = server.get_consent_grant(end_user=user)
        return server.create_authorization_response(grant_user=user, grant=grant)

    @app.post("/token")
    def token() -> Any:
        answer = server.create_token_response()
        if answer.status_code == 200 and BENT:
            body = answer.get_json()
            answer.set_data(json.dumps({**body, "id_token": bent(body["id_token"])}))
        return answer

    @app.post("/bend")
    def bend() -> Any:
        BENT.clear()
        BENT.update(request.get_json())
        if BENT.pop("new_key", False):
            KEYS.insert(
                0, RSAKey.generate_key(2048, {"kid": f"key-{len(KEYS)}", "use": "sig", "alg": "RS256"})
            )
            del KEYS[1:]
        return jsonify({"asked": ASKED})

    return app


if __name__ == "__main__":
    served = make_server("127.0.0.1", 0, application(), threaded=True)
    print(f"http://127.0.0.1:{served.port}", flush=True)  # noqa: T201 - whoever started it reads this
    served.serve_forever()
