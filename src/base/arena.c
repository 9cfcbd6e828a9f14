#include "config.h"

#include "base/arena.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

struct arena_chunk {
	struct arena_chunk *below;
	size_t len; /* bytes in closed pieces */
	size_t cap;
	char bytes[];
};

enum { CHUNK_MIN = 112, CHUNK_USUAL_MAX = 256 * 1024 };

void
arena_release(struct arena *arena)
{
	struct arena_chunk *chunk, *below;

	for (chunk = arena->top; chunk != NULL; chunk = below) {
		below = chunk->below;
		xgrow_free(chunk, sizeof(*chunk) + chunk->cap);
	}
	*arena = (struct arena){0};
}

void
arena_join(struct arena *into, struct arena *from)
{
	struct arena_chunk *last = from->top;

	assert(into->open_len == 0 && from->open_len == 0);
	if (last == NULL)
		return;
	while (last->below != NULL)
		last = last->below;
	last->below = into->top;
	into->top = from->top;
	into->held += from->held;
	into->room += from->room;
	*from = (struct arena){0};
}

static void
add_chunk(struct arena *arena, size_t cap)
{
	struct arena_chunk *chunk = xgrow(NULL, 0, sizeof(*chunk) + cap);

	*chunk = (struct arena_chunk){.below = arena->top, .cap = cap};
	arena->top = chunk;
	arena->room += sizeof(*chunk) + cap;
}

/* The size of a new chunk for pieces of known length: in proportion to the memory so far. */
static size_t
usual_cap(const struct arena *arena, size_t len)
{
	size_t cap = arena->room / 2;

	if (cap < CHUNK_MIN)
		cap = CHUNK_MIN;
	if (cap > CHUNK_USUAL_MAX)
		cap = CHUNK_USUAL_MAX;
	return cap > len ? cap : len;
}

char *
arena_room(struct arena *arena, size_t len)
{
	struct arena_chunk *top = arena->top;
	char *at;

	assert(arena->open_len == 0);
	if (top == NULL || top->cap - top->len < len) {
		add_chunk(arena, usual_cap(arena, len));
		top = arena->top;
	}
	at = top->bytes + top->len;
	top->len += len;
	arena->held += len;
	return at;
}

struct slice
arena_copy(struct arena *arena, struct slice s)
{
	if (s.len == 0)
		return SLICE("");
	return (struct slice){memcpy(arena_room(arena, s.len), s.ptr, s.len), s.len};
}

/* Enlarges the open piece's room to cap bytes: in place if the piece is alone in its chunk. */
static void
widen(struct arena *arena, size_t cap)
{
	struct arena_chunk *old = arena->top;

	if (old != NULL && old->len == 0) {
		arena->room += cap - old->cap;
		arena->top = xgrow(old, sizeof(*old) + old->cap, sizeof(*old) + cap);
		arena->top->cap = cap;
		return;
	}
	add_chunk(arena, cap);
	if (old != NULL && arena->open_len > 0)
		memcpy(arena->top->bytes, old->bytes + old->len, arena->open_len);
}

char *
arena_extend(struct arena *arena, size_t len, size_t most_len)
{
	struct arena_chunk *top = arena->top;
	size_t wanted = arena->open_len + len;
	char *at;

	assert(len > 0 && wanted <= most_len);
	if (top == NULL || top->cap - top->len < wanted) {
		size_t cap = wanted < CHUNK_MIN / 2 ? CHUNK_MIN : wanted * 2;

		widen(arena, cap < most_len ? cap : most_len);
		top = arena->top;
	}
	at = top->bytes + top->len + arena->open_len;
	arena->open_len = wanted;
	arena->held += len;
	return at;
}

void
arena_append(struct arena *arena, const char *ptr, size_t len, size_t most_len)
{
	if (len > 0)
		memcpy(arena_extend(arena, len, most_len), ptr, len);
}

struct slice
arena_close(struct arena *arena)
{
	struct arena_chunk *top = arena->top;
	struct slice piece;

	if (arena->open_len == 0)
		return SLICE("");
	piece = (struct slice){top->bytes + top->len, arena->open_len};
	top->len += arena->open_len;
	arena->open_len = 0;
	return piece;
}
