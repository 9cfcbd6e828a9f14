#include "config.h"

#include "link/expected.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static struct link_answer *
answer_at(const struct link_expected *expected, size_t at)
{
	return (struct link_answer *)(void *)(expected->answers.ptr + at);
}

static bool
is_empty(const struct link_expected *expected)
{
	return expected->at == expected->answers.len;
}

/* Moves what is left to the front when that is at most half. */
static void
compact(struct link_expected *expected)
{
	struct buffer *answers = &expected->answers;

	if (expected->at == 0 || expected->at < answers->len / 2)
		return;
	answers->len -= expected->at;
	memmove(answers->ptr, answers->ptr + expected->at, answers->len);
	expected->at = 0;
}

void
link_expect(struct link_expected *expected, enum link_answer_kind kind, size_t count)
{
	struct link_answer answer = {.kind = kind, .count = count}, *last;

	if (kind == ANSWER_PUBLISHED && !is_empty(expected)) {
		last = answer_at(expected, expected->answers.len - sizeof(answer));
		if (last->kind == kind) {
			last->count += count;
			return;
		}
	}
	compact(expected);
	buffer_append(&expected->answers, &answer, sizeof(answer));
}

const struct link_answer *
link_first_expected(const struct link_expected *expected)
{
	return is_empty(expected) ? NULL : answer_at(expected, expected->at);
}

void
link_take_expected(struct link_expected *expected, size_t count)
{
	struct link_answer *first = answer_at(expected, expected->at);

	assert(!is_empty(expected) && first->count >= count);
	first->count -= count;
	if (first->count == 0)
		expected->at += sizeof(*first);
}

uint64_t
link_count_expected(const struct link_expected *expected, enum link_answer_kind kind)
{
	uint64_t count = 0;

	for (size_t at = expected->at; at < expected->answers.len; at += sizeof(struct link_answer))
		if (answer_at(expected, at)->kind == kind)
			count += answer_at(expected, at)->count;
	return count;
}

void
link_expected_release(struct link_expected *expected)
{
	buffer_release(&expected->answers);
	expected->at = 0;
}
