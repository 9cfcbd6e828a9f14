#include "config.h"

#include "acl/check.h"
#include "acl/key_spec.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_args.h"
#include "cmd/stream_groups.h"
#include "cmd/stream_reply.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/request_keys.h"

/*
 * Streams: XREAD and XREADGROUP. A client that waits is served when an entry was added to one of
 * its streams; XREADGROUP also when its group, or the stream, is gone, and then gets an error.
 */

/* The options of a request. A blocked client keeps them: it has arguments only by their index. */
struct reading {
	bool is_group, no_ack, blocks;
	uint64_t count; /* 0: no limit */
	uint64_t until_us;
	size_t group_at; /* the argument that is the group's name; the consumer's is the next */
	size_t keys_at;  /* the argument that is the first key */
	size_t streams;
};

/* One of the streams. */
struct source {
	struct stream_target target;
	struct stream_id after;
	bool is_new; /* ">": what no consumer of the group has got */
};

static bool
are_checked_keys(const struct request *rq, const struct reading *r)
{
	struct key_range ranges[KEY_SPECS_MAX];
	size_t count = key_spec_ranges(
	    command_acl(rq->server->commands, rq->command), rq->argv, rq->argc, ranges);

	return count == 1 && ranges[0].first == r->keys_at && ranges[0].step == 1 &&
	       ranges[0].last == r->keys_at + r->streams - 1;
}

/*
 * The user's rights were checked for the keys of the row's specification, which takes the first
 * word STREAMS that may be the option. It is another one if a group or a consumer has this name and
 * GROUP is not the first option, or is given twice: then the user must be allowed to read all keys.
 * False after replying with an error.
 */
static bool
may_read(struct request *rq, const struct reading *r)
{
	const struct acl_user *user = rq->client->user;

	if (user->unrestricted || are_checked_keys(rq, r) ||
	    acl_reads_all_keys(
		user, command_acl(rq->server->commands, rq->command), rq->argv, rq->argc))
		return true;
	request_error(rq, "NOPERM the keys cannot be checked, because a word STREAMS is before the "
			  "option: give GROUP once, as the first option");
	return false;
}

static bool
parse_streams(struct request *rq, size_t at, struct reading *r)
{
	char name[COMMAND_NAME_MAX];
	size_t count = rq->argc - at;

	if (count % 2 != 0) {
		request_error(rq,
		    "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must "
		    "be specified.",
		    command_full_name(rq->command, name), r->is_group ? '>' : '$');
		return false;
	}
	r->keys_at = at;
	r->streams = count / 2;
	return may_read(rq, r);
}

static bool
refuse_option(struct request *rq, const char *option)
{
	request_error(rq,
	    "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.", option);
	return false;
}

static bool
parse_count(struct request *rq, struct slice arg, struct reading *r)
{
	int64_t count;

	if (!args_i64(rq, arg, &count))
		return false;
	r->count = count > 0 ? (uint64_t)count : 0;
	return true;
}

static bool
parse_block(struct request *rq, struct slice arg, struct reading *r)
{
	if (rq->in_script) {
		request_error(rq, "ERR %.*s command is not allowed with BLOCK option from scripts",
		    (int)rq->argv[0].len, rq->argv[0].ptr);
		return false;
	}
	r->blocks = true;
	return block_timeout_parse_ms(rq, arg, &r->until_us);
}

/* Reads the option at *at, and moves *at to its last argument. STREAMS is the last option. */
static bool
parse_option(struct request *rq, size_t *at, struct reading *r)
{
	struct slice word = rq->argv[*at];
	size_t left = rq->argc - *at - 1;

	if (slice_is_nocase(word, "block") && left >= 1)
		return parse_block(rq, rq->argv[++*at], r);
	if (slice_is_nocase(word, "count") && left >= 1)
		return parse_count(rq, rq->argv[++*at], r);
	if (slice_is_nocase(word, "streams") && left >= 1)
		return parse_streams(rq, *at + 1, r);
	if (slice_is_nocase(word, "group") && left >= 2) {
		if (!r->is_group)
			return refuse_option(rq, "GROUP");
		r->group_at = *at + 1;
		*at += 2;
		return true;
	}
	if (slice_is_nocase(word, "noack")) {
		r->no_ack = true;
		return r->is_group || refuse_option(rq, "NOACK");
	}
	request_syntax_error(rq);
	return false;
}

