"""Nothing that somebody wrote is run in the browser of somebody else, as far as the server itself renders HTML."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from tests.acceptance.attacks.operations import attempts
from tests.acceptance.house import ROOT, House

from runstead.testing.server import ServerProcess

CHROMIUM = shutil.which("chromium")
HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


@pytest.mark.req("SEC-002")
async def test_what_is_echoed_is_no_html(world: House) -> None:
    """Errors and answers quote what was sent; browsers must take none of it for a page."""
    root = world.clients[ROOT]
    for text in (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "javascript:alert(1)",
        "{{913*917}}${913*917}<%=913*917%>",
    ):
        for attempt in attempts(world, text):
            answer = await attempt.send(root)
            kind = answer.headers.get("content-type", "")
            assert answer.headers["x-content-type-options"] == "nosniff", str(attempt)
            if attempt.operation.path != "/hello/{name}":
                assert "text/html" not in kind, str(attempt)
            assert str(913 * 917) not in answer.text, str(attempt)


async def test_pages_of_the_server_allow_nothing_inline(world: House) -> None:
    nobody = world.clients["nobody"]
    for path in ("/docs", "/auth/sign-in"):
        answer = await nobody.get(path)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
        assert not re.search(r"\son\w+=|style=|javascript:", answer.text)


@pytest.mark.req("SEC-002")
@pytest.mark.timeout(180)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_documentation_shows_hostile_descriptions_as_text(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    folder = tmp_path / "apps" / "hostile"
    folder.mkdir(parents=True)
    words = json.dumps({"summary": HOSTILE, "description": HOSTILE, "tags": [HOSTILE]})
    look = "function look() { return Response.json({}); }"
    source = f"{look} function init() {{ routeRegistry.registerRoute('/hostile', 'look', 'GET', {words}); }}"
    (folder / "app.js").write_text(source)
    server = start_server(f'[apps]\nfolders = ["{folder.parent}"]\n')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{server.url}/docs")
        page.wait_for_selector("text=hostile", state="attached")
        for element in page.locator("summary", has_text=re.compile("hostile|document.title")).all():
            if element.is_visible():
                element.click(timeout=2_000, no_wait_after=True)
        assert page.title() != "run"
        assert page.locator("img[src=x]").count() == 0
        assert "document.title='run'" in page.content().replace("&lt;", "<"), "it is shown, as text"
        browser.close()
