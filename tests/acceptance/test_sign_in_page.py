"""The page for signing in, in a real browser with an authenticator of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from runstead.testing.server import ServerProcess

PASSWORD = "violet-Kettle-27-harbour"
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]

#: Begin a set-up, answer it, and tell what came of it.
SET_UP_PASSKEY = """async () => {
  const csrf = document.cookie.match(/runstead-csrf=([^;]+)/)[1];
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  const ask = async (method, body) =>
    (await fetch("/auth/factors/passkey", { method, headers, body: JSON.stringify(body) })).json();
  const { options, state } = await ask("POST", {});
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ publicKey });
  return ask("PUT", { state, credential: credential.toJSON(), name: "laptop" });
}"""
SET_UP_CODES = """async () => {
  const csrf = document.cookie.match(/runstead-csrf=([^;]+)/)[1];
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return (await fetch("/auth/factors/totp", { method: "POST", headers })).json();
}"""
FINISH_CODES = """async (body) => {
  const csrf = document.cookie.match(/runstead-csrf=([^;]+)/)[1];
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return (await fetch("/auth/factors/totp", { method: "PUT", headers, body: JSON.stringify(body) })).json();
}"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test when the console shows an error or something breaks the content policy."""
    problems: list[str] = []
    one = browser.new_page()
    one.on("pageerror", lambda error: problems.append(str(error)))
    one.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security" in message.text else None,
    )
    yield one
    assert problems == []


def home(server: ServerProcess) -> str:
    # Passkeys know names, not addresses.
    return server.url.replace("127.0.0.1", "localhost")


def first_administrator(server: ServerProcess, page: Page) -> None:
    link = re.search(r"/auth/sign-in#setup=\S+", server.output)
    assert link is not None, server.output
    page.goto(home(server) + link[0])
    expect(page.locator("#lead")).to_contain_text("first administrator")
    assert "setup=" not in page.url, "the link must not stay in the history"
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("#go")
    expect(page.locator("#who")).to_have_text("ada")


def sign_in(page: Page) -> None:
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("#go")


def sign_out(page: Page) -> None:
    page.click("#out")
    expect(page.locator("#form")).to_be_visible()


@pytest.mark.req("AUTH-007")
def test_from_the_set_up_link_to_passkeys_and_codes(
    start_server: Callable[..., ServerProcess], page: Page
) -> None:
    server = start_server()
    first_administrator(server, page)
    sign_out(page)
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", "wrong")
    page.click("#go")
    expect(page.locator("#problem")).to_contain_text("do not fit together")
    sign_in(page)
    expect(page.locator("#who")).to_have_text("ada")

    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )
    made = page.evaluate(SET_UP_PASSKEY)
    assert [one["name"] for one in made["factors"]] == ["laptop"]
    sign_out(page)
    page.click("#passkey")
    expect(page.locator("#who")).to_have_text("ada")
    sign_out(page)
    sign_in(page)
    expect(page.locator("#lead")).to_contain_text("passkey")
    page.click("#passkey")
    expect(page.locator("#who")).to_have_text("ada")

    offer = page.evaluate(SET_UP_CODES)
    telephone = pyotp.TOTP(offer["secret"])
    done = page.evaluate(FINISH_CODES, {"state": offer["state"], "code": telephone.now()})
    sign_out(page)
    sign_in(page)
    expect(page.locator("#code-field")).to_be_visible()
    page.fill("[name=code]", done["recovery_codes"][0])
    page.click("#go")
    expect(page.locator("#who")).to_have_text("ada")


def test_what_stands_in_the_address_is_never_run(
    start_server: Callable[..., ServerProcess], page: Page
) -> None:
    server = start_server()
    hostile = "<img src=x onerror=document.title='run'>"
    for tail in (f"#problem={hostile}", "#__proto__=x", f"?next=javascript:document.title='run'#{hostile}"):
        page.goto("about:blank")
        page.goto(f"{home(server)}/auth/sign-in{tail}")
        expect(page.locator("#go")).to_be_visible()
        assert page.title() == "Sign in to Runstead"
        assert page.locator("img").count() == 0
