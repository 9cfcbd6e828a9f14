#ifndef PUBSUB_TESTING_REPLAY_H
#define PUBSUB_TESTING_REPLAY_H

#include "pubsub/history.h"
#include "pubsub/hub.h"

/* For tests: a hub whose channels may keep messages, with limits that the test may change. */
extern struct hub_limits testing_hub_limits;
extern struct history_limits testing_history_limits;

#define TESTING_EPOCH 99

/* Resets the limits. Returns owned (hub_free). */
struct hub *testing_replay_hub(const struct wire_form *form);

/* Sets options of channels, "history-size 5 history-ttl 60", and applies them to all channels. */
void testing_set_line(struct hub *hub, const char *glob, const char *words);

#endif
