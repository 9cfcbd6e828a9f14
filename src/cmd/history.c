#include "config.h"

#include "cmd/handlers.h"
#include "cmd/help.h"
#include "cmd/publish_check.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/request.h"
#include "server/sent_wait.h"
#include "server/server_config.h"
#include "server/upstream.h"

/* HISTORY POSITION, INFO, LEN, DEL, HELP. RANGE and READ are in cmd/history_read.c. */

static void
put_position(struct request *rq, struct hub_position position)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_print(text, position);

	resp_put_bulk(rq->reply, (struct slice){text, len});
}

enum command_result
cmd_history_position(struct request *rq)
{
	put_position(rq, history_position(hub_history(rq->server->hub)));
	return COMMAND_DONE;
}

enum command_result
cmd_history_len(struct request *rq)
{
	const struct ring *ring;

	if (!channel_name_fits(rq, rq->argv[2]))
		return COMMAND_DONE;
	if (upstream_await_history(rq, &(struct upstream_arguments){2, 1, 1, NULL}) ==
	    COMMAND_LATER)
		return COMMAND_LATER;
	if (rq->failed)
		return COMMAND_DONE;
	ring = hub_ring(rq->server->hub, rq->argv[2], rq->now_us);
	resp_put_int(rq->reply, (int64_t)history_count(hub_history(rq->server->hub), ring));
	return COMMAND_DONE;
}

/* The engine has answered. Its mark may come a moment later: until then nothing newer is here. */
static enum command_result
answer_deleted(struct request *rq, const struct hub_outcome *outcome, struct slice failure)
{
	struct hub *hub = rq->server->hub;

	if (failure.len > 0) {
		request_error(rq, "%.*s", (int)failure.len, failure.ptr);
		return COMMAND_DONE;
	}
	if (position_compare(history_position(hub_history(hub)), outcome->position) < 0)
		(void)hub_delete_history(hub, rq->argv[2], rq->now_us);
	resp_put_int(rq->reply, (int64_t)rq->client->pending->counted);
	return COMMAND_DONE;
}

/* The reply is what this node has when the command is sent. */
static enum command_result
delete_at_engine(struct request *rq, struct slice channel)
{
	struct pending *p = rq->client->pending;
	struct hub *hub = rq->server->hub;
	enum upstream_sending sending;
	struct hub_outcome outcome;
	struct slice failure;
	uint64_t count;

	if (sent_wait_result(rq, &failure) != NULL)
		return answer_deleted(rq, sent_wait_result(rq, &failure), failure);
	if (!hub_keeps(hub, channel)) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	if (upstream_await_history(rq, &(struct upstream_arguments){2, 1, 1, NULL}) ==
	    COMMAND_LATER)
		return COMMAND_LATER;
	if (rq->failed)
		return COMMAND_DONE;
	count = history_count(hub_history(hub), hub_ring(hub, channel, rq->now_us));
	sending = upstream_delete_history(rq, channel, &outcome);
	if (sending != UPSTREAM_SENT)
		return upstream_not_sent(rq, sending);
	if (rq->in_transaction) {
		resp_put_int(rq->reply, (int64_t)count);
		return COMMAND_DONE;
	}
	sent_wait(rq, &outcome);
	p->counted = count;
	p->progress = 1;
	return COMMAND_AGAIN;
}

enum command_result
cmd_history_del(struct request *rq)
{
	if (!channel_name_fits(rq, rq->argv[2]))
		return COMMAND_DONE;
	if (rq->server->pause->handed_over) {
		request_error(rq, PAUSE_HANDED_OVER);
		return COMMAND_DONE;
	}
	if (rq->server->upstream != NULL && rq->server->upstream->has_history)
		return delete_at_engine(rq, rq->argv[2]);
	resp_put_int(
	    rq->reply, (int64_t)hub_delete_history(rq->server->hub, rq->argv[2], rq->now_us));
	return COMMAND_DONE;
}

static void
put_number(struct request *rq, const char *name, uint64_t value)
{
	resp_put_bulk_str(rq->reply, name);
	resp_put_int(rq->reply, (int64_t)value);
}

static void
put_position_of(struct request *rq, const char *name, uint64_t seq)
{
	uint64_t epoch = history_position(hub_history(rq->server->hub)).epoch;

	resp_put_bulk_str(rq->reply, name);
	put_position(rq, (struct hub_position){epoch, seq});
}

/* first and last are null if nothing is kept. */
static void
put_ends(struct request *rq, const struct ring *ring)
{
	struct history *history = hub_history(rq->server->hub);
	struct ring_message oldest;
	struct ring_iterator it;

	if (ring != NULL)
		ring_after(ring, history_complete_seq(history, ring), &it);
	if (ring != NULL && ring_next(&it, &oldest)) {
		put_position_of(rq, "first", oldest.seq);
		put_position_of(rq, "last", ring->newest_seq);
		put_number(
		    rq, "first-age-ms", history_age_us(oldest.appended_us, rq->now_us) / 1000);
		return;
	}
	resp_put_bulk_str(rq->reply, "first");
	resp_put_null(rq->reply, rq->proto);
	resp_put_bulk_str(rq->reply, "last");
	resp_put_null(rq->reply, rq->proto);
	resp_put_bulk_str(rq->reply, "first-age-ms");
	resp_put_null(rq->reply, rq->proto);
}

enum command_result
cmd_history_info(struct request *rq)
{
	struct hub *hub = rq->server->hub;
	const struct channel_options *options;
	const struct ring *ring;

	if (!channel_name_fits(rq, rq->argv[2]))
		return COMMAND_DONE;
	if (upstream_await_history(rq, &(struct upstream_arguments){2, 1, 1, NULL}) ==
	    COMMAND_LATER)
		return COMMAND_LATER;
	if (rq->failed)
		return COMMAND_DONE;
	ring = hub_ring(hub, rq->argv[2], rq->now_us);
	resp_put_map(rq->reply, rq->proto, 11);
	put_number(rq, "messages", history_count(hub_history(hub), ring));
	put_number(rq, "bytes", ring != NULL ? ring->payload_bytes : 0);
	put_number(rq, "memory", ring != NULL ? history_ring_bytes(ring) : 0);
	put_ends(rq, ring);
	put_position_of(rq, "complete-since", history_complete_seq(hub_history(hub), ring));
	options = hub_options_of(hub, rq->argv[2]);
	put_number(rq, "history-size", options->history_size);
	put_number(rq, "history-ttl", options->history_ttl);
	put_number(rq, "history-bytes", options->history_bytes);
	put_number(rq, "history-message-bytes", options->history_message_bytes);
	return COMMAND_DONE;
}

enum command_result
cmd_history_help(struct request *rq)
{
	return request_help_from_table(rq);
}
