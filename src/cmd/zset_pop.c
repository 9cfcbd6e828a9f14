#include "config.h"

#include "cmd/zset_pop.h"

#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/request_keys.h"

static void
put_header(struct request *rq, struct slice name, size_t count, enum zset_pop_form form)
{
	switch (form) {
	case ZSET_POP_FLAT:
		resp_put_array(rq->reply, count * 2);
		break;
	case ZSET_POP_PAIRS:
		resp_put_array(rq->reply, count);
		break;
	case ZSET_POP_KEY_FLAT:
		resp_put_array(rq->reply, count * 2 + 1);
		resp_put_bulk(rq->reply, name);
		break;
	case ZSET_POP_KEY_PAIRS:
		resp_put_array(rq->reply, 2);
		resp_put_bulk(rq->reply, name);
		resp_put_array(rq->reply, count);
		break;
	}
}

static void
log_pop(struct request *rq, struct slice name, enum zset_end end, size_t count)
{
	char digits[BYTES_I64_MAX];
	struct slice argv[] = {
	    end == ZSET_MIN ? SLICE("ZPOPMIN") : SLICE("ZPOPMAX"),
	    name,
	    {digits, bytes_from_i64(digits, (int64_t)count)},
	};

	request_propagate(rq, argv, 3);
}

void
zset_pop(struct request *rq, struct kv_key *key, enum zset_end end, size_t count,
    enum zset_pop_form form)
{
	struct kv_zset *z = kv_value(key);
	struct slice name = kv_name(key);
	size_t all = kv_zset_count(z), i;
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	if (count > all)
		count = all;
	put_header(rq, name, count, form);
	kv_zset_seek(z, end == ZSET_MIN ? 0 : all, &cursor);
	for (i = 0; i < count; i++) {
		if (!(end == ZSET_MIN ? kv_zset_next(&cursor, &entry)
				      : kv_zset_prev(&cursor, &entry)))
			break;
		if (form == ZSET_POP_PAIRS || form == ZSET_POP_KEY_PAIRS)
			resp_put_array(rq->reply, 2);
		resp_put_bulk(rq->reply, entry.member);
		resp_put_double(rq->reply, rq->proto, entry.score);
	}
	log_pop(rq, name, end, count);
	if (count < all)
		kv_zset_remove_ranks(
		    z, end == ZSET_MIN ? 0 : all - count, end == ZSET_MIN ? count : all);
	key_changed(rq, name, KEY_ZSET, end == ZSET_MIN ? "zpopmin" : "zpopmax");
	/* To pop all members, the key is removed: many members are then freed in slices. */
	if (count == all)
		key_remove(rq, key, "del");
}

static bool
parse_end(struct slice word, enum zset_end *end)
{
	*end = slice_is_nocase(word, "max") ? ZSET_MAX : ZSET_MIN;
	return *end == ZSET_MAX || slice_is_nocase(word, "min");
}

/* Reads an integer of at least 1. */
static bool
parse_positive(struct request *rq, struct slice arg, const char *what, int64_t *value)
{
	if (slice_to_i64(arg, value) && *value > 0)
		return true;
	request_error(rq, "ERR %s should be greater than 0", what);
	return false;
}

bool
zset_mpop_parse(struct request *rq, size_t at, struct zset_mpop *mpop)
{
	int64_t keys, count = 1;
	size_t where;

	if (!parse_positive(rq, rq->argv[at], "numkeys", &keys))
		return false;
	/* The arguments up to `at` exist. */
	if ((uint64_t)keys >= rq->argc - at - 1) {
		request_syntax_error(rq);
		return false;
	}
	where = at + 1 + (size_t)keys;
	if (!parse_end(rq->argv[where], &mpop->end) ||
	    (rq->argc - where != 1 &&
		(rq->argc - where < 3 || !slice_is_nocase(rq->argv[where + 1], "count")))) {
		request_syntax_error(rq);
		return false;
	}
	if (rq->argc - where >= 3 && !parse_positive(rq, rq->argv[where + 2], "count", &count))
		return false;
	if (rq->argc - where > 3) {
		request_syntax_error(rq);
		return false;
	}
	mpop->first_key = at + 1;
	mpop->key_count = (size_t)keys;
	mpop->count = (size_t)count;
	return true;
}

bool
zset_pop_find(struct request *rq, const struct slice *names, size_t count, struct kv_key **key)
{
	size_t i;

	*key = NULL;
	for (i = 0; i < count && *key == NULL; i++)
		*key = key_write(rq, names[i]);
	return key_is_of(rq, *key, KV_ZSET);
}
