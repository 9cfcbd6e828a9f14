#include "config.h"

#include "link/engine_script.h"

#include <inttypes.h>
#include <string.h>

#include "link/engine_lua.h"
#include "resp/writer.h"

#define SWEEP "fanfare:sweep"
#define CLAIMS "fanfare:claims:"
#define CLAIMERS "fanfare:claimers:"

/* clang-format off */

#define QUIET "3000000"

/* A server that gives positions for the first time leaves out a hole of 2^32 seqs: those may have
 * been given by the server before it, whose newest messages it lacks. What a node has seen in there
 * is lost. At a node seqs never decrease, also when the epoch changes: `newest` is the highest. */
static const char greet[] = FORMAT
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local run, epoch, seq, newest, secret = unpack(ARGV)\n"
    "seq, newest = tonumber(seq), tonumber(newest)\n"
    "local has = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'run', 'secret', 'holes', 'quiet')\n"
    "local at = tonumber(has[2] or '0') or 0\n"
    "local same = has[1] == epoch and has[2] and has[4] and at >= seq\n"
    "  and redis.call('HEXISTS', KEYS[2], " MARKER ") == 1\n"
    "for first, last in string.gmatch(has[5] or '', '(%d+)-(%d+)') do\n"
    "  same = same and (seq < tonumber(first) or seq > tonumber(last))\n"
    "end\n"
    "if not same and (has[1] == epoch or not has[1] or not has[2] or not has[4]\n"
    "    or redis.call('HEXISTS', KEYS[2], " MARKER ") == 0) then\n"
    "  has[1] = text(math.max(now, (tonumber(has[1] or '0') or 0) + 1, tonumber(epoch) + 1))\n"
    "  redis.call('DEL', KEYS[2])\n"
    "  redis.call('HSET', KEYS[2], " MARKER ", '1 1 0')\n"
    "  redis.call('HSET', KEYS[1], 'epoch', has[1], 'floor', text(at))\n"
    "  if not has[4] then\n"
    "    has[4] = secret\n"
    "    redis.call('HSET', KEYS[1], 'secret', secret)\n"
    "  end\n"
    "end\n"
    "if has[3] ~= run then\n"
    "  redis.call('HSET', KEYS[1], 'run', run)\n"
    "  if has[3] then\n"
    "    local holes = {}\n"
    "    for hole in string.gmatch(has[5] or '', '%S+') do holes[#holes + 1] = hole end\n"
    "    if #holes >= 64 then table.remove(holes, 1) end\n"
    "    holes[#holes + 1] = text(at + 1) .. '-' .. text(at + 4294967295)\n"
    "    has[5] = table.concat(holes, ' ')\n"
    "    has[6] = text(now + " QUIET ")\n"
    "    redis.call('HSET', KEYS[1], 'holes', has[5], 'quiet', has[6])\n"
    "    at = at + 4294967296\n"
    "  end\n"
    "end\n"
    "at = math.max(at, newest)\n"
    "if text(at) ~= has[2] then redis.call('HSET', KEYS[1], 'seq', text(at)) end\n"
    "local quiet = math.max(math.min((tonumber(has[6] or '0') or 0) - now, " QUIET "), 0)\n"
    "return {has[1], text(at), same and 1 or 0, has[4], has[5] or '', text(quiet)}\n";

static const char publish[] = FORMAT PUBLISH
    "return publish(KEYS[3], ARGV[1], ARGV[2], ARGV[3], ARGV[4])\n";

