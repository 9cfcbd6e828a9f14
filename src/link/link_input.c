#include "config.h"

#include "link/link_input.h"

#include <string.h>

#include "link/conversation.h"
#include "link/engine.h"
#include "link/link_cluster.h"
#include "link/push.h"
#include "resp/reply.h"

#define FORGED_US ((uint64_t)1000000) /* how often a check is made because of forged messages */

static void
on_hello(struct link *link, const struct resp_value *value)
{
	const char *why;

	if (value->type == RESP_TYPE_ERROR) {
		link_drop_for(link,
		    slice_begins_with(value->text, "ERR ")
			? "the upstream refuses HELLO 3 (Redis 6 or later is needed): "
			: "the upstream refuses HELLO 3: ",
		    value->text);
		return;
	}
	why = link->config->cluster != NULL ? link_check_cluster_peer(link, value)
					    : peer_check_hello(value, &link->peer);
	if (why != NULL) {
		link_drop(link, why);
		return;
	}
	if (link->state != LINK_GREETING)
		return;
	link_advance(link, LINK_GREETED);
	if (link->config->cluster != NULL)
		link_send_topology(link);
	else
		link_send_info(link);
}

/* A user without the right to INFO is accepted: then nothing is known about loops. */
static void
on_info(struct link *link, const struct resp_value *value, uint64_t now_us)
{
	const char *why = NULL;

	if (value->type == RESP_TYPE_VERBATIM || value->type == RESP_TYPE_BULK)
		why = peer_check_info(value->text, link->config->id);
	else if (value->type != RESP_TYPE_ERROR)
		why = "the upstream's reply to INFO is not a text";
	if (why == NULL && link->engine != NULL)
		why = link_begin_engine(link, value);
	if (why != NULL) {
		link_drop(link, why);
		return;
	}
	if (link->engine != NULL)
		return;
	if (link->peer.is_fanfare) {
		link_send_options(link);
		return;
	}
	catch_up_denied(&link->catch_up);
	link_advance(link, LINK_CHECKED);
	link_send_probe(link, now_us);
}

/* Without them the link works as with Redis. */
static void
on_positions(struct link *link, const struct resp_value *value, uint64_t now_us)
{
	if (value->type != RESP_TYPE_ERROR && value->type != RESP_TYPE_SIMPLE) {
		link_drop(link, "the upstream's reply to OUTBOX is neither OK nor an error");
		return;
	}
	link->has_positions = value->type == RESP_TYPE_SIMPLE;
	if (link->has_positions)
		catch_up_offered(&link->catch_up);
	else
		catch_up_denied(&link->catch_up);
	link_advance(link, LINK_CHECKED);
	link_send_probe(link, now_us);
}

/* All names were asked for when this was. */
static void
on_position(struct link *link, const struct resp_value *value)
{
	struct hub_position position;

	if (value->type == RESP_TYPE_ERROR) { /* no right to HISTORY */
		catch_up_denied(&link->catch_up);
		return;
	}
	if (!position_parse(value->text, &position)) {
		link_drop(link, "the upstream's reply to HISTORY POSITION is no position");
		return;
	}
	if (link->catch_up.state == CATCH_UP_REPLAYING && !link->has_aimed)
		return;
	catch_up_aim(&link->catch_up, position);
	if (!catch_up_has_aim(&link->catch_up))
		return;
	if (link->settled_by.len == 0) /* nothing was resumed */
		catch_up_reached(&link->catch_up, position);
	else
		link_ask_whether_settled(link);
}

/* The verdict of an item of RESUME's reply: [name, verdict, position, count]. */
static bool
has_verdict(const struct resp_value *item, const char *verdict)
{
	return item->count == 4 && slice_is(item->items[1].text, verdict);
}

static void
on_resumed(struct link *link, const struct resp_value *value, size_t count)
{
	bool misses_nothing[INTEREST_BATCH];

	if (value->type == RESP_TYPE_ERROR) { /* no right to RESUME: its names have no verdict */
		catch_up_denied(&link->catch_up);
		return;
	}
	if (value->count != count || count > INTEREST_BATCH) {
		link_drop(link, "the upstream's reply to RESUME has not one item for each name");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		misses_nothing[i] = has_verdict(&value->items[i], "resumed");
		if (!misses_nothing[i] || link->settled_by.len > 0)
			continue;
		buffer_append_slice(&link->settled_by, value->items[i].items[0].text);
		link->settled_by_kind = interest_of(link->interest, HUB_CHANNEL,
					    buffer_slice(&link->settled_by)) == INTEREST_ASKED
					    ? HUB_CHANNEL
					    : HUB_PATTERN;
	}
	interest_resumed(link->interest, misses_nothing, count);
}

