#ifndef LINK_LEAF_CONFIG_H
#define LINK_LEAF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* What a leaf (leaf.h) is given: its settings, and the connection to its upstream. */

/* What may change at any time. */
struct leaf_settings {
	bool delivers_alone; /* while the link is down messages are delivered here, not refused */
	uint32_t linger_s;
	uint32_t probe_s;
	size_t queued_bytes; /* publishers wait while more bytes wait to be sent */
};

struct leaf_config {
	const char *address;                  /* of the upstream, for people; copied */
	const char *user;                     /* "" or NULL: the default user. Copied */
	const char *password;                 /* "" or NULL: none. Copied */
	bool is_of_engine;                    /* the upstream is an engine (engine.h) */
	const struct leaf_settings *settings; /* borrowed, may change */
};

/* The connection; see struct link_ops. */
struct leaf_io {
	bool (*send)(void *arg, struct slice bytes);
	size_t (*queued_bytes)(void *arg);        /* given to send(), and not written yet */
	void (*drop)(void *arg, const char *why); /* calls leaf_lost() */
	void *arg;
};

#endif
