#include "config.h"

#include "link/presence_script.h"

#include "link/engine_lua.h"
#include "resp/writer.h"

/* clang-format off */

/* What may fail for want of memory comes first: Redis refuses no further write of the same script.
 * A member whose nodes and info are the same as before is not written. */
static const char change[] = FORMAT PUBLISH
    "local node, ended, kind, channel, member, info, connected, to, event, size, ttl = unpack(ARGV)\n"
    "local lease = redis.call('ZSCORE', 'fanfare:nodes', node)\n"
    "if ended == '1' then\n"
    "  if lease ~= '0' then return 0 end\n"
    "elseif not lease or lease == '0' then\n"
    "  return -1\n"
    "end\n"
    "local comes, key, field, owned, entry = kind == 'j' or kind == 'o'\n"
    "if kind == 'j' or kind == 'l' then\n"
    "  key, field, owned = 'fanfare:presence:' .. channel, member, 'fanfare:members:' .. node\n"
    "  entry = #channel .. ':' .. channel .. member\n"
    "else\n"
    "  key, field, owned, entry = 'fanfare:occupied', channel, 'fanfare:occupied:' .. node, channel\n"
    "end\n"
    "if event ~= '' and size ~= '' then\n"
    "  local has = redis.call('HMGET', KEYS[1], 'epoch', 'secret')\n"
    "  if not has[1] or not has[2] or redis.call('HEXISTS', KEYS[2], " MARKER ") == 0 then\n"
    "    return " GONE "\n"
    "  end\n"
    "end\n"
    "local was = redis.call('HGET', key, field)\n"
    "local names, about = string.match(was or '', '^([^\\n]*)\\n(.*)$')\n"
    "local nodes, had = {}, false\n"
    "for name, mark in string.gmatch(names or '', '(%x+)(%*?)') do\n"
    "  if name ~= node then\n"
    "    nodes[#nodes + 1] = name .. mark\n"
    "  elseif comes then\n"
    "    nodes[#nodes + 1], had = node .. connected, true\n"
    "  else\n"
    "    had = true\n"
    "  end\n"
    "end\n"
    "if comes then\n"
    "  local first = #nodes == 0\n"
    "  if not had then nodes[#nodes + 1] = node .. connected end\n"
    "  local now = table.concat(nodes, ' ') .. '\\n' .. info\n"
    "  if now == was then return 0 end\n"
    "  redis.call('HSET', key, field, now)\n"
    "  redis.call('SADD', owned, entry)\n"
    "  if not first then return 1 end\n"
    "  if kind == 'j' then redis.call('ZADD', 'fanfare:present', '0', channel) end\n"
    "else\n"
    "  local gone = redis.call('SREM', owned, entry)\n"
    "  if not had then return gone end\n"
    "  if #nodes > 0 then\n"
    "    redis.call('HSET', key, field, table.concat(nodes, ' ') .. '\\n' .. (about or ''))\n"
    "    return 1\n"
    "  end\n"
    "  redis.call('HDEL', key, field)\n"
    "  if kind == 'l' and redis.call('EXISTS', key) == 0 then\n"
    "    redis.call('ZREM', 'fanfare:present', channel)\n"
    "  end\n"
    "end\n"
    "if event == '' then return 1 end\n"
    "local sent\n"
    "if size ~= '' then\n"
    "  sent = publish('" HISTORY "' .. to, to, event, size, ttl)\n"
    "else\n"
    "  sent = redis.pcall('PUBLISH', to, event)\n"
    "end\n"
    "if type(sent) == 'table' and sent.err then return sent.err end\n"
    "return 2\n";

