#include "config.h"

#include "kv/zset_packed.h"

#include <assert.h>
#include <string.h>

#include "kv/memory.h"

void
zset_packed_release(struct zset_packed *p)
{
	kv_release(p->bytes);
	*p = (struct zset_packed){.bytes = NULL};
}

double
zset_packed_score(const unsigned char *at)
{
	double score;

	memcpy(&score, at + 1 + *at, sizeof(score));
	return score;
}

const unsigned char *
zset_packed_find(const struct zset_packed *p, struct slice member)
{
	const unsigned char *at, *end = p->bytes + p->len;

	if (p->count == 0 || member.len > ZSET_PACKED_VALUE_MAX)
		return NULL;
	for (at = p->bytes; at < end; at = zset_packed_next(at)) {
		if (*at == member.len && memcmp(at + 1, member.ptr, member.len) == 0)
			return at;
	}
	return NULL;
}

const unsigned char *
zset_packed_at(const struct zset_packed *p, size_t rank)
{
	const unsigned char *at;

	assert(rank <= p->count);
	if (rank > p->count / 2) {
		at = p->bytes + p->len;
		for (rank = p->count - rank; rank > 0; rank--)
			at = zset_packed_prev(at);
		return at;
	}
	for (at = p->bytes; rank > 0; rank--)
		at = zset_packed_next(at);
	return at;
}

/* The first entry that does not come before the bound, or the end. */
static const unsigned char *
place_of(const struct zset_packed *p, const struct rank_bound *bound, size_t *rank)
{
	const unsigned char *at = p->bytes;

	for (*rank = 0; *rank < p->count; ++*rank) {
		if (!rank_bound_follows(bound, zset_packed_score(at), zset_packed_member(at)))
			break;
		at = zset_packed_next(at);
	}
	return at;
}

size_t
zset_packed_count_before(const struct zset_packed *p, const struct rank_bound *bound)
{
	size_t rank;

	place_of(p, bound, &rank);
	return rank;
}

void
zset_packed_add(struct zset_packed *p, struct slice member, double score)
{
	struct rank_bound bound = {.by = RANK_BY_BOTH, .score = score, .key = member};
	size_t place, rank, len = member.len + 10;
	unsigned char *at;

	assert(member.len <= ZSET_PACKED_VALUE_MAX);
	score += 0.0; /* -0 becomes 0, because Redis's packed encoding stores whole numbers as
			 integers */
	place = (size_t)(place_of(p, &bound, &rank) - p->bytes);
	p->bytes = kv_realloc(p->bytes, p->len + len);
	at = p->bytes + place;
	memmove(at + len, at, p->len - place);
	at[0] = at[len - 1] = (unsigned char)member.len;
	if (member.len > 0)
		memcpy(at + 1, member.ptr, member.len);
	memcpy(at + 1 + member.len, &score, sizeof(score));
	p->len += (uint32_t)len;
	p->count++;
}

void
zset_packed_remove(
    struct zset_packed *p, const unsigned char *from, const unsigned char *to, size_t count)
{
	size_t place = (size_t)(from - p->bytes), len = (size_t)(to - from);

	if (len == p->len) {
		zset_packed_release(p);
		return;
	}
	memmove(p->bytes + place, to, p->len - place - len);
	p->len -= (uint32_t)len;
	p->count -= (uint32_t)count;
	p->bytes = kv_realloc(p->bytes, p->len);
}
