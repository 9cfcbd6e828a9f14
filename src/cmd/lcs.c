#include "config.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * LCS: the longest common subsequence of two strings. A table holds the lengths for all pairs of
 * prefixes. Of several subsequences of that length the result is the one that Redis finds.
 */

/*
 * The table takes time as well as memory, and no client is served meanwhile: a table of this size
 * is filled in some 50 ms. Redis bounds it by proto-max-bulk-len.
 */
#define TABLE_MAX_BYTES ((size_t)64 << 20)

struct lcs {
	struct slice a, b;
	uint32_t *lengths; /* owned; for i bytes of a and j bytes of b, at [i * (b.len + 1) + j] */
	bool wants_len, wants_ranges, with_len;
	uint64_t min_len;
	struct buffer ranges; /* their replies */
	size_t range_count;
};

/* A run of bytes that is common to a and b. */
struct common {
	size_t a_start, b_start, len; /* len 0: no run */
};

static uint32_t
length_of(const struct lcs *x, size_t i, size_t j)
{
	return x->lengths[i * (x->b.len + 1) + j];
}

static void
fill(struct lcs *x)
{
	const size_t row = x->b.len + 1;
	size_t i, j;

	for (i = 1; i <= x->a.len; i++) {
		const uint32_t *above = x->lengths + (i - 1) * row;
		uint32_t *here = x->lengths + i * row;

		for (j = 1; j < row; j++) {
			if (x->a.ptr[i - 1] == x->b.ptr[j - 1])
				here[j] = above[j - 1] + 1;
			else
				here[j] = above[j] > here[j - 1] ? above[j] : here[j - 1];
		}
	}
}

static void
put_range(struct lcs *x, const struct common *c)
{
	if (!x->wants_ranges || c->len == 0 || c->len < x->min_len)
		return;
	x->range_count++;
	resp_put_array(&x->ranges, x->with_len ? 3 : 2);
	resp_put_array(&x->ranges, 2);
	resp_put_int(&x->ranges, (int64_t)c->a_start);
	resp_put_int(&x->ranges, (int64_t)(c->a_start + c->len - 1));
	resp_put_array(&x->ranges, 2);
	resp_put_int(&x->ranges, (int64_t)c->b_start);
	resp_put_int(&x->ranges, (int64_t)(c->b_start + c->len - 1));
	if (x->with_len)
		resp_put_int(&x->ranges, (int64_t)c->len);
}

/*
 * Walks from the end to the start. Writes the subsequence to text, unless it is NULL, and the
 * ranges.
 */
static void
walk(struct lcs *x, char *text)
{
	size_t i = x->a.len, j = x->b.len, at = length_of(x, i, j);
	struct common c = {0};

	while (i > 0 && j > 0) {
		if (x->a.ptr[i - 1] == x->b.ptr[j - 1]) {
			c = (struct common){--i, --j, c.len + 1};
			if (text != NULL)
				text[--at] = x->a.ptr[i];
			continue;
		}
		if (length_of(x, i - 1, j) > length_of(x, i, j - 1))
			i--;
		else
			j--;
		put_range(x, &c);
		c.len = 0;
	}
	put_range(x, &c);
}

static void
reply(struct request *rq, struct lcs *x)
{
	size_t len = length_of(x, x->a.len, x->b.len);
	char *text;

	if (x->wants_ranges) {
		walk(x, NULL);
		resp_put_map(rq->reply, rq->proto, 2);
		resp_put_bulk_str(rq->reply, "matches");
		resp_put_array(rq->reply, x->range_count);
		buffer_append_slice(rq->reply, buffer_slice(&x->ranges));
		resp_put_bulk_str(rq->reply, "len");
		resp_put_int(rq->reply, (int64_t)len);
		buffer_release(&x->ranges);
	} else if (x->wants_len) {
		resp_put_int(rq->reply, (int64_t)len);
	} else {
		text = xmalloc(len);
		walk(x, text);
		resp_put_bulk(rq->reply, (struct slice){text, len});
		xfree(text);
	}
}

static bool
parse_lcs(struct request *rq, struct lcs *x)
{
	int64_t min_len;
	size_t i;

	for (i = 3; i < rq->argc; i++) {
		if (slice_is_nocase(rq->argv[i], "idx")) {
			x->wants_ranges = true;
		} else if (slice_is_nocase(rq->argv[i], "len")) {
			x->wants_len = true;
		} else if (slice_is_nocase(rq->argv[i], "withmatchlen")) {
			x->with_len = true;
		} else if (slice_is_nocase(rq->argv[i], "minmatchlen") && i + 1 < rq->argc) {
			if (!args_i64(rq, rq->argv[++i], &min_len))
				return false;
			x->min_len = min_len > 0 ? (uint64_t)min_len : 0;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	if (!x->wants_ranges || !x->wants_len)
		return true;
	request_error(rq, "ERR If you want both the length and indexes, please just use IDX.");
	return false;
}

/* Returns false after replying with an error if the table would be too large. */
static bool
make_table(struct request *rq, struct lcs *x)
{
	const size_t bulk = rq->server->config->proto_max_bulk_bytes;
	const size_t cells = (bulk < TABLE_MAX_BYTES ? bulk : TABLE_MAX_BYTES) / sizeof(uint32_t);
	const char *bound = bulk < TABLE_MAX_BYTES ? "proto-max-bulk-len" : "64 MiB";

	if (x->a.len < cells && x->b.len + 1 <= cells / (x->a.len + 1)) {
		x->lengths = xcalloc((x->a.len + 1) * (x->b.len + 1), sizeof(uint32_t));
		return true;
	}
	request_error(rq, "ERR Insufficient memory, transient memory for LCS exceeds %s", bound);
	return false;
}

enum command_result
cmd_lcs(struct request *rq)
{
	const struct kv_key *a = key_read(rq, rq->argv[1]);
	const struct kv_key *b = key_read(rq, rq->argv[2]);
	struct lcs x = {.a = SLICE(""), .b = SLICE("")};

	/* The second look-up may have moved the first key in memory. */
	if (a != NULL)
		a = kv_find(request_db(rq), rq->argv[1]);
	if ((a != NULL && kv_type_of(a) != KV_STRING) ||
	    (b != NULL && kv_type_of(b) != KV_STRING)) {
		request_error(rq, "ERR The specified keys must contain string values");
		return COMMAND_DONE;
	}
	if (!parse_lcs(rq, &x))
		return COMMAND_DONE;
	if (a != NULL)
		x.a = kv_string(a);
	if (b != NULL)
		x.b = kv_string(b);
	if (make_table(rq, &x)) {
		fill(&x);
		reply(rq, &x);
		xfree(x.lengths);
	}
	return COMMAND_DONE;
}
