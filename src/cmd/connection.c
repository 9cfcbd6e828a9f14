#include "config.h"

#include "base/alloc.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "pubsub/hub.h"
#include "pubsub/queue_group.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_life.h"
#include "server/presence_service.h"
#include "server/server_config.h"

/* PING, ECHO, SELECT, QUIT, RESET; AUTH and HELLO. */

enum command_result
cmd_ping(struct request *rq)
{
	if (rq->argc > 2) {
		request_error(rq, "ERR wrong number of arguments for 'ping' command");
		return COMMAND_DONE;
	}
	if (client_is_subscribed(rq->client)) {
		/* A subscribed RESP2 client expects arrays only, like those of messages. */
		resp_put_array(rq->reply, 2);
		resp_put_bulk_str(rq->reply, "pong");
		resp_put_bulk(rq->reply, rq->argc == 2 ? rq->argv[1] : SLICE(""));
	} else if (rq->argc == 2) {
		resp_put_bulk(rq->reply, rq->argv[1]);
	} else {
		resp_put_simple(rq->reply, "PONG");
	}
	return COMMAND_DONE;
}

enum command_result
cmd_echo(struct request *rq)
{
	resp_put_bulk(rq->reply, rq->argv[1]);
	return COMMAND_DONE;
}

/* The number is stored in the client; MONITOR and CLIENT LIST show it. */
enum command_result
cmd_select(struct request *rq)
{
	int64_t db;

	if (!args_i32(rq, rq->argv[1], &db))
		return COMMAND_DONE;
	if (db < 0 || db >= rq->server->config->databases) {
		request_error(rq, "ERR DB index is out of range");
	} else {
		rq->client->db = (uint32_t)db;
		request_ok(rq);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_quit(struct request *rq)
{
	request_ok(rq);
	client_finish(rq->client);
	return COMMAND_DONE;
}

/* Removes all subscriptions without confirmations. False: the slice is used up before the end. */
static bool
unsubscribe_from_all(struct request *rq)
{
	struct client *c = rq->client;
	const struct queue_member *member;
	struct subscription *s;
	int kind;

	for (kind = 0; kind < HUB_KINDS; kind++) {
		while ((s = hub_first_subscription(&c->subscriber, (enum hub_kind)kind)) != NULL) {
			if (hub_unsubscribe(&c->subscriber, (enum hub_kind)kind,
				topic_name(s->topic)) != HUB_OK)
				return true;
			c->pending->progress++;
			if (request_slice_is_over(rq))
				return false;
		}
	}
	while ((member = hub_first_queue(&c->subscriber)) != NULL) {
		if (hub_leave_queue(&c->subscriber, queue_member_group(member),
			queue_member_kind(member), queue_member_name(member)) != HUB_OK)
			return true;
		c->pending->progress++;
		if (request_slice_is_over(rq))
			return false;
	}
	return true;
}

/* Leaves all members of channels. False: the slice is used up before the end. */
static bool
leave_all(struct request *rq)
{
	while (!presence_release_client(rq->client, 1)) {
		rq->client->pending->progress++;
		if (request_slice_is_over(rq))
			return false;
	}
	return true;
}

/* False: the slice is used up before the end. */
static bool
disarm_all(struct request *rq)
{
	while (!armed_drain(rq->client, 1)) {
		rq->client->pending->progress++;
		if (request_slice_is_over(rq))
			return false;
	}
	return true;
}

enum command_result
cmd_reset(struct request *rq)
{
	bool done =
	    unsubscribe_from_all(rq) && leave_all(rq) && disarm_all(rq) && client_tracking_end(rq);

	client_subscriptions_changed(rq->client);
	if (!done)
		return COMMAND_AGAIN;
	client_reset(rq->client);
	resp_put_simple(rq->reply, "RESET");
	return COMMAND_DONE;
}

enum command_result
cmd_auth(struct request *rq)
{
	struct slice user = SLICE("default");
	enum access_login login;

	request_hide(rq, 1, rq->argc);
	if (rq->argc > 3) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 2 && !server_has_password(rq->server)) {
		request_error(rq,
		    "ERR AUTH <password> called without any password configured for the default "
		    "user. Are you sure your configuration is correct?");
		return COMMAND_DONE;
	}
	if (rq->argc == 3)
		user = rq->argv[1];
	login = access_log_in(rq, user, rq->argv[rq->argc - 1]);
	if (login == ACCESS_GRANTED)
		request_ok(rq);
	return login == ACCESS_LATER ? COMMAND_LATER : COMMAND_DONE;
}

struct hello {
	int64_t proto; /* 0: unchanged */
	bool has_auth, has_name;
	struct slice user, password, name;
};

/* Reads the options after the protocol version. Returns false after replying with the error. */
static bool
parse_hello_options(struct request *rq, struct hello *hello)
{
	size_t i = 2;

	while (i < rq->argc) {
		size_t more = rq->argc - 1 - i;

		if (slice_is_nocase(rq->argv[i], "auth") && more >= 2) {
			request_hide(rq, i + 1, i + 3);
			hello->has_auth = true;
			hello->user = rq->argv[i + 1];
			hello->password = rq->argv[i + 2];
			i += 3;
		} else if (slice_is_nocase(rq->argv[i], "setname") && more >= 1) {
			hello->has_name = true;
			hello->name = rq->argv[i + 1];
			i += 2;
		} else {
			/*
			 * An AUTH with too few arguments may be followed by a password: it must not
			 * be shown.
			 */
			request_hide(rq, i + 1, rq->argc);
			request_error(rq, "ERR Syntax error in HELLO option '%.*s'",
			    (int)(rq->argv[i].len < 128 ? rq->argv[i].len : 128), rq->argv[i].ptr);
			return false;
		}
	}
	return true;
}

static bool
parse_hello(struct request *rq, struct hello *hello)
{
	char *name = NULL;

	/* After an invalid version any word may be a password: none is shown. */
	if (rq->argc > 1 && !slice_to_i64(rq->argv[1], &hello->proto)) {
		request_hide(rq, 2, rq->argc);
		request_error(rq, "ERR Protocol version is not an integer or out of range");
		return false;
	}
	if (rq->argc > 1 && hello->proto != 2 && hello->proto != 3) {
		request_hide(rq, 2, rq->argc);
		request_error(rq, "NOPROTO unsupported protocol version");
		return false;
	}
	if (!parse_hello_options(rq, hello))
		return false;
	/* Checked before anything changes; the name is set with the rest. */
	if (hello->has_name && !client_attribute_set(&name, hello->name)) {
		request_error(
		    rq, "ERR Client names cannot contain spaces, newlines or special characters.");
		return false;
	}
	xfree(name);
	return true;
}

static void
put_hello_reply(struct request *rq)
{
	const struct client *c = rq->client;

	resp_put_map(rq->reply, c->proto, 8);
	resp_put_bulk_str(rq->reply, "server");
	resp_put_bulk_str(rq->reply, "redis");
	resp_put_bulk_str(rq->reply, "version");
	resp_put_bulk_str(rq->reply, SERVER_REDIS_VERSION);
	resp_put_bulk_str(rq->reply, "proto");
	resp_put_int(rq->reply, c->proto);
	resp_put_bulk_str(rq->reply, "id");
	resp_put_int(rq->reply, (int64_t)c->id);
	resp_put_bulk_str(rq->reply, "mode");
	resp_put_bulk_str(rq->reply, "standalone");
	resp_put_bulk_str(rq->reply, "role");
	resp_put_bulk_str(rq->reply, "master");
	resp_put_bulk_str(rq->reply, "modules");
	resp_put_array(rq->reply, 0);
	resp_put_bulk_str(rq->reply, "fanfare");
	resp_put_bulk_str(rq->reply, PACKAGE_VERSION);
}

/* All or nothing: every error is found before anything changes. */
enum command_result
cmd_hello(struct request *rq)
{
	struct client *c = rq->client;
	struct hello hello = {0};
	enum access_login login = ACCESS_GRANTED;

	if (!parse_hello(rq, &hello))
		return COMMAND_DONE;
	if (hello.has_auth)
		login = access_log_in(rq, hello.user, hello.password);
	if (login != ACCESS_GRANTED)
		return login == ACCESS_LATER ? COMMAND_LATER : COMMAND_DONE;
	if (access_needs_login(c)) {
		request_error(rq, "NOAUTH HELLO must be called with the client already "
				  "authenticated, otherwise the "
				  "HELLO <proto> AUTH <user> <pass> option can be used to "
				  "authenticate the client "
				  "and select the RESP protocol version at the same time");
		return COMMAND_DONE;
	}
	if (hello.has_name && !client_attribute_set(&session_of(c)->name, hello.name))
		return COMMAND_DONE;
	session_trim(c);
	if (hello.proto != 0)
		client_set_proto(c, (int)hello.proto);
	put_hello_reply(rq);
	return COMMAND_DONE;
}
