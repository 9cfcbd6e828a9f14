#ifndef SERVER_SENT_MESSAGES_H
#define SERVER_SENT_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "pubsub/position.h"

/*
 * Messages that were sent to the upstream (upstream.h), numbered from 1 on, and what became of
 * them. The reply of a command that published is held back until the upstream has answered
 * (held.h); if it refuses a message, or the link is lost before, the reply becomes an error.
 * Answers that come together are told together, because all replies that wait are looked at.
 *
 * An upstream that keeps messages gives each of these a position, which comes with the answer.
 * One connection answers in the order of the numbers; several do not: sent_messages_settle().
 */
struct sent_key;

STAILQ_HEAD(sent_keys, sent_key);

struct sent_messages {
	uint64_t sent;          /* the number of the last message */
	uint64_t arrived;       /* of the last one whose answer has come, or will not come */
	uint64_t answered;      /* the same, as far as replies have been told */
	struct buffer failures; /* struct sent_failure each, of the answers that are not told yet */
	struct buffer texts;    /* their errors */
	bool is_unsorted;       /* the failures are not in the order of their numbers */
	struct buffer positions; /* struct sent_position each, of the answers that are not told yet
				  */
	struct buffer ahead;     /* a bit each, 64 in a word: answered, behind `arrived` */
	uint64_t ahead_first;    /* the word of message n is the one with index n / 64 - this */
	uint64_t ahead_count;    /* such messages */
	bool has_news;           /* an answer out of order is not told yet */
	uint64_t last_failed;    /* the newest message that has failed; 0: none */
	struct buffer last_error;
	struct sent_keys keys; /* of sent_wait.h, in the order of their messages */
};

/* Messages that failed for the same reason. */
struct sent_failure {
	uint64_t first, last;
	size_t at, len; /* in texts */
};

struct sent_position {
	uint64_t number;
	struct hub_position position;
};

void sent_messages_init(struct sent_messages *messages);

/* The upstream has got the next `count` messages. */
void sent_messages_confirm(struct sent_messages *messages, uint64_t count);

/* It has kept the next message under this position. */
void sent_messages_confirm_kept(struct sent_messages *messages, struct hub_position position);

/* It has refused the next message, or will answer none that was sent until now. Copies. */
void sent_messages_refuse(struct sent_messages *messages, struct slice error);
void sent_messages_lose(struct sent_messages *messages, struct slice error);

/* One message is answered, in any order; error empty: the upstream has it. A message that is not
 * beyond `sent`, and that was not answered before. Copies. */
void sent_messages_settle(struct sent_messages *messages, uint64_t number, struct slice error);

/* All of these messages were answered, and were told or have not failed. */
bool sent_messages_are_answered(
    const struct sent_messages *messages, uint64_t first, uint64_t last);

/* Something has to be told. */
bool sent_messages_has_news(const struct sent_messages *messages);

/* The error of one of the messages from `first` to `last`; empty: none of them has failed, of the
 * answers that are not told yet. Borrows, until another one is added. */
struct slice sent_messages_error(struct sent_messages *messages, uint64_t first, uint64_t last);

/* The position of this message, of the answers that are not told yet; 0-0: it has none. */
struct hub_position sent_messages_position(const struct sent_messages *messages, uint64_t number);

/* All answers were told. */
void sent_messages_told(struct sent_messages *messages);

void sent_messages_release(struct sent_messages *messages);

#endif
