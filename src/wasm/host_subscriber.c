#include "config.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "wasm/host.h"
#include "wasm/host_state.h"

void
host_list(struct host_subscriber *hs)
{
	if (!hs->is_listed)
		TAILQ_INSERT_TAIL(&hs->host->listed, hs, link);
	hs->is_listed = true;
}

void
host_unlist(struct host_subscriber *hs)
{
	if (hs->is_listed)
		TAILQ_REMOVE(&hs->host->listed, hs, link);
	hs->is_listed = false;
}

static void
ready(void *arg, struct fanfare_subscriber *s)
{
	struct host_subscriber *hs = arg;

	(void)s;
	hs->has_output = true;
	host_list(hs);
}

static void
overflow(void *arg, struct fanfare_subscriber *s, enum fanfare_end end)
{
	struct host_subscriber *hs = arg;

	(void)s;
	hs->end = end == FANFARE_OVERTAKEN ? HOST_OVERTAKEN : HOST_OVERFLOW;
	host_list(hs);
}

static struct fanfare_limits
make_limits(uint32_t bytes, uint32_t messages, uint32_t policy, uint32_t flags)
{
	return (struct fanfare_limits){
	    .size = sizeof(struct fanfare_limits),
	    .bytes = bytes,
	    .messages = messages,
	    .policy = (enum fanfare_policy)policy,
	    .notify = (flags & HOST_NOTIFY) != 0,
	    .by_channels = (flags & HOST_BY_CHANNELS) != 0,
	};
}

struct host_subscriber *
host_subscriber_new(struct host *host, uint32_t slot, uint32_t bytes, uint32_t messages,
    uint32_t policy, uint32_t flags)
{
	struct host_subscriber *hs = xcalloc(1, sizeof(*hs));
	struct fanfare_limits limits = make_limits(bytes, messages, policy, flags);
	struct fanfare_subscriber_options options = {
	    .size = sizeof(options),
	    .limits = &limits,
	    .form = host->form,
	    .dedup = (flags & HOST_DEDUP) != 0,
	    .ready = ready,
	    .overflow = overflow,
	    .arg = hs,
	};

	hs->host = host;
	hs->slot = slot;
	if (fanfare_subscriber_new(host->hub, &options, &hs->s) != FANFARE_OK) {
		xfree(hs);
		return NULL;
	}
	return hs;
}

int
host_subscriber_close(struct host_subscriber *hs, uint32_t budget)
{
	enum fanfare_result result = fanfare_subscriber_close(hs->s, budget);

	if (result == FANFARE_OK) {
		host_unlist(hs);
		xfree(hs);
	}
	return (int)result;
}

int
host_subscriber_set_limits(
    struct host_subscriber *hs, uint32_t bytes, uint32_t messages, uint32_t policy, uint32_t flags)
{
	struct fanfare_limits limits = make_limits(bytes, messages, policy, flags);
	enum fanfare_result result = fanfare_subscriber_set_limits(hs->s, &limits);

	if (result == FANFARE_OK)
		result = fanfare_subscriber_set_dedup(hs->s, (flags & HOST_DEDUP) != 0);
	return (int)result;
}

void
host_subscriber_flow(struct host_subscriber *hs, int flowing)
{
	hs->flows = flowing != 0;
	hs->is_told = false;
	if (hs->has_output || hs->end != 0)
		host_list(hs);
}

int
host_subscribe(struct host_subscriber *hs, int is_pattern, size_t name_len, double now_us)
{
	struct fanfare_bytes name = host_bytes(hs->host, 0, name_len);

	if (is_pattern != 0)
		return (int)fanfare_psubscribe(hs->s, name);
	return (int)fanfare_subscribe(hs->s, name, host_time(now_us));
}

static int
unsubscribe(struct host_subscriber *hs, bool is_pattern, struct fanfare_bytes name)
{
	return (
	    int)(is_pattern ? fanfare_punsubscribe(hs->s, name) : fanfare_unsubscribe(hs->s, name));
}

int
host_unsubscribe(struct host_subscriber *hs, int is_pattern, size_t name_len)
{
	return unsubscribe(hs, is_pattern != 0, host_bytes(hs->host, 0, name_len));
}

int
host_unsubscribe_first(struct host_subscriber *hs, int is_pattern)
{
	struct fanfare_bytes name;
	enum fanfare_result result = fanfare_first_subscription(hs->s, is_pattern != 0, &name);

	if (result != FANFARE_OK)
		return (int)result;
	host_begin_records(hs->host);
	host_record_name(hs->host, hs->slot, name);
	host_end_records(hs->host);
	return unsubscribe(hs, is_pattern != 0, name);
}

int
host_resume(
    struct host_subscriber *hs, int is_pattern, size_t name_len, size_t since_len, double now_us)
{
	struct fanfare_bytes name = host_bytes(hs->host, 0, name_len);
	struct fanfare_bytes since = host_bytes(hs->host, name_len, since_len);
	struct fanfare_resumption r = {0};
	enum fanfare_result result;

	if (is_pattern != 0)
		result = fanfare_presume(hs->s, name, since, host_time(now_us), 0, &r);
	else
		result = fanfare_resume(hs->s, name, since, host_time(now_us), &r);
	hs->host->view.numbers[0] = r.verdict;
	hs->host->view.numbers[1] = (double)r.count;
	host_set_position(hs->host, r.position);
	return (int)result;
}

void
host_subscriber_state(struct host_subscriber *hs)
{
	struct fanfare_queue queue = {.size = sizeof(queue)};
	double *out = hs->host->view.numbers;

	(void)fanfare_subscriber_queue(hs->s, &queue);
	out[0] = (double)queue.bytes;
	out[1] = (double)queue.messages;
	out[2] = (double)queue.dropped;
	out[3] = (double)queue.behind;
	out[4] = (double)fanfare_subscription_count(hs->s);
	host_set_position(hs->host, fanfare_queued_position(hs->s));
}
