#ifndef LINK_PRESENCE_QUESTIONS_H
#define LINK_PRESENCE_QUESTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/upstream_presence.h"

/* Presence questions: the queries that a node has asked its engine, and are not answered yet, in
 * the order of their answers. Tickets count them from 1. */
struct presence_question_asked;

struct presence_questions {
	STAILQ_HEAD(, presence_question_asked) list;
	size_t bytes; /* of the answers, about */
	uint64_t asked, answered;
};

void presence_questions_init(struct presence_questions *questions);
void presence_questions_clear(struct presence_questions *questions); /* no more are answered */

/* The ticket; 0: the answers that are awaited have too many bytes. */
uint64_t presence_questions_add(
    struct presence_questions *questions, const struct upstream_presence_query *query);

/* The first one is answered: its ticket, and what it asks. There is one. */
uint64_t presence_questions_take(
    struct presence_questions *questions, enum upstream_presence_asks *asks, size_t *count);

#endif
