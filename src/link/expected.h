#ifndef LINK_EXPECTED_H
#define LINK_EXPECTED_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Expected: the replies that the commands of a link will get, in their order. */

/* A command that concerns names has one reply for each name, or an error. */
enum link_answer_kind {
	ANSWER_HELLO,
	ANSWER_INFO,
	ANSWER_SUBSCRIBED,
	ANSWER_UNSUBSCRIBED,
	ANSWER_PUBLISHED,
	ANSWER_POSITIONS,       /* to OUTBOX SET POSITIONS */
	ANSWER_POSITION,        /* to HISTORY POSITION */
	ANSWER_RESUMED,         /* one array for all names of a RESUME or PRESUME */
	ANSWER_SETTLED,         /* to a RESUME that asks how far a name is */
	ANSWER_SCRIPT,          /* to SCRIPT LOAD, in the order of the scripts */
	ANSWER_GREETING,        /* to the script that greets an engine */
	ANSWER_AHEAD,           /* to a SUBSCRIBE in front of loads; another one follows them */
	ANSWER_LOADED,          /* to the script that loads a channel */
	ANSWER_CHECKED,         /* to the script that checks numbers */
	ANSWER_PRESENCE_SCRIPT, /* of engine_presence.h: to SCRIPT LOAD, in the order of the scripts
				 */
	ANSWER_PRESENCE_LEASED,
	ANSWER_PRESENCE_CHANGED,
	ANSWER_PRESENCE_EXPIRED, /* to the change of another node that has ended */
	ANSWER_PRESENCE_ASKED,
	ANSWER_CLAIMED,       /* to the script that claims messages */
	ANSWER_CLUSTER_INFO,  /* to CLUSTER INFO */
	ANSWER_CLUSTER_SLOTS, /* to CLUSTER SLOTS */
	ANSWER_SYNCED,        /* to the PING behind SUNSUBSCRIBE: see link_cluster.h */
	ANSWER_TOLD,          /* to the SPUBLISH of link_tell() */
	ANSWER_PROBE_SUBSCRIBED,
	ANSWER_PROBE_PUBLISHED,
};

/* Replies of one command; those of PUBLISH one after the other are one entry. */
struct link_answer {
	enum link_answer_kind kind;
	size_t count;
};

/* Zero at first. */
struct link_expected {
	struct buffer answers; /* struct link_answer each, from `at` on */
	size_t at;
};

void link_expect(struct link_expected *expected, enum link_answer_kind kind, size_t count);

/* The next one; NULL: none is expected. Borrows, until the next call of another function. */
const struct link_answer *link_first_expected(const struct link_expected *expected);

/* `count` replies of the next one have come, at most those that it has. */
void link_take_expected(struct link_expected *expected, size_t count);

/* How many replies of this kind are expected. */
uint64_t link_count_expected(const struct link_expected *expected, enum link_answer_kind kind);

void link_expected_release(struct link_expected *expected); /* it is empty again */

#endif
