#include "config.h"

#include "server/sent_messages.h"

#include <assert.h>
#include <string.h>

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

static struct sent_range *
range_at(const struct sent_messages *messages, size_t i)
{
	return (struct sent_range *)(void *)messages->ahead.ptr + i;
}

static size_t
range_count(const struct sent_messages *messages)
{
	return messages->ahead.len / sizeof(struct sent_range);
}

static void
remove_range(struct sent_messages *messages, size_t i)
{
	struct sent_range *range = range_at(messages, i);

	memmove(range, range + 1, (range_count(messages) - i - 1) * sizeof(*range));
	messages->ahead.len -= sizeof(*range);
}

/* The number of ranges that begin at the number or before. */
static size_t
ranges_up_to(const struct sent_messages *messages, uint64_t number)
{
	size_t low = 0, high = range_count(messages);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (range_at(messages, middle)->first <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
add_ahead(struct sent_messages *messages, uint64_t number)
{
	size_t i = ranges_up_to(messages, number), count = range_count(messages);
	struct sent_range one = {number, number};
	bool joins_last = i > 0 && range_at(messages, i - 1)->last + 1 == number;
	bool joins_next = i < count && range_at(messages, i)->first == number + 1;

	if (joins_last && joins_next) {
		range_at(messages, i - 1)->last = range_at(messages, i)->last;
		remove_range(messages, i);
	} else if (joins_last) {
		range_at(messages, i - 1)->last = number;
	} else if (joins_next) {
		range_at(messages, i)->first = number;
	} else {
		buffer_append(&messages->ahead, &one, sizeof(one));
		memmove(
		    range_at(messages, i + 1), range_at(messages, i), (count - i) * sizeof(one));
		*range_at(messages, i) = one;
	}
}

/* Failures stay in the order of their numbers. */
static void
add_failure(struct sent_messages *messages, uint64_t number, struct slice error)
{
	struct sent_failure failure = {number, number, messages->texts.len, error.len};
	size_t count = messages->failures.len / sizeof(failure), i = count;
	struct sent_failure *failures;
	bool repeats = count > 0 && slice_eq(buffer_slice(&messages->last_error), error);

	if (repeats) {
		failure.at = messages->texts.len - error.len;
	} else {
		buffer_append_slice(&messages->texts, error);
		buffer_clear(&messages->last_error);
		buffer_append_slice(&messages->last_error, error);
	}
	buffer_append(&messages->failures, &failure, sizeof(failure));
	failures = (struct sent_failure *)(void *)messages->failures.ptr;
	while (i > 0 && failures[i - 1].first > number)
		i--;
	memmove(failures + i + 1, failures + i, (count - i) * sizeof(failure));
	failures[i] = failure;
	if (number > messages->last_failed)
		messages->last_failed = number;
}

void
sent_messages_settle(struct sent_messages *messages, uint64_t number, struct slice error)
{
	assert(number > messages->arrived);
	messages->has_news = true;
	if (error.len > 0)
		add_failure(messages, number, error);
	if (number != messages->arrived + 1) {
		add_ahead(messages, number);
		return;
	}
	messages->arrived = number;
	if (range_count(messages) > 0 && range_at(messages, 0)->first == number + 1) {
		messages->arrived = range_at(messages, 0)->last;
		remove_range(messages, 0);
	}
}

bool
sent_messages_are_answered(const struct sent_messages *messages, uint64_t first, uint64_t last)
{
	size_t i;

	if (last <= messages->answered)
		return true;
	i = ranges_up_to(messages, last);
	return i > 0 && range_at(messages, i - 1)->first <= first &&
	       range_at(messages, i - 1)->last >= last;
}

bool
sent_messages_has_news(const struct sent_messages *messages)
{
	return messages->has_news || messages->arrived != messages->answered;
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
	messages->has_news = false;
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
	buffer_release(&messages->ahead);
}
