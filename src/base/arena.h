#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * The memory of one request that does not arrive in one piece. It hands out pieces that never move
 * and are freed all at once. At its end there may be one open piece, which still grows; it grows
 * by doubling what has arrived, so that it moves each byte less than twice on average, and never
 * beyond the length that it was said to have at most. A zeroed struct is an empty arena.
 */
struct arena {
	struct arena_chunk *top; /* the chunk that is filled; the others hang below it */
	size_t open_len;         /* of the open piece, which lies at the end of the top chunk */
	size_t held;             /* bytes in pieces, the open one included */
	size_t room;             /* bytes of all chunks */
};

void arena_release(struct arena *arena); /* frees the pieces; the arena is empty again */

/* The pieces of from, of which none is open, become pieces of into, which has no open one either.
 */
void arena_join(struct arena *into, struct arena *from);

/* A closed piece of len bytes, for the caller to fill. There must be no open one. */
char *arena_room(struct arena *arena, size_t len);

/* A closed piece with these bytes. There must be no open one. */
struct slice arena_copy(struct arena *arena, struct slice s);

/* Appends to the open piece, which will have at most most_len bytes in all. */
void arena_append(struct arena *arena, const char *ptr, size_t len, size_t most_len);

/* The open piece is complete. */
struct slice arena_close(struct arena *arena);

#endif
