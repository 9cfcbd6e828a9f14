#ifndef APP_LIFECYCLE_H
#define APP_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/hand_over.h"
#include "app/settings.h"

/*
 * Lifecycle: how the daemon ends, and how it hands over to its successor.
 *
 * It serves; then it may be a lame duck, which accepts no connection and closes its clients one
 * after the other; then it drains: it reads nothing and writes the queued output, for
 * shutdown-timeout at most. Only a lame duck can return to serving.
 */
struct wiring;

enum lifecycle_state { LIFECYCLE_SERVES, LIFECYCLE_LAME_DUCK, LIFECYCLE_DRAINS };

struct lifecycle {
	struct wiring *wiring;           /* borrowed */
	const struct settings *settings; /* borrowed */
	struct hand_over hand_over;
	enum lifecycle_state state;
	bool was_signalled; /* SIGTERM or SIGINT was received; the next one ends the daemon at once
			     */
	bool has_passed;    /* listening sockets were passed to this process */
	bool has_handed_over;   /* a successor serves */
	uint64_t save_again_us; /* when the failed last snapshot is tried again; 0: none failed */
};

/* Borrows argv, as upgrade_init(). */
void lifecycle_init(
    struct lifecycle *l, struct wiring *wiring, const struct settings *settings, char **argv);
void lifecycle_release(struct lifecycle *l);

/* Call it when the event loop has ended, before it is released. */
void lifecycle_end(struct lifecycle *l);

void lifecycle_signal(struct lifecycle *l, int signal); /* SIGTERM, SIGINT, SIGUSR2, SIGCHLD */

/* SHUTDOWN by a client; for the callbacks of struct wiring. */
void lifecycle_shutdown(struct lifecycle *l, bool now);
void lifecycle_lame_duck(struct lifecycle *l, uint32_t window_s);
bool lifecycle_abort(struct lifecycle *l, char *error, size_t error_len)
    __attribute__((warn_unused_result));
void lifecycle_lame_duck_over(struct lifecycle *l);

void lifecycle_turn(struct lifecycle *l, uint64_t now_us); /* to be called regularly, for timers */
void lifecycle_turn_ends(struct lifecycle *l);

#endif