/* Members are removed before occupied channels, so that their events come first. */
static const char lease[] = FORMAT
    "local nodes, node, ms, makes, sweeps, former = 'fanfare:nodes', unpack(ARGV)\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local has = redis.call('ZSCORE', nodes, node)\n"
    "if has == '0' then return {-1} end\n"
    "if not has and makes ~= '1' then return {0} end\n"
    "if redis.call('ZCOUNT', nodes, '(' .. text(now), '+inf') == 0 then\n"
    "  for _, name in ipairs(redis.call('ZRANGEBYSCORE', nodes, '1', '+inf')) do\n"
    "    redis.call('ZADD', nodes, text(now + ms), name)\n"
    "  end\n"
    "end\n"
    "redis.call('ZADD', nodes, text(now + ms), node)\n"
    "if former ~= '' then redis.call('ZADD', nodes, 'XX', '0', former) end\n"
    "local out = {1}\n"
    "if sweeps ~= '1' then return out end\n"
    "for step = 1, 16 do\n"
    "  local name = redis.call('ZRANGEBYSCORE', nodes, '-inf', text(now), 'LIMIT', '0', '1')[1]\n"
    "  if not name or name == node then return out end\n"
    "  redis.call('ZADD', nodes, '0', name)\n"
    "  local owned, is_member = 'fanfare:members:' .. name, 1\n"
    "  local some = redis.call('SRANDMEMBER', owned, '100')\n"
    "  if #some == 0 then\n"
    "    owned, is_member = 'fanfare:occupied:' .. name, 0\n"
    "    some = redis.call('SRANDMEMBER', owned, '100')\n"
    "  end\n"
    "  out[2], out[3] = name, is_member\n"
    "  local bytes = 0\n"
    "  for _, entry in ipairs(some) do\n"
    "    if bytes > 1048576 then break end\n"
    "    local channel, member, info = entry, '', ''\n"
    "    if is_member == 1 then\n"
    "      local len, rest = string.match(entry, '^(%d+):(.*)$')\n"
    "      channel, member = string.sub(rest or '', 1, len or 0), string.sub(rest or '', (len or 0) + 1)\n"
    "      info = redis.pcall('HGET', 'fanfare:presence:' .. channel, member)\n"
    "      if type(info) ~= 'string' then info = '' end\n"
    "      info = string.match(info, '^[^\\n]*\\n(.*)$') or ''\n"
    "    end\n"
    "    bytes = bytes + #entry + #info\n"
    "    out[#out + 1], out[#out + 2], out[#out + 3] = channel, member, info\n"
    "  end\n"
    "  if #some > 0 then return out end\n"
    "  redis.call('ZREM', nodes, name)\n"
    "  out[2], out[3] = nil, nil\n"
    "end\n"
    "return out\n";

static const char members[] =
    "local key, cursor, most, room = 'fanfare:presence:' .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])\n"
    "local out, seen, count, bytes = {''}, {}, 0, 0\n"
    "for step = 1, 100 do\n"
    "  local ask = math.max(math.min(most - count, 100), 10)\n"
    "  local part = redis.call('HSCAN', key, cursor, 'COUNT', ask)\n"
    "  cursor = part[1]\n"
    "  for i = 1, #part[2], 2 do\n"
    "    local name = part[2][i]\n"
    "    if not seen[name] then\n"
    "      local nodes, info = string.match(part[2][i + 1], '^([^\\n]*)\\n(.*)$')\n"
    "      local _, connected = string.gsub(nodes or '', '%*', '')\n"
    "      out[#out + 1], out[#out + 2], out[#out + 3] = name, info or '', connected\n"
    "      seen[name], count, bytes = true, count + 1, bytes + #name + #(info or '')\n"
    "    end\n"
    "  end\n"
    "  if cursor == '0' or count >= most or bytes >= room then break end\n"
    "end\n"
    "out[1] = cursor\n"
    "return out\n";

static const char count_members[] =
    "local out = {}\n"
    "for i, channel in ipairs(ARGV) do out[i] = redis.call('HLEN', 'fanfare:presence:' .. channel) end\n"
    "return out\n";

