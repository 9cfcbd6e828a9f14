#include "config.h"

#include <string.h>

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* Bits of strings: SETBIT GETBIT BITCOUNT BITPOS. Bit 0 is the highest bit of the first byte. */

static bool
arg_to_bit_offset(struct request *rq, struct slice arg, size_t *offset)
{
	int64_t v;

	if (slice_to_i64(arg, &v) && v >= 0 && (uint64_t)v >> 3 < request_max_string(rq)) {
		*offset = (size_t)v;
		return true;
	}
	request_error(rq, "ERR bit offset is not an integer or out of range");
	return false;
}

static bool
bit_at(struct slice s, size_t offset)
{
	return offset >> 3 < s.len &&
	       ((unsigned char)s.ptr[offset >> 3] >> (7 - (offset & 7)) & 1) != 0;
}

enum command_result
cmd_setbit(struct request *rq)
{
	struct slice name = rq->argv[1];
	struct kv_key *key;
	size_t offset, len, needed;
	int64_t v;
	bool was;

	if (!arg_to_bit_offset(rq, rq->argv[2], &offset))
		return COMMAND_DONE;
	if (!slice_to_i64(rq->argv[3], &v) || v < 0 || v > 1) {
		request_error(rq, "ERR bit is not an integer or out of range");
		return COMMAND_DONE;
	}
	key = key_write(rq, name);
	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	len = key != NULL ? kv_string(key).len : 0;
	was = key != NULL && bit_at(kv_string(key), offset);
	needed = (offset >> 3) + 1;
	resp_put_int(rq->reply, was);
	if (needed <= len && was == (v == 1))
		return COMMAND_DONE;
	if (key == NULL)
		key = key_put_string(rq, NULL, name, SLICE(""));
	char *at =
	    kv_string_room(request_db(rq), &key, needed > len ? needed : len) + (offset >> 3);
	unsigned char mask = (unsigned char)(1 << (7 - (offset & 7)));

	*at = (char)(v == 1 ? (unsigned char)*at | mask : (unsigned char)*at & ~mask);
	key_changed(rq, name, KEY_STRING, "setbit");
	return COMMAND_DONE;
}

enum command_result
cmd_getbit(struct request *rq)
{
	const struct kv_key *key;
	size_t offset;

	if (!arg_to_bit_offset(rq, rq->argv[2], &offset))
		return COMMAND_DONE;
	key = key_read(rq, rq->argv[1]);
	if (key_is_of(rq, key, KV_STRING))
		resp_put_int(rq->reply, key != NULL && bit_at(kv_string(key), offset));
	return COMMAND_DONE;
}

/* A range as the client gave it. */
struct bit_range {
	int64_t start, end; /* both included; negative: from the end */
	bool in_bits;
};

/* The range as bit numbers in s, both ends included. False: it contains no bits. */
static bool
range_in(struct slice s, const struct bit_range *range, int64_t *first, int64_t *last)
{
	int64_t len = range->in_bits ? (int64_t)s.len * 8 : (int64_t)s.len;
	int64_t start = range->start, end = range->end;

	if (!args_range_clamp(len, &start, &end))
		return false;
	*first = range->in_bits ? start : start * 8;
	*last = range->in_bits ? end : end * 8 + 7;
	return true;
}

/* Reads BYTE or BIT; replies with an error if the word is another. */
static bool
parse_unit(struct request *rq, struct slice word, struct bit_range *range)
{
	range->in_bits = slice_is_nocase(word, "bit");
	if (range->in_bits || slice_is_nocase(word, "byte"))
		return true;
	request_syntax_error(rq);
	return false;
}

