#include "config.h"

#include "wasm/host.h"

#include <string.h>

#include "base/alloc.h"
#include "wasm/host_form.h"
#include "wasm/host_state.h"

enum { INPUT_BYTES = 16384 };

struct host *
host_new(void)
{
	struct host *host = xcalloc(1, sizeof(*host));

	TAILQ_INIT(&host->listed);
	host_input(host, INPUT_BYTES);
	return host;
}

void
host_free(struct host *host)
{
	(void)fanfare_hub_free(host->hub);
	buffer_release(&host->input);
	buffer_release(&host->records);
	buffer_release(&host->arena);
	xfree(host);
}

struct host_view *
host_view(struct host *host)
{
	return &host->view;
}

struct fanfare_hub *
host_hub(struct host *host)
{
	return host->hub;
}

void
host_input(struct host *host, size_t len)
{
	buffer_clear(&host->input);
	buffer_shrink(&host->input, INPUT_BYTES);
	host->view.input = buffer_reserve(&host->input, len > INPUT_BYTES ? len : INPUT_BYTES);
	host->view.input_len = host->input.cap;
}

struct fanfare_bytes
host_bytes(const struct host *host, size_t at, size_t len)
{
	return (struct fanfare_bytes){host->view.input + at, len};
}

uint64_t
host_time(double us)
{
	return us > 0 ? (uint64_t)us : 0;
}

void
host_set_position(struct host *host, struct fanfare_position position)
{
	host->view.text[0] = '\0';
	if (position.seq != 0)
		fanfare_position_print(position, host->view.text);
}

static void
room(void *arg, struct fanfare_hub *hub)
{
	struct host *host = arg;

	(void)hub;
	host->room = true;
}

int
host_open(struct host *host, double epoch, uint32_t subscriptions_max, uint32_t subscribers_max,
    uint32_t name_max, uint32_t message_max, uint32_t memory_max, uint32_t history_max,
    double block_us)
{
	struct fanfare_hub_options options = {
	    .size = sizeof(options),
	    .epoch = host_time(epoch),
	    .subscriptions_max = subscriptions_max,
	    .subscribers_max = subscribers_max,
	    .name_max = name_max,
	    .message_max = message_max,
	    .memory_max = memory_max,
	    .history_max = history_max,
	    .block_us = host_time(block_us),
	    .room = room,
	    .arg = host,
	};
	struct fanfare_form form = host_form;
	enum fanfare_result result;

	if (host->hub != NULL)
		return FANFARE_ALREADY;
	result = fanfare_hub_new(&options, &host->hub);
	form.arg = &host->serial;
	if (result == FANFARE_OK)
		result = fanfare_hub_add_form(host->hub, &form, &host->form);
	if (result == FANFARE_OK)
		result = fanfare_publisher_new(host->hub, &host->publisher);
	return (int)result;
}

double
host_work(struct host *host, double now_us)
{
	uint64_t now = host_time(now_us), next_us = UINT64_MAX;

	if (fanfare_hub_work(host->hub, now, &next_us) == FANFARE_MORE)
		return 0;
	if (next_us == UINT64_MAX)
		return -1;
	return next_us > now ? (double)(next_us - now) : 0;
}

int
host_take_room(struct host *host)
{
	bool due = host->room;

	host->room = false;
	return due;
}

int
host_channel_set(struct host *host, size_t glob_len, size_t words_len)
{
	return (int)fanfare_channel_set(host->hub, host_bytes(host, 0, glob_len),
	    host_bytes(host, glob_len, words_len), host->view.text);
}

int
host_channel_unset(struct host *host, size_t glob_len, size_t names_len)
{
	return (int)fanfare_channel_unset(host->hub, host_bytes(host, 0, glob_len),
	    host_bytes(host, glob_len, names_len), host->view.text);
}

void
host_figures(struct host *host)
{
	struct fanfare_figures f = {.size = sizeof(f)};
	double *out = host->view.numbers;

	(void)fanfare_hub_figures(host->hub, &f);
	*out++ = (double)f.published;
	*out++ = (double)f.delivered;
	*out++ = (double)f.dropped;
	*out++ = (double)f.replayed;
	*out++ = (double)f.overtaken;
	*out++ = (double)f.evicted;
	*out++ = (double)f.expired;
	*out++ = (double)f.subscribers;
	*out++ = (double)f.subscriptions;
	*out++ = (double)f.channels;
	*out++ = (double)f.patterns;
	*out++ = (double)f.queued_bytes;
	*out++ = (double)f.queued_messages;
	*out++ = (double)f.memory;
	*out++ = (double)f.log_bytes;
	*out++ = (double)f.tree_bytes;
	*out++ = (double)f.kept_channels;
	*out++ = (double)f.kept_messages;
	*out++ = (double)f.kept_bytes;
	*out = (double)f.replays;
}

double
host_numsub(struct host *host, size_t channel_len)
{
	return (double)fanfare_numsub(host->hub, host_bytes(host, 0, channel_len));
}

static int
post(struct host *host, const struct fanfare_post *p, uint64_t now_us)
{
	struct fanfare_outcome outcome = {0};
	enum fanfare_result result = fanfare_post(host->hub, p, now_us, &outcome);

	if (result != FANFARE_OK)
		return -(int)result;
	host->view.numbers[0] = (double)outcome.receivers;
	host->view.numbers[1] = (double)outcome.queued;
	host->view.numbers[2] = (double)outcome.catching_up;
	host_set_position(host, outcome.position);
	return (int)outcome.receivers;
}

int
host_post(struct host *host, size_t channel_len, size_t payload_len,
    const struct host_subscriber *except, struct fanfare_publisher *publisher, double now_us)
{
	struct fanfare_post p = {
	    .size = sizeof(p),
	    .channel = host_bytes(host, 0, channel_len),
	    .payload = host_bytes(host, channel_len, payload_len),
	    .except = except != NULL ? except->s : NULL,
	    .publisher = publisher != NULL ? publisher : host->publisher,
	};
	int result;

	do
		result = post(host, &p, host_time(now_us));
	while (publisher == NULL && result == -(int)FANFARE_PREPARING);
	if (publisher == NULL && result < 0)
		(void)fanfare_publisher_end(host->publisher);
	return result;
}

struct fanfare_publisher *
host_publisher_new(struct host *host)
{
	struct fanfare_publisher *publisher = NULL;

	if (fanfare_publisher_new(host->hub, &publisher) != FANFARE_OK)
		return NULL;
	return publisher;
}
