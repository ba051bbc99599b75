from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.config.settings import ObservabilitySettings
from runstead.platform.observability import LogOutput, Redactor, configure_logging, log_context
from runstead.platform.observability.rendering import (
    LINE_CHARS_MAX,
    LineRenderer,
    console_renderer,
    render_json,
)


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configured(
    stream: io.StringIO, redactor: Redactor | None = None, profile: str = "", **settings: Any
) -> LogOutput:
    return configure_logging(
        ObservabilitySettings(**{"log_format": "json", **settings}),
        redactor or Redactor(),
        stream=stream,
        clock=FixedClock(),
        profile=profile,
    )


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.req("LOG-001")
def test_a_line_has_time_level_message_and_fields() -> None:
    stream = io.StringIO()
    configured(stream)
    structlog.get_logger("jobs").info("started", job="j1", pid=7)
    assert lines_of(stream) == [
        {
            "timestamp": "2026-01-31T12:00:00.123456Z",
            "level": "info",
            "message": "started",
            "job": "j1",
            "pid": 7,
            "logger": "jobs",
        }
    ]


@pytest.mark.req("LOG-001")
def test_less_important_lines_are_left_out() -> None:
    stream = io.StringIO()
    configured(stream, log_level="warning")
    log = structlog.get_logger()
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)(level)
    logging.getLogger("library").info("quiet")
    logging.getLogger("library").error("loud")
    assert [line["message"] for line in lines_of(stream)] == ["warning", "error", "critical", "loud"]


def test_the_standard_library_ends_in_the_same_lines() -> None:
    stream = io.StringIO()
    configured(stream)
    logging.getLogger("library.part").warning("so %s and %d", "much", 3)
    logging.getLogger("library").warning("broken %d", "format")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, second, third = lines_of(stream)
    assert (first["message"], first["level"], first["logger"]) == ("so much and 3", "warning", "library.part")
    assert "broken" in second["message"]
    assert "old" in third["message"]


def test_context_is_in_every_line_of_its_task_and_in_no_other() -> None:
    stream = io.StringIO()
    configured(stream)
    log = structlog.get_logger()

    async def work(name: str) -> None:
        with log_context(request_id=name):
            await asyncio.sleep(0)
            log.info("inside")
            logging.getLogger("library").warning("inside too")

    async def main() -> None:
        await asyncio.gather(work("a"), work("b"))
        log.info("outside")

    asyncio.run(main())
    *inside, outside = lines_of(stream)
    assert sorted(line["request_id"] for line in inside) == ["a", "a", "b", "b"]
    assert "request_id" not in outside


def test_exceptions_are_written_with_their_traceback() -> None:
    stream = io.StringIO()
    configured(stream)
    try:
        raise ValueError("the cause")
    except ValueError as error:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("failed", exc_info=error)
        logging.getLogger("library").exception("failed")
    for line in lines_of(stream):
        assert line["level"] == "error"
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("ValueError: the cause")


@pytest.mark.req("SEC-005")
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_is_in_no_field_key_nested_value_or_traceback(log_format: str) -> None:
    stream = io.StringIO()
    configured(stream, Redactor('hunter"22'), log_format=log_format)
    log = structlog.get_logger()
    log.info('the password is hunter"22')
    log.info("field", password='hunter"22', nested={"deep": ['x hunter"22 y']}, **{'key-hunter"22': 1})
    try:
        raise ValueError('could not log in with hunter"22')
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed with %s", 'hunter"22')
    text = stream.getvalue()
    assert "22" not in text.replace("12:00", "")
    assert text.count("***") >= 6
    if log_format == "json":
        assert len(lines_of(stream)) == 4


def test_a_secret_across_the_cut_of_a_long_line_is_masked() -> None:
    stream = io.StringIO()
    configured(stream, Redactor("hunter22-and-more"))
    for shift in range(17):
        half = LINE_CHARS_MAX // 16
        structlog.get_logger().info(
            "long", text="x" * (half - shift) + "hunter22-and-more" + "y" * LINE_CHARS_MAX
        )
    assert "hunter22" not in stream.getvalue()
    assert "hunt" not in stream.getvalue()
    assert all(len(line) <= LINE_CHARS_MAX for line in stream.getvalue().splitlines())


def test_what_json_cannot_say_becomes_text() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    stream = io.StringIO()
    output = configured(stream)
    loop: list[Any] = []
    loop.append(loop)
    for odd in (
        object(),
        Broken(),
        {1: {(2, 3): "x"}},
        b"bytes",
        "\ud800",
        float("nan"),
        10**40,
        {"a", "b"},
        loop,
    ):
        structlog.get_logger().info("odd", value=odd)
    assert output.lines_lost == 0
    assert len(lines_of(stream)) == 9


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_like))
def test_any_event_makes_one_line_of_json(event: dict[str, Any]) -> None:
    line = LineRenderer(render_json, Redactor("hunter22"))(event)
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)


@given(st.dictionaries(st.text(), json_like))
def test_any_event_makes_a_line_that_cannot_drive_a_terminal(event: dict[str, Any]) -> None:
    line = console_renderer(colors=False)(event)
    assert all(char.isprintable() or char in "\n\t" for char in line)


def test_logging_never_raises_and_counts_what_it_lost() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    output = configured(Full())
    structlog.get_logger().info("lost")
    logging.getLogger("library").warning("lost too")
    assert output.lines_lost == 2


def test_people_see_a_short_line() -> None:
    stream = io.StringIO()
    configured(stream, log_format="console")
    structlog.get_logger("jobs").warning("two\nlines \x1b[31m", path="/a b", request_id="r1")
    assert stream.getvalue() == "12:00:00.123 warning  two\\nlines \\x1b[31m path=/a b request_id=r1\n"


@pytest.mark.parametrize(
    ("stream", "profile", "pretty"),
    [
        (io.StringIO(), "", False),
        (io.StringIO(), "prod", False),
        (io.StringIO(), "dev", True),
        (Terminal(), "prod", True),
    ],
)
def test_auto_is_for_people_on_a_terminal_or_in_development(
    stream: io.StringIO, profile: str, pretty: bool
) -> None:
    configured(stream, profile=profile, log_format="auto")
    structlog.get_logger().info("hello")
    assert stream.getvalue().startswith("{") is not pretty
    assert ("\x1b[" in stream.getvalue()) is stream.isatty()


@pytest.mark.req("LOG-001", "LOG-002")
def test_the_file_is_json_and_rotates(tmp_path: Path) -> None:
    output = configured(
        io.StringIO(),
        log_format="console",
        log_file=tmp_path / "logs" / "runstead.log",
        log_max_bytes=10_240,
        log_files=3,
    )
    for number in range(400):
        structlog.get_logger().info("line", number=number)
    output.close()
    files = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert files == ["runstead.log", "runstead.log.1", "runstead.log.2"]
    newest = (tmp_path / "logs" / "runstead.log").read_text().splitlines()
    assert json.loads(newest[-1])["number"] == 399
    assert output.lines_lost == 0


def test_a_second_configuration_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    configured(first)
    configured(second)
    structlog.get_logger().info("ours")
    logging.getLogger("library").warning("theirs")
    assert first.getvalue() == ""
    assert len(lines_of(second)) == 2