static bool
parse_reading(struct request *rq, bool is_group, struct reading *r)
{
	*r = (struct reading){.is_group = is_group, .until_us = UINT64_MAX};
	for (size_t at = 1; at < rq->argc && r->streams == 0; at++)
		if (!parse_option(rq, &at, r))
			return false;
	if (r->streams == 0) {
		request_syntax_error(rq);
		return false;
	}
	if (is_group && r->group_at == 0) {
		request_error(rq, "ERR Missing GROUP option for XREADGROUP");
		return false;
	}
	return true;
}

static bool
refuse_symbol(struct request *rq, const struct reading *r)
{
	request_error(rq, r->is_group
			      ? "ERR The $ ID is meaningless in the context of XREADGROUP: you "
				"want to read the history of this consumer by specifying a proper "
				"ID, or use the > ID to get new messages. The $ ID would just "
				"return an empty result set."
			      : "ERR The > ID can be specified only when calling XREADGROUP using "
				"the GROUP <group> <consumer> option.");
	return false;
}

/* Reads the id of a stream, and finds the stream and the group. */
static bool
find_source(struct request *rq, const struct reading *r, size_t i, struct source *source)
{
	struct slice key = rq->argv[r->keys_at + i], id = rq->argv[r->keys_at + r->streams + i];

	*source = (struct source){.target = {.key = key}};
	if (r->is_group ? !stream_target_need(rq, key, rq->argv[r->group_at],
			      " in XREADGROUP with GROUP option", &source->target)
			: !stream_target_find(rq, key, SLICE(""), &source->target))
		return false;
	if (slice_is(id, r->is_group ? "$" : ">"))
		return refuse_symbol(rq, r);
	source->is_new = slice_is(id, ">");
	if (source->is_new)
		return true;
	if (!slice_is(id, "$"))
		return stream_args_id(rq, id, &source->after);
	if (source->target.stream != NULL)
		source->after = kv_stream_past(source->target.stream).last_id;
	return true;
}

/* The entries that were delivered to the consumer and are pending; of those that are deleted only
 * the ids. As in Redis this delivery is counted, and not logged. */
static void
put_history(struct request *rq, const struct reading *r, const struct source *source,
    struct stream_consumer *consumer)
{
	size_t begin = stream_array_begin(rq->reply), count = 0;
	const struct id_entry *pending;
	struct stream_entry entry;
	struct id_cursor cursor;

	id_tree_seek(&consumer->pending, source->after, true, &cursor);
	while ((r->count == 0 || count < r->count) && (pending = id_cursor_next(&cursor)) != NULL) {
		struct stream_pending *state = pending->value;

		count++;
		if (!kv_stream_find(source->target.stream, pending->id, &entry)) {
			resp_put_array(rq->reply, 2);
			stream_put_id(rq->reply, pending->id);
			resp_put_null_array(rq->reply, rq->proto);
			continue;
		}
		stream_put_entry(rq->reply, &entry);
		state->delivered_ms = request_now_ms(rq);
		stream_pending_count_delivery(state);
	}
	stream_array_end(rq->reply, begin, '*', count);
}

/* Delivers to the consumer the entries that the group has not read. */
static void
put_new(struct request *rq, const struct reading *r, const struct source *source,
    struct stream_consumer *consumer)
{
	const struct stream_target *target = &source->target;
	size_t begin = stream_array_begin(rq->reply), count = 0;
	struct stream_claims claims;
	struct stream_cursor cursor;
	struct stream_entry entry;

	stream_claims_begin(&claims, rq, target, rq->argv[r->group_at + 1]);
	kv_stream_seek(target->stream, target->group->last_id, true, &cursor);
	while ((r->count == 0 || count < r->count) && stream_cursor_next(&cursor, &entry)) {
		struct stream_id id = entry.id;

		stream_group_advance(target, id);
		stream_put_entry(rq->reply, &entry);
		count++;
		if (!r->no_ack) {
			struct stream_pending *pending =
			    stream_group_assign(target->group, id, consumer);

			pending->delivered_ms = request_now_ms(rq);
			pending->deliveries = 1;
			stream_claims_add(&claims, id, pending);
		}
	}
	if (!r->no_ack)
		consumer->active_ms = request_now_ms(rq);
	stream_array_end(rq->reply, begin, '*', count);
	rq->changes++;
	stream_claims_end(&claims);
	stream_log_position(rq, target);
}

/* True if the stream has something behind this id. */
static bool
has_more(const struct kv_stream *stream, struct stream_id id)
{
	return kv_stream_length(stream) > 0 && stream_id_compare(kv_stream_top_id(stream), id) > 0;
}

