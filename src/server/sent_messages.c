#include "config.h"

#include "server/sent_messages.h"

void
sent_messages_confirm(struct sent_messages *messages, uint64_t count)
{
	messages->arrived += count;
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

void
sent_messages_told(struct sent_messages *messages)
{
	messages->answered = messages->arrived;
	buffer_clear(&messages->failures);
	buffer_clear(&messages->texts);
	buffer_shrink(&messages->failures, 4096);
	buffer_shrink(&messages->texts, 4096);
}

void
sent_messages_release(struct sent_messages *messages)
{
	buffer_release(&messages->failures);
	buffer_release(&messages->texts);
	buffer_release(&messages->last_error);
}
