#include "config.h"

#include <inttypes.h>

#include "cmd/handlers.h"
#include "cmd/publish.h"
#include "cmd/publish_once.h"
#include "pubsub/idempotency.h"
#include "pubsub/position.h"
#include "resp/writer.h"
#include "server/client.h"

/* PUBLISHX: its options and its answer. */
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

/* The position of its message has come, or will not. */
static enum command_result
answer_sent(struct request *rq, enum publish_sent sent, const struct hub_outcome *outcome)
{
	struct options options = {0};

	if (sent == PUBLISH_KEPT && parse_options(rq, &options))
		answer(rq, &options, outcome, false);
	return COMMAND_DONE;
}

enum command_result
cmd_publishx(struct request *rq)
{
	struct hub_post post = publish_post(rq, rq->command, rq->argv, 0);
	struct options options = {0};
	struct publish_once once;
	enum publish_result result;
	enum publish_sent sent;

	sent = publish_once_sent(rq, &once);
	if (sent != PUBLISH_NOT_SENT)
		return answer_sent(rq, sent, &once.outcome);
	if (!parse_options(rq, &options))
		return COMMAND_DONE;
	if (options.no_echo)
		post.except = &rq->client->subscriber;
	once = (struct publish_once){
	    .key = options.has_key ? &options.key : NULL,
	    .window_us = options.has_window ? options.window_s * 1000000 : 0,
	    .wants_position = options.wants_result,
	};
	result = publish_once(rq, &post, &once);
	if (result == PUBLISH_SENT) {
		rq->client->pending->progress = 1;
		return COMMAND_AGAIN;
	}
	if (result == PUBLISH_WAITS)
		return COMMAND_LATER;
	if (result == PUBLISH_DONE)
		answer(rq, &options, &once.outcome, once.is_duplicate);
	return COMMAND_DONE;
}
