#ifndef SERVER_PRESENCE_QUESTION_H
#define SERVER_PRESENCE_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "server/upstream_presence.h"

/* What a client's request keeps while it asks the upstream who is present: see presence_ask.h. It
 * knows no clients. */
enum presence_asking {
	PRESENCE_NOT_ASKED,
	PRESENCE_IS_ASKED,
	PRESENCE_HAS_ANSWER,
	PRESENCE_IS_LOST, /* the link was lost before the answer */
};

/* Of a request in progress: pending->presence. */
struct presence_question {
	enum presence_asking asking;
	uint64_t ticket; /* of its query */
	bool has_mark;   /* the changes before it are those up to this mark, see
			    presence_share_catch_up() */
	uint64_t mark;
	struct upstream_presence_answer answer;
	void *owned; /* the items of the answer and their text; NULL: none */
	/* For a command of several queries; presence_ask() does not use them. */
	struct buffer gathered;
	struct buffer last;
	bool has_last;
	size_t count;
};

struct presence_question *presence_question_new(void);    /* returns owned */
void presence_question_free(struct presence_question *q); /* NULL is allowed */

/* Copies. */
void presence_question_answer(
    struct presence_question *q, const struct upstream_presence_answer *answer);
void presence_question_forget(struct presence_question *q); /* the answer */

#endif
