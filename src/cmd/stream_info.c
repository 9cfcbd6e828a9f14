#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_groups.h"
#include "cmd/stream_reply.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* Streams: XINFO. */

/* Entries, and pending entries of each group and consumer, that FULL shows by default. */
#define FULL_COUNT 10

/* Returns NULL after replying with an error. */
static struct kv_stream *
find_stream(struct request *rq)
{
	struct kv_key *key = key_read(rq, rq->argv[2]);

	if (key == NULL)
		request_error(rq, "ERR no such key");
	if (key == NULL || !key_is_of(rq, key, KV_STREAM))
		return NULL;
	return kv_value(key);
}

static void
put_number(struct request *rq, const char *name, int64_t number)
{
	resp_put_bulk_str(rq->reply, name);
	resp_put_int(rq->reply, number);
}

static void
put_named_id(struct request *rq, const char *name, struct stream_id id)
{
	resp_put_bulk_str(rq->reply, name);
	stream_put_id(rq->reply, id);
}

static void
put_name(struct request *rq, struct slice name)
{
	resp_put_bulk_str(rq->reply, "name");
	resp_put_bulk(rq->reply, name);
}

/* How many entries the group has read and has not read; null if that is unknown. */
static void
put_progress(struct request *rq, const struct kv_stream *stream, const struct stream_group *group)
{
	uint64_t added = kv_stream_past(stream).added, read = (uint64_t)group->entries_read;
	bool is_known = true;

	resp_put_bulk_str(rq->reply, "entries-read");
	if (group->entries_read != STREAM_READ_UNKNOWN)
		resp_put_int(rq->reply, group->entries_read);
	else
		resp_put_null(rq->reply, rq->proto);
	resp_put_bulk_str(rq->reply, "lag");
	if (added == 0)
		read = 0;
	else if (group->entries_read == STREAM_READ_UNKNOWN ||
		 kv_stream_has_gap_from(stream, group->last_id))
		is_known = kv_stream_count_upto(stream, group->last_id, &read);
	if (is_known)
		resp_put_int(rq->reply, (int64_t)(added - read));
	else
		resp_put_null(rq->reply, rq->proto);
}

