#include "config.h"

#include "server/sent_messages.h"

#include <assert.h>
#include <stdlib.h>
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

#define WORD_BITS 64

static uint64_t *
words_of(const struct sent_messages *messages)
{
	return (uint64_t *)(void *)messages->ahead.ptr;
}

/* The bits of the messages from a number on that is a multiple of WORD_BITS. */
static uint64_t
word_of(const struct sent_messages *messages, uint64_t number)
{
	uint64_t word = number / WORD_BITS, count = messages->ahead.len / sizeof(uint64_t);

	if (word < messages->ahead_first || word - messages->ahead_first >= count)
		return 0;
	return words_of(messages)[word - messages->ahead_first];
}

static bool
is_ahead(const struct sent_messages *messages, uint64_t number)
{
	return (word_of(messages, number) >> number % WORD_BITS & 1) != 0;
}

/* Drops the words of messages that have arrived, if they are half of all at least: so each is moved
 * once at most, on average. */
static void
trim_ahead(struct sent_messages *messages)
{
	struct buffer *b = &messages->ahead;
	uint64_t passed = (messages->arrived + 1) / WORD_BITS - messages->ahead_first;
	size_t count = b->len / sizeof(uint64_t);

	if (messages->ahead_count == 0) {
		buffer_clear(b);
		buffer_shrink(b, 4096);
	} else if (passed > 0 && passed >= count / 2) {
		b->len -= passed * sizeof(uint64_t);
		memmove(b->ptr, words_of(messages) + passed, b->len);
		messages->ahead_first += passed;
	}
}

static void
add_ahead(struct sent_messages *messages, uint64_t number)
{
	static const uint64_t no_bits;
	uint64_t at;

	if (messages->ahead_count == 0)
		messages->ahead_first = (messages->arrived + 1) / WORD_BITS;
	at = number / WORD_BITS - messages->ahead_first;
	while (messages->ahead.len / sizeof(uint64_t) <= at)
		buffer_append(&messages->ahead, &no_bits, sizeof(no_bits));
	words_of(messages)[at] |= (uint64_t)1 << number % WORD_BITS;
	messages->ahead_count++;
}

/* They are sorted when one is looked for: several upstreams may be lost at a time. */
static void
add_failure(struct sent_messages *messages, uint64_t number, struct slice error)
{
	struct sent_failure failure = {number, number, messages->texts.len, error.len};
	bool repeats =
	    messages->failures.len > 0 && slice_eq(buffer_slice(&messages->last_error), error);

	if (repeats) {
		failure.at = messages->texts.len - error.len;
	} else {
		buffer_append_slice(&messages->texts, error);
		buffer_clear(&messages->last_error);
		buffer_append_slice(&messages->last_error, error);
	}
	buffer_append(&messages->failures, &failure, sizeof(failure));
	messages->is_unsorted = true;
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
	if (messages->ahead_count == 0)
		return;
	while (is_ahead(messages, messages->arrived + 1)) {
		messages->arrived++;
		messages->ahead_count--;
	}
	trim_ahead(messages);
}

bool
sent_messages_are_answered(const struct sent_messages *messages, uint64_t first, uint64_t last)
{
	if (last <= messages->answered)
		return true;
	if (first <= messages->arrived)
		return false;
	while (first <= last) {
		bool is_whole = first % WORD_BITS == 0 && last - first >= WORD_BITS - 1;

		if (is_whole ? word_of(messages, first) != UINT64_MAX : !is_ahead(messages, first))
			return false;
		first += is_whole ? WORD_BITS : 1;
	}
	return true;
}

bool
sent_messages_has_news(const struct sent_messages *messages)
{
	return messages->has_news || messages->arrived != messages->answered;
}

static int
compare(const void *a, const void *b)
{
	const struct sent_failure *one = a, *other = b;

	return (one->first > other->first) - (one->first < other->first);
}

static void
sort_failures(struct sent_messages *messages)
{
	if (!messages->is_unsorted)
		return;
	qsort(messages->failures.ptr, messages->failures.len / sizeof(struct sent_failure),
	    sizeof(struct sent_failure), compare);
	messages->is_unsorted = false;
}

struct slice
sent_messages_error(struct sent_messages *messages, uint64_t first, uint64_t last)
{
	const struct sent_failure *failures = (const void *)messages->failures.ptr;
	size_t low = 0, high = messages->failures.len / sizeof(*failures), count = high;

	sort_failures(messages);
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