static const char load[] = FORMAT
    "local has = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'floor')\n"
    "local was = redis.call('HMGET', KEYS[2], ARGV[1], " MARKER ")\n"
    "if not has[1] or not was[2] then return " GONE " end\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local list = redis.call('XREVRANGE', KEYS[3], '+',\n"
    "  has[1] .. '-' .. text(tonumber(ARGV[2]) + 1), 'COUNT', ARGV[3])\n"
    "local out = {ARGV[1], ARGV[2], has[1], has[2], has[3],\n"
    "  string.match(was[1] or '', '^%d+ %d+ %d+[ %d]*$') or '0 0 0'}\n"
    "local bytes = 0\n"
    "for i, entry in ipairs(list) do\n"
    "  local field = entry[2]\n"
    "  bytes = bytes + #field[6]\n"
    "  if bytes > tonumber(ARGV[4]) or field[2] == '0' then break end\n"
    "  out[#out + 1] = {entry[1], field[2], text(math.max(now - field[4], 0)), field[6]}\n"
    "end\n"
    "return out\n";

/* Besides, channels whose stream has expired are forgotten, some at a time, unless the server does
 * not take writes just now. */
static const char check[] = FORMAT
    "local has = redis.call('HMGET', KEYS[1], 'epoch', 'cursor', 'floor', 'secret')\n"
    "if not has[1] then return " GONE " end\n"
    "local out = {has[1], has[4]}\n"
    "for i = 1, #ARGV, 2 do\n"
    "  local was = redis.call('HGET', KEYS[2], ARGV[i])\n"
    "  local n = was and string.match(was, '^%d+') or '0'\n"
    "  if n ~= ARGV[i + 1] then\n"
    "    out[#out + 1] = ARGV[i]\n"
    "    out[#out + 1] = n\n"
    "  end\n"
    "end\n"
    "local sweeps = redis.pcall('SET', KEYS[3], '1', 'NX', 'PX', '5000')\n"
    "if type(sweeps) == 'table' and sweeps.err and not string.find(sweeps.err, 'OOM')\n"
    "    and not string.find(sweeps.err, 'MISCONF') and not string.find(sweeps.err, 'NOREPLICAS') then\n"
    "  return sweeps\n"
    "end\n"
    "if type(sweeps) == 'table' and sweeps.ok then\n"
    "  local floor = tonumber(has[3] or '0') or 0\n"
    "  local cursor = has[2] or '0'\n"
    "  for step = 1, 16 do\n"
    "    local some, gone = redis.call('HSCAN', KEYS[2], cursor, 'COUNT', '256'), 0\n"
    "    cursor = some[1]\n"
    "    for i = 1, #some[2], 2 do\n"
    "      local name, seq = some[2][i], string.match(some[2][i + 1], '^%d+ (%d+) %d+')\n"
    "      if name ~= " MARKER " and redis.call('EXISTS', '" HISTORY "' .. name) == 0 then\n"
    "        floor, gone = math.max(floor, tonumber(seq or '0')), gone + 1\n"
    "        redis.call('HDEL', KEYS[2], name)\n"
    "      end\n"
    "    end\n"
    "    if gone < 32 then break end\n"
    "  end\n"
    "  redis.call('HSET', KEYS[1], 'cursor', cursor, 'floor', text(floor))\n"
    "end\n"
    "return out\n";

/* Scores are seqs. If as many claims are kept as may be, those with lower seqs may have been removed:
 * a message before them counts as claimed. Nodes that are not heard of are forgotten, so that their
 * share of the messages goes to the others at once. */
