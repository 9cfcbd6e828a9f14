#include "config.h"

#include "server/dump_stream.h"

#include "kv/keyspace.h"
#include "kv/stream.h"
#include "kv/stream_group.h"
#include "resp/writer.h"

/* Pending entries in one XCLAIM. */
#define CLAIMS_A_COMMAND 64

struct writer {
	struct buffer *out;
	struct slice key;
	dump_stream_pause *pause;
	void *arg;
};

static void
put_id(struct buffer *out, struct stream_id id)
{
	char text[2 * BYTES_U64_MAX + 1];
	size_t len = bytes_from_u64(text, id.ms);

	text[len++] = '-';
	len += bytes_from_u64(text + len, id.seq);
	resp_put_bulk(out, (struct slice){text, len});
}

/* A command whose first argument is the key. */
static void
begin(const struct writer *w, size_t argc, const char *name)
{
	resp_put_array(w->out, argc);
	resp_put_bulk_str(w->out, name);
	resp_put_bulk(w->out, w->key);
}

/* XGROUP with the names of the key and of a group. */
static void
begin_group(const struct writer *w, size_t argc, const char *subcommand, struct slice group)
{
	resp_put_array(w->out, argc);
	resp_put_bulk_str(w->out, "XGROUP");
	resp_put_bulk_str(w->out, subcommand);
	resp_put_bulk(w->out, w->key);
	resp_put_bulk(w->out, group);
}

static bool
put_entries(const struct writer *w, const struct kv_stream *stream)
{
	struct stream_cursor cursor;
	struct stream_entry entry;
	struct slice name, value;

	kv_stream_seek(stream, STREAM_ID_MIN, false, &cursor);
	while (stream_cursor_next(&cursor, &entry)) {
		begin(w, 3 + 2 * entry.field_count, "XADD");
		put_id(w->out, entry.id);
		for (size_t i = 0; i < entry.field_count; i++) {
			stream_entry_next(&entry, &name, &value);
			resp_put_bulk(w->out, name);
			resp_put_bulk(w->out, value);
		}
		if (!w->pause(w->arg))
			return false;
	}
	return true;
}

/* Creates the stream without entries. */
static void
put_empty(const struct writer *w)
{
	begin(w, 7, "XADD");
	resp_put_bulk_str(w->out, "MAXLEN");
	resp_put_bulk_str(w->out, "0");
	resp_put_bulk_str(w->out, "0-1");
	resp_put_bulk_str(w->out, "x");
	resp_put_bulk_str(w->out, "y");
}

static void
put_past(const struct writer *w, const struct kv_stream *stream)
{
	struct stream_past past = kv_stream_past(stream);

	begin(w, 7, "XSETID");
	put_id(w->out, past.last_id);
	resp_put_bulk_str(w->out, "ENTRIESADDED");
	resp_put_bulk_uint(w->out, past.added);
	resp_put_bulk_str(w->out, "MAXDELETEDID");
	put_id(w->out, past.deleted_id);
}

/* Pending entries with the same time and the same number of deliveries, for one command. */
struct run {
	struct stream_id ids[CLAIMS_A_COMMAND];
	size_t count;
	const struct stream_pending *state; /* of each */
};

static void
put_run(const struct writer *w, struct slice group, struct slice consumer, struct run *run)
{
	if (run->count == 0)
		return;
	begin(w, 11 + run->count, "XCLAIM");
	resp_put_bulk(w->out, group);
	resp_put_bulk(w->out, consumer);
	resp_put_bulk_str(w->out, "0");
	for (size_t i = 0; i < run->count; i++)
		put_id(w->out, run->ids[i]);
	resp_put_bulk_str(w->out, "TIME");
	resp_put_bulk_int(w->out, run->state->delivered_ms);
	resp_put_bulk_str(w->out, "RETRYCOUNT");
	resp_put_bulk_uint(w->out, run->state->deliveries);
	resp_put_bulk_str(w->out, "FORCE");
	resp_put_bulk_str(w->out, "JUSTID");
	run->count = 0;
}

static bool
is_of_run(const struct run *run, const struct stream_pending *state)
{
	return run->count == 0 ||
	       (run->count < CLAIMS_A_COMMAND && run->state->deliveries == state->deliveries &&
		   run->state->delivered_ms == state->delivered_ms);
}

static bool
put_consumer(const struct writer *w, struct slice group, const struct stream_consumer *consumer)
{
	struct slice name = stream_consumer_name(consumer);
	struct run run = {.count = 0};
	const struct id_entry *entry;
	struct id_cursor cursor;

	begin_group(w, 5, "CREATECONSUMER", group);
	resp_put_bulk(w->out, name);
	id_tree_seek(&consumer->pending, STREAM_ID_MIN, false, &cursor);
	while ((entry = id_cursor_next(&cursor)) != NULL) {
		if (!is_of_run(&run, entry->value)) {
			put_run(w, group, name, &run);
			if (!w->pause(w->arg))
				return false;
		}
		run.state = entry->value;
		run.ids[run.count++] = entry->id;
	}
	put_run(w, group, name, &run);
	begin(w, 6, DUMP_CONSUMER);
	resp_put_bulk(w->out, group);
	resp_put_bulk(w->out, name);
	resp_put_bulk_int(w->out, consumer->seen_ms);
	resp_put_bulk_int(w->out, consumer->active_ms);
	return w->pause(w->arg);
}

static bool
put_group(const struct writer *w, const struct stream_group *group)
{
	struct slice name = stream_group_name(group);

	begin_group(w, 7, "CREATE", name);
	put_id(w->out, group->last_id);
	resp_put_bulk_str(w->out, "ENTRIESREAD");
	resp_put_bulk_int(w->out, group->entries_read);
	for (size_t i = 0; i < group->consumer_count; i++)
		if (!put_consumer(w, name, group->consumers[i]))
			return false;
	return w->pause(w->arg);
}

void
dump_stream(struct buffer *out, struct slice key, const struct kv_stream *stream,
    dump_stream_pause *pause, void *arg)
{
	const struct stream_groups *groups = kv_stream_groups(stream);
	struct writer w = {out, key, pause, arg};

	if (kv_stream_length(stream) == 0)
		put_empty(&w);
	else if (!put_entries(&w, stream))
		return;
	put_past(&w, stream);
	for (size_t i = 0; i < groups->count; i++)
		if (!put_group(&w, groups->at[i]))
			return;
}

bool
dump_consumer_read(const struct kv_db *db, const struct slice *argv, size_t argc)
{
	struct kv_key *key = argc == 6 ? kv_find(db, argv[1]) : NULL;
	struct stream_consumer *consumer;
	struct stream_group *group;
	int64_t seen_ms, active_ms;

	if (key == NULL || kv_type_of(key) != KV_STREAM || !slice_to_i64(argv[4], &seen_ms) ||
	    !slice_to_i64(argv[5], &active_ms))
		return false;
	group = stream_groups_find(kv_stream_groups(kv_value(key)), argv[2]);
	consumer = group != NULL ? stream_group_consumer(group, argv[3]) : NULL;
	if (consumer == NULL)
		return false;
	consumer->seen_ms = seen_ms;
	consumer->active_ms = active_ms;
	return true;
}
