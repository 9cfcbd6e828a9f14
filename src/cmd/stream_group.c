#include "config.h"

#include "kv/stream_group.h"

#include <string.h>

#include "base/alloc.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_args.h"
#include "cmd/stream_groups.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/core.h"
#include "server/request_keys.h"

/* Streams: XGROUP and XACK. */

/* The options of XGROUP CREATE and SETID, from the sixth argument on. */
struct options {
	bool make_stream;
	int64_t entries_read;
};

static bool
parse_options(struct request *rq, bool is_create, struct options *options)
{
	*options = (struct options){.entries_read = STREAM_READ_UNKNOWN};
	for (size_t i = 5; i < rq->argc; i++) {
		if (is_create && slice_is_nocase(rq->argv[i], "mkstream")) {
			options->make_stream = true;
		} else if (slice_is_nocase(rq->argv[i], "entriesread") && i + 1 < rq->argc) {
			if (!args_i64(rq, rq->argv[++i], &options->entries_read))
				return false;
			if (options->entries_read < STREAM_READ_UNKNOWN) {
				request_error(
				    rq, "ERR value for ENTRIESREAD must be positive or -1");
				return false;
			}
		} else {
			request_subcommand_syntax_error(rq);
			return false;
		}
	}
	return true;
}

/* Finds the stream, and the group if there is one. Returns false after replying with an error. */
static bool
find_stream(struct request *rq, bool may_make, struct stream_target *target)
{
	struct kv_key *key;
	void *stream;

	*target = (struct stream_target){.key = rq->argv[2], .group_name = rq->argv[3]};
	if (!key_write_value(rq, rq->argv[2], KV_STREAM, &key, &stream))
		return false;
	target->stream = stream;
	if (stream != NULL) {
		target->group = stream_groups_find(kv_stream_groups(stream), rq->argv[3]);
		return true;
	}
	if (may_make)
		return true;
	request_error(rq, "ERR The XGROUP subcommand requires the key to exist. Note that for "
			  "CREATE you may want to use the MKSTREAM option to create an empty "
			  "stream automatically.");
	return false;
}

/* The same, and the group must exist. */
static bool
find_group(struct request *rq, struct stream_target *target)
{
	if (!find_stream(rq, false, target))
		return false;
	if (target->group != NULL)
		return true;
	request_error(rq, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
	    (int)rq->argv[3].len, rq->argv[3].ptr, (int)rq->argv[2].len, rq->argv[2].ptr);
	return false;
}

/* True for "$", the last id of the stream, which may be NULL. */
static bool
is_newest(struct request *rq, const struct kv_stream *stream, struct stream_id *id)
{
	if (!slice_is(rq->argv[4], "$"))
		return false;
	*id = stream != NULL ? kv_stream_past(stream).last_id : STREAM_ID_MIN;
	return true;
}

enum command_result
cmd_xgroup_create(struct request *rq)
{
	struct stream_target target;
	struct options options;
	struct stream_id id;

	if (!parse_options(rq, true, &options) || !find_stream(rq, options.make_stream, &target))
		return COMMAND_DONE;
	if (rq->argc > 8) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (!is_newest(rq, target.stream, &id) && !stream_args_id(rq, rq->argv[4], &id))
		return COMMAND_DONE;
	if (target.group != NULL) {
		request_error(rq, "BUSYGROUP Consumer Group name already exists");
		return COMMAND_DONE;
	}
	if (target.stream == NULL) {
		target.stream = kv_stream_new();
		key_add(rq, target.key, KV_STREAM, target.stream);
		key_changed(rq, target.key, KEY_STREAM, NULL);
	}
	(void)stream_groups_add(
	    kv_stream_groups(target.stream), target.group_name, id, options.entries_read);
	request_ok(rq);
	stream_note_change(rq, target.key, "xgroup-create");
	return COMMAND_DONE;
}