static uint64_t
word_at(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/*
 * Counts four words in each step: without a popcount instruction, which not every machine has, a
 * word takes about 12 steps, and counting 512 MiB must not block the loop longer than necessary.
 */
static int64_t
ones_in(const char *at, size_t len)
{
	int64_t count = 0;

	for (; len >= 32; at += 32, len -= 32)
		count += __builtin_popcountll(word_at(at)) + __builtin_popcountll(word_at(at + 8)) +
			 __builtin_popcountll(word_at(at + 16)) +
			 __builtin_popcountll(word_at(at + 24));
	for (; len > 0; at++, len--)
		count += __builtin_popcount((unsigned char)*at);
	return count;
}

/* The number of set bits from first to last. */
static int64_t
count_between(struct slice s, int64_t first, int64_t last)
{
	size_t from = (size_t)(first >> 3), to = (size_t)(last >> 3);
	int64_t count = ones_in(s.ptr + from, to - from + 1);

	count -= __builtin_popcount((unsigned char)s.ptr[from] >> (8 - (first & 7)));
	return count - __builtin_popcount((unsigned char)s.ptr[to] & ((1 << (7 - (last & 7))) - 1));
}

static bool
parse_bitcount(struct request *rq, struct bit_range *range)
{
	if (rq->argc == 3 || rq->argc > 5) {
		request_syntax_error(rq);
		return false;
	}
	return (rq->argc < 4 || (args_i64(rq, rq->argv[2], &range->start) &&
				    args_i64(rq, rq->argv[3], &range->end))) &&
	       (rq->argc < 5 || parse_unit(rq, rq->argv[4], range));
}

/* As in Redis 7.2, the range is only looked at if there is a key. */
enum command_result
cmd_bitcount(struct request *rq)
{
	struct bit_range range = {0, -1, false};
	const struct kv_key *key = key_read(rq, rq->argv[1]);
	int64_t first, last, count = 0;

	if (!key_is_of(rq, key, KV_STRING) || (key != NULL && !parse_bitcount(rq, &range)))
		return COMMAND_DONE;
	/* Redis checks this before it reads the length of the string. */
	if (range.start < 0 && range.end < 0 && range.start > range.end)
		key = NULL;
	if (key != NULL && range_in(kv_string(key), &range, &first, &last))
		count = count_between(kv_string(key), first, last);
	resp_put_int(rq->reply, count);
	return COMMAND_DONE;
}

/* The number of the first such bit from first to last, or -1. */
static int64_t
find_between(struct slice s, bool bit, int64_t first, int64_t last)
{
	const uint64_t none = bit ? 0 : UINT64_MAX;

	while (first <= last) {
		size_t byte = (size_t)(first >> 3);

		if ((first & 7) == 0) {
			/*
			 * Skip words that cannot contain the bit; the rest is searched bit by bit.
			 */
			while (first + 63 <= last && word_at(s.ptr + byte) == none) {
				first += 64;
				byte += 8;
			}
		}
		if (first <= last && bit_at(s, (size_t)first) == bit)
			return first;
		first++;
	}
	return -1;
}

static bool
parse_bit(struct request *rq, int64_t *bit)
{
	if (!args_i64(rq, rq->argv[2], bit))
		return false;
	if (*bit == 0 || *bit == 1)
		return true;
	request_error(rq, "ERR The bit argument must be 1 or 0.");
	return false;
}

static bool
parse_bitpos(struct request *rq, struct bit_range *range)
{
	if (rq->argc > 6) {
		request_syntax_error(rq);
		return false;
	}
	return (rq->argc < 4 || args_i64(rq, rq->argv[3], &range->start)) &&
	       (rq->argc < 6 || parse_unit(rq, rq->argv[5], range)) &&
	       (rq->argc < 5 || args_i64(rq, rq->argv[4], &range->end));
}

enum command_result
cmd_bitpos(struct request *rq)
{
	struct bit_range range = {0, -1, false};
	const struct kv_key *key;
	int64_t bit, first, last, at = -1;
	struct slice s;

	if (!parse_bit(rq, &bit))
		return COMMAND_DONE;
	key = key_read(rq, rq->argv[1]);
	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	if (key == NULL) {
		/* A missing key counts as an endless run of zeros, whatever the range. */
		resp_put_int(rq->reply, bit == 1 ? -1 : 0);
		return COMMAND_DONE;
	}
	if (!parse_bitpos(rq, &range))
		return COMMAND_DONE;
	s = kv_string(key);
	if (range_in(s, &range, &first, &last)) {
		at = find_between(s, bit == 1, first, last);
		/* If no end was given, the string counts as followed by zeros. */
		if (at < 0 && bit == 0 && rq->argc < 5)
			at = last + 1;
	}
	resp_put_int(rq->reply, at);
	return COMMAND_DONE;
}