static const char claim[] = FORMAT
    "if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then return " GONE " end\n"
    "local node, most = ARGV[1], tonumber(ARGV[4])\n"
    "local now = tonumber(redis.call('TIME')[1])\n"
    "if ARGV[2] == '0' then\n"
    "  redis.call('HDEL', KEYS[4], node)\n"
    "else\n"
    "  redis.call('HSET', KEYS[4], node, ARGV[2] .. ' ' .. text(now))\n"
    "  redis.call('PEXPIRE', KEYS[4], 60000)\n"
    "end\n"
    "local count, floor, had = redis.call('ZCARD', KEYS[3]), 0, 0\n"
    "if count >= most then floor = tonumber(redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]) end\n"
    "had = count\n"
    "local results = {}\n"
    "for i = 5, #ARGV do\n"
    "  local asks, seq = string.match(ARGV[i], '^([?]?)(%d+)$')\n"
    "  local is = redis.call('ZRANGEBYSCORE', KEYS[3], seq, seq)[1]\n"
    "  if is then\n"
    "    results[#results + 1] = string.match(is, ' (%S+)$') == node and 1 or 0\n"
    "  elseif tonumber(seq) < floor then\n"
    "    results[#results + 1] = 3\n"
    "  elseif asks == '?' then\n"
    "    results[#results + 1] = 2\n"
    "  else\n"
    "    redis.call('ZADD', KEYS[3], seq, seq .. ' ' .. node)\n"
    "    count = count + 1\n"
    "    results[#results + 1] = 1\n"
    "  end\n"
    "end\n"
    "if count > most then redis.call('ZREMRANGEBYRANK', KEYS[3], 0, count - most - 1) end\n"
    "if count > had then redis.call('PEXPIRE', KEYS[3], ARGV[3]) end\n"
    "local all, names, members, out = redis.call('HGETALL', KEYS[4]), {}, {}, {results}\n"
    "for i = 1, #all, 2 do\n"
    "  local of, seen = string.match(all[i + 1], '^(%d+) (%d+)$')\n"
    "  if of and math.abs(now - tonumber(seen)) < 30 then\n"
    "    names[#names + 1], members[all[i]] = all[i], of\n"
    "  else\n"
    "    redis.call('HDEL', KEYS[4], all[i])\n"
    "  end\n"
    "end\n"
    "table.sort(names)\n"
    "for i, name in ipairs(names) do\n"
    "  out[#out + 1] = name\n"
    "  out[#out + 1] = members[name]\n"
    "end\n"
    "return out\n";

/* The channel keeps its numbers: a node that was away sees how many messages it has missed. The
 * entry in the stream, which is none of a message, says how long the channel is remembered. */
static const char delete_kept[] = FORMAT
    "local has = redis.call('HMGET', KEYS[1], 'epoch', 'secret')\n"
    "local was = redis.call('HMGET', KEYS[2], ARGV[1], " MARKER ")\n"
    "if not has[1] or not has[2] or not was[2] then return " GONE " end\n"
    "local all, n, last = string.match(was[1] or '', '^((%d+) (%d+) %d+)')\n"
    "if not n then return 1 end\n"
    "local seq = text(redis.call('HINCRBY', KEYS[1], 'seq', 1))\n"
    "local id = has[1] .. '-' .. seq\n"
    "local sent = redis.pcall('PUBLISH', ARGV[1],\n"
    "  '\\0ff1 ' .. has[2] .. ' ' .. id .. ' ' .. n .. 'd ')\n"
    "if type(sent) == 'table' and sent.err then return sent end\n"
    "local left = redis.call('PTTL', KEYS[3])\n"
    "redis.call('DEL', KEYS[3])\n"
    "redis.call('XADD', KEYS[3], id, 'n', '0', 't', '0', 'p', '')\n"
    "redis.call('PEXPIRE', KEYS[3], text(math.max(left, tonumber(ARGV[2]))))\n"
    "redis.call('HSET', KEYS[2], ARGV[1], all .. ' ' .. n .. ' ' .. last .. ' ' .. seq)\n"
    "return id\n";

/* clang-format on */

static const char *const texts[ENGINE_SCRIPTS] = {
    [ENGINE_GREET] = greet,
    [ENGINE_PUBLISH] = publish,
    [ENGINE_LOAD] = load,
    [ENGINE_CHECK] = check,
    [ENGINE_CLAIM] = claim,
    [ENGINE_DELETE] = delete_kept,
};

bool
engine_error_passes(struct slice error)
{
	return slice_begins_with(error, "OOM ") || slice_begins_with(error, "MISCONF ") ||
	       slice_begins_with(error, "NOREPLICAS ");
}

