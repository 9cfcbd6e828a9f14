"""Random calls of the libraries of Lua scripts, as Lua, and a script that runs many of them and returns what each gave.

The order of pairs() in a table depends on the hashes of its keys, which Redis's Lua computes otherwise for strings of 32
bytes and more: no key is that long.
"""

import struct

# Every result as text: numbers with all digits, strings in hexadecimal, tables sorted by their keys.
PRELUDE = r"""
local show
local function show_table(t, depth)
  if depth > 20 then return '{...}' end
  local items = {}
  for k, v in pairs(t) do items[#items + 1] = show(k, depth + 1) .. '=' .. show(v, depth + 1) end
  table.sort(items)
  return '{' .. table.concat(items, ',') .. '}'
end
show = function(v, depth)
  if v == cjson.null then return 'null' end
  if type(v) == 'number' then return string.format('%.17g', v) end
  if type(v) == 'string' then
    return "'" .. v:gsub('.', function(c) return string.format('%02x', c:byte()) end):gsub('\n', '0a') .. "'"
  end
  if type(v) == 'table' then return show_table(v, depth) end
  return tostring(v)
end
local lines = {}
local function results(ok, ...)
  if not ok then return 'error: ' .. string.format('%q', (...)):gsub('\\?\n', '<newline>') end
  local shown = {}
  for i = 1, select('#', ...) do shown[i] = show((select(i, ...)), 0) end
  return table.concat(shown, ' ')
end
local function try(f) lines[#lines + 1] = results(pcall(f)) end
"""


def script_of(calls):
    """One script; its result is a line for each call."""
    # The error of a call begins with its line, so each has one of its own.
    body = "".join(f"try(function() return {call} end)\n" for call in calls)
    return PRELUDE + body + "return table.concat(lines, '\\n')"


def quoted(data):
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


NUMBERS = ["0", "1", "-1", "127", "128", "-32", "-33", "-128", "-129", "255", "256", "32767", "32768", "-32768", "-32769",
           "65535", "65536", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
           "9007199254740993", "9223372036854775807", "-9223372036854775808", "-9223372036854777856",
           "18446744073709551615", "1e300", "-1e300", "0.5", "-0.5", "0.1", "1.5e-45", "3.4028234663852886e38",
           "1e39", "(1/0)", "-(1/0)", "(0/0)", "(-0)"]


def number(source):
    kind = source.random()
    if kind < 0.4:
        return source.choice(NUMBERS)
    if kind < 0.7:
        return str(source.randrange(-70000, 70000))
    if kind < 0.85:
        return str(source.randrange(-2**63, 2**63))
    return repr(source.uniform(-1e6, 1e6))


def text(source, most=40):
    return quoted(source.randbytes(source.choice([0, 1, 2, 5, 31, most])))


def other(source):
    return source.choice(["nil", "true", "false", "{}", "tostring", '"12"', '"0x10"', '"abc"'])


# ---- struct ----------------------------------------------------------------------------------------------------------


def struct_item(source):
    """An option with its number, and whether it takes a number, a string or no argument."""
    kind = source.random()
    if kind < 0.45:
        return source.choice("bBhHlLTfd"), number
    if kind < 0.6:
        return source.choice("iI") + source.choice(["", "0", "1", "2", "3", "4", "7", "8", "9", "16", "31", "32"]), number
    if kind < 0.75:
        return source.choice(["c", "c0", "c1", "c5", "c16", "s", "s"]), text
    return source.choice([" ", "<", ">", "!", "!1", "!2", "!4", "!8", "!16", "!1024", "x"]), None


def struct_format(source):
    items = [struct_item(source) for _ in range(source.randrange(1, 7))]
    if source.random() < 0.1:
        wrong = source.choice(["z", "\\200", "%", "!0", "!3", "!12", "i33", "I99", "c2147483647", "c2147483648", "!", "i",
                               "i99999999999", "c9", "5", "\\n", "A"])
        items.insert(source.randrange(len(items) + 1), (wrong, None))
    # Digits of two items must not meet.
    return " ".join(option for option, _ in items), [kind for _, kind in items if kind is not None]


def struct_arguments(source, kinds):
    """Mostly what the format wants; sometimes another value, or one too few or too many."""
    arguments = [kind(source) if source.random() < 0.97 else other(source) for kind in kinds]
    if source.random() < 0.05:
        arguments = arguments[:-1]
    if source.random() < 0.05:
        arguments.append(other(source))
    return arguments


