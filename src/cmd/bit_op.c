#include "config.h"

#include <string.h>

#include "base/alloc.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* BITOP: bitwise operations on whole strings. A shorter string counts as followed by zeros. */

/* The result is computed in parts of so many bytes, so that it takes no second block of its size,
 * also if the destination is one of the sources. */
#define PART 4096

enum operation { BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT };

static bool
arg_to_operation(struct slice arg, enum operation *op)
{
	static const char *const names[] = {"and", "or", "xor", "not"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_is_nocase(arg, names[i])) {
			*op = (enum operation)i;
			return true;
		}
	}
	return false;
}

static void
combine_words(enum operation op, uint64_t *to, const uint64_t *from, size_t words)
{
	size_t i;

	switch (op) {
	case BITOP_AND:
		for (i = 0; i < words; i++)
			to[i] &= from[i];
		break;
	case BITOP_OR:
		for (i = 0; i < words; i++)
			to[i] |= from[i];
		break;
	case BITOP_XOR:
		for (i = 0; i < words; i++)
			to[i] ^= from[i];
		break;
	case BITOP_NOT:
		for (i = 0; i < words; i++)
			to[i] = ~from[i];
		break;
	}
}

/* The bytes of s from `from` on, followed by zeros. */
static void
read_part(struct slice s, size_t from, uint64_t part[PART / 8])
{
	size_t len = from < s.len ? s.len - from : 0;

	if (len > PART)
		len = PART;
	if (len > 0)
		memcpy(part, s.ptr + from, len);
	memset((char *)part + len, 0, PART - len);
}

static void
combine(enum operation op, const struct slice *sources, size_t count, char *to, size_t len)
{
	uint64_t result[PART / 8], other[PART / 8];
	size_t from, i;

	for (from = 0; from < len; from += PART) {
		read_part(sources[0], from, result);
		if (op == BITOP_NOT)
			combine_words(op, result, result, PART / 8);
		for (i = 1; i < count; i++) {
			read_part(sources[i], from, other);
			combine_words(op, result, other, PART / 8);
		}
		memcpy(to + from, result, len - from < PART ? len - from : PART);
	}
}

/*
 * Looks up the sources; *longest is the length of the longest. Returns false after replying with an
 * error if one is not a string. Expired keys are gone afterwards, so that no later look-up moves a
 * key in memory.
 */
static bool
look_up(struct request *rq, size_t *longest)
{
	size_t i;

	*longest = 0;
	for (i = 3; i < rq->argc; i++) {
		const struct kv_key *key = key_read(rq, rq->argv[i]);

		if (!key_is_of(rq, key, KV_STRING))
			return false;
		if (key != NULL && kv_string(key).len > *longest)
			*longest = kv_string(key).len;
	}
	return true;
}

static bool
is_source(const struct request *rq, struct slice name)
{
	size_t i;

	for (i = 3; i < rq->argc; i++)
		if (slice_eq(rq->argv[i], name))
			return true;
	return false;
}

/* The destination, made `len` bytes long. If it is a source, it keeps its bytes. */
static char *
make_room(struct request *rq, struct slice name, size_t len)
{
	struct kv_key *old = key_write(rq, name), *key = old;

	if (old == NULL || !is_source(rq, name))
		key = key_put_string(rq, old, name, SLICE(""));
	if (old != NULL)
		key = kv_set_expiry(request_db(rq), key, KV_NEVER);
	return kv_string_room(request_db(rq), &key, len);
}

static void
store(struct request *rq, enum operation op, size_t len)
{
	struct slice name = rq->argv[2];
	size_t count = rq->argc - 3, i;
	struct slice *sources = xcalloc(count, sizeof(*sources));
	char *to = make_room(rq, name, len);

	for (i = 0; i < count; i++) {
		const struct kv_key *key = key_peek(rq, request_db(rq), rq->argv[3 + i]);

		sources[i] = key != NULL ? kv_string(key) : SLICE("");
	}
	combine(op, sources, count, to, len);
	xfree(sources);
	key_changed(rq, name, KEY_STRING, "set");
}

enum command_result
cmd_bitop(struct request *rq)
{
	struct kv_key *old;
	enum operation op;
	size_t len;

	if (!arg_to_operation(rq->argv[1], &op)) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (op == BITOP_NOT && rq->argc != 4) {
		request_error(rq, "ERR BITOP NOT must be called with a single source key.");
		return COMMAND_DONE;
	}
	if (!look_up(rq, &len))
		return COMMAND_DONE;
	if (len > 0) {
		store(rq, op, len);
	} else {
		old = key_write(rq, rq->argv[2]);
		if (old != NULL)
			key_remove(rq, old, "del");
	}
	resp_put_int(rq->reply, (int64_t)len);
	return COMMAND_DONE;
}
