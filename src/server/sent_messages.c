#include "config.h"

#include "server/sent_messages.h"

void
sent_messages_init(struct sent_messages *messages)
{
	*messages = (struct sent_messages){.keys = STAILQ_HEAD_INITIALIZER(messages->keys)};
}

void
sent_messages_confirm(struct sent_messages *messages, uint64_t count)
{
	messages->arrived += count;
}

void
sent_messages_confirm_kept(struct sent_messages *messages, struct hub_position position)
{
	struct sent_position item = {++messages->arrived, position};

	buffer_append(&messages->positions, &item, sizeof(item));
}

static void
fail(struct sent_messages *messages, uint64_t last, struct slice error)
{
	struct sent_failure failure = {messages->arrived + 1, last, messages->texts.len, error.len};

	buffer_append_slice(&messages->texts, error);
	buffer_append(&messages->failures, &failure, sizeof(failure));
	messages->arrived = messages->last_failed = last;
	buffer_clear(&messages->last_error);
	buffer_append_slice(&messages->last_error, error);
}

void
sent_messages_refuse(struct sent_messages *messages, struct slice error)
{
	fail(messages, messages->arrived + 1, error);
}

void
sent_messages_lose(struct sent_messages *messages, struct slice error)
{
	if (messages->arrived < messages->sent)
		fail(messages, messages->sent, error);
}

struct slice
sent_messages_error(const struct sent_messages *messages, uint64_t first, uint64_t last)
{
	const struct sent_failure *failures = (const void *)messages->failures.ptr;
	size_t low = 0, high = messages->failures.len / sizeof(*failures), count = high;

	/* The first one that ends there or later. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (failures[middle].last < first)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || failures[low].first > last)
		return (struct slice){"", 0};
	return (struct slice){messages->texts.ptr + failures[low].at, failures[low].len};
}

struct hub_position
sent_messages_position(const struct sent_messages *messages, uint64_t number)
{
	const struct sent_position *items = (const void *)messages->positions.ptr;
	size_t low = 0, count = messages->positions.len / sizeof(*items), high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || items[low].number != number)
		return (struct hub_position){0, 0};
	return items[low].position;
}

void
sent_messages_told(struct sent_messages *messages)
{
	messages->answered = messages->arrived;
	buffer_clear(&messages->failures);
	buffer_clear(&messages->texts);
	buffer_clear(&messages->positions);
	buffer_shrink(&messages->failures, 4096);
	buffer_shrink(&messages->texts, 4096);
	buffer_shrink(&messages->positions, 4096);
}

void
sent_messages_release(struct sent_messages *messages)
{
	buffer_release(&messages->failures);
	buffer_release(&messages->texts);
	buffer_release(&messages->positions);
	buffer_release(&messages->last_error);
}
