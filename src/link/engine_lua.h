#ifndef LINK_ENGINE_LUA_H
#define LINK_ENGINE_LUA_H

/*
 * Engine Lua: what the scripts of engine_script.c and presence_script.c have in common, as text.
 * KEYS[1] is fanfare:engine and KEYS[2] is fanfare:channels in each of them.
 */
#define HISTORY "fanfare:history:"

/* clang-format off */

/* Numbers of Lua are exact up to 2^53, and its text of large ones is not. */
#define FORMAT "local function text(n) return string.format('%.0f', n) end\n"
#define MARKER "'\\0fanfare'"
#define GONE                                                                                       \
	"redis.error_reply('CLUSTERDOWN The history of the upstream is gone, and begins anew')"

/* publish(stream, channel, payload, size, ttl): gives the message a position, keeps it in the
 * stream unless size is '0', and publishes it. If the server refuses the PUBLISH, the message is not
 * kept either. Returns the position, 1 if it is not kept, or an error. It needs FORMAT. */
#define PUBLISH                                                                                    \
    "local function publish(stream, channel, payload, size, ttl)\n"                                \
    "  local has = redis.call('HMGET', KEYS[1], 'epoch', 'secret')\n"                              \
    "  local was = redis.call('HMGET', KEYS[2], channel, " MARKER ")\n"                            \
    "  if not has[1] or not has[2] or not was[2] then return " GONE " end\n"                       \
    "  local seq = text(redis.call('HINCRBY', KEYS[1], 'seq', 1))\n"                               \
    "  local id = has[1] .. '-' .. seq\n"                                                          \
    "  local n, start, mark = string.match(was[1] or '', '^(%d+) %d+ (%d+)(.*)$')\n"               \
    "  if n then\n"                                                                                \
    "    n = text(tonumber(n) + 1)\n"                                                              \
    "  else\n"                                                                                     \
    "    n, start, mark = text(tonumber(seq) * 2), text(tonumber(seq) * 2 - 1), ''\n"              \
    "  end\n"                                                                                      \
    "  local time = redis.call('TIME')\n"                                                          \
    "  local ms = text(time[1] * 1000 + math.floor(time[2] / 1000))\n"                             \
    "  local keeps = size ~= '0'\n"                                                                \
    "  if keeps then\n"                                                                            \
    "    redis.call('XADD', stream, 'MAXLEN', size, id, 'n', n, 't', ms, 'p', payload)\n"          \
    "  end\n"                                                                                      \
    "  local sent = redis.pcall('PUBLISH', channel,\n"                                             \
    "    '\\0ff1 ' .. has[2] .. ' ' .. id .. ' ' .. n .. ' ' .. payload)\n"                        \
    "  if type(sent) == 'table' and sent.err then\n"                                               \
    "    if keeps then redis.call('XDEL', stream, id) end\n"                                       \
    "    return sent\n"                                                                            \
    "  end\n"                                                                                      \
    "  if keeps then\n"                                                                            \
    "    if redis.call('PTTL', stream) < tonumber(ttl) then\n"                                     \
    "      redis.call('PEXPIRE', stream, ttl)\n"                                                   \
    "    end\n"                                                                                    \
    "  else\n"                                                                                     \
    "    redis.call('DEL', stream)\n"                                                              \
    "  end\n"                                                                                      \
    "  redis.call('HSET', KEYS[2], channel, n .. ' ' .. seq .. ' ' .. start .. mark)\n"            \
    "  return keeps and id or 1\n"                                                                 \
    "end\n"

/* clang-format on */

#endif
