#include "config.h"

#include "server/presence_question.h"

#include <string.h>

#include "base/alloc.h"

struct presence_question *
presence_question_new(void)
{
	return xcalloc(1, sizeof(struct presence_question));
}

void
presence_question_free(struct presence_question *q)
{
	if (q == NULL)
		return;
	presence_question_forget(q);
	buffer_release(&q->gathered);
	buffer_release(&q->last);
	xfree(q);
}

void
presence_question_forget(struct presence_question *q)
{
	xfree(q->owned);
	q->owned = NULL;
	q->answer = (struct upstream_presence_answer){0};
}

static char *
copy_text(struct slice *text, char *to)
{
	if (text->len > 0)
		memcpy(to, text->ptr, text->len);
	text->ptr = to;
	return to + text->len;
}

/* The items, and behind them their text, in one block. */
void
presence_question_answer(struct presence_question *q, const struct upstream_presence_answer *answer)
{
	size_t bytes = answer->count * sizeof(*answer->items);
	struct upstream_presence_item *items;
	char *to;

	for (size_t i = 0; i < answer->count; i++)
		bytes += answer->items[i].name.len + answer->items[i].info.len;
	presence_question_forget(q);
	q->answer = *answer;
	q->owned = items = xmalloc(bytes + 1);
	q->answer.items = items;
	to = (char *)(items + answer->count);
	for (size_t i = 0; i < answer->count; i++) {
		items[i] = answer->items[i];
		to = copy_text(&items[i].name, to);
		to = copy_text(&items[i].info, to);
	}
}
