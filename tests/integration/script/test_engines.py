"""The same pool with other engines: the protocol is not tied to JavaScript."""

from __future__ import annotations

import pytest

from runstead.platform.execution.script import (
    Invocation,
    Program,
    ScriptLimits,
    ScriptMemoryError,
    ScriptPool,
    ScriptSyntaxError,
    ScriptThrewError,
    ScriptTimeoutError,
)

LUA = """
local seen = 0
function greet(argument)
  seen = seen + 1
  console("info", "greeting " .. argument.name)
  return { text = "hello " .. argument.name, seen = seen, stored = host("get", "k"), list = { 1, 2, { a = true } } }
end
function spin() while true do end end
function grow() local t = {} while true do t[#t + 1] = string.rep("x", 100000) .. #t end end
function deep() return deep() + 1 end
function fail() error("on purpose") end
function out()
  local found = {}
  local others = { "io", "os", "require", "load", "loadfile", "dofile", "debug", "package", "python", "collectgarbage" }
  for _, name in ipairs(others) do
    if _G[name] ~= nil then found[#found + 1] = name end
  end
  return { found = #found, dump = string.dump == nil, meta = tostring(getmetatable("").__index == string) }
end
"""
LIMITS = ScriptLimits(script_seconds=0.5, heap_bytes=8 * 1024 * 1024)


async def call(pool: ScriptPool, function: str, argument: object = None, source: str = LUA) -> object:
    async def host(name: str, arguments: str) -> str:
        return f'"{name} {arguments}"'.replace('["k"]', "k")

    outcome = await pool.run(
        Program.of("app.lua", source),
        Invocation(function=function, argument=argument, limits=LIMITS),
        host_calls=host,
    )
    return outcome.value


@pytest.mark.req("JS-008")
async def test_lua_in_the_same_sandbox() -> None:
    async with ScriptPool(workers=1, engine="lua") as pool:
        assert pool.holes == ()
        wanted = {"text": "hello you", "seen": 1, "stored": "get k", "list": [1, 2, {"a": True}]}
        assert await call(pool, "greet", {"name": "you"}) == wanted
        assert await call(pool, "greet", {"name": "you"}) == wanted, "nothing stays"
        assert await call(pool, "out") == {"found": 0, "dump": True, "meta": "true"}
        with pytest.raises(ScriptTimeoutError):
            await call(pool, "spin")
        with pytest.raises(ScriptMemoryError):
            await call(pool, "grow")
        with pytest.raises(ScriptThrewError, match="on purpose"):
            await call(pool, "fail")
        with pytest.raises((ScriptThrewError, ScriptMemoryError)):
            await call(pool, "deep")
        with pytest.raises(ScriptThrewError, match="no function"):
            await call(pool, "absent")
        assert await call(pool, "greet", {"name": "you"}) == wanted
        assert pool.replaced == 0
        program = Program.of("app.lua", "function (")
        with pytest.raises(ScriptSyntaxError):
            await pool.run(program, Invocation(kind="check", limits=LIMITS))


async def test_conversions_are_stopped_like_scripts() -> None:
    async with ScriptPool(workers=1, engine="convert") as pool:
        nested = "{{#each a}}" * 7 + "x" + "{{/each}}" * 7
        data = '{"a":[' + ",".join(['{"a":[' + ",".join(["1"] * 50) + "]}"] * 50) + "]}"
        quick = await call(pool, "handlebars", {"template": "{{a}}", "data": '{"a":1}'}, "")
        assert quick == "1"
        loop = "{{#each a}}{{#each ../a}}{{#each ../../a}}{{#each ../../../a}}x{{/each}}{{/each}}{{/each}}{{/each}}"
        with pytest.raises((ScriptTimeoutError, ScriptThrewError, ScriptMemoryError)):
            await call(
                pool, "handlebars", {"template": loop, "data": '{"a":[' + ",".join(["1"] * 200) + "]}"}, ""
            )
        assert len(str(await call(pool, "handlebars", {"template": nested, "data": data}, ""))) >= 0
        assert await call(pool, "markdown", {"text": "*a*"}, "") == "<p><em>a</em></p>\n"
