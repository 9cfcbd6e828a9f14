#ifndef LINK_LOAD_WINDOW_H
#define LINK_LOAD_WINDOW_H

#include <stddef.h>

/*
 * Load window: how many channels a node loads from its engine at once.
 *
 * A Redis closes connections of subscribers that do not read 32 MB in time, unless it is configured
 * otherwise. How large a load is, is not known before it comes. So there are few at first, and more
 * as they come, as long as all together are expected to take LOAD_WINDOW_BYTES at most.
 */
#define LOAD_WINDOW_LEAST 1
#define LOAD_WINDOW_MOST 4096
#define LOAD_WINDOW_BYTES ((size_t)8 << 20)

struct load_window {
	size_t most;  /* so many may be under way if they are small */
	size_t loads; /* under way */
	size_t bytes; /* of the largest load lately, about; it survives a connection */
};

void load_window_open(struct load_window *window); /* a new connection */

/* How many more loads may be sent; at least 1 if none is under way. */
size_t load_window_room(const struct load_window *window);
void load_window_send(struct load_window *window);

/* One has come, with as many messages and bytes of payload. load_window_skip: without a result. */
void load_window_take(struct load_window *window, size_t messages, size_t bytes);
void load_window_skip(struct load_window *window);

#endif
