#include "config.h"

#include "cmd/client_lines.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash_map.h"
#include "cmd/long_reply.h"
#include "server/client.h"
#include "server/client_walk.h"
#include "server/job.h"
#include "server/request.h"

/*
 * Up to this many ids: each is listed as often as it is named, in the order of the arguments. More
 * ids: each is listed once.
 */
#define REPEATED_IDS_MAX 1024

/* The work done within the request, before it becomes a job. */
#define AT_ONCE_US 1000
#define CLIENTS_A_LOOK 64

struct list {
	struct client_walk walk;
	client_line *line;
	struct long_reply lines;
	bool is_gathered;
	bool of_type;
	enum client_type type;
	uint64_t *ids; /* ids given by LIST ID, or NULL */
	size_t id_count, id_at;
	struct hash_map *seen; /* ids already listed; NULL for up to REPEATED_IDS_MAX ids */
	int proto;
};

static void
list_free(void *state)
{
	struct list *list = state;

	long_reply_release(&list->lines);
	if (list->seen != NULL)
		hash_map_free(list->seen);
	xfree(list->ids);
	xfree(list);
}

/* True if the id was listed before and must not be listed again. */
static bool
was_seen(struct list *list, uint64_t *id)
{
	const struct slice key = {(const char *)id, sizeof(*id)};

	return list->seen != NULL && hash_map_set(list->seen, key, list) != NULL;
}

/* Steps to the next client. Returns false at the end. *c is NULL if no client has the next id. */
static bool
next_client(struct list *list, struct client **c)
{
	uint64_t *id;

	if (list->ids == NULL) {
		*c = client_walk_next(&list->walk);
		return *c != NULL;
	}
	if (list->id_at == list->id_count)
		return false;
	id = &list->ids[list->id_at++];
	*c = was_seen(list, id) ? NULL : client_by_id(list->walk.server, *id);
	return true;
}

/* Returns false if the time is up before all clients have been listed. */
static bool
gather(struct list *list, uint64_t deadline_us)
{
	uint64_t now_us = clock_mono_us();
	struct client *c;
	size_t looked = 0;

	while (next_client(list, &c)) {
		if (c != NULL && (!list->of_type || client_type_of(c) == list->type)) {
			struct buffer *room = long_reply_room(&list->lines);

			list->line(c, now_us, room);
			buffer_append_str(room, "\n");
		}
		/* The line of a client with a replay visits all channels of the replay. */
		if ((++looked % CLIENTS_A_LOOK == 0 ||
			(c != NULL && c->subscriber.outbox.has_cursor)) &&
		    clock_mono_us() >= deadline_us)
			return false;
	}
	return true;
}

static enum job_state
list_step(void *state, struct job_step *step)
{
	struct list *list = state;
	size_t len;

	if (!list->is_gathered) {
		if (!gather(list, step->deadline_us))
			return JOB_MORE;
		list->is_gathered = true;
		len = long_reply_len(&list->lines);
		buffer_append_str(long_reply_room(&list->lines), "\r\n");
		if (list->proto == 2)
			buffer_appendf(step->reply, "$%zu\r\n", len);
		else
			buffer_appendf(step->reply, "=%zu\r\ntxt:", len + 4);
	}
	return long_reply_send(&list->lines, step);
}

static bool
parse_ids(struct request *rq, struct list *list)
{
	size_t i;
	int64_t id;

	list->ids = xcalloc(rq->argc - 3, sizeof(*list->ids));
	list->id_count = rq->argc - 3;
	for (i = 3; i < rq->argc; i++) {
		if (!slice_to_i64(rq->argv[i], &id)) {
			request_error(rq, "ERR Invalid client ID");
			return false;
		}
		list->ids[i - 3] = id > 0 ? (uint64_t)id : 0; /* no client has id 0 */
	}
	if (list->id_count > REPEATED_IDS_MAX)
		list->seen = hash_map_new();
	return true;
}

/* Reads the arguments after the subcommand's name. Returns false after replying with the error. */
static bool
parse(struct request *rq, struct list *list, bool with_type)
{
	struct slice type;

	if (rq->argc == 2)
		return true;
	if (with_type && rq->argc == 4 && slice_is_nocase(rq->argv[2], "type")) {
		type = rq->argv[3];
		list->of_type = true;
		if (client_type_parse(type, &list->type))
			return true;
		request_error(rq, "ERR Unknown client type '%.*s'",
		    (int)(type.len < 128 ? type.len : 128), type.ptr);
		return false;
	}
	if (rq->argc > 3 && slice_is_nocase(rq->argv[2], "id"))
		return parse_ids(rq, list);
	request_syntax_error(rq);
	return false;
}

enum command_result
client_lines(struct request *rq, client_line *line, bool with_type)
{
	static const struct job_kind kind = {"client list", list_step, list_free};
	struct list *list = xcalloc(1, sizeof(*list));
	struct job_step step = long_reply_first_step(rq, AT_ONCE_US);

	list->line = line;
	list->proto = rq->proto;
	client_walk_init(&list->walk, rq->server);
	if (!parse(rq, list, with_type) || list_step(list, &step) == JOB_DONE)
		list_free(list);
	else
		job_start(rq->server, rq->client, &kind, list);
	return COMMAND_DONE;
}