enum command_result
cmd_xgroup_setid(struct request *rq)
{
	struct stream_target target;
	struct options options;
	struct stream_id id;

	if (!parse_options(rq, false, &options) || !find_group(rq, &target))
		return COMMAND_DONE;
	if (rq->argc > 7) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	/* Unlike XGROUP CREATE, Redis takes - and + here. */
	if (!is_newest(rq, target.stream, &id) && !stream_args_id_or_end(rq, rq->argv[4], &id))
		return COMMAND_DONE;
	target.group->last_id = id;
	target.group->entries_read = options.entries_read;
	request_ok(rq);
	stream_note_change(rq, target.key, "xgroup-setid");
	return COMMAND_DONE;
}

/* The group may have many pending entries, which are freed in slices. */
enum command_result
cmd_xgroup_destroy(struct request *rq)
{
	struct stream_target target;

	if (!find_stream(rq, false, &target))
		return COMMAND_DONE;
	resp_put_int(rq->reply, target.group != NULL);
	if (target.group == NULL)
		return COMMAND_DONE;
	kv_free_value(rq->server->kv, KV_STREAM, kv_stream_take_group(target.stream, target.group));
	stream_note_change(rq, target.key, "xgroup-destroy");
	blocked_key_ready(rq->server, request_db(rq), target.key, KV_STREAM);
	return COMMAND_DONE;
}

enum command_result
cmd_xgroup_createconsumer(struct request *rq)
{
	struct stream_target target;
	bool exists;

	if (!find_group(rq, &target))
		return COMMAND_DONE;
	exists = stream_group_consumer(target.group, rq->argv[4]) != NULL;
	if (!exists)
		(void)stream_consumer_seen(rq, &target, rq->argv[4]);
	resp_put_int(rq->reply, !exists);
	return COMMAND_DONE;
}

enum command_result
cmd_xgroup_delconsumer(struct request *rq)
{
	struct stream_consumer *consumer;
	struct stream_target target;

	if (!find_group(rq, &target))
		return COMMAND_DONE;
	consumer = stream_group_consumer(target.group, rq->argv[4]);
	resp_put_int(rq->reply, consumer != NULL ? (int64_t)consumer->pending.count : 0);
	if (consumer == NULL)
		return COMMAND_DONE;
	stream_group_remove_consumer(target.group, consumer);
	stream_note_change(rq, target.key, "xgroup-delconsumer");
	return COMMAND_DONE;
}

enum command_result
cmd_xgroup_help(struct request *rq)
{
	static const char *const lines[] = {"CREATE <key> <groupname> <id|$> [option]",
	    "    Create a new consumer group. Options are:", "    * MKSTREAM",
	    "      Create the empty stream if it does not exist.", "    * ENTRIESREAD entries_read",
	    "      Set the group's entries_read counter (internal use).",
	    "CREATECONSUMER <key> <groupname> <consumer>",
	    "    Create a new consumer in the specified group.",
	    "DELCONSUMER <key> <groupname> <consumer>", "    Remove the specified consumer.",
	    "DESTROY <key> <groupname>", "    Remove the specified group.",
	    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
	    "    Set the current group ID and entries_read counter.", NULL};

	request_help(rq, lines);
	return COMMAND_DONE;
}

enum command_result
cmd_xack(struct request *rq)
{
	struct stream_target target;
	struct stream_id *ids;
	int64_t acknowledged = 0;

	if (!stream_target_find(rq, rq->argv[1], rq->argv[2], &target))
		return COMMAND_DONE;
	if (target.group == NULL) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	ids = stream_args_ids(rq, 3);
	if (ids == NULL)
		return COMMAND_DONE;
	for (size_t i = 0; i < rq->argc - 3; i++)
		acknowledged += stream_group_acknowledge(target.group, ids[i]);
	xfree(ids);
	resp_put_int(rq->reply, acknowledged);
	if (acknowledged > 0)
		stream_note_change(rq, target.key, NULL);
	return COMMAND_DONE;
}
