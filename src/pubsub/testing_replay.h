#ifndef PUBSUB_TESTING_REPLAY_H
#define PUBSUB_TESTING_REPLAY_H

#include <stdbool.h>

#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"

/* For tests: a hub whose channels may keep messages, with limits that the test may change. */
extern struct hub_limits testing_hub_limits;
extern struct history_limits testing_history_limits;

#define TESTING_EPOCH 99

/* Resets the limits. Returns owned (hub_free). */
struct hub *testing_replay_hub(const struct wire_form *form);

/* Sets options of channels, "history-size 5 history-ttl 60", and applies them to all channels. */
void testing_set_line(struct hub *hub, const char *glob, const char *words);

/* True if every message behind after_seq of the channels that the pattern matches is kept: it may
 * be passed to testing_psubscribe_after(), which finds the channels. */
bool testing_can_presume(
    struct hub *hub, struct slice pattern, uint64_t after_seq, uint64_t now_us);
void testing_psubscribe_after(
    struct subscriber *s, struct slice pattern, uint64_t after_seq, uint64_t now_us);

/*
 * Subscribers of such a hub, whose form is testing_form: a message is its payload and a dot.
 * Channels k* keep 100 messages for 60 s; the first three subscribers are attached, without limits.
 */
#define REPLAY_SUBSCRIBERS 100

struct replays {
	struct hub *hub;
	struct subscriber subs[REPLAY_SUBSCRIBERS];
	int overtakens;
	uint64_t base; /* the seq before the first message */
};
extern struct replays replays;

#define REPLAY_NOW_US UINT64_C(1000000)

void replay_setup(void);
void replay_setup_form(const struct wire_form *form); /* with another form */
void replay_teardown(void);
void replay_attach(int i, size_t bytes, uint32_t messages, enum outbox_policy policy, bool notify);
void replay_detach(int i);
size_t replay_publish(const char *channel, const char *payload); /* returns the receivers */
void replay_publish_numbers(const char *channel, int from, int to);
/* after: so many messages of all channels are before it. */
void replay_subscribe_after(int i, const char *channel, uint64_t after);
void replay_resume(int i, const char *channel, uint64_t after);  /* and start */
void replay_presume(int i, const char *pattern, uint64_t after); /* and start */
enum hub_replay_result replay_run(void);
const char *replay_take(int i, size_t max); /* reads what is queued, at most max bytes */

#endif