def struct_call(source):
    layout, kinds = struct_format(source)
    packed = "struct.pack(" + ", ".join([f'"{layout}"', *struct_arguments(source, kinds)]) + ")"
    kind = source.random()
    if kind < 0.35:
        return packed
    if kind < 0.6:
        return f'struct.unpack("{layout}", {packed})'
    if kind < 0.75:
        return f'struct.size("{layout}")'
    offset = source.choice(["", ", 1", ", 2", ", 9", ", 0", ", -1", ", -7", ", 100", ", 1.7", ", 1e300", ", nil", ", {}"])
    # A count before 'c0', in three ways, so that some fit.
    layout = layout.replace("c0", source.choice(["c0", "Bc0", ">i8c0", "dc0"]))
    return f'struct.unpack("{layout}", {text(source, 64)}{offset})'


# ---- cmsgpack ----------------------------------------------------------------------------------------------------------


def value(source, depth=0):
    kind = source.random()
    if kind < 0.3 or depth > 4:
        return number(source)
    if kind < 0.5:
        return text(source, source.choice([40, 255, 256]))
    if kind < 0.6:
        return source.choice(["true", "false", "nil", "tostring", "cjson.null"])
    items = [value(source, depth + 1) for _ in range(source.choice([0, 1, 2, 3, 15, 16]) if depth < 2 else 2)]
    if kind < 0.75:
        return "{" + ", ".join(items) + "}"
    # A table as a key, which has its address as hash, is alone.
    if len(items) == 1 and source.random() < 0.2:
        return "{[{}]=" + items[0] + "}"
    keys = [source.choice([number(source).replace("(0/0)", "7"), text(source, 20), "true", str(place + 1)])
            for place in range(len(items))]
    return "{" + ", ".join(f"[{key}]={item}" for key, item in zip(keys, items)) + "}"


HEADS = [b"\xcc", b"\xcd", b"\xce", b"\xcf", b"\xd0", b"\xd1", b"\xd2", b"\xd3", b"\xca", b"\xcb", b"\xd9", b"\xda", b"\xdb",
         b"\xdc", b"\xdd", b"\xde", b"\xdf", b"\xc0", b"\xc1", b"\xc2", b"\xc3", b"\xc4", b"\xc7", b"\xd4", b"\xd8"]


def message(source, depth=0):
    """Bytes that mostly are MessagePack."""
    kind = source.random()
    if kind < 0.25 or depth > 3:
        return bytes([source.choice([source.randrange(128), source.randrange(0xe0, 0x100), 0xc0, 0xc2, 0xc3])])
    if kind < 0.4:
        return source.choice(HEADS[:10]) + source.randbytes(source.choice([1, 2, 4, 8]))
    if kind < 0.5:
        length = source.randrange(40)
        head = source.choice([bytes([0xa0 | length & 31]), struct.pack(">BB", 0xd9, length),
                              struct.pack(">BH", 0xda, length), struct.pack(">BI", 0xdb, length)])
        return head + source.randbytes(length)
    count = source.randrange(5)
    if kind < 0.7:
        head = source.choice([bytes([0x90 | count]), struct.pack(">BH", 0xdc, count), struct.pack(">BI", 0xdd, count)])
        return head + b"".join(message(source, depth + 1) for _ in range(count))
    if kind < 0.95:
        head = source.choice([bytes([0x80 | count]), struct.pack(">BH", 0xde, count), struct.pack(">BI", 0xdf, count)])
        return head + b"".join(message(source, depth + 1) for _ in range(2 * count))
    return source.choice(HEADS) + source.randbytes(source.randrange(6))


def cmsgpack_call(source):
    kind = source.random()
    if kind < 0.35:
        return f"cmsgpack.pack({', '.join(value(source) for _ in range(source.choice([0, 1, 1, 1, 2, 5])))})"
    if kind < 0.55:
        return f"cmsgpack.unpack(cmsgpack.pack({value(source)}, {value(source)}))"
    data = quoted(b"".join(message(source) for _ in range(source.randrange(4))))
    places = ["", "0", "1", "2", "-1", "3", "1000", "1.9", "nil", "{}", '"1"', "4294967296", "1e300"]
    offset = source.choice(places)
    if kind < 0.75:
        return f"cmsgpack.unpack({data})"
    if kind < 0.87:
        return f"cmsgpack.unpack_one({', '.join([data, offset] if offset else [data])})"
    limit = source.choice(places[1:])
    return f"cmsgpack.unpack_limit({', '.join([data, limit, offset] if offset else [data, limit])})"


# ---- cjson -------------------------------------------------------------------------------------------------------------


