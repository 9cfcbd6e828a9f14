#include "config.h"

#include "link/presence_questions.h"

#include <assert.h>

#include "base/alloc.h"

#define ANSWERS_BYTES ((size_t)8 << 20)    /* of answers that are awaited, about */
#define CHANNELS_BYTES ((size_t)1 << 20)   /* of one answer with channels, about */
#define MEMBERS_MORE_BYTES ((size_t)65536) /* of one with members, above what was asked for */

struct presence_question_asked {
	STAILQ_ENTRY(presence_question_asked) link;
	enum upstream_presence_asks asks;
	size_t count, bytes;
};

void
presence_questions_init(struct presence_questions *questions)
{
	*questions = (struct presence_questions){0};
	STAILQ_INIT(&questions->list);
}

void
presence_questions_clear(struct presence_questions *questions)
{
	struct presence_question_asked *question;

	while ((question = STAILQ_FIRST(&questions->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&questions->list, link);
		xfree(question);
	}
	questions->bytes = 0;
	questions->answered = questions->asked;
}

static size_t
answer_bytes(const struct upstream_presence_query *query)
{
	switch (query->asks) {
	case UPSTREAM_PRESENCE_MEMBERS:
		return query->bytes + MEMBERS_MORE_BYTES;
	case UPSTREAM_PRESENCE_CHANNELS:
		return CHANNELS_BYTES;
	case UPSTREAM_PRESENCE_COUNT:
		break;
	}
	return query->count * 8;
}

uint64_t
presence_questions_add(
    struct presence_questions *questions, const struct upstream_presence_query *query)
{
	size_t bytes = answer_bytes(query);
	struct presence_question_asked *question;

	if (!STAILQ_EMPTY(&questions->list) && questions->bytes + bytes > ANSWERS_BYTES)
		return 0;
	question = xmalloc(sizeof(*question));
	*question = (struct presence_question_asked){
	    .asks = query->asks, .count = query->count, .bytes = bytes};
	questions->bytes += bytes;
	STAILQ_INSERT_TAIL(&questions->list, question, link);
	return ++questions->asked;
}

uint64_t
presence_questions_take(
    struct presence_questions *questions, enum upstream_presence_asks *asks, size_t *count)
{
	struct presence_question_asked *question = STAILQ_FIRST(&questions->list);

	assert(question != NULL);
	*asks = question->asks;
	*count = question->count;
	STAILQ_REMOVE_HEAD(&questions->list, link);
	questions->bytes -= question->bytes;
	xfree(question);
	return ++questions->answered;
}