static const char channels[] =
    "local names = redis.call('ZRANGEBYLEX', 'fanfare:present', ARGV[1], '+', 'LIMIT', '0', ARGV[2])\n"
    "local out, bytes = {#names == tonumber(ARGV[2]) and 1 or 0}, 0\n"
    "for _, name in ipairs(names) do\n"
    "  if bytes > 1048576 then\n"
    "    out[1] = 1\n"
    "    break\n"
    "  end\n"
    "  out[#out + 1], out[#out + 2] = name, redis.call('HLEN', 'fanfare:presence:' .. name)\n"
    "  bytes = bytes + #name\n"
    "end\n"
    "return out\n";

/* clang-format on */

static const char *const texts[PRESENCE_SCRIPTS] = {
    [PRESENCE_SCRIPT_CHANGE] = change,
    [PRESENCE_SCRIPT_LEASE] = lease,
    [PRESENCE_SCRIPT_MEMBERS] = members,
    [PRESENCE_SCRIPT_COUNT] = count_members,
    [PRESENCE_SCRIPT_CHANNELS] = channels,
};

void
presence_put_script(struct buffer *out, enum presence_script script)
{
	engine_put_text(out, texts[script]);
}

/* The keys are those that engine_lua.h needs, and other names are made in the script. */
static void
put_call(struct buffer *out, const struct presence_shas *shas, enum presence_script script,
    size_t arguments)
{
	engine_put_call(out, shas->text[script], 2, arguments);
}

void
presence_put_change(
    struct buffer *out, const struct presence_shas *shas, const struct presence_change *what)
{
	char kind = (char)what->kind;

	put_call(out, shas, PRESENCE_SCRIPT_CHANGE, 11);
	resp_put_bulk_str(out, what->node);
	resp_put_bulk_str(out, what->has_ended ? "1" : "0");
	resp_put_bulk(out, (struct slice){&kind, 1});
	resp_put_bulk(out, what->channel);
	resp_put_bulk(out, what->member);
	resp_put_bulk(out, what->info);
	resp_put_bulk_str(out, what->is_connected ? "*" : "");
	resp_put_bulk(out, what->event_channel);
	resp_put_bulk(out, what->event);
	if (what->is_kept) {
		resp_put_bulk_uint(out, what->size);
		resp_put_bulk_uint(out, what->ttl_ms);
	} else {
		resp_put_bulk_str(out, "");
		resp_put_bulk_str(out, "");
	}
}

void
presence_put_lease(
    struct buffer *out, const struct presence_shas *shas, const struct presence_lease_call *call)
{
	put_call(out, shas, PRESENCE_SCRIPT_LEASE, 5);
	resp_put_bulk_str(out, call->node);
	resp_put_bulk_uint(out, call->lease_ms);
	resp_put_bulk_str(out, call->makes ? "1" : "0");
	resp_put_bulk_str(out, call->sweeps ? "1" : "0");
	resp_put_bulk_str(out, call->former);
}

void
presence_put_members(struct buffer *out, const struct presence_shas *shas, struct slice channel,
    uint64_t cursor, size_t count, size_t bytes)
{
	put_call(out, shas, PRESENCE_SCRIPT_MEMBERS, 4);
	resp_put_bulk(out, channel);
	resp_put_bulk_uint(out, cursor);
	resp_put_bulk_uint(out, count);
	resp_put_bulk_uint(out, bytes);
}

void
presence_put_count(
    struct buffer *out, const struct presence_shas *shas, const struct slice *names, size_t count)
{
	put_call(out, shas, PRESENCE_SCRIPT_COUNT, count);
	for (size_t i = 0; i < count; i++)
		resp_put_bulk(out, names[i]);
}

/* The bound of ZRANGEBYLEX: '-', or '(' and the name. */
void
presence_put_channels(
    struct buffer *out, const struct presence_shas *shas, struct slice after, size_t count)
{
	char header[BYTES_U64_MAX + 3];
	char *end = resp_write_header(header, '$', after.len + 1);

	put_call(out, shas, PRESENCE_SCRIPT_CHANNELS, 2);
	buffer_append(out, header, (size_t)(end - header));
	buffer_append_str(out, after.ptr != NULL ? "(" : "-");
	buffer_append_slice(out, after);
	buffer_append_str(out, "\r\n");
	resp_put_bulk_uint(out, count);
}
