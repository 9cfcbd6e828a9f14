#include "config.h"

#include "kv/stream.h"

#include "base/alloc.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_args.h"
#include "cmd/stream_groups.h"
#include "cmd/stream_reply.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/core.h"
#include "server/journal.h"
#include "server/propagation.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * Streams: adding and removing entries. XADD is logged with the id that was chosen, and rough
 * trimming as what it did, so that a replay gives the same stream.
 */

/* The arguments of a command for the log, on the stack if they are few. */
#define FEW_ARGS 32

/* The new length in the words of MAXLEN = n. */
struct exact_trim {
	char digits[BYTES_U64_MAX];
	struct slice words[3];
};

static const struct slice *
exact_trim(struct exact_trim *exact, const struct kv_stream *stream)
{
	exact->words[0] = SLICE("MAXLEN");
	exact->words[1] = SLICE("=");
	exact->words[2] =
	    (struct slice){exact->digits, bytes_from_u64(exact->digits, kv_stream_length(stream))};
	return exact->words;
}

/* XADD key [MAXLEN = n] id field value ... */
static void
log_add(struct request *rq, const struct stream_trim_args *args, struct stream_id id,
    const struct kv_stream *stream)
{
	size_t fields = rq->argc - args->id_at - 1, argc = 0;
	struct slice few[FEW_ARGS], *argv = few;
	char id_text[STREAM_ID_TEXT_MAX];
	struct exact_trim exact;

	if (fields + 6 > FEW_ARGS)
		argv = xmalloc((fields + 6) * sizeof(*argv));
	argv[argc++] = rq->argv[0];
	argv[argc++] = rq->argv[1];
	if (args->trim.by != STREAM_TRIM_NOT)
		for (size_t i = 0; i < 3; i++)
			argv[argc++] = exact_trim(&exact, stream)[i];
	argv[argc++] = stream_id_text(id, id_text);
	for (size_t i = 0; i < fields; i++)
		argv[argc++] = rq->argv[args->id_at + 1 + i];
	request_propagate(rq, argv, argc);
	if (argv != few)
		xfree(argv);
}

/* Checks what follows the id. */
static bool
check_fields(struct request *rq, const struct stream_trim_args *args)
{
	size_t count = rq->argc - args->id_at, bytes = 0;
	char name[COMMAND_NAME_MAX];

	if (args->id_at == rq->argc || count < 3 || count % 2 == 0) {
		request_error(rq, "ERR wrong number of arguments for '%s' command",
		    command_full_name(rq->command, name));
		return false;
	}
	if (args->new_id.kind == STREAM_ID_GIVEN && stream_id_is_zero(args->new_id.id)) {
		request_error(rq, "ERR The ID specified in XADD must be greater than 0-0");
		return false;
	}
	for (size_t i = args->id_at + 1; i < rq->argc; i++)
		bytes += rq->argv[i].len;
	if (bytes <= KV_STREAM_ENTRY_MAX)
		return true;
	request_error(rq, "ERR Elements are too large to be stored");
	return false;
}

/* Chooses the id, behind last. Returns false after replying with an error. */
static bool
choose_id(struct request *rq, const struct stream_new_id *wanted, struct stream_id last,
    struct stream_id *id)
{
	uint64_t now_ms = (uint64_t)request_now_ms(rq);
	struct stream_id next = last;

	if (!stream_id_next(&next)) {
		request_error(rq, "ERR The stream has exhausted the last possible ID, unable to "
				  "add more items");
		return false;
	}
	*id = wanted->id;
	if (wanted->kind == STREAM_ID_AUTO)
		*id = now_ms > last.ms ? (struct stream_id){now_ms, 0} : next;
	else if (wanted->kind == STREAM_ID_AUTO_SEQ && wanted->id.ms == last.ms &&
		 next.ms == last.ms)
		*id = next;
	if (stream_id_compare(*id, last) > 0)
		return true;
	request_error(rq, "ERR The ID specified in XADD is equal or smaller than the target stream "
			  "top item");
	return false;
}

static void
add(struct request *rq, const struct stream_trim_args *args, struct kv_stream *stream,
    struct stream_id id)
{
	struct stream_fields fields = {
	    &rq->argv[args->id_at + 1], (rq->argc - args->id_at - 1) / 2};
	struct slice name = rq->argv[1];

	kv_stream_append(stream, id, &fields, &rq->server->config->kv);
	stream_put_id(rq->reply, id);
	key_changed(rq, name, KEY_STREAM, "xadd");
	if (args->trim.by != STREAM_TRIM_NOT && kv_stream_trim(stream, &args->trim) > 0)
		key_changed(rq, name, KEY_STREAM, "xtrim");
	log_add(rq, args, id, stream);
	blocked_key_ready(rq->server, request_db(rq), name, KV_STREAM);
}