/* If the name has left meanwhile, the next kept message will tell. */
static void
on_settled(struct link *link, const struct resp_value *value)
{
	struct hub_position position;

	if (value->type != RESP_TYPE_ARRAY || value->count != 1 ||
	    !has_verdict(&value->items[0], "subscribed") ||
	    !position_parse(value->items[0].items[2].text, &position))
		buffer_clear(&link->settled_by);
	else
		catch_up_reached(&link->catch_up, position);
}

/* LOST: kept messages were removed between RESUME and SUBSCRIBE. */
static void
on_names_refused(struct link *link, struct slice error, size_t count, uint64_t now_us)
{
	if (slice_begins_with(error, "LOST ")) {
		catch_up_denied(&link->catch_up);
		interest_retry(link->interest, count, now_us);
		return;
	}
	link->ops->refused(link->arg, error);
	interest_refuse(link->interest, count, now_us);
}

/* After these the connection is of no use, though it may become so again. */
static bool
is_fatal(const struct link *link, struct slice error)
{
	static const char *const codes[] = {
	    "BUSY ", "LOADING ", "MASTERDOWN ", "NOAUTH ", "READONLY ", NULL};
	/* Of an engine, whose scripts or history are gone: both begin with the connection. */
	static const char *const of_engine[] = {"CLUSTERDOWN ", "NOSCRIPT ", NULL};

	for (size_t i = 0; codes[i] != NULL; i++)
		if (slice_begins_with(error, codes[i]))
			return true;
	for (size_t i = 0; link->engine != NULL && of_engine[i] != NULL; i++)
		if (slice_begins_with(error, of_engine[i]))
			return true;
	return false;
}

static void
on_published(struct link *link, const struct resp_value *value)
{
	struct hub_position position = {0, 0};
	bool is_position = link->engine != NULL && value->type == RESP_TYPE_BULK &&
			   position_parse(value->text, &position) && position.epoch != 0;

	if (value->type == RESP_TYPE_ERROR) {
		link->figures.refused += !link_is_moved(link, value->text);
		link->ops->published(link->arg, value->text, position);
	} else if (value->type != RESP_TYPE_INT && !is_position) {
		link_drop(link, "the upstream's reply to PUBLISH is not a number");
	} else {
		link->ops->published(link->arg, (struct slice){NULL, 0}, position);
	}
}

/* False: the reply does not fit. */
static bool
take_probe_reply(struct link *link, enum link_answer_kind answer, const struct resp_value *value)
{
	if (value->type == RESP_TYPE_ERROR) {
		link_drop_for(link,
		    "the upstream refuses probes; its user needs the channels "
		    "__fanfare__:probe:*: ",
		    value->text);
		return true;
	}
	if (answer != ANSWER_PROBE_PUBLISHED || value->type != RESP_TYPE_INT)
		return false;
	link->probe_is_unanswered = false;
	return true;
}

/* False: the reply is none that only an engine or a node of a cluster gives. */
static bool
take_reply_of_mode(struct link *link, enum link_answer_kind answer, const struct resp_value *value,
    uint64_t now_us)
{
	switch (answer) {
	case ANSWER_SCRIPT:
	case ANSWER_GREETING:
	case ANSWER_AHEAD:
	case ANSWER_LOADED:
	case ANSWER_CHECKED:
	case ANSWER_CLAIMED:
		link_take_engine(link, answer, value, now_us);
		return true;
	case ANSWER_PRESENCE_SCRIPT:
	case ANSWER_PRESENCE_LEASED:
	case ANSWER_PRESENCE_CHANGED:
	case ANSWER_PRESENCE_EXPIRED:
	case ANSWER_PRESENCE_ASKED:
		link_take_presence(link, answer, value, now_us);
		return true;
	case ANSWER_CLUSTER_INFO:
	case ANSWER_CLUSTER_SLOTS:
	case ANSWER_SYNCED:
	case ANSWER_TOLD:
		link_take_cluster(link, answer, value, now_us);
		return true;
	default:
		return false;
	}
}

