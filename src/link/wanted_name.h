#ifndef LINK_WANTED_NAME_H
#define LINK_WANTED_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Wanted name: a channel or pattern that a node wants at its upstream. For interest_names.h only.
 */

/* Whether a name that was asked for goes on from a position. */
enum resumption {
	RESUMES_NOT,
	RESUMES_MAYBE, /* the reply to RESUME has not come */
	RESUMES,       /* nothing is missing */
};

/* What has come by a name since it was confirmed. */
enum name_course {
	COURSE_RESUMED, /* it goes on from a position, so it has the messages of its channels in
			   their order */
	COURSE_LIVE,    /* no message yet; the first one may be newer than some that others miss */
	COURSE_HEARD,   /* some messages */
};

/* A name with a record. */
struct wanted_name {
	TAILQ_ENTRY(wanted_name) link; /* in the list of its state */
	uint64_t until_us;             /* of INTEREST_SOON, and of INTEREST_LINGERS */
	uint64_t retry_us;             /* of INTEREST_REFUSED */
	uint32_t session;              /* its state is that of this connection */
	uint32_t missed_session;       /* interest_misses() was true on this connection */
	uint32_t held_session;         /* the upstream has confirmed it on this connection */
	uint32_t len;
	uint8_t state; /* enum interest_state; see state_of() */
	uint8_t kind;  /* enum hub_kind */
	bool has_members;
	bool is_expected;   /* somebody has asked for it, and has not subscribed yet */
	bool is_alone;      /* a command with it and others was refused */
	bool was_held;      /* on an earlier connection: messages in between were missed */
	uint8_t resumption; /* enum resumption */
	uint8_t course;     /* enum name_course, on the connection held_session */
	char bytes[];
};

TAILQ_HEAD(wanted_names, wanted_name);

#endif
