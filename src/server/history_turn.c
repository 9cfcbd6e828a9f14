#include "config.h"

#include "server/history_turn.h"

#include "base/clock.h"
#include "pubsub/hub_history.h"
#include "server/core.h"

#define REMOVED_A_LOOK 64 /* messages, chunks or rings between two looks at the clock */

/* The longest time without a call: the limits may change meanwhile. */
#define LOOK_AGAIN_US 1000000

uint64_t
history_turn(struct server *server, uint64_t deadline_us)
{
	struct history *history = hub_history(server->hub);
	uint64_t now_us = clock_mono_us(), due_us = history_due_us(history);

	while (due_us <= now_us) {
		bool is_done = history_work(history, now_us, REMOVED_A_LOOK);

		now_us = clock_mono_us();
		if (!is_done && now_us >= deadline_us)
			return 0;
		due_us = history_due_us(history);
	}
	if (due_us == UINT64_MAX)
		return UINT64_MAX;
	return due_us - now_us < LOOK_AGAIN_US ? due_us - now_us : LOOK_AGAIN_US;
}