/* An error, or the reply to something that is not a confirmation of names. */
void
link_take_reply(struct link *link, const struct resp_value *value, uint64_t now_us)
{
	const struct link_answer *first = link_first_expected(&link->expected);
	bool is_error = value->type == RESP_TYPE_ERROR, is_whole;
	enum link_answer_kind answer;
	size_t count;

	if (first == NULL) {
		link_drop(link, "the upstream replied to nothing");
		return;
	}
	answer = first->kind;
	count = first->count;
	if (link->probe_is_unanswered)
		link->replied_us = now_us;
	if (is_error && answer != ANSWER_HELLO && is_fatal(link, value->text)) {
		link_drop_for(link, "the upstream does not serve: ", value->text);
		return;
	}
	if (is_error && answer == ANSWER_SYNCED && link_is_redirected(link, value->text))
		return; /* the reply to SUNSUBSCRIBE; that to PING comes behind it */
	/* An error is the reply to a whole command. */
	is_whole = answer == ANSWER_RESUMED || (is_error && answer != ANSWER_PUBLISHED);
	link_take_expected(&link->expected, is_whole ? count : 1);
	if (is_error && link_take_redirection(link, answer, value->text, count, now_us))
		return;
	if (take_reply_of_mode(link, answer, value, now_us))
		return;
	switch (answer) {
	case ANSWER_HELLO:
		on_hello(link, value);
		return;
	case ANSWER_INFO:
		on_info(link, value, now_us);
		return;
	case ANSWER_PUBLISHED:
		on_published(link, value);
		return;
	case ANSWER_SUBSCRIBED:
		link->skips_loads = false;
		if (is_error) {
			on_names_refused(link, value->text, count, now_us);
			return;
		}
		break;
	case ANSWER_POSITIONS:
		on_positions(link, value, now_us);
		return;
	case ANSWER_POSITION:
		on_position(link, value);
		return;
	case ANSWER_RESUMED:
		on_resumed(link, value, count);
		return;
	case ANSWER_SETTLED:
		on_settled(link, value);
		return;
	case ANSWER_PROBE_SUBSCRIBED:
	case ANSWER_PROBE_PUBLISHED:
		if (take_probe_reply(link, answer, value))
			return;
		break;
	case ANSWER_UNSUBSCRIBED:
		if (is_error) {
			link_drop_for(link, "the upstream refuses to unsubscribe: ", value->text);
			return;
		}
		break;
	default:
		break;
	}
	link_drop(link, "the upstream's reply does not fit to the command");
}

/* Whether the message is not a copy. */
static bool
is_new(struct link *link, const struct link_push *push, struct hub_position position,
    struct resp_value **value)
{
	bool is_new =
	    (!link->has_positions || catch_up_take(&link->catch_up, push->name, position)) &&
	    !link_copies_is_copy(&link->copies, push->kind, value);

	link->figures.copies += !is_new;
	return is_new;
}

static enum hub_kind
probe_kind(const struct link *link)
{
	return link->config->cluster != NULL ? HUB_SHARD : HUB_CHANNEL;
}

/* At a node of a cluster it may have changed since a probe was sent. */
static bool
is_probe_channel(const struct link *link, struct slice name)
{
	return link->config->cluster != NULL ? slice_begins_with(name, LINK_PROBE_PREFIX)
					     : slice_eq(name, buffer_slice(&link->channel));
}

static void
on_probe(struct link *link, const struct link_push *push, uint64_t now_us)
{
	struct slice payload = push->payload;
	struct hub_position position;
	uint64_t number;

	if (push->kind != probe_kind(link) || !slice_eq(push->name, buffer_slice(&link->channel)) ||
	    (link->has_positions && !catch_up_split(&payload, &position)) ||
	    !slice_to_u64(payload, &number) || number != link->probe || !link->probe_is_awaited)
		return;
	link->probe_is_awaited = false;
	link->figures.probe_us = now_us - link->probe_sent_us;
}

static enum interest_course
course_of(struct link *link, const struct link_push *push, bool is_kept)
{
	if (!is_kept || link->catch_up.state != CATCH_UP_REPLAYING)
		return INTEREST_GOES_ON;
	return interest_hear(link->interest, push->kind, push->by);
}