static void
put_name(struct request *rq, const struct source *source)
{
	if (rq->proto < 3)
		resp_put_array(rq->reply, 2);
	resp_put_bulk(rq->reply, source->target.key);
}

/* False: there is nothing to read for the group now. */
static bool
read_for_group(struct request *rq, const struct reading *r, const struct source *source)
{
	const struct stream_target *target = &source->target;
	struct slice name = rq->argv[r->group_at + 1];
	struct stream_consumer *consumer = stream_consumer_seen(rq, target, name);

	if (source->is_new && !has_more(target->stream, target->group->last_id))
		return false;
	put_name(rq, source);
	if (source->is_new)
		put_new(rq, r, source, consumer);
	else
		put_history(rq, r, source, consumer);
	return true;
}

static bool
read_plain(struct request *rq, const struct reading *r, const struct source *source)
{
	struct stream_id first = source->after;

	if (!has_more(source->target.stream, first) || !stream_id_next(&first))
		return false;
	put_name(rq, source);
	stream_put_range(rq->reply, source->target.stream, first, STREAM_ID_MAX, r->count, false);
	return true;
}

/* Waits, with the ids that "$" stands for now. */
static enum command_result
block(struct request *rq, const struct reading *r, const struct source *sources)
{
	struct block_terms terms = {.names = &rq->argv[r->keys_at],
	    .count = r->streams,
	    .type = KV_STREAM,
	    .until_us = r->until_us,
	    .ends_without_key = r->is_group,
	    .kept = r,
	    .kept_len = sizeof(*r)};
	const struct slice *argv = rq->argv;
	size_t ids_at = r->keys_at + r->streams;
	char(*texts)[STREAM_ID_TEXT_MAX];
	enum command_result result;
	struct slice *resolved;

	if (rq->ready != NULL) /* it goes on waiting */
		return request_block(rq, &terms);
	texts = xmalloc(r->streams * sizeof(*texts));
	resolved = xmemdup(argv, rq->argc * sizeof(*argv));
	for (size_t i = 0; i < r->streams; i++)
		if (slice_is(argv[ids_at + i], "$"))
			resolved[ids_at + i] = stream_id_text(sources[i].after, texts[i]);
	rq->argv = resolved;
	result = request_block(rq, &terms);
	rq->argv = argv;
	xfree(resolved);
	xfree(texts);
	return result;
}

/* Reads from each of these sources, or waits. */
static enum command_result
read_sources(
    struct request *rq, const struct reading *r, const struct source *sources, size_t source_count)
{
	size_t begin = stream_array_begin(rq->reply), count = 0;

	for (size_t i = 0; i < source_count; i++) {
		if (sources[i].target.stream == NULL)
			continue;
		count += r->is_group ? read_for_group(rq, r, &sources[i])
				     : read_plain(rq, r, &sources[i]);
	}
	if (count > 0) {
		stream_array_end(rq->reply, begin, rq->proto < 3 ? '*' : '%', count);
		return COMMAND_DONE;
	}
	if (r->blocks)
		return block(rq, r, sources);
	resp_put_null_array(rq->reply, rq->proto);
	return COMMAND_DONE;
}

/* Reads from the stream for which the client was woken up. */
static enum command_result
read_ready(struct request *rq)
{
	const struct reading *r = rq->ready->kept;
	struct source source;

	if (!rq->ready->is_allowed && !may_read(rq, r))
		return COMMAND_DONE;
	return find_source(rq, r, rq->ready->at, &source) ? read_sources(rq, r, &source, 1)
							  : COMMAND_DONE;
}

static enum command_result
read_streams(struct request *rq, bool is_group)
{
	enum command_result result = COMMAND_DONE;
	struct source *sources;
	struct reading r;
	bool ok = true;

	if (rq->ready != NULL)
		return read_ready(rq);
	if (!parse_reading(rq, is_group, &r))
		return COMMAND_DONE;
	sources = xmalloc(r.streams * sizeof(*sources));
	for (size_t i = 0; ok && i < r.streams; i++)
		ok = find_source(rq, &r, i, &sources[i]);
	if (ok)
		result = read_sources(rq, &r, sources, r.streams);
	xfree(sources);
	return result;
}

enum command_result
cmd_xread(struct request *rq)
{
	return read_streams(rq, false);
}

enum command_result
cmd_xreadgroup(struct request *rq)
{
	return read_streams(rq, true);
}
