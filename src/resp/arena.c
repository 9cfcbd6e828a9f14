#include "config.h"

#include "resp/arena.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

struct resp_chunk {
	struct resp_chunk *below;
	size_t len; /* bytes in closed pieces */
	size_t cap;
	char bytes[];
};

enum { CHUNK_MIN = 112, CHUNK_USUAL_MAX = 256 * 1024 };

void
resp_arena_release(struct resp_arena *arena)
{
	struct resp_chunk *chunk, *below;

	for (chunk = arena->top; chunk != NULL; chunk = below) {
		below = chunk->below;
		xgrow_free(chunk, sizeof(*chunk) + chunk->cap);
	}
	*arena = (struct resp_arena){0};
}

void
resp_arena_join(struct resp_arena *into, struct resp_arena *from)
{
	struct resp_chunk *last = from->top;

	assert(into->open_len == 0 && from->open_len == 0);
	if (last == NULL)
		return;
	while (last->below != NULL)
		last = last->below;
	last->below = into->top;
	into->top = from->top;
	into->held += from->held;
	into->room += from->room;
	*from = (struct resp_arena){0};
}

static void
add_chunk(struct resp_arena *arena, size_t cap)
{
	struct resp_chunk *chunk = xgrow(NULL, 0, sizeof(*chunk) + cap);

	*chunk = (struct resp_chunk){.below = arena->top, .cap = cap};
	arena->top = chunk;
	arena->room += sizeof(*chunk) + cap;
}

/* Room for one more chunk of pieces that are known: in proportion to what there is already. */
static size_t
usual_cap(const struct resp_arena *arena, size_t len)
{
	size_t cap = arena->room / 2;

	if (cap < CHUNK_MIN)
		cap = CHUNK_MIN;
	if (cap > CHUNK_USUAL_MAX)
		cap = CHUNK_USUAL_MAX;
	return cap > len ? cap : len;
}

char *
resp_arena_room(struct resp_arena *arena, size_t len)
{
	struct resp_chunk *top = arena->top;
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
resp_arena_copy(struct resp_arena *arena, struct slice s)
{
	if (s.len == 0)
		return SLICE("");
	return (struct slice){memcpy(resp_arena_room(arena, s.len), s.ptr, s.len), s.len};
}

/* Makes the open piece's room cap bytes: in place where it is alone in its chunk. */
static void
widen(struct resp_arena *arena, size_t cap)
{
	struct resp_chunk *old = arena->top;

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

void
resp_arena_append(struct resp_arena *arena, const char *ptr, size_t len, size_t most_len)
{
	struct resp_chunk *top = arena->top;
	size_t wanted = arena->open_len + len;

	assert(wanted <= most_len);
	if (len == 0)
		return;
	if (top == NULL || top->cap - top->len < wanted) {
		size_t cap = wanted < CHUNK_MIN / 2 ? CHUNK_MIN : wanted * 2;

		widen(arena, cap < most_len ? cap : most_len);
		top = arena->top;
	}
	memcpy(top->bytes + top->len + arena->open_len, ptr, len);
	arena->open_len = wanted;
	arena->held += len;
}

struct slice
resp_arena_close(struct resp_arena *arena)
{
	struct resp_chunk *top = arena->top;
	struct slice piece;

	if (arena->open_len == 0)
		return SLICE("");
	piece = (struct slice){top->bytes + top->len, arena->open_len};
	top->len += arena->open_len;
	arena->open_len = 0;
	return piece;
}