enum command_result
cmd_xinfo_groups(struct request *rq)
{
	const struct kv_stream *stream = find_stream(rq);
	const struct stream_groups *groups;

	if (stream == NULL)
		return COMMAND_DONE;
	groups = kv_stream_groups(stream);
	resp_put_array(rq->reply, groups->count);
	for (size_t i = 0; i < groups->count; i++) {
		const struct stream_group *group = groups->at[i];

		resp_put_map(rq->reply, rq->proto, 6);
		put_name(rq, stream_group_name(group));
		put_number(rq, "consumers", (int64_t)group->consumer_count);
		put_number(rq, "pending", (int64_t)group->pending.count);
		put_named_id(rq, "last-delivered-id", group->last_id);
		put_progress(rq, stream, group);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_xinfo_consumers(struct request *rq)
{
	const struct kv_stream *stream = find_stream(rq);
	int64_t now_ms = request_now_ms(rq);
	const struct stream_group *group;

	if (stream == NULL)
		return COMMAND_DONE;
	group = stream_groups_find(kv_stream_groups(stream), rq->argv[3]);
	if (group == NULL) {
		request_error(rq, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
		    (int)rq->argv[3].len, rq->argv[3].ptr, (int)rq->argv[2].len, rq->argv[2].ptr);
		return COMMAND_DONE;
	}
	resp_put_array(rq->reply, group->consumer_count);
	for (size_t i = 0; i < group->consumer_count; i++) {
		const struct stream_consumer *consumer = group->consumers[i];
		int64_t idle_ms = now_ms - consumer->seen_ms;

		resp_put_map(rq->reply, rq->proto, 4);
		put_name(rq, stream_consumer_name(consumer));
		put_number(rq, "pending", (int64_t)consumer->pending.count);
		put_number(rq, "idle", idle_ms > 0 ? idle_ms : 0);
		put_number(
		    rq, "inactive", consumer->active_ms != -1 ? now_ms - consumer->active_ms : -1);
	}
	return COMMAND_DONE;
}

/* FULL [COUNT count]; *count is 0 for all. */
static bool
parse_full(struct request *rq, bool *full, uint64_t *count)
{
	int64_t number = FULL_COUNT;

	*full = rq->argc > 3;
	*count = FULL_COUNT;
	if (!*full)
		return true;
	if ((rq->argc != 4 && rq->argc != 6) || !slice_is_nocase(rq->argv[3], "full") ||
	    (rq->argc == 6 && !slice_is_nocase(rq->argv[4], "count"))) {
		request_subcommand_syntax_error(rq);
		return false;
	}
	if (rq->argc == 6 && !args_i64(rq, rq->argv[5], &number))
		return false;
	*count = number < 0 ? FULL_COUNT : (uint64_t)number;
	return true;
}

/* Each pending entry with its id, consumer (if with_consumer), time and number of deliveries. */
static void
put_pending(struct request *rq, const struct id_tree *tree, uint64_t most, bool with_consumer)
{
	size_t left = most > 0 && most < tree->count ? (size_t)most : tree->count;
	const struct id_entry *entry;
	struct id_cursor cursor;

	resp_put_bulk_str(rq->reply, "pending");
	resp_put_array(rq->reply, left);
	id_tree_seek(tree, STREAM_ID_MIN, false, &cursor);
	for (; left > 0 && (entry = id_cursor_next(&cursor)) != NULL; left--) {
		const struct stream_pending *pending = entry->value;

		resp_put_array(rq->reply, with_consumer ? 4 : 3);
		stream_put_id(rq->reply, entry->id);
		if (with_consumer)
			resp_put_bulk(rq->reply, stream_consumer_name(pending->consumer));
		resp_put_int(rq->reply, pending->delivered_ms);
		resp_put_int(rq->reply, (int64_t)pending->deliveries);
	}
}

static void
put_full_group(struct request *rq, const struct kv_stream *stream, const struct stream_group *group,
    uint64_t most)
{
	resp_put_map(rq->reply, rq->proto, 7);
	put_name(rq, stream_group_name(group));
	put_named_id(rq, "last-delivered-id", group->last_id);
	put_progress(rq, stream, group);
	put_number(rq, "pel-count", (int64_t)group->pending.count);
	put_pending(rq, &group->pending, most, true);
	resp_put_bulk_str(rq->reply, "consumers");
	resp_put_array(rq->reply, group->consumer_count);
	for (size_t i = 0; i < group->consumer_count; i++) {
		const struct stream_consumer *consumer = group->consumers[i];

		resp_put_map(rq->reply, rq->proto, 5);
		put_name(rq, stream_consumer_name(consumer));
		put_number(rq, "seen-time", consumer->seen_ms);
		put_number(rq, "active-time", consumer->active_ms);
		put_number(rq, "pel-count", (int64_t)consumer->pending.count);
		put_pending(rq, &consumer->pending, most, false);
	}
}

static void
put_full(struct request *rq, const struct kv_stream *stream, uint64_t most)
{
	const struct stream_groups *groups = kv_stream_groups(stream);

	resp_put_bulk_str(rq->reply, "entries");
	stream_put_range(rq->reply, stream, STREAM_ID_MIN, STREAM_ID_MAX, most, false);
	resp_put_bulk_str(rq->reply, "groups");
	resp_put_array(rq->reply, groups->count);
	for (size_t i = 0; i < groups->count; i++)
		put_full_group(rq, stream, groups->at[i], most);
}

static void
put_edge(struct request *rq, const struct kv_stream *stream, const char *name, bool is_first)
{
	struct stream_cursor cursor;
	struct stream_entry entry;

	resp_put_bulk_str(rq->reply, name);
	kv_stream_seek(stream, is_first ? STREAM_ID_MIN : STREAM_ID_MAX, !is_first, &cursor);
	if (is_first ? stream_cursor_next(&cursor, &entry) : stream_cursor_prev(&cursor, &entry))
		stream_put_entry(rq->reply, &entry);
	else
		resp_put_null(rq->reply, rq->proto);
}

enum command_result
cmd_xinfo_stream(struct request *rq)
{
	const struct kv_stream *stream = find_stream(rq);
	struct stream_past past;
	uint64_t most;
	int64_t nodes;
	bool full;

	if (stream == NULL || !parse_full(rq, &full, &most))
		return COMMAND_DONE;
	past = kv_stream_past(stream);
	nodes = (int64_t)kv_stream_node_count(stream);
	resp_put_map(rq->reply, rq->proto, full ? 9 : 10);
	put_number(rq, "length", (int64_t)kv_stream_length(stream));
	put_number(rq, "radix-tree-keys", nodes);
	put_number(rq, "radix-tree-nodes", nodes + 1);
	put_named_id(rq, "last-generated-id", past.last_id);
	put_named_id(rq, "max-deleted-entry-id", past.deleted_id);
	put_number(rq, "entries-added", (int64_t)past.added);
	put_named_id(rq, "recorded-first-entry-id", kv_stream_first_id(stream));
	if (full) {
		put_full(rq, stream, most);
		return COMMAND_DONE;
	}
	put_number(rq, "groups", (int64_t)kv_stream_groups(stream)->count);
	put_edge(rq, stream, "first-entry", true);
	put_edge(rq, stream, "last-entry", false);
	return COMMAND_DONE;
}

enum command_result
cmd_xinfo_help(struct request *rq)
{
	static const char *const lines[] = {"CONSUMERS <key> <groupname>",
	    "    Show consumers of <groupname>.", "GROUPS <key>",
	    "    Show the stream consumer groups.", "STREAM <key> [FULL [COUNT <count>]",
	    "    Show information about the stream.", NULL};

	request_help(rq, lines);
	return COMMAND_DONE;
}
