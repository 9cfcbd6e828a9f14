#include "config.h"

#include <inttypes.h>

#include "cmd/handlers.h"
#include "cmd/publish.h"
#include "cmd/publish_check.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_options.h"
#include "pubsub/idempotency.h"
#include "pubsub/position.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/server_config.h"
#include "server/statistics.h"

/*
 * PUBLISHX. A message with IDKEY is published by the first request with its key that the hub takes;
 * the key is stored in the same step. A request that waits is executed again from the start, so it
 * finds the key of another request that was faster.
 */
#define WINDOW_MAX_S 86400

struct options {
	bool no_echo, has_key, has_window, wants_result;
	struct slice key;
	uint64_t window_s;
};

/* Sets *flag; false if it is set already. */
static bool
set_once(bool *flag)
{
	bool was = *flag;

	*flag = true;
	return !was;
}

static bool
parse_key(struct request *rq, struct slice key, struct options *options)
{
	if (key.len == 0 || key.len > IDEMPOTENCY_KEY_MAX) {
		request_error(
		    rq, "ERR idempotency key must be 1 to %d bytes long", IDEMPOTENCY_KEY_MAX);
		return false;
	}
	options->key = key;
	return true;
}

static bool
parse_window(struct request *rq, struct slice text, struct options *options)
{
	if (!slice_to_u64(text, &options->window_s) || options->window_s == 0 ||
	    options->window_s > WINDOW_MAX_S) {
		request_error(rq, "ERR WINDOW must be between 1 and %d seconds", WINDOW_MAX_S);
		return false;
	}
	return true;
}

/* Returns false after replying with an error. */
static bool
parse_options(struct request *rq, struct options *options)
{
	for (size_t i = 3; i < rq->argc; i++) {
		struct slice word = rq->argv[i];
		bool has_value = i + 1 < rq->argc;

		if (slice_is_nocase(word, "noecho") && set_once(&options->no_echo))
			continue;
		if (slice_is_nocase(word, "result") && set_once(&options->wants_result))
			continue;
		if (slice_is_nocase(word, "idkey") && has_value && set_once(&options->has_key)) {
			if (!parse_key(rq, rq->argv[++i], options))
				return false;
			continue;
		}
		if (slice_is_nocase(word, "window") && has_value &&
		    set_once(&options->has_window)) {
			if (!parse_window(rq, rq->argv[++i], options))
				return false;
			continue;
		}
		request_syntax_error(rq);
		return false;
	}
	if (options->has_window && !options->has_key) {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

static void
put_field(struct request *rq, const char *name, size_t value)
{
	resp_put_bulk_str(rq->reply, name);
	resp_put_int(rq->reply, (int64_t)value);
}

static void
answer(struct request *rq, const struct options *options, const struct hub_outcome *outcome,
    bool is_duplicate)
{
	char position[POSITION_TEXT_MAX];

	if (!options->wants_result) {
		resp_put_int(rq->reply, (int64_t)outcome->receivers);
		return;
	}
	resp_put_map(rq->reply, rq->proto, 6);
	put_field(rq, "receivers", outcome->receivers);
	put_field(rq, "queued", outcome->queued);
	put_field(rq, "dropped", outcome->receivers - outcome->queued - outcome->catching_up);
	put_field(rq, "catching-up", outcome->catching_up);
	resp_put_bulk_str(rq->reply, "position");
	resp_put_bulk(
	    rq->reply, (struct slice){position, position_print(position, outcome->position)});
	put_field(rq, "duplicate", is_duplicate);
}

/* Returns false after replying with an error. */
static bool
has_room_for_key(struct request *rq, const struct hub_post *post, const struct options *options)
{
	uint32_t max = rq->server->config->idempotency_keys;

	if (!options->has_key || idempotency_has_room(rq->server->idempotency, post->channel,
				     options->key, max, rq->now_us))
		return true;
	request_error(rq,
	    "ERR max number of idempotency keys reached (idempotency-max-keys %" PRIu32 ")", max);
	return false;
}

/* Returns false after replying with an error: the process that has taken over would not know the
 * key, and publish the message again. */
static bool
may_store(struct request *rq, const struct options *options)
{
	if (!options->has_key || !rq->server->pause->handed_over)
		return true;
	request_error(rq, PAUSE_HANDED_OVER);
	return false;
}

/* The window of this request: its own or that of its channel. */
static uint64_t
window_us(const struct request *rq, const struct hub_post *post, const struct options *options)
{
	struct hub *hub = rq->server->hub;
	uint64_t window_s = channel_options_default()->idempotency_window;

	if (options->has_window)
		window_s = options->window_s;
	else if ((hub_options_in_use(hub) & CHANNEL_BIT(idempotency_window)) != 0)
		window_s = hub_options_of(hub, post->channel)->idempotency_window;
	return window_s * 1000000;
}

enum command_result
cmd_publishx(struct request *rq)
{
	struct hub_post post = publish_post(rq, rq->command, rq->argv, 0);
	struct options options = {0};
	const struct hub_outcome *first = NULL;
	struct hub_outcome outcome;
	enum publish_result result;

	if (!parse_options(rq, &options))
		return COMMAND_DONE;
	if (options.has_key)
		first = idempotency_find(
		    rq->server->idempotency, post.channel, options.key, rq->now_us);
	if (first != NULL) {
		rq->server->statistics->counters.duplicate_messages++;
		answer(rq, &options, first, true);
		return COMMAND_DONE;
	}
	if (!publish_allows(rq, post.kind, post.channel, post.payload) ||
	    !may_store(rq, &options) || !has_room_for_key(rq, &post, &options))
		return COMMAND_DONE;
	if (options.no_echo)
		post.except = &rq->client->subscriber;
	result = publish_message(rq, &post, &outcome);
	if (result == PUBLISH_WAITS)
		return COMMAND_LATER;
	if (result == PUBLISH_REFUSED)
		return COMMAND_DONE;
	if (options.has_key)
		idempotency_add(rq->server->idempotency, post.channel, options.key, &outcome,
		    rq->now_us, window_us(rq, &post, &options));
	answer(rq, &options, &outcome, false);
	return COMMAND_DONE;
}
