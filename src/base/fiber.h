#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Fiber: a stack of its own on which a function runs, which may stop in the middle of it and go on
 * later. All of it happens in one thread. A fiber serves one function after the other, so that
 * running one costs two jumps and no system call.
 *
 * Below its stack is a page that cannot be written: an overflow ends the process.
 */
struct fiber;

enum fiber_state {
	FIBER_IDLE,      /* it has no function */
	FIBER_RUNNING,   /* the caller is inside of it */
	FIBER_SUSPENDED, /* its function goes on at fiber_resume */
};

/*
 * stack_bytes is rounded up to pages; memory is used only for what the functions reach. NULL: the
 * system has no memory. Returns owned (fiber_free).
 */
struct fiber *fiber_new(size_t stack_bytes);
void fiber_free(struct fiber *fiber); /* it is idle; NULL is allowed */

enum fiber_state fiber_state(const struct fiber *fiber);

/* Runs function(arg), which is not called from within a fiber. Returns when it is done (true) or
 * suspends itself (false). */
bool fiber_run(struct fiber *fiber, void (*function)(void *arg), void *arg)
    __attribute__((warn_unused_result));

/* Lets a suspended function go on; the same result. */
bool fiber_resume(struct fiber *fiber) __attribute__((warn_unused_result));

/* Called by the running function: fiber_run or fiber_resume returns false. */
void fiber_suspend(struct fiber *fiber);

#endif
