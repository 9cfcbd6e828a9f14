#ifndef CLI_LOOP_H
#define CLI_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

struct event_base;

/*
 * The event loop of one run of the tool. It ends with loop_stop(), at its deadline (status
 * CLI_TIMEOUT), or on SIGINT, SIGTERM or SIGHUP (128 + signal). A second signal ends the process at
 * once, even if a call blocks. At most one loop exists in the process at a time.
 */
struct loop;

struct loop *loop_new(void); /* returns owned (loop_free) */
void loop_free(struct loop *loop);

struct event_base *loop_base(struct loop *loop); /* borrows */

/* Called once, when a deadline or signal ends the loop; may print a summary. */
void loop_on_cut(struct loop *loop, void (*cut)(void *arg), void *arg);

/* The first status counts. Allowed before loop_run(), which then returns at once. */
void loop_stop(struct loop *loop, int status);

/* True if a signal will end the loop; callers must not block then. */
bool loop_is_interrupted(void);

/* Runs until stopped and returns the status. timeout_us 0: no deadline. */
int loop_run(struct loop *loop, uint64_t timeout_us);

struct timeval loop_timeval(uint64_t us);

#endif
