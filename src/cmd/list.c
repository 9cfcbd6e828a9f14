#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/list_pop.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * Lists: access to the ends and by index. Commands that search for values are in cmd/list_find.c.
 */

static enum command_result
push(struct request *rq, enum kv_list_end end, bool must_exist)
{
	struct slice name = rq->argv[1];
	struct kv_key *key;
	struct kv_list *list;
	void *value;
	size_t i;

	if (!key_write_value(rq, name, KV_LIST, &key, &value))
		return COMMAND_DONE;
	if (value == NULL && must_exist) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	list = value != NULL ? value : kv_list_new(rq->server->config->kv.list_size);
	for (i = 2; i < rq->argc; i++)
		kv_list_push(list, end, rq->argv[i]);
	resp_put_int(rq->reply, (int64_t)kv_list_count(list));
	if (value == NULL)
		key_add(rq, name, KV_LIST, list);
	key_changed(rq, name, KEY_LIST, end == KV_LIST_HEAD ? "lpush" : "rpush");
	return COMMAND_DONE;
}

enum command_result
cmd_lpush(struct request *rq)
{
	return push(rq, KV_LIST_HEAD, false);
}

enum command_result
cmd_rpush(struct request *rq)
{
	return push(rq, KV_LIST_TAIL, false);
}

enum command_result
cmd_lpushx(struct request *rq)
{
	return push(rq, KV_LIST_HEAD, true);
}

enum command_result
cmd_rpushx(struct request *rq)
{
	return push(rq, KV_LIST_TAIL, true);
}

static enum command_result
pop(struct request *rq, enum kv_list_end end)
{
	static const char positive[] = "value is out of range, must be positive";
	bool has_count = rq->argc == 3;
	char full[COMMAND_NAME_MAX];
	int64_t count = 0;
	struct kv_key *key;
	void *value;

	if (rq->argc > 3) {
		request_error(rq, "ERR wrong number of arguments for '%s' command",
		    command_full_name(rq->command, full));
		return COMMAND_DONE;
	}
	if (has_count && !args_at_least(rq, rq->argv[2], 0, positive, &count))
		return COMMAND_DONE;
	if (!key_write_value(rq, rq->argv[1], KV_LIST, &key, &value))
		return COMMAND_DONE;
	if (value == NULL && has_count)
		resp_put_null_array(rq->reply, rq->proto);
	else if (value == NULL)
		resp_put_null(rq->reply, rq->proto);
	else if (!has_count)
		list_pop(rq, key, rq->argv[1], end);
	else if (count == 0)
		resp_put_array(rq->reply, 0);
	else
		list_pop_range(rq, key, rq->argv[1], end, (uint64_t)count);
	return COMMAND_DONE;
}

enum command_result
cmd_lpop(struct request *rq)
{
	return pop(rq, KV_LIST_HEAD);
}

enum command_result
cmd_rpop(struct request *rq)
{
	return pop(rq, KV_LIST_TAIL);
}

enum command_result
cmd_llen(struct request *rq)
{
	void *list;

	if (key_read_value(rq, rq->argv[1], KV_LIST, &list))
		resp_put_int(rq->reply, list != NULL ? (int64_t)kv_list_count(list) : 0);
	return COMMAND_DONE;
}

/* The place at this index; a negative index counts from the end. */
static bool
find_place(const struct kv_list *list, int64_t index, struct kv_list_place *place)
{
	int64_t count = (int64_t)kv_list_count(list);

	if (index < -count)
		return false;
	return kv_list_at(list, (size_t)(index < 0 ? index + count : index), place);
}

enum command_result
cmd_lindex(struct request *rq)
{
	struct kv_list_place place;
	void *list;
	int64_t index;

	if (!key_read_value(rq, rq->argv[1], KV_LIST, &list))
		return COMMAND_DONE;
	if (list == NULL) {
		resp_put_null(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	if (!args_i64(rq, rq->argv[2], &index))
		return COMMAND_DONE;
	if (find_place(list, index, &place))
		resp_put_bulk(rq->reply, place.value);
	else
		resp_put_null(rq->reply, rq->proto);
	return COMMAND_DONE;
}

enum command_result
cmd_lset(struct request *rq)
{
	struct kv_list_place place;
	struct kv_key *key;
	void *list;
	int64_t index;

	if (!key_write_value(rq, rq->argv[1], KV_LIST, &key, &list))
		return COMMAND_DONE;
	if (list == NULL) {
		request_error(rq, "ERR no such key");
		return COMMAND_DONE;
	}
	if (!args_i64(rq, rq->argv[2], &index))
		return COMMAND_DONE;
	if (!find_place(list, index, &place)) {
		request_error(rq, "ERR index out of range");
		return COMMAND_DONE;
	}
	kv_list_set(list, &place, rq->argv[3]);
	request_ok(rq);
	key_changed(rq, rq->argv[1], KEY_LIST, "lset");
	return COMMAND_DONE;
}

struct range {
	int64_t start, stop;
};

static bool
parse_range(struct request *rq, struct range *range)
{
	return args_i64(rq, rq->argv[2], &range->start) && args_i64(rq, rq->argv[3], &range->stop);
}

/* Clamps the range to the indexes of a list of count values; false if it is empty. */
static bool
clamp_range(struct range *range, int64_t count)
{
	if (range->start < 0)
		range->start = range->start < -count ? 0 : range->start + count;
	if (range->stop < 0)
		range->stop += count; /* may stay negative */
	if (range->stop >= count)
		range->stop = count - 1;
	return range->start <= range->stop && range->start < count;
}

enum command_result
cmd_lrange(struct request *rq)
{
	struct kv_list_place place;
	struct range range;
	void *list;
	int64_t i;

	if (!parse_range(rq, &range) || !key_read_value(rq, rq->argv[1], KV_LIST, &list))
		return COMMAND_DONE;
	if (list == NULL || !clamp_range(&range, (int64_t)kv_list_count(list))) {
		resp_put_array(rq->reply, 0);
		return COMMAND_DONE;
	}
	resp_put_array(rq->reply, (size_t)(range.stop - range.start + 1));
	(void)kv_list_at(list, (size_t)range.start, &place);
	for (i = range.start; i <= range.stop; i++) {
		resp_put_bulk(rq->reply, place.value);
		(void)kv_list_step(&place, KV_LIST_HEAD);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_ltrim(struct request *rq)
{
	struct range range;
	struct kv_key *key;
	void *list;
	int64_t count;

	if (!parse_range(rq, &range) || !key_write_value(rq, rq->argv[1], KV_LIST, &key, &list))
		return COMMAND_DONE;
	request_ok(rq);
	if (list == NULL)
		return COMMAND_DONE;
	count = (int64_t)kv_list_count(list);
	if (clamp_range(&range, count)) {
		kv_free_value(rq->server->kv, KV_LIST,
		    kv_list_trim(list, KV_LIST_TAIL, (size_t)(count - 1 - range.stop)));
		kv_free_value(
		    rq->server->kv, KV_LIST, kv_list_trim(list, KV_LIST_HEAD, (size_t)range.start));
	} else {
		/* Nothing is trimmed: removing the key frees a large list in slices. */
		range = (struct range){count, count};
	}
	key_changed(rq, rq->argv[1], KEY_LIST, "ltrim");
	if (range.start == count)
		key_remove(rq, key, "del");
	return COMMAND_DONE;
}
