#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * The memory of one request whose bytes do not all arrive at once. It allocates pieces that never
 * move and are all freed together. The last piece may be open: it still grows, by doubling the
 * length that has arrived, so that each byte is moved less than twice on average, and never beyond
 * the announced maximum. A zeroed struct is an empty arena.
 */
struct arena {
	struct arena_chunk *top; /* the chunk being filled, which links to the others */
	size_t open_len;         /* of the open piece, at the end of the top chunk */
	size_t held;             /* bytes in pieces, the open one included */
	size_t room;             /* bytes allocated for all chunks */
};

void arena_release(struct arena *arena); /* frees the pieces; the arena is empty afterwards */

/* Moves the pieces of `from` to `into`. Neither has an open piece. */
void arena_join(struct arena *into, struct arena *from);

/* A closed piece of len bytes, to be filled by the caller. There must be no open piece. */
char *arena_room(struct arena *arena, size_t len);

/* A closed piece with a copy of s. There must be no open piece. */
struct slice arena_copy(struct arena *arena, struct slice s);

/* Appends to the open piece, or begins one. It will have at most most_len bytes in all. */
void arena_append(struct arena *arena, const char *ptr, size_t len, size_t most_len);

/* As arena_append(), but the caller fills the len bytes, at least 1, that are returned. They move
 * when the piece grows again. */
char *arena_extend(struct arena *arena, size_t len, size_t most_len);

/* Closes the open piece and returns it. */
struct slice arena_close(struct arena *arena);

#endif