void
engine_put_script(struct buffer *out, enum engine_script script)
{
	engine_put_text(out, texts[script]);
}

static void
put_key(struct buffer *out, const char *prefix, struct slice name)
{
	char header[BYTES_U64_MAX + 3];
	char *end = resp_write_header(header, '$', strlen(prefix) + name.len);

	buffer_append(out, header, (size_t)(end - header));
	buffer_append_str(out, prefix);
	buffer_append_slice(out, name);
	buffer_append_str(out, "\r\n");
}

void
engine_put_greet(
    struct buffer *out, const struct engine_shas *shas, const struct engine_hello *hello)
{
	engine_put_call(out, shas->text[ENGINE_GREET], 2, 5);
	resp_put_bulk(out, hello->run);
	resp_put_bulk_uint(out, hello->newest.epoch);
	resp_put_bulk_uint(out, hello->newest.seq);
	resp_put_bulk_uint(out, hello->newest_seq);
	resp_put_bulk_str(out, hello->secret);
}

void
engine_put_publish(
    struct buffer *out, const struct engine_shas *shas, const struct engine_message *message)
{
	engine_put_call(out, shas->text[ENGINE_PUBLISH], 3, 4);
	put_key(out, HISTORY, message->channel);
	resp_put_bulk(out, message->channel);
	resp_put_bulk(out, message->payload);
	resp_put_bulk_uint(out, message->size);
	resp_put_bulk_uint(out, message->ttl_ms);
}

void
engine_put_delete(
    struct buffer *out, const struct engine_shas *shas, struct slice channel, uint64_t ttl_ms)
{
	engine_put_call(out, shas->text[ENGINE_DELETE], 3, 2);
	put_key(out, HISTORY, channel);
	resp_put_bulk(out, channel);
	resp_put_bulk_uint(out, ttl_ms);
}

static uint64_t
at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
engine_put_load(struct buffer *out, const struct engine_shas *shas, struct slice channel,
    const struct engine_limits *limits, uint64_t after_seq)
{
	engine_put_call(out, shas->text[ENGINE_LOAD], 3, 4);
	put_key(out, HISTORY, channel);
	resp_put_bulk(out, channel);
	resp_put_bulk_uint(out, after_seq);
	resp_put_bulk_uint(out, at_most(limits->messages, ENGINE_LOAD_MESSAGES));
	resp_put_bulk_uint(out, at_most(limits->bytes, ENGINE_LOAD_BYTES));
}

void
engine_put_check(struct buffer *out, const struct engine_shas *shas, size_t count)
{
	engine_put_call(out, shas->text[ENGINE_CHECK], 3, count * 2);
	resp_put_bulk_str(out, SWEEP);
}

void
engine_put_checked(struct buffer *out, struct slice channel, uint64_t number)
{
	resp_put_bulk(out, channel);
	resp_put_bulk_uint(out, number);
}

void
engine_put_claim(
    struct buffer *out, const struct engine_shas *shas, const struct engine_claim *claimed)
{
	struct buffer key = {0};

	engine_put_call(out, shas->text[ENGINE_CLAIM], 4, 4 + claimed->count);
	buffer_appendf(&key, "%" PRIu64 ":", claimed->epoch);
	buffer_append_slice(&key, claimed->key);
	put_key(out, CLAIMS, buffer_slice(&key));
	buffer_release(&key);
	put_key(out, CLAIMERS, claimed->key);
	resp_put_bulk(out, claimed->node);
	resp_put_bulk_uint(out, claimed->members);
	resp_put_bulk_uint(out, claimed->ttl_ms);
	resp_put_bulk_uint(out, ENGINE_CLAIMS);
}

void
engine_put_claimed(struct buffer *out, uint64_t seq, bool asks)
{
	char text[1 + BYTES_U64_MAX] = "?";
	size_t len = bytes_from_u64(text + 1, seq);

	resp_put_bulk(out, (struct slice){text + !asks, len + asks});
}
