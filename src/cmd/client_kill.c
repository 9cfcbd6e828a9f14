#include "config.h"

#include "acl/acl.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_peer.h"
#include "server/client_walk.h"
#include "server/job.h"
#include "server/statistics.h"

/*
 * CLIENT KILL runs in slices: marking one connection is cheap, but there may be very many. A client
 * that kills itself gets its reply before its connection ends.
 */
#define AT_ONCE_US 1000
#define CLIENTS_A_LOOK 256
#define ARGUMENT_SHOWN_MAX 128

struct kill {
	struct client_walk walk;
	struct buffer address;
	struct buffer local_address;
	uint64_t id;   /* 0: any */
	uint64_t self; /* id of the client that runs CLIENT KILL */
	uint64_t count;
	enum client_type type;
	struct acl_user *user;                         /* a reference; NULL: any */
	bool has_address, has_local_address, has_type; /* without it, any */
	bool old_form; /* CLIENT KILL address: the reply is OK or an error */
	bool skip_me;
	bool kills_self;
};

static void
kill_free(void *state)
{
	struct kill *kill = state;

	buffer_release(&kill->address);
	buffer_release(&kill->local_address);
	if (kill->user != NULL)
		acl_user_unref(kill->user);
	xfree(kill);
}

static bool
matches(const struct kill *kill, const struct client *c)
{
	if (kill->skip_me && c->id == kill->self)
		return false;
	if (kill->id != 0 && c->id != kill->id)
		return false;
	if (kill->user != NULL && c->user != kill->user)
		return false;
	if (kill->has_address &&
	    !slice_is(buffer_slice(&kill->address), client_peer_address(c->peer)))
		return false;
	if (kill->has_local_address &&
	    !slice_is(buffer_slice(&kill->local_address), client_peer_local_address(c->peer)))
		return false;
	return !kill->has_type || client_type_of(c) == kill->type;
}

static void
kill_one(struct kill *kill, struct client *c)
{
	kill->count++;
	if (c->id == kill->self) {
		kill->kills_self = true;
		return;
	}
	client_dismiss(c, DOOR_END_KICKED, "closed by CLIENT KILL");
}

static void
kill_reply(struct kill *kill, struct client *self, struct buffer *reply)
{
	if (!kill->old_form) {
		resp_put_int(reply, (int64_t)kill->count);
	} else if (kill->count > 0) {
		resp_put_simple(reply, "OK");
	} else {
		resp_put_error(reply, SLICE("ERR No such client"));
		statistics_count_error(self->server->statistics, SLICE("ERR No such client"));
	}
	if (kill->kills_self)
		client_finish(self);
}

static enum job_state
kill_step(void *state, struct job_step *step)
{
	struct kill *kill = state;
	struct client *c;
	size_t looked = 0;

	if (kill->id != 0) {
		c = client_by_id(step->server, kill->id);
		if (c != NULL && matches(kill, c))
			kill_one(kill, c);
	} else {
		while ((c = client_walk_next(&kill->walk)) != NULL) {
			if (matches(kill, c))
				kill_one(kill, c);
			if (++looked % CLIENTS_A_LOOK == 0 && clock_mono_us() >= step->deadline_us)
				return JOB_MORE;
		}
	}
	kill_reply(kill, step->client, step->reply);
	return JOB_DONE;
}

static void
set_bytes(struct buffer *to, bool *has, struct slice from)
{
	buffer_clear(to);
	buffer_append_slice(to, from);
	*has = true;
}

static void
unknown(struct request *rq, const char *what, struct slice name)
{
	int len = (int)(name.len < ARGUMENT_SHOWN_MAX ? name.len : ARGUMENT_SHOWN_MAX);

	request_error(rq, "ERR %s '%.*s'", what, len, name.ptr);
}

/* Reads one filter and its value. Returns false after replying with the error. */
static bool
parse_filter(struct request *rq, struct kill *kill, struct slice filter, struct slice value)
{
	int64_t id;

	if (slice_is_nocase(filter, "id")) {
		if (!slice_to_i64(value, &id) || id < 1) {
			request_error(rq, "ERR client-id should be greater than 0");
			return false;
		}
		kill->id = (uint64_t)id;
	} else if (slice_is_nocase(filter, "type")) {
		if (!client_type_parse(value, &kill->type)) {
			unknown(rq, "Unknown client type", value);
			return false;
		}
		kill->has_type = true;
	} else if (slice_is_nocase(filter, "addr")) {
		set_bytes(&kill->address, &kill->has_address, value);
	} else if (slice_is_nocase(filter, "laddr")) {
		set_bytes(&kill->local_address, &kill->has_local_address, value);
	} else if (slice_is_nocase(filter, "user")) {
		struct acl_user *user = acl_find(rq->server->access->acl, value);

		if (user == NULL) {
			unknown(rq, "No such user", value);
			return false;
		}
		if (kill->user != NULL)
			acl_user_unref(kill->user);
		kill->user = acl_user_ref(user);
	} else if (slice_is_nocase(filter, "skipme") && slice_is_nocase(value, "yes")) {
		kill->skip_me = true;
	} else if (slice_is_nocase(filter, "skipme") && slice_is_nocase(value, "no")) {
		kill->skip_me = false;
	} else {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

static bool
parse_kill(struct request *rq, struct kill *kill)
{
	size_t i;

	if (rq->argc == 3) {
		kill->old_form = true;
		set_bytes(&kill->address, &kill->has_address, rq->argv[2]);
		return true;
	}
	kill->skip_me = true;
	for (i = 2; i + 1 < rq->argc; i += 2) {
		if (!parse_filter(rq, kill, rq->argv[i], rq->argv[i + 1]))
			return false;
	}
	if (i < rq->argc)
		request_syntax_error(rq);
	return i == rq->argc;
}

enum command_result
cmd_client_kill(struct request *rq)
{
	static const struct job_kind kind = {"client kill", kill_step, kill_free};
	struct kill *kill = xcalloc(1, sizeof(*kill));
	struct job_step step = {
	    rq->server, rq->client, rq->reply, .deadline_us = clock_mono_us() + AT_ONCE_US};

	kill->self = rq->client->id;
	client_walk_init(&kill->walk, rq->server);
	if (!parse_kill(rq, kill)) {
		kill_free(kill);
	} else if (kill_step(kill, &step) == JOB_DONE) {
		rq->failed = kill->old_form && kill->count == 0;
		kill_free(kill);
	} else {
		job_start(rq->server, rq->client, &kind, kill);
	}
	return COMMAND_DONE;
}
