#include "config.h"

#include "pubsub/presence.h"

#include <inttypes.h>

#include "acl/check.h"
#include "acl/user.h"
#include "base/buffer.h"
#include "base/glob.h"
#include "cmd/channel_list.h"
#include "cmd/handlers.h"
#include "cmd/publish_check.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/presence_ask.h"
#include "server/presence_question.h"
#include "server/presence_service.h"
#include "server/request.h"
#include "server/server_config.h"

/* PRESENCE: the members of channels. */

/* Members in a reply of PRESENCE MEMBERS, and bytes after which it has no more. */
#define MEMBERS_DEFAULT 100
#define MEMBERS_MAX 1000
#define MEMBERS_BYTES ((size_t)256 << 10)

/* Steps of a listing for each member asked for, in a table that has become nearly empty. */
#define STEPS_A_MEMBER 10

#define SECOND_US ((uint64_t)1000000)

static struct presence *
presence_of(const struct request *rq)
{
	return rq->server->presence->presence;
}

/* Returns false after replying with an error if the name of channel or member is not allowed. */
static bool
check_names(struct request *rq)
{
	if (!channel_name_fits(rq, rq->argv[2]))
		return false;
	if (rq->argv[3].len == 0 || rq->argv[3].len > PRESENCE_MEMBER_MAX) {
		request_error(rq, "ERR member name must have 1 to %d bytes", PRESENCE_MEMBER_MAX);
		return false;
	}
	return true;
}

/* Reads [INFO info] from argument `at` on, to the end. Returns false after replying with an error.
 */
static bool
parse_info(struct request *rq, size_t at, struct slice *info)
{
	*info = (struct slice){NULL, 0};
	if (rq->argc == at)
		return true;
	if (rq->argc != at + 2 || !slice_is_nocase(rq->argv[at], "info")) {
		request_syntax_error(rq);
		return false;
	}
	*info = rq->argv[at + 1];
	if (info->len > PRESENCE_INFO_MAX) {
		request_error(rq, "ERR INFO must have at most %d bytes", PRESENCE_INFO_MAX);
		return false;
	}
	if (info->ptr == NULL)
		*info = SLICE("");
	return true;
}

static void
put_result(struct request *rq, enum presence_result result)
{
	const struct presence_limits *limits = &rq->server->config->presence;

	switch (result) {
	case PRESENCE_NEW:
		resp_put_int(rq->reply, 1);
		break;
	case PRESENCE_PRESENT:
		resp_put_int(rq->reply, 0);
		break;
	case PRESENCE_OFF:
		request_error(rq, "ERR presence is off for this channel");
		break;
	case PRESENCE_TOO_MANY_MEMBERS:
		request_error(rq, "ERR max number of members reached");
		break;
	case PRESENCE_TOO_MANY_JOINS:
		request_error(rq,
		    "ERR max number of members of this client reached (presence-max-joins %" PRIu32
		    ")",
		    limits->joins);
		break;
	case PRESENCE_NO_MEMORY:
		request_error(
		    rq, "OOM command not allowed when used memory > 'presence-maxmemory'.");
		break;
	}
}

/* Returns false after replying with an error: a member that comes now is one of the process that
 * has taken over. */
static bool
check_serves(struct request *rq)
{
	if (rq->server->pause->handed_over)
		request_error(rq, PAUSE_HANDED_OVER);
	return !rq->server->pause->handed_over;
}

enum command_result
cmd_presence_join(struct request *rq)
{
	struct client *c = rq->client;
	struct slice info;

	if (!check_names(rq) || !parse_info(rq, 4, &info) || !check_serves(rq))
		return COMMAND_DONE;
	put_result(rq, presence_join(presence_of(rq), &session_of(c)->presence, rq->argv[2],
			   rq->argv[3], info, rq->now_us));
	session_trim(c);
	return COMMAND_DONE;
}

enum command_result
cmd_presence_leave(struct request *rq)
{
	struct client *c = rq->client;
	bool was_in = c->session != NULL && presence_leave(presence_of(rq), &c->session->presence,
						rq->argv[2], rq->argv[3], rq->now_us);

	session_trim(c);
	resp_put_int(rq->reply, was_in);
	return COMMAND_DONE;
}

enum command_result
cmd_presence_touch(struct request *rq)
{
	struct slice info;
	uint64_t lease_s;

	if (!check_names(rq))
		return COMMAND_DONE;
	if (!slice_is_nocase(rq->argv[4], "ttl")) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (!slice_to_u64(rq->argv[5], &lease_s) || lease_s > PRESENCE_LEASE_MAX_S) {
		request_error(rq, "ERR TTL must be 0 to %d seconds", PRESENCE_LEASE_MAX_S);
		return COMMAND_DONE;
	}
	if (parse_info(rq, 6, &info) && check_serves(rq))
		put_result(rq, presence_touch(presence_of(rq), rq->argv[2], rq->argv[3],
				   lease_s * SECOND_US, info, rq->now_us));
	return COMMAND_DONE;
}