/* True: the message was one of the engine's history, or the link is down. */
static bool
take_kept(struct link *link, const struct link_push *push, uint64_t now_us)
{
	const char *why = NULL;

	switch (engine_take_message(link->engine, push->name, push->payload, &why)) {
	case ENGINE_PLAIN:
		return false;
	case ENGINE_TOOK:
		link->figures.received++;
		return true;
	case ENGINE_COPY:
		link->figures.copies++;
		return true;
	case ENGINE_FORGED:
		if (link->state >= LINK_JOINING && now_us - link->checked_us >= FORGED_US)
			link_send_check(link, now_us);
		return true;
	case ENGINE_WRONG:
		break;
	}
	link_drop(link, why);
	return true;
}

/* Takes value, which push was read from, if it keeps it. */
static void
on_message(struct link *link, struct link_push *push, struct resp_value **value, uint64_t now_us)
{
	struct hub_position position = {0, 0};

	if (slice_begins_with(push->name, LINK_PROBE_PREFIX)) {
		on_probe(link, push, now_us);
		return;
	}
	link->heard_us = now_us;
	if (link->engine != NULL && push->kind != HUB_SHARD && take_kept(link, push, now_us))
		return;
	if (link->has_positions && !catch_up_split(&push->payload, &position)) {
		link_drop(link, "the upstream sent a message without a position");
		return;
	}
	if (catch_up_is_full(&link->catch_up)) {
		link_drop(link, "the upstream resumes too many channels at once");
		return;
	}
	if (!is_new(link, push, position, value))
		return;
	link->figures.received++;
	link->ops->message(link->arg, push->kind == HUB_SHARD ? HUB_SHARD : HUB_CHANNEL, push->name,
	    push->payload, course_of(link, push, position.seq != 0));
}

static void
on_confirmation(struct link *link, const struct link_push *push, uint64_t now_us)
{
	const struct link_answer *first = link_first_expected(&link->expected);
	enum link_answer_kind answer = first != NULL ? first->kind : ANSWER_HELLO;
	bool leaves = push->what == PUSH_UNSUBSCRIBED, fits = false;
	enum interest_join how = INTEREST_JOINED;

	if (answer != ANSWER_PROBE_SUBSCRIBED)
		link_copies_reset(&link->copies);
	if (answer == ANSWER_PROBE_SUBSCRIBED && !leaves && push->kind == probe_kind(link))
		fits = is_probe_channel(link, push->name);
	else if (answer == ANSWER_AHEAD && !leaves)
		fits = push->kind == HUB_CHANNEL;
	else if (answer == ANSWER_SUBSCRIBED && !leaves)
		fits = interest_confirm(link->interest, push->kind, push->name, now_us, &how);
	else if (answer == ANSWER_UNSUBSCRIBED && leaves)
		fits = interest_left(link->interest, push->kind, push->name, now_us);
	if (!fits && leaves && link->config->cluster != NULL && push->kind == HUB_SHARD) {
		link_take_gone(link, push->name, now_us);
		return;
	}
	if (!fits) {
		link_drop(link, "the upstream confirmed a subscription that was not asked for");
		return;
	}
	link_take_expected(&link->expected, 1);
	if (link->probe_is_unanswered)
		link->replied_us = now_us;
	if (answer == ANSWER_SUBSCRIBED)
		link->skips_loads = false;
	if (answer == ANSWER_SUBSCRIBED)
		link->ops->joined(link->arg, push->kind, push->name, how);
	else if (leaves)
		link->ops->left(link->arg, push->kind, push->name);
}

void
link_take_push(struct link *link, struct resp_value **value, uint64_t now_us)
{
	struct link_push push = link_push_read(*value);

	switch (push.what) {
	case PUSH_OTHER:
		return;
	case PUSH_BAD:
		link_drop(link, "the upstream sent a push with other items than its kind has");
		return;
	case PUSH_MESSAGE:
		on_message(link, &push, value, now_us);
		return;
	case PUSH_SUBSCRIBED:
	case PUSH_UNSUBSCRIBED:
		on_confirmation(link, &push, now_us);
		return;
	case PUSH_LAGGED:
		link_drop(link,
		    "the upstream left out messages, because this node did not read them in time");
	}
}
