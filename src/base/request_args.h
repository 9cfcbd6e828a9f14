#ifndef BASE_REQUEST_ARGS_H
#define BASE_REQUEST_ARGS_H

#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"

/*
 * Request arguments: what a parser of a protocol (base/protocol.h) has of a request, as slices.
 *
 * An argument is a slice of the bytes that are being fed, or in the arena. Invariant: those below
 * `kept` are in the arena, or are literals. It knows no protocol and no limits: a parser counts
 * what a peer sends before it adds it. A zeroed struct is empty and owns nothing.
 */
struct request_args {
	struct slice *items;
	unsigned int count;
	unsigned int room; /* items that there is memory for */
	unsigned int kept;
	struct arena arena;
};

/* Room for `first` items if there is none yet, else twice as many. */
void request_args_grow(struct request_args *args, unsigned int first);

static inline void
request_args_push(struct request_args *args, struct slice arg, unsigned int first)
{
	if (args->count == args->room)
		request_args_grow(args, first);
	args->items[args->count++] = arg;
}

/* Copies the arguments that need the bytes of the feed, which may then be reused. The arena has no
 * open piece, or nothing is left to copy. */
void request_args_keep(struct request_args *args);

/* Drops all arguments, and the memory of more than most_room items. */
void request_args_clear(struct request_args *args, unsigned int most_room);
void request_args_release(struct request_args *args); /* all memory; it is empty afterwards */

/* Moves the memory of the arguments to *arena. */
void request_args_give_arena(struct request_args *args, struct arena *arena);

size_t request_args_held_bytes(const struct request_args *args);
size_t request_args_room_bytes(const struct request_args *args);

#endif
