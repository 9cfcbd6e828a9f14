#include "config.h"

#include <inttypes.h>

#include "acl/user.h"
#include "cmd/handlers.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"
#include "pubsub/outbox.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_limits.h"
#include "server/request.h"
#include "server/server_config.h"

/* OUTBOX: the messages queued for a client, and what happens to those that do not fit. */

static void
put_number(struct request *rq, const char *name, uint64_t value)
{
	resp_put_bulk_str(rq->reply, name);
	resp_put_int(rq->reply, (int64_t)value);
}

/* Up to which messages of channels with history were queued for the client. */
static void
put_position(struct request *rq)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_print(text, hub_replay_progress(&rq->client->subscriber).position);

	resp_put_bulk_str(rq->reply, "position");
	resp_put_bulk(rq->reply, (struct slice){text, len});
}

/* Shows the limits in force: the client's choice, bounded by the configuration. */
enum command_result
cmd_outbox_get(struct request *rq)
{
	const struct outbox *outbox = &rq->client->subscriber.outbox;

	resp_put_map(rq->reply, rq->proto, 13);
	resp_put_bulk_str(rq->reply, "policy");
	resp_put_bulk_str(rq->reply, outbox_policy_name(outbox->limits.policy));
	put_number(rq, "bytes", outbox->limits.bytes);
	put_number(rq, "messages", outbox->limits.messages);
	resp_put_bulk_str(rq->reply, "notify");
	resp_put_bulk_str(rq->reply, outbox->limits.notify ? "yes" : "no");
	put_number(rq, "queued-bytes", outbox->message_bytes);
	put_number(rq, "queued-messages", outbox->messages);
	put_number(rq, "dropped", outbox->dropped);
	resp_put_bulk_str(rq->reply, "going-away");
	resp_put_bulk_str(rq->reply, rq->client->wants_going_away ? "yes" : "no");
	resp_put_bulk_str(rq->reply, "echo");
	resp_put_bulk_str(rq->reply, rq->client->no_echo ? "no" : "yes");
	resp_put_bulk_str(rq->reply, "positions");
	resp_put_bulk_str(rq->reply, rq->client->wants_positions ? "yes" : "no");
	resp_put_bulk_str(rq->reply, "dedup");
	resp_put_bulk_str(rq->reply, rq->client->subscriber.dedup ? "yes" : "no");
	resp_put_bulk_str(rq->reply, "channel-policies");
	resp_put_bulk_str(rq->reply, outbox->limits.channel_policies != 0 ? "yes" : "no");
	put_position(rq);
	return COMMAND_DONE;
}

/* The choices that OUTBOX SET makes. */
struct choice {
	struct outbox_limits limits;
	uint8_t chosen; /* enum client_choice */
	bool going_away;
	bool echo;
	bool positions;
	bool dedup;
};

/*
 * Reads a limit from 1 to max (max 0: no maximum), or 0, which means no choice. Returns false after
 * replying with the error.
 */
static bool
parse_limit(struct request *rq, struct slice text, uint64_t max, uint64_t *limit)
{
	uint64_t highest = max > 0 ? max : INT64_MAX;

	if (!slice_to_u64(text, limit) || *limit > highest) {
		request_error(rq, "ERR outbox limit must be between 0 and %" PRIu64, highest);
		return false;
	}
	return true;
}

static bool
parse_yes_no(struct request *rq, const char *name, struct slice text, bool *yes)
{
	*yes = slice_is_nocase(text, "yes");
	if (*yes || slice_is_nocase(text, "no"))
		return true;
	request_error(rq, "ERR %s must be 'yes' or 'no'", name);
	return false;
}

/* A setting that is not chosen follows the configuration, also when that changes. */
static void
choose(struct choice *choice, enum client_choice what, bool chosen)
{
	choice->chosen = (uint8_t)(chosen ? choice->chosen | what : choice->chosen & ~what);
}

