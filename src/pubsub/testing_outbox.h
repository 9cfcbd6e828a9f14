#ifndef PUBSUB_TESTING_OUTBOX_H
#define PUBSUB_TESTING_OUTBOX_H

#include "pubsub/outbox.h"

/*
 * For tests: an outbox that is limited to 5 messages and 100 bytes, with logs of its own. Its
 * callbacks are counted.
 */
struct outbox_rig {
	struct frame_log *messages;
	struct outbox_pool pool;
	struct outbox outbox;
	int readies, rooms, lows;
	uint32_t drops[100]; /* by tag */
};
extern struct outbox_rig ob;

void ob_setup(void);
void ob_teardown(void);
void ob_set_policy(enum outbox_policy policy, bool notify);
enum outbox_result ob_push(const char *text);                                  /* with tag 1 */
enum outbox_result ob_push_under(const char *text, enum outbox_policy policy); /* with tag 1 */
enum outbox_result ob_push_tagged(const char *text, uint32_t tag);
void ob_reply(const char *text);
const char *ob_take(size_t max); /* takes at most max bytes, as a socket would */
const char *ob_take_all(void);

#endif