/* The options of PRESENCE MEMBERS, and what was found. */
struct listing {
	uint64_t cursor;
	uint64_t count;
	struct buffer members; /* encoded as in the reply */
	size_t found;
};

/* Returns false after replying with an error. */
static bool
parse_listing(struct request *rq, struct listing *listing)
{
	for (size_t i = 3; i < rq->argc; i += 2) {
		struct slice option = rq->argv[i], value;

		if (i + 1 == rq->argc) {
			request_syntax_error(rq);
			return false;
		}
		value = rq->argv[i + 1];
		if (slice_is_nocase(option, "cursor")) {
			if (!slice_to_u64(value, &listing->cursor)) {
				request_error(rq, "ERR invalid cursor");
				return false;
			}
		} else if (slice_is_nocase(option, "count")) {
			if (!slice_to_u64(value, &listing->count) || listing->count == 0 ||
			    listing->count > MEMBERS_MAX) {
				request_error(rq, "ERR COUNT must be 1 to %d", MEMBERS_MAX);
				return false;
			}
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

static void
list_member(void *arg, const struct presence_member *member)
{
	struct listing *listing = arg;

	resp_put_bulk(&listing->members, member->name);
	resp_put_bulk(&listing->members, member->info);
	resp_put_int(&listing->members, member->connections);
	listing->found++;
}

/* Returns false after replying with an error. */
static bool
shows_members(struct request *rq, struct slice channel)
{
	enum presence_mode mode = presence_mode_of(presence_of(rq), channel);

	if (mode == PRESENCE_NO)
		put_result(rq, PRESENCE_OFF);
	else if (mode == PRESENCE_COUNT)
		request_error(rq, "ERR the members of this channel are only counted");
	return mode == PRESENCE_MEMBERS;
}

/* Those of this node. */
static void
list_members(struct request *rq, struct listing *listing)
{
	uint64_t steps = 0;

	do
		listing->cursor = presence_scan(
		    presence_of(rq), rq->argv[2], listing->cursor, list_member, listing);
	while (listing->cursor != 0 && listing->found < listing->count &&
	       listing->members.len < MEMBERS_BYTES && ++steps < listing->count * STEPS_A_MEMBER);
}

/* Those that the upstream has. */
static void
take_members(struct listing *listing, const struct upstream_presence_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct upstream_presence_item *item = &answer->items[i];
		const struct presence_member member = {
		    .name = item->name, .info = item->info, .connections = (uint32_t)item->number};

		list_member(listing, &member);
	}
	listing->cursor = answer->cursor;
}

static void
put_members(struct request *rq, struct listing *listing)
{
	struct buffer cursor = {0};

	resp_put_array(rq->reply, 2);
	buffer_appendf(&cursor, "%" PRIu64, listing->cursor);
	resp_put_bulk(rq->reply, buffer_slice(&cursor));
	buffer_release(&cursor);
	resp_put_array(rq->reply, listing->found * 3);
	buffer_append_slice(rq->reply, buffer_slice(&listing->members));
	buffer_release(&listing->members);
}

enum command_result
cmd_presence_members(struct request *rq)
{
	struct listing listing = {.count = MEMBERS_DEFAULT};
	const struct upstream_presence_answer *answer;

	if (!channel_name_fits(rq, rq->argv[2]) || !parse_listing(rq, &listing) ||
	    !shows_members(rq, rq->argv[2]))
		return COMMAND_DONE;
	switch (presence_ask(rq,
	    &(struct upstream_presence_query){.asks = UPSTREAM_PRESENCE_MEMBERS,
		.channel = rq->argv[2],
		.cursor = listing.cursor,
		.count = listing.count,
		.bytes = MEMBERS_BYTES},
	    &answer)) {
	case PRESENCE_WAITS:
		return COMMAND_LATER;
	case PRESENCE_FAILED:
		return COMMAND_DONE;
	case PRESENCE_ANSWERED:
		take_members(&listing, answer);
		break;
	case PRESENCE_OF_NODE:
		list_members(rq, &listing);
		break;
	}
	put_members(rq, &listing);
	return COMMAND_DONE;
}

/* A part of the channels at a time: question->count of them have been answered. */
static enum command_result
ask_counts(struct request *rq)
{
	const struct slice *channels = rq->argv + 2;
	const struct upstream_presence_answer *answer;
	struct presence_question *q;
	size_t count = rq->argc - 2, left;
	enum presence_asked asked;

	do {
		q = presence_ask_question(rq);
		left = count - (q != NULL ? q->count : 0);
		asked = presence_ask(rq,
		    &(struct upstream_presence_query){.asks = UPSTREAM_PRESENCE_COUNT,
			.count = left < UPSTREAM_PRESENCE_PART ? left : UPSTREAM_PRESENCE_PART,
			.channels = channels + (count - left)},
		    &answer);
		if (asked != PRESENCE_ANSWERED)
			return asked == PRESENCE_WAITS ? COMMAND_LATER : COMMAND_DONE;
		q = presence_ask_question(rq);
		for (size_t i = 0; i < answer->count; i++) {
			resp_put_bulk(&q->gathered, channels[q->count++]);
			resp_put_int(&q->gathered, (int64_t)answer->items[i].number);
		}
	} while (q->count < count);
	resp_put_array(rq->reply, count * 2);
	buffer_append_slice(rq->reply, buffer_slice(&q->gathered));
	return COMMAND_DONE;
}

enum command_result
cmd_presence_count(struct request *rq)
{
	size_t *progress = &rq->client->pending->progress;

	if (presence_share_is_on(rq->server))
		return ask_counts(rq);
	if (*progress == 0)
		resp_put_array(rq->reply, (rq->argc - 2) * 2);
	while (*progress + 2 < rq->argc) {
		struct slice name = rq->argv[*progress + 2];

		resp_put_bulk(rq->reply, name);
		resp_put_int(rq->reply, (int64_t)presence_count(presence_of(rq), name));
		if (++*progress + 2 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

/* A channel that the user may not access is left out. */
static bool
next_channel(struct client *c, struct slice after, struct slice *name, bool *is_wanted)
{
	size_t members;

	if (!presence_next_channel(c->server->presence->presence, after, name, &members))
		return false;
	*is_wanted =
	    members > 0 && (c->user->unrestricted || acl_may_receive(c->user, *name, false));
	return true;
}

/* Of a page of channels that the upstream has. */
static void
take_channels(struct request *rq, const struct upstream_presence_answer *answer)
{
	struct presence_question *q = presence_ask_question(rq);
	const struct acl_user *user = rq->client->user;

	for (size_t i = 0; i < answer->count; i++) {
		struct slice name = answer->items[i].name;

		if ((rq->argc == 2 || glob_match(rq->argv[2], name, false)) &&
		    (user->unrestricted || acl_may_receive(user, name, false))) {
			resp_put_bulk(&q->gathered, name);
			q->count++;
		}
	}
	if (answer->count == 0)
		return;
	buffer_clear(&q->last);
	buffer_append_slice(&q->last, answer->items[answer->count - 1].name);
	q->has_last = true;
}

static enum command_result
ask_channels(struct request *rq)
{
	struct upstream_presence_query query = {
	    .asks = UPSTREAM_PRESENCE_CHANNELS, .count = UPSTREAM_PRESENCE_PART};
	const struct upstream_presence_answer *answer;
	struct presence_question *q;
	enum presence_asked asked;
	bool has_more;

	do {
		q = presence_ask_question(rq);
		if (q != NULL && q->has_last)
			query.after = q->last.len > 0 ? buffer_slice(&q->last) : SLICE("");
		asked = presence_ask(rq, &query, &answer);
		if (asked != PRESENCE_ANSWERED)
			return asked == PRESENCE_WAITS ? COMMAND_LATER : COMMAND_DONE;
		take_channels(rq, answer);
		has_more = answer->cursor != 0 && answer->count > 0;
	} while (has_more);
	q = presence_ask_question(rq);
	channel_list_put(rq, buffer_slice(&q->gathered), q->count);
	return COMMAND_DONE;
}

enum command_result
cmd_presence_channels(struct request *rq)
{
	if (!presence_share_is_on(rq->server))
		return channel_list(rq, next_channel);
	return channel_list_check(rq) ? ask_channels(rq) : COMMAND_DONE;
}

enum command_result
cmd_presence_help(struct request *rq)
{
	static const char *const lines[] = {
	    "CHANNELS [<pattern>]",
	    "    Return the channels with members that match the pattern (default: '*') and that",
	    "    the user may access.",
	    "COUNT <channel> [<channel> ...]",
	    "    Return the number of members of each channel.",
	    "JOIN <channel> <member> [INFO <info>]",
	    "    Make this connection one of the member, until LEAVE or the end of the connection.",
	    "    Return 1 if the member was not present before, otherwise 0.",
	    "LEAVE <channel> <member>",
	    "    End what JOIN of this connection began. The member leaves after the leave-delay",
	    "    of the channel, unless it has other connections, a lease, or returns. Return 1,",
	    "    or 0 if this connection has not joined it.",
	    "MEMBERS <channel> [CURSOR <cursor>] [COUNT <count>]",
	    "    Return the next cursor, 0 at the end, and an array of members: the name, the info",
	    "    and the number of connections of each. COUNT is 1 to 1000, by default 100.",
	    "TOUCH <channel> <member> TTL <seconds> [INFO <info>]",
	    "    Make the member present for some seconds, without a connection; again renews it.",
	    "    TTL 0 ends it. Return 1 if the member was not present before, otherwise 0.",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}