static bool
parse_option(struct request *rq, struct slice option, struct slice value, struct choice *choice)
{
	struct outbox_limits *limits = &choice->limits;
	const struct outbox_limits *most = &rq->server->config->outbox;
	uint64_t limit;

	if (slice_is_nocase(option, "policy")) {
		if (slice_is_nocase(value, "default")) {
			choose(choice, CLIENT_CHOSE_POLICY, false);
			return true;
		}
		if (outbox_policy_parse(value, &limits->policy)) {
			const struct acl_limits *user = &rq->client->user->limits;

			choice->chosen |= CLIENT_CHOSE_POLICY;
			if (user->policies == 0 || (user->policies >> limits->policy & 1) != 0)
				return true;
			request_error(rq, "ERR this user may not choose this outbox policy");
			return false;
		}
		request_error(rq, "ERR outbox policy must be disconnect, drop-oldest, drop-newest, "
				  "block, catch-up or "
				  "default");
		return false;
	}
	if (slice_is_nocase(option, "bytes")) {
		if (!parse_limit(rq, value, most->bytes, &limit))
			return false;
		limits->bytes = (size_t)limit;
		choose(choice, CLIENT_CHOSE_BYTES, limit > 0);
		return true;
	}
	if (slice_is_nocase(option, "messages")) {
		/*
		 * The limit is a uint32_t, so without a maximum its largest value is the maximum.
		 */
		if (!parse_limit(
			rq, value, most->messages > 0 ? most->messages : UINT32_MAX, &limit))
			return false;
		limits->messages = (uint32_t)limit;
		choose(choice, CLIENT_CHOSE_MESSAGES, limit > 0);
		return true;
	}
	if (slice_is_nocase(option, "notify")) {
		choice->chosen |= CLIENT_CHOSE_NOTIFY;
		return parse_yes_no(rq, "NOTIFY", value, &limits->notify);
	}
	if (slice_is_nocase(option, "going-away"))
		return parse_yes_no(rq, "GOING-AWAY", value, &choice->going_away);
	if (slice_is_nocase(option, "echo"))
		return parse_yes_no(rq, "ECHO", value, &choice->echo);
	if (slice_is_nocase(option, "positions"))
		return parse_yes_no(rq, "POSITIONS", value, &choice->positions);
	if (slice_is_nocase(option, "dedup"))
		return parse_yes_no(rq, "DEDUP", value, &choice->dedup);
	request_syntax_error(rq);
	return false;
}

enum command_result
cmd_outbox_set(struct request *rq)
{
	struct client *c = rq->client;
	struct choice choice = {
	    .going_away = c->wants_going_away,
	    .echo = !c->no_echo,
	    .positions = c->wants_positions,
	    .dedup = c->subscriber.dedup,
	};
	size_t i;

	if (rq->argc % 2 != 0) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (c->session != NULL) {
		choice.limits = c->session->limits;
		choice.chosen = c->session->chosen;
	}
	for (i = 2; i < rq->argc; i += 2) {
		if (!parse_option(rq, rq->argv[i], rq->argv[i + 1], &choice))
			return COMMAND_DONE;
	}
	c->wants_going_away = choice.going_away;
	c->no_echo = !choice.echo;
	client_set_positions(c, choice.positions);
	hub_set_dedup(&c->subscriber, choice.dedup);
	session_of(c)->limits = choice.limits;
	c->session->chosen = choice.chosen;
	session_trim(c);
	client_apply_limits(c);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_outbox_dropped(struct request *rq)
{
	size_t *progress = &rq->client->pending->progress;
	struct hub *hub = rq->server->hub;

	if (*progress == 0)
		resp_put_array(rq->reply, (rq->argc - 2) * 2);
	while (*progress + 2 < rq->argc) {
		struct slice name = rq->argv[*progress + 2];

		resp_put_bulk(rq->reply, name);
		resp_put_int(rq->reply, (int64_t)hub_channel_dropped(hub, HUB_CHANNEL, name));
		if (++*progress + 2 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

enum command_result
cmd_outbox_help(struct request *rq)
{
	static const char *const lines[] = {
	    "DROPPED <channel> [<channel> ...]",
	    "    Return how many messages of each channel were dropped because a subscriber was",
	    "    too slow, counted since the channel got its first subscriber.",
	    "GET",
	    "    Return the policy and limits of this client's outbox, how much is queued, and the",
	    "    position up to which kept messages were queued.",
	    "LIST [ID <client-id> [<client-id> ...]]",
	    "    Return a line for each client: policy and limits of its outbox, how much is",
	    "    queued, how many messages were dropped, the thread that serves the client, the",
	    "    number of keys that it watches, how many of its channels are being replayed, and",
	    "    how many messages are still to be queued for them.",
	    "SET [POLICY <policy>] [BYTES <bytes>] [MESSAGES <messages>] [NOTIFY (yes|no)]",
	    "  [GOING-AWAY (yes|no)] [ECHO (yes|no)] [POSITIONS (yes|no)] [DEDUP (yes|no)]",
	    "    Choose the policy for messages that this client does not read in time:",
	    "    disconnect, drop-oldest, drop-newest, block, catch-up, or default: as the",
	    "    configuration and the options of the channel say; how much may be queued (0: as",
	    "    much as the configuration allows); whether the client is told how many messages",
	    "    it missed; whether it is told, with RESP3, that the server is going away; whether",
	    "    it gets the messages that it publishes itself; whether payloads begin with the",
	    "    position of the message and a space; whether it gets one copy of a message that",
	    "    matches several of its subscriptions.",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}
