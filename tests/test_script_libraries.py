"""The libraries of Lua scripts, bit, cjson, cmsgpack and struct, give the same results and errors as those of redis-server."""

import random

import pytest

from conftest import missing
from lib import lua_calls

CALLS = 150  # of one script


@pytest.fixture
def evaluate(start_redis, start_fanfared):
    """What the calls give with redis-server, and what with fanfared: a list of lines each."""
    clients = [start_redis().client(), start_fanfared().client()]
    if clients[1].call("COMMAND", "INFO", "EVAL") == [None]:
        missing("Lua 5.1 in this build")

    def both(calls):
        script = lua_calls.script_of(calls)
        return [client.call("EVAL", script, 0).split(b"\n") for client in clients]

    yield both
    for client in clients:
        client.close()


def compare(evaluate, calls):
    redis, fanfared = evaluate(calls)
    assert len(redis) == len(fanfared) == len(calls)
    different = [f"{call}\n  redis-server: {theirs!r}\n  fanfared: {ours!r}"
                 for call, theirs, ours in zip(calls, redis, fanfared) if theirs != ours]
    assert not different, "\n".join([f"{len(different)} calls differ", *different[:10]])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["struct", "cmsgpack", "cjson", "bit"])
def test_random_calls_give_the_same(evaluate, kind, seed):
    source = random.Random(f"{kind} {seed}")
    for _ in range(8):
        compare(evaluate, [getattr(lua_calls, f"{kind}_call")(source) for _ in range(CALLS)])


def test_the_limits_are_the_same(evaluate):
    """Of Lua's stack, and of values in each other."""
    calls = []
    for depth in [3985, *range(3992, 4002), 7970, *range(7980, 8002)]:
        for head in [r"\145", r"\129", r"\129\001", r"\145\129\001"]:
            calls.append(rf'type(cmsgpack.unpack(string.rep("{head}", {depth}) .. string.rep("\001", {depth + 1})))')
        calls.append(rf'select("#", cmsgpack.unpack(string.rep("\001", {depth})))')
        calls.append(rf'select("#", cmsgpack.unpack_limit(string.rep("\001", {depth}), {depth}))')
        calls.append(rf'select("#", struct.unpack(string.rep("b", {depth}), string.rep("\001", {depth})))')
        calls.append(f"#cmsgpack.pack(unpack({{}}, 1, {depth}))")
    for depth in [15, 16, 17, 18, 999, 1000, 1001, 1002]:
        calls.append(f'cjson.encode(cjson.decode(string.rep("[", {depth}) .. string.rep("]", {depth})))')
        calls.append(f"""cjson.encode(cjson.decode(string.rep('{{"a":', {depth}) .. "1" .. string.rep("}}", {depth})))""")
        calls.append(f'cmsgpack.pack(cjson.decode(string.rep("[", {depth}) .. string.rep("]", {depth})))')
    raised = "(function() local c = cjson.new() c.decode_max_depth(100000) return type(c.decode(%s)) end)()"
    for depth in [3998, 3999, 4000, 4001, 7997, 7998, 7999, 8000]:
        calls.append(raised % f'string.rep("[", {depth}) .. string.rep("]", {depth})')
        calls.append(raised % f'''string.rep('{{"a":', {depth}) .. "1" .. string.rep("}}", {depth})''')
    for first in range(0, len(calls), CALLS):
        compare(evaluate, calls[first:first + CALLS])


def test_the_libraries_have_the_same_fields(evaluate):
    listing = ("(function() local names = {} for name, value in pairs(%s) do "
               "names[#names + 1] = name .. '=' .. (type(value) == 'function' and 'function' or tostring(value)) end "
               "table.sort(names) return unpack(names) end)()")
    compare(evaluate, [listing % name for name in ["bit", "cjson", "cmsgpack", "struct", "cjson.new()"]])
