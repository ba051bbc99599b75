"""Lua 5.4 through ``lupa``: a second language behind the same protocol. Its scripts have ``host`` and ``console``, no more."""

from __future__ import annotations

import json
import time

import lupa.lua54 as lupa  # type: ignore[import-untyped]

from .engines import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Steps of the machine between two looks at the clock.
_STEPS = 10_000
#: What of the standard library reaches neither files nor other code.
_KEPT = (
    "assert", "error", "ipairs", "math", "next", "pairs", "pcall", "select", "string", "table", "tonumber", "tostring", "type",
    "utf8", "xpcall", "setmetatable", "getmetatable", "rawequal", "rawget", "rawlen", "rawset", "_G", "_VERSION",
)  # fmt: skip


class LuaIsolate:
    """A fresh state."""

    def __init__(
        self, *, heap_bytes: int, host: Callable[[str, str], str], console: Callable[[str, str], None]
    ) -> None:
        self._until = 0.0
        # Neither Python's objects nor its evaluation: what Lua gets are tables and texts.
        self._lua = lua = lupa.LuaRuntime(
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            max_memory=heap_bytes,
            attribute_filter=_nothing,
        )
        globals_ = lua.globals()
        hook = lua.eval(
            "function(look, steps) local set = debug.sethook; local hook = function() look() end;"
            " return function() set(hook, '', steps) end end"
        )
        self._arm = hook(self._look, _STEPS)
        for name in list(globals_.keys()):
            if name not in _KEPT:
                globals_[name] = None
        globals_.string.dump = None
        globals_.host = lambda name, *values: self._host(host, name, values)
        globals_.console = lambda level, text: console(str(level), str(text))

    def _look(self, *_event: Any) -> None:
        if time.perf_counter() > self._until:
            raise TimeoutError

    def _host(self, host: Callable[[str, str], str], name: Any, values: tuple[Any, ...]) -> Any:
        answer = host(str(name), json.dumps([_plain(value) for value in values]))
        if answer[0] == "-":
            raise ValueError(answer[1:])
        return self._table(json.loads(answer[1:]))

    def load(self, source: str, modules: Any, seconds: float) -> None:
        self._guarded(seconds, lambda: self._lua.execute(source))

    def call(self, function: str, argument: Any, seconds: float) -> Any:
        target = self._lua.globals()[function]
        if target is None:
            if function == "init":
                return {"registrations": []}
            raise EngineError("error", "ReferenceError", f"there is no function {function}")
        return _plain(self._guarded(seconds, lambda: target(self._table(argument))))

    def settle(self, results: Any, seconds: float) -> Any:
        raise EngineError("error", "Error", "Lua scripts wait for nothing")

    def dispose(self) -> None:
        del self._lua

    def _guarded(self, seconds: float, act: Callable[[], Any]) -> Any:
        self._until = time.perf_counter() + seconds
        self._arm()
        try:
            return act()
        except TimeoutError:
            raise EngineError("timeout", "TimeoutError", "the script took longer than it may") from None
        except lupa.LuaMemoryError:
            raise EngineError("memory", "MemoryError", "out of memory") from None
        except lupa.LuaSyntaxError as error:
            raise EngineError("syntax", "SyntaxError", str(error)) from None
        except Exception as error:  # noqa: BLE001 - whatever the script threw, or made us throw
            if time.perf_counter() > self._until:
                raise EngineError("timeout", "TimeoutError", "the script took longer than it may") from None
            raise EngineError("error", "Error", str(error).split("\nstack traceback:")[0]) from None

    def _table(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._lua.table_from({key: self._table(item) for key, item in value.items()})
        if isinstance(value, list | tuple):
            return self._lua.table_from([self._table(item) for item in value])
        return value


class Lua:
    """Makes states."""

    def check(self, source: str, modules: Any) -> None:
        try:
            lupa.LuaRuntime(register_eval=False, register_builtins=False).compile(source)
        except lupa.LuaError as error:
            raise EngineError("syntax", "SyntaxError", str(error)) from None

    def create(self, *, heap_bytes: int, host: Any, console: Any, **_others: Any) -> LuaIsolate:
        return LuaIsolate(heap_bytes=heap_bytes, host=host, console=console)

    def prepare(self, **_options: Any) -> None:
        return None


def _nothing(_object: Any, _name: Any, _is_setting: bool) -> Any:
    raise AttributeError("nothing of it can be reached")


def _plain(value: Any, depth: int = 0) -> Any:
    """What leaves a script: tables that count from one are lists."""
    if depth > 50:
        raise EngineError("error", "Error", "nested too deeply")
    if lupa.lua_type(value) == "table":
        keys = list(value.keys())
        if keys and keys == list(range(1, len(keys) + 1)):
            return [_plain(value[key], depth + 1) for key in keys]
        return {str(key): _plain(value[key], depth + 1) for key in keys}
    if lupa.lua_type(value) is not None:
        raise EngineError("error", "TypeError", f"a {lupa.lua_type(value)} cannot leave a script")
    return value


ENGINE = Lua
