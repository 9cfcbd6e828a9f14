#include "config.h"

#include "link/link_cluster.h"

#include <string.h>

#include "link/conversation.h"
#include "link/peer.h"
#include "link/refusal.h"
#include "resp/reply.h"
#include "resp/writer.h"

/* Commands */

static void
ask_cluster(struct link *link, const char *what, enum link_answer_kind answer)
{
	resp_put_array(&link->out, 2);
	resp_put_bulk_str(&link->out, "CLUSTER");
	resp_put_bulk_str(&link->out, what);
	link_expect(&link->expected, answer, 1);
}

void
link_send_topology(struct link *link)
{
	link->awaits_topology = true;
	ask_cluster(link, "INFO", ANSWER_CLUSTER_INFO);
	ask_cluster(link, "SLOTS", ANSWER_CLUSTER_SLOTS);
}

void
link_send_sync(struct link *link)
{
	resp_put_array(&link->out, 1);
	resp_put_bulk_str(&link->out, "PING");
	link_expect(&link->expected, ANSWER_SYNCED, 1);
}

/*
 * The payload is sent once, whatever the number of copies. The script has no keys: a node that
 * hands over a slot would send it to the other node, where nobody is subscribed yet. So it is the
 * SPUBLISH in it that says whether the node serves the slot, of the first channel and of all
 * others.
 *
 * A transaction would not do: until version 7.2, Redis writes the pushes of messages that it
 * publishes in between the replies of EXEC.
 */
static const char script[] = "local r=redis.pcall('SPUBLISH',ARGV[1],ARGV[2]) "
			     "if type(r)=='table' then "
			     "if string.find(r.err or '','non local',1,true) then "
			     "return redis.error_reply('MOVED by the script') end "
			     "if string.find(r.err or '','cluster is down',1,true) then "
			     "return redis.error_reply('CLUSTERDOWN The cluster is down') end "
			     "return r end "
			     "local copy=#ARGV[1]..':'..ARGV[1]..ARGV[2] "
			     "for i=3,#ARGV do redis.call('SPUBLISH',ARGV[i],copy) end "
			     "return r";

void
link_send_copied(struct link *link, struct slice channel, struct slice payload,
    const struct slice *to, size_t count)
{
	resp_put_array(&link->out, count + 5);
	resp_put_bulk_str(&link->out, "EVAL");
	resp_put_bulk_str(&link->out, script);
	resp_put_bulk_str(&link->out, "0");
	resp_put_bulk(&link->out, channel);
	resp_put_bulk(&link->out, payload);
	for (size_t i = 0; i < count; i++)
		resp_put_bulk(&link->out, to[i]);
}

/* Errors */

bool
link_is_moved(const struct link *link, struct slice error)
{
	return link->config->cluster != NULL && refusal_is_redirection(error);
}

bool
link_is_redirected(const struct link *link, struct slice error)
{
	static const char *const codes[] = {"MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ", NULL};

	for (size_t i = 0; link->config->cluster != NULL && codes[i] != NULL; i++)
		if (slice_begins_with(error, codes[i]))
			return true;
	return false;
}

/* Replies */

const char *
link_check_cluster_peer(struct link *link, const struct resp_value *value)
{
	/* A master that has become a replica says behind this which one has taken over. */
	bool takes_replica = link->config->is_seed || link->state >= LINK_JOINING;

	return peer_check_cluster_hello(value, takes_replica, &link->peer);
}

static void
on_slots(struct link *link, const struct resp_value *value, uint64_t now_us)
{
	const char *why;

	link->awaits_topology = false;
	if (value->type == RESP_TYPE_ERROR) {
		link_drop_for(link, "the upstream refuses CLUSTER SLOTS: ", value->text);
		return;
	}
	why = link->config->cluster->topology(link->arg, buffer_slice(&link->cluster_info), value,
	    link->peer.is_replica && !link->config->is_seed);
	buffer_release(&link->cluster_info);
	if (why != NULL) {
		link_drop(link, why);
		return;
	}
	if (link->state != LINK_CHECKING || link->config->is_seed)
		return;
	catch_up_denied(&link->catch_up);
	link_advance(link, LINK_CHECKED);
	link_send_probe(link, now_us);
}

static void
on_info(struct link *link, const struct resp_value *value)
{
	if (value->type == RESP_TYPE_ERROR) {
		link_drop_for(link, "the upstream refuses CLUSTER INFO: ", value->text);
		return;
	}
	buffer_clear(&link->cluster_info);
	buffer_append_slice(&link->cluster_info, value->text);
}

static void
on_told(struct link *link, const struct resp_value *value)
{
	static const struct slice none = {NULL, 0};

	if (value->type == RESP_TYPE_ERROR)
		link->config->cluster->told(link->arg, value->text, 0);
	else if (value->type == RESP_TYPE_INT && value->number >= 0)
		link->config->cluster->told(link->arg, none, (uint64_t)value->number);
	else
		link_drop(link, "the upstream's reply to SPUBLISH is not a number");
}

void
link_take_cluster(struct link *link, enum link_answer_kind answer, const struct resp_value *value,
    uint64_t now_us)
{
	bool is_error = value->type == RESP_TYPE_ERROR;

	switch (answer) {
	case ANSWER_CLUSTER_INFO:
		on_info(link, value);
		return;
	case ANSWER_CLUSTER_SLOTS:
		on_slots(link, value, now_us);
		return;
	case ANSWER_TOLD:
		on_told(link, value);
		return;
	default:
		break;
	}
	if (is_error)
		link_drop_for(link, "the upstream refuses PING: ", value->text);
	else if (value->type != RESP_TYPE_SIMPLE)
		link_drop(link, "the upstream's reply to PING is not PONG");
}

static void
redirect_names(struct link *link, size_t count, uint64_t now_us)
{
	struct slice name;

	for (; count > 0; count--) {
		if (interest_first_asked(link->interest, &name))
			link->config->cluster->moved(link->arg, name);
		interest_redirect(link->interest, 1, now_us);
	}
}

static void
take_moved_probe(struct link *link)
{
	link->probe_has_moved = true;
	link->config->cluster->moved(link->arg, buffer_slice(&link->channel));
}

/* The node had unsubscribed from the names before. */
static void
take_left(struct link *link, size_t count, uint64_t now_us)
{
	enum hub_kind kind;
	struct slice name;

	for (; count > 0 && interest_first_leaving(link->interest, &kind, &name); count--) {
		link->ops->left(link->arg, kind, name);
		if (!interest_left(link->interest, kind, name, now_us))
			return;
	}
}

bool
link_take_redirection(struct link *link, enum link_answer_kind answer, struct slice error,
    size_t count, uint64_t now_us)
{
	if (!link_is_redirected(link, error))
		return false;
	switch (answer) {
	case ANSWER_SUBSCRIBED:
		redirect_names(link, count, now_us);
		return true;
	case ANSWER_UNSUBSCRIBED:
		take_left(link, count, now_us);
		return true;
	case ANSWER_PROBE_SUBSCRIBED:
	case ANSWER_PROBE_PUBLISHED:
		take_moved_probe(link);
		return true;
	default:
		return false;
	}
}

void
link_take_gone(struct link *link, struct slice name, uint64_t now_us)
{
	if (slice_begins_with(name, LINK_PROBE_PREFIX))
		return;
	link->ops->left(link->arg, HUB_SHARD, name);
	link->config->cluster->moved(link->arg, name);
	interest_gone(link->interest, HUB_SHARD, name, now_us);
}