def json_string(source):
    parts = ["a", "é", " ", "/", "\x01", "\x7f", "\\n", "\\t", '\\"', "\\\\", "\\/", "\\u0041", "\\u00e9", "\\u20ac", "\\u0000",
             "\\uD83D\\uDE00", "\\b\\f\\r", "abcdefghij"]
    wrong = ["\\x", "\\u12g4", "\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\", "\\u", "\\U0041"]
    chosen = [source.choice(parts if source.random() < 0.98 else wrong) for _ in range(source.randrange(5))]
    return '"' + "".join(chosen) + '"'


def json_text(source, depth=0):
    kind = source.random()
    if kind < 0.35 or depth > 3:
        return source.choice(["0", "-0", "1", "-1", "12.5", "1e5", "1E-5", "1e999", "123456789012345678901234567890", "0.1",
                              "true", "false", "null", "1.", "-1.5e+3"])
    if kind < 0.4:
        return source.choice(["01", "0x1F", "-0x1p3", "NaN", "nan", "-nan", "Infinity", "-inf", "inf", "+1", "-", ".5", "tru",
                              "nul", "True", "'a'", "e5", "\x80", "", "1e", "--1", "0xg"])
    if kind < 0.6:
        return json_string(source)
    comma = source.choice([",", " , ", ",\n"])
    if kind < 0.8:
        return "[" + comma.join(json_text(source, depth + 1) for _ in range(source.randrange(4))) + "]"
    colon = source.choice([":", " : ", ":\t"])
    return "{" + comma.join(json_string(source) + colon + json_text(source, depth + 1)
                            for _ in range(source.randrange(4))) + " }"


def json_bytes(source):
    """JSON, sometimes with a byte changed, left out or added."""
    data = bytearray(json_text(source).encode("utf-8", "surrogatepass"))
    if data and source.random() < 0.3:
        place = source.randrange(len(data))
        data[place:place + source.randrange(2)] = source.choice([b"", b"", b"\0", b"]", b"}", b"{", b"[", b",", b":", b'"', b"1"])
    return bytes(data)


def cjson_setting(source):
    """A call that changes or reads a setting, mostly with arguments that it accepts."""
    name = source.choice(["encode_sparse_array", "encode_max_depth", "decode_max_depth", "encode_number_precision",
                          "encode_invalid_numbers", "decode_invalid_numbers"])
    arguments = {"encode_sparse_array": lambda: [source.choice(["true", "false", '"on"', "nil"]),
                                                 source.choice(["0", "1", "3"]), source.choice(["0", "2", "5"])],
                 "encode_number_precision": lambda: [source.choice(["1", "3", "14", "14"])],
                 "encode_max_depth": lambda: [source.choice(["1", "2", "3"])],
                 "decode_max_depth": lambda: [source.choice(["1", "2", "3"])]}.get(
                     name, lambda: [source.choice(["true", "false", '"on"', '"off"'])])()
    if name == "encode_invalid_numbers" and source.random() < 0.5:
        arguments = ['"null"']
    if source.random() < 0.1:
        arguments = [source.choice(["0", "-1", "15", "1e300", "{}", '"x"', '"null"', "nil", "1.5", "2147483648"])]
    if source.random() < 0.05:
        arguments += ["1", "2", "3"]
    return f"c.{name}({', '.join(arguments[:source.choice([0, 1, 3, 9])])})"


def cjson_call(source):
    kind = source.random()
    if kind < 0.25:
        return f"cjson.encode({value(source)})"
    if kind < 0.35:
        return f"cjson.decode(cjson.encode({value(source)}))"
    if kind < 0.7:
        return f"cjson.decode({quoted(json_bytes(source))})"
    if kind < 0.72:
        return source.choice(["cjson.encode()", "cjson.decode()", "cjson.encode(1, 2)", "cjson.decode({})", "cjson.new(1) == cjson",
                              'cjson.decode("1", 2)', "cjson.decode(1)", "cjson.encode(nil)", "cjson._NAME, cjson._VERSION"])
    # With settings, which only a copy of the library has.
    use = source.choice([f"c.encode({value(source)})", f"c.decode({quoted(json_bytes(source))})"])
    return (f"(function() local c = cjson.new() return {cjson_setting(source)}, {cjson_setting(source)}, "
            f"c.encode_sparse_array(), {use} end)()")


# ---- bit ---------------------------------------------------------------------------------------------------------------


def bit_call(source):
    name = source.choice(["tobit", "bnot", "bswap", "tohex", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror"])
    arguments = [number(source) if source.random() < 0.97 else other(source) for _ in range(source.choice([0, 1, 2, 2, 2, 3]))]
    return f"bit.{name}({', '.join(arguments)})"
