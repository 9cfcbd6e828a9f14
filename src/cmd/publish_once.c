#include "config.h"

#include "cmd/publish_once.h"

#include <inttypes.h>

#include "cmd/publish_check.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_options.h"
#include "pubsub/idempotency.h"
#include "server/pause.h"
#include "server/sent_messages.h"
#include "server/sent_wait.h"
#include "server/server_config.h"
#include "server/statistics.h"

/* Returns false after replying with an error. */
static bool
has_room_for_key(struct request *rq, const struct hub_post *post, const struct publish_once *once)
{
	uint32_t max = rq->server->config->idempotency_keys;

	if (once->key == NULL || idempotency_has_room(rq->server->idempotency, post->channel,
				     *once->key, max, rq->now_us))
		return true;
	request_error(rq,
	    "ERR max number of idempotency keys reached (idempotency-max-keys %" PRIu32 ")", max);
	return false;
}

/* Returns false after replying with an error: the process that has taken over would not know the
 * key, and publish the message again. */
static bool
may_store(struct request *rq, const struct publish_once *once)
{
	if (once->key == NULL || !rq->server->pause->handed_over)
		return true;
	request_error(rq, PAUSE_HANDED_OVER);
	return false;
}

/* The window of this request: its own or that of its channel. */
static uint64_t
window_us(const struct request *rq, const struct hub_post *post, const struct publish_once *once)
{
	struct hub *hub = rq->server->hub;
	uint64_t window_s = channel_options_default()->idempotency_window;

	if (once->window_us > 0)
		return once->window_us;
	if ((hub_options_in_use(hub) & CHANNEL_BIT(idempotency_window)) != 0)
		window_s = hub_options_of(hub, post->channel)->idempotency_window;
	return window_s * 1000000;
}

/* The key was found: of a message whose position may be to come. */
static enum publish_result
repeat(struct request *rq, const struct hub_outcome *first, struct publish_once *once)
{
	if (once->wants_position && !rq->in_transaction &&
	    first->sent > rq->server->sent_messages->answered) {
		sent_wait_for_others(rq);
		return PUBLISH_WAITS;
	}
	rq->server->statistics->counters.duplicate_messages++;
	once->outcome = *first;
	once->is_duplicate = true;
	return PUBLISH_DONE;
}

static void
store_key(struct request *rq, const struct hub_post *post, const struct publish_once *once)
{
	idempotency_add(rq->server->idempotency, post->channel, *once->key, &once->outcome,
	    rq->now_us, window_us(rq, post, once));
	if (once->outcome.sent != 0)
		sent_key_add(rq->server, once->outcome.sent, post->channel, *once->key);
}

enum publish_result
publish_once(struct request *rq, const struct hub_post *post, struct publish_once *once)
{
	const struct hub_outcome *first = NULL;
	enum publish_result result;

	once->is_duplicate = false;
	if (once->key != NULL)
		first = idempotency_find(
		    rq->server->idempotency, post->channel, *once->key, rq->now_us);
	if (first != NULL)
		return repeat(rq, first, once);
	if (!publish_allows(rq, post->kind, post->channel, post->payload) || !may_store(rq, once) ||
	    !has_room_for_key(rq, post, once))
		return PUBLISH_REFUSED;
	result = publish_message(rq, post, &once->outcome);
	if (result != PUBLISH_DONE)
		return result;
	if (once->key != NULL)
		store_key(rq, post, once);
	if (!once->wants_position || once->outcome.sent == 0 || rq->in_transaction)
		return PUBLISH_DONE;
	sent_wait(rq, &once->outcome);
	return PUBLISH_SENT;
}

enum publish_sent
publish_once_sent(struct request *rq, struct publish_once *once)
{
	struct slice failure;
	const struct hub_outcome *outcome = sent_wait_result(rq, &failure);

	if (outcome == NULL)
		return PUBLISH_NOT_SENT;
	if (failure.len > 0) {
		request_error(rq, "%.*s", (int)failure.len, failure.ptr);
		return PUBLISH_FAILED;
	}
	once->outcome = *outcome;
	once->is_duplicate = false;
	return PUBLISH_KEPT;
}