enum command_result
cmd_xadd(struct request *rq)
{
	struct stream_trim_args args;
	struct kv_key *key;
	struct stream_id last = STREAM_ID_MIN, id;
	void *stream;

	if (!stream_args_trim(rq, true, &args) || !check_fields(rq, &args) ||
	    !key_write_value(rq, rq->argv[1], KV_STREAM, &key, &stream))
		return COMMAND_DONE;
	if (stream == NULL && args.no_new_key) {
		resp_put_null(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	if (stream != NULL)
		last = kv_stream_past(stream).last_id;
	if (!choose_id(rq, &args.new_id, last, &id))
		return COMMAND_DONE;
	if (stream == NULL) {
		stream = kv_stream_new();
		key_add(rq, rq->argv[1], KV_STREAM, stream);
	}
	add(rq, &args, stream, id);
	return COMMAND_DONE;
}

enum command_result
cmd_xlen(struct request *rq)
{
	void *stream;

	if (key_read_value(rq, rq->argv[1], KV_STREAM, &stream))
		resp_put_int(rq->reply, stream != NULL ? (int64_t)kv_stream_length(stream) : 0);
	return COMMAND_DONE;
}

enum command_result
cmd_xtrim(struct request *rq)
{
	struct stream_trim_args args;
	struct exact_trim exact;
	struct kv_key *key;
	uint64_t removed = 0;
	void *stream;

	if (!stream_args_trim(rq, false, &args) ||
	    !key_write_value(rq, rq->argv[1], KV_STREAM, &key, &stream))
		return COMMAND_DONE;
	if (stream != NULL)
		removed = kv_stream_trim(stream, &args.trim);
	resp_put_int(rq->reply, (int64_t)removed);
	if (removed == 0)
		return COMMAND_DONE;
	key_changed(rq, rq->argv[1], KEY_STREAM, "xtrim");
	if (args.trim.is_rough) {
		const struct slice *words = exact_trim(&exact, stream);
		const struct slice argv[] = {
		    rq->argv[0], rq->argv[1], words[0], words[1], words[2]};

		request_propagate(rq, argv, 5);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_xdel(struct request *rq)
{
	struct stream_id *ids;
	struct kv_key *key;
	int64_t removed = 0;
	void *stream;

	if (!key_write_value(rq, rq->argv[1], KV_STREAM, &key, &stream))
		return COMMAND_DONE;
	if (stream == NULL) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	ids = stream_args_ids(rq, 2);
	if (ids == NULL)
		return COMMAND_DONE;
	for (size_t i = 0; i < rq->argc - 2; i++)
		removed += kv_stream_remove(stream, ids[i]);
	xfree(ids);
	resp_put_int(rq->reply, removed);
	if (removed > 0)
		key_changed(rq, rq->argv[1], KEY_STREAM, "xdel");
	return COMMAND_DONE;
}

struct set_id {
	struct stream_id id, deleted_id; /* deleted_id 0-0: not given */
	int64_t added;                   /* -1: not given */
};

static bool
parse_set_id(struct request *rq, struct set_id *set)
{
	*set = (struct set_id){.added = -1};
	if (!stream_args_id(rq, rq->argv[2], &set->id))
		return false;
	for (size_t i = 3; i < rq->argc; i += 2) {
		bool has_more = i + 1 < rq->argc;

		if (has_more && slice_is_nocase(rq->argv[i], "entriesadded")) {
			if (!args_i64(rq, rq->argv[i + 1], &set->added))
				return false;
			if (set->added < 0) {
				request_error(rq, "ERR entries_added must be positive");
				return false;
			}
		} else if (has_more && slice_is_nocase(rq->argv[i], "maxdeletedid")) {
			if (!stream_args_id(rq, rq->argv[i + 1], &set->deleted_id))
				return false;
			if (stream_id_compare(set->id, set->deleted_id) < 0) {
				request_error(rq, "ERR The ID specified in XSETID is smaller than "
						  "the provided max_deleted_entry_id");
				return false;
			}
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

/* The reason why the stream cannot have this past, or NULL. */
static const char *
fault_of(const struct kv_stream *stream, const struct set_id *set)
{
	if (stream_id_compare(set->id, kv_stream_past(stream).deleted_id) < 0)
		return "The ID specified in XSETID is smaller than current max_deleted_entry_id";
	if (kv_stream_length(stream) == 0)
		return NULL;
	if (stream_id_compare(set->id, kv_stream_top_id(stream)) < 0)
		return "The ID specified in XSETID is smaller than the target stream top item";
	if (set->added != -1 && kv_stream_length(stream) > (uint64_t)set->added)
		return "The entries_added specified in XSETID is smaller than the target stream "
		       "length";
	return NULL;
}

enum command_result
cmd_xsetid(struct request *rq)
{
	struct stream_past past;
	struct set_id set;
	struct kv_key *key;
	const char *fault;
	void *stream;

	if (!parse_set_id(rq, &set))
		return COMMAND_DONE;
	key = key_write(rq, rq->argv[1]);
	if (key == NULL) {
		request_error(rq, "ERR no such key");
		return COMMAND_DONE;
	}
	if (!key_is_of(rq, key, KV_STREAM))
		return COMMAND_DONE;
	stream = kv_value(key);
	fault = fault_of(stream, &set);
	if (fault != NULL) {
		request_error(rq, "ERR %s", fault);
		return COMMAND_DONE;
	}
	past = kv_stream_past(stream);
	past.last_id = set.id;
	if (set.added != -1)
		past.added = (uint64_t)set.added;
	if (!stream_id_is_zero(set.deleted_id))
		past.deleted_id = set.deleted_id;
	kv_stream_set_past(stream, &past);
	request_ok(rq);
	stream_note_change(rq, rq->argv[1], "xsetid");
	return COMMAND_DONE;
}
