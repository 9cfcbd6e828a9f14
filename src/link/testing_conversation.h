#ifndef LINK_TESTING_CONVERSATION_H
#define LINK_TESTING_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>

#include "link/testing_wrong.h"

/*
 * For tests: a conversation of a link in which each reply is a wrong one in turn, and each send
 * fails. After each of these faults the connection has ended at most once and with a reason, and
 * the next one is not harmed.
 */
struct rig;

struct rig_conversation {
	struct rig *rig;
	void (*again)(void);    /* a new rig */
	void (*converse)(void); /* opens a connection, and says everything */
	/* Makes another connection, and asserts that it does what it should. */
	void (*recovers)(void);
	/* The connection may go on after this wrong reply, the at-th one, of kind rig->wrong_is. */
	bool (*goes_on)(size_t at, enum wrong wrong);
	const size_t *replies; /* set by converse(): a wrong one of these is noticed before its end
				*/
	size_t replies_min;    /* there are more than so many */
	int stride;            /* see testing_stride() */
	const struct wrong_reply *more; /* besides wrong_replies[] */
	size_t more_count;
};

void rig_replace_each_reply(const struct rig_conversation *conversation);
void rig_fail_each_send(const struct rig_conversation *conversation);

#endif
