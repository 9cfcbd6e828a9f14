#include "config.h"

#include "cmd/list_pop.h"

#include "base/buffer.h"
#include "cmd/args.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/server_config.h"

bool
list_end_parse(struct request *rq, struct slice word, enum kv_list_end *end)
{
	bool is_left = slice_is_nocase(word, "left");

	*end = is_left ? KV_LIST_HEAD : KV_LIST_TAIL;
	if (is_left || slice_is_nocase(word, "right"))
		return true;
	request_syntax_error(rq);
	return false;
}

void
list_settle(struct request *rq, struct kv_key *key)
{
	if (kv_list_count(kv_value(key)) == 0)
		key_remove(rq, key, "del");
}

static const char *
popped_event(enum kv_list_end end)
{
	return end == KV_LIST_HEAD ? "lpop" : "rpop";
}

/* Notifies that values were popped at this end, and removes the key if its list is empty. */
static void
was_popped(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end)
{
	key_changed(rq, name, KEY_LIST, popped_event(end));
	list_settle(rq, key);
}

void
list_pop(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end)
{
	struct kv_list *list = kv_value(key);
	struct kv_list_place place;

	if (kv_list_at_end(list, end, &place))
		resp_put_bulk(rq->reply, place.value);
	kv_list_pop(list, end);
	was_popped(rq, key, name, end);
}

void
list_pop_range(
    struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end, uint64_t count)
{
	struct kv_list *list = kv_value(key);
	struct kv_list_place place;
	size_t left;
	bool more;

	if (count > kv_list_count(list))
		count = kv_list_count(list);
	resp_put_array(rq->reply, (size_t)count);
	more = kv_list_at_end(list, end, &place);
	for (left = (size_t)count; more && left > 0; left--) {
		resp_put_bulk(rq->reply, place.value);
		more = kv_list_step(&place, end);
	}
	/* To pop all values, the key is removed: many values are then freed in slices. */
	if (count < kv_list_count(list)) {
		kv_free_value(rq->server->kv, KV_LIST, kv_list_trim(list, end, (size_t)count));
		was_popped(rq, key, name, end);
	} else {
		key_changed(rq, name, KEY_LIST, popped_event(end));
		key_remove(rq, key, "del");
	}
}

void
list_pop_named(
    struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end, uint64_t count)
{
	char digits[BYTES_I64_MAX];
	size_t all = kv_list_count(kv_value(key));
	struct slice argv[] = {end == KV_LIST_HEAD ? SLICE("LPOP") : SLICE("RPOP"), name,
	    {digits, bytes_from_i64(digits, (int64_t)(count < all ? count : all))}};

	resp_put_array(rq->reply, 2);
	resp_put_bulk(rq->reply, name);
	list_pop_range(rq, key, name, end, count);
	request_propagate(rq, argv, 3);
}

static void
push_moved(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end,
    struct slice value)
{
	struct kv_list *list;

	if (key != NULL) {
		kv_list_push(kv_value(key), end, value);
	} else {
		list = kv_list_new(rq->server->config->kv.list_size);
		kv_list_push(list, end, value);
		key_add(rq, name, KV_LIST, list);
	}
	key_changed(rq, name, KEY_LIST, end == KV_LIST_HEAD ? "lpush" : "rpush");
}

bool
list_move(struct request *rq, struct kv_key *source, struct slice from_name, struct slice to,
    enum kv_list_end from_end, enum kv_list_end to_end)
{
	struct kv_key *target = key_write(rq, to);
	struct kv_list_place place;
	struct buffer copy = {0};

	if (!key_is_of(rq, target, KV_LIST) || !kv_list_at_end(kv_value(source), from_end, &place))
		return false;
	buffer_append_slice(&copy, place.value);
	kv_list_pop(kv_value(source), from_end);
	push_moved(rq, target, to, to_end, buffer_slice(&copy));
	resp_put_bulk(rq->reply, buffer_slice(&copy));
	buffer_release(&copy);
	/* Adding a key may have moved the source key in memory. */
	was_popped(rq, key_write(rq, from_name), from_name, from_end);
	return true;
}

bool
list_mpop_parse(struct request *rq, size_t at, struct list_mpop *mpop)
{
	int64_t name_count;
	size_t i;

	if (!args_at_least(rq, rq->argv[at], 1, "numkeys should be greater than 0", &name_count))
		return false;
	if ((uint64_t)name_count >= rq->argc - at - 1) {
		request_syntax_error(rq);
		return false;
	}
	*mpop = (struct list_mpop){&rq->argv[at + 1], (size_t)name_count, KV_LIST_HEAD, 1};
	i = at + 1 + mpop->name_count;
	if (!list_end_parse(rq, rq->argv[i], &mpop->end))
		return false;
	if (i + 1 == rq->argc)
		return true;
	if (i + 3 == rq->argc && slice_is_nocase(rq->argv[i + 1], "count"))
		return args_at_least(
		    rq, rq->argv[i + 2], 1, "count should be greater than 0", &mpop->count);
	/* As in Redis, an invalid first count is reported before a syntax error after it. */
	if (i + 3 < rq->argc && slice_is_nocase(rq->argv[i + 1], "count") &&
	    !args_at_least(rq, rq->argv[i + 2], 1, "count should be greater than 0", &mpop->count))
		return false;
	request_syntax_error(rq);
	return false;
}
