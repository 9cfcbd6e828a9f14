#include "config.h"

#include "link/globs_own.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/hash_map.h"
#include "link/globs_frame.h"

#define BEGINNING_MAX 62               /* bytes: with * and all of a set, GLOBS_BYTES_MAX at most */
#define BEGINNINGS (GLOBS_MAX / 2 - 1) /* of a set that is made anew, so that others can follow */

struct own_glob {
	TAILQ_ENTRY(own_glob) link;
	TAILQ_ENTRY(own_glob) fresh;  /* while number is 0 */
	TAILQ_ENTRY(own_glob) linger; /* without subscribers */
	TAILQ_ENTRY(own_glob) early;  /* if is_early */
	uint64_t number;              /* of the first set that covers it; 0: none does */
	uint64_t until_us;            /* without subscribers it stays until then */
	bool has_members;
	bool is_early; /* it had subscribers before it was in force */
	uint32_t len;
	char bytes[];
};

TAILQ_HEAD(own_globs, own_glob);

struct globs_own {
	struct hash_map *map;
	struct own_globs all, fresh, linger, early;
	size_t count, lingering, bytes;
	struct buffer set; /* as of the last globs_own_change() */
	size_t set_count;
	bool has_beginnings;   /* the set does */
	struct buffer told;    /* the set that was told last */
	uint64_t told_number;  /* its number; 0: none was */
	uint64_t asked;        /* of the one whose acknowledgement is awaited; 0: of none */
	uint64_t acknowledged; /* of the newest one that was */
	bool is_changed;       /* since the last globs_own_change() */
	bool has_lost_some;    /* with beginnings: patterns are gone */
	bool is_unheard;
};

struct globs_own *
globs_own_new(void)
{
	struct globs_own *own = xcalloc(1, sizeof(*own));

	own->map = hash_map_new();
	TAILQ_INIT(&own->all);
	TAILQ_INIT(&own->fresh);
	TAILQ_INIT(&own->linger);
	TAILQ_INIT(&own->early);
	return own;
}

static struct slice
bytes_of(const struct own_glob *glob)
{
	return (struct slice){glob->bytes, glob->len};
}

static bool
is_in_force(const struct globs_own *own, const struct own_glob *glob)
{
	return glob->number != 0 && glob->number <= own->acknowledged;
}

/* Its patterns */

static void
set_early(struct globs_own *own, struct own_glob *glob, bool is_early)
{
	if (glob->is_early && !is_early)
		TAILQ_REMOVE(&own->early, glob, early);
	else if (!glob->is_early && is_early)
		TAILQ_INSERT_TAIL(&own->early, glob, early);
	glob->is_early = is_early;
}

static void
set_members(struct globs_own *own, struct own_glob *glob, bool has_members)
{
	if (glob->has_members == has_members)
		return;
	glob->has_members = has_members;
	if (has_members) {
		TAILQ_REMOVE(&own->linger, glob, linger);
		own->lingering--;
	} else {
		TAILQ_INSERT_TAIL(&own->linger, glob, linger);
		own->lingering++;
	}
}

static struct own_glob *
find_or_add(struct globs_own *own, struct slice bytes)
{
	struct own_glob *glob = hash_map_get(own->map, bytes);

	if (glob != NULL)
		return glob;
	glob = xcalloc(1, sizeof(*glob) + bytes.len);
	glob->len = (uint32_t)bytes.len;
	memcpy(glob->bytes, bytes.ptr, bytes.len);
	hash_map_set(own->map, bytes, glob);
	TAILQ_INSERT_TAIL(&own->all, glob, link);
	TAILQ_INSERT_TAIL(&own->fresh, glob, fresh);
	TAILQ_INSERT_TAIL(&own->linger, glob, linger);
	own->lingering++;
	own->count++;
	own->bytes += bytes.len;
	own->is_changed = true;
	return glob;
}

static void
set_number(struct globs_own *own, struct own_glob *glob, uint64_t number)
{
	TAILQ_REMOVE(&own->fresh, glob, fresh);
	glob->number = number;
}

static void
drop(struct globs_own *own, struct own_glob *glob)
{
	set_early(own, glob, false);
	if (glob->number == 0)
		TAILQ_REMOVE(&own->fresh, glob, fresh);
	if (!glob->has_members) {
		TAILQ_REMOVE(&own->linger, glob, linger);
		own->lingering--;
	}
	TAILQ_REMOVE(&own->all, glob, link);
	hash_map_remove(own->map, bytes_of(glob));
	own->count--;
	own->bytes -= glob->len;
	own->is_changed = own->has_lost_some = true;
	xfree(glob);
}

void
globs_own_free(struct globs_own *own)
{
	struct own_glob *glob;

	while ((glob = TAILQ_FIRST(&own->all)) != NULL)
		drop(own, glob);
	hash_map_free(own->map);
	buffer_release(&own->set);
	buffer_release(&own->told);
	xfree(own);
}

void
globs_own_add(struct globs_own *own, struct slice bytes)
{
	struct own_glob *glob = find_or_add(own, bytes);

	glob->until_us = 0; /* who was expected has come */
	set_members(own, glob, true);
	set_early(own, glob, !is_in_force(own, glob));
}

void
globs_own_remove(struct globs_own *own, struct slice bytes, uint64_t until_us)
{
	struct own_glob *glob = hash_map_get(own->map, bytes);

	if (glob == NULL)
		return;
	if (glob->until_us < until_us)
		glob->until_us = until_us;
	set_members(own, glob, false);
	set_early(own, glob, false);
}

bool
globs_own_need(struct globs_own *own, struct slice bytes, uint64_t until_us)
{
	struct own_glob *glob = find_or_add(own, bytes);

	if (glob->until_us < until_us)
		glob->until_us = until_us;
	return is_in_force(own, glob);
}

size_t
globs_own_count(const struct globs_own *own)
{
	return own->count;
}

void
globs_own_expire(struct globs_own *own, uint64_t now_us)
{
	struct own_glob *glob, *next;

	for (glob = TAILQ_FIRST(&own->linger); glob != NULL; glob = next) {
		next = TAILQ_NEXT(glob, linger);
		if (glob->until_us <= now_us || own->lingering > GLOBS_LINGERING_MAX)
			drop(own, glob);
	}
}

void
globs_own_each(const struct globs_own *own, void (*visit)(void *arg, struct slice glob), void *arg)
{
	const struct own_glob *glob;

	TAILQ_FOREACH (glob, &own->all, link)
		if (glob->has_members)
			visit(arg, bytes_of(glob));
}

/* Its set */

/* What all channels begin with that the pattern matches. */
static struct slice
beginning_of(const struct own_glob *glob)
{
	size_t len = 0;

	while (len < glob->len && len < BEGINNING_MAX && strchr("*?[\\", glob->bytes[len]) == NULL)
		len++;
	return (struct slice){glob->bytes, len};
}

static int
compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t
common_len(struct slice a, struct slice b)
{
	size_t len = 0;

	while (len < a.len && len < b.len && a.ptr[len] == b.ptr[len])
		len++;
	return len;
}

/* To how many bytes sorted texts are to be cut so that they become few: cut, two neighbours are
 * one text if they have as much in common. */
static size_t
few_len(const struct slice *texts, size_t count)
{
	size_t less[BEGINNING_MAX + 1] = {0}, len = BEGINNING_MAX, distinct = count;

	for (size_t i = 1; i < count; i++)
		less[common_len(texts[i - 1], texts[i])]++;
	/* Cut to len, as many are distinct. */
	while (len > 0 && distinct > BEGINNINGS)
		distinct -= less[--len];
	return len;
}

static void
put_beginning(struct globs_own *own, struct slice beginning)
{
	char text[BEGINNING_MAX + 1];

	memcpy(text, beginning.ptr, beginning.len);
	text[beginning.len] = '*';
	globs_put(&own->set, (struct slice){text, beginning.len + 1});
	own->set_count++;
}

/* One that begins with another one is left out. */
static size_t
sort_beginnings(const struct globs_own *own, struct slice *texts)
{
	const struct own_glob *glob;
	size_t all = 0, count = 0;

	TAILQ_FOREACH (glob, &own->all, link)
		texts[all++] = beginning_of(glob);
	qsort(texts, all, sizeof(*texts), compare);
	for (size_t i = 0; i < all; i++)
		if (count == 0 || common_len(texts[count - 1], texts[i]) < texts[count - 1].len)
			texts[count++] = texts[i];
	return count;
}

static void
put_beginnings(struct globs_own *own)
{
	struct slice *texts = xmalloc((own->count + 1) * sizeof(*texts)), last = {NULL, 0};
	size_t count = sort_beginnings(own, texts), len = few_len(texts, count);

	for (size_t i = 0; i < count; i++) {
		struct slice text = {texts[i].ptr, texts[i].len < len ? texts[i].len : len};

		if (own->set_count == 0 || common_len(last, text) < last.len)
			put_beginning(own, text);
		else
			continue;
		last = text;
	}
	if (hash_map_get(own->map, SLICE("")) != NULL) { /* * does not match the empty channel */
		globs_put(&own->set, SLICE(""));
		own->set_count++;
	}
	xfree(texts);
}

static void
make_set(struct globs_own *own)
{
	const struct own_glob *glob;

	buffer_clear(&own->set);
	own->set_count = 0;
	own->has_beginnings = own->count > GLOBS_MAX || own->bytes > GLOBS_BYTES_MAX;
	if (own->has_beginnings)
		put_beginnings(own);
	else
		TAILQ_FOREACH (glob, &own->all, link) {
			globs_put(&own->set, bytes_of(glob));
			own->set_count++;
		}
	own->has_lost_some = false;
}

static bool
is_covered(struct slice set, const struct own_glob *glob)
{
	struct slice text = beginning_of(glob), beginning;

	while (glob->len > 0 && globs_next(&set, &beginning))
		if (beginning.len > 0 && beginning.len - 1 <= text.len &&
		    memcmp(beginning.ptr, text.ptr, beginning.len - 1) == 0)
			return true;
	return false;
}

/* Whether the last set that was told is acknowledged, or will be. */
static bool
is_told_for_good(const struct globs_own *own)
{
	return own->told_number != 0 &&
	       (own->told_number <= own->acknowledged || own->told_number == own->asked);
}

/* Patterns that the last set covers are in force with it. */
static void
cover(struct globs_own *own, bool all)
{
	struct own_glob *glob, *next;

	for (glob = TAILQ_FIRST(&own->fresh); glob != NULL; glob = next) {
		next = TAILQ_NEXT(glob, fresh);
		if (!all && !is_covered(buffer_slice(&own->told), glob))
			continue;
		set_number(own, glob, own->told_number);
		if (is_in_force(own, glob))
			set_early(own, glob, false);
	}
}

enum globs_change
globs_own_change(struct globs_own *own, bool is_thorough)
{
	bool keeps = own->has_beginnings && own->count > GLOBS_MAX / 2;

	if (own->is_unheard)
		make_set(own);
	if (own->is_unheard)
		return GLOBS_MORE;
	if (!own->is_changed && !(is_thorough && own->has_lost_some))
		return GLOBS_SAME;
	own->is_changed = false;
	if (keeps && is_told_for_good(own)) {
		cover(own, false);
		if (TAILQ_EMPTY(&own->fresh) && !(is_thorough && own->has_lost_some))
			return GLOBS_SAME;
	}
	make_set(own);
	if (slice_eq(buffer_slice(&own->set), buffer_slice(&own->told)) &&
	    (TAILQ_EMPTY(&own->fresh) || is_told_for_good(own))) {
		cover(own, true);
		return GLOBS_SAME;
	}
	return TAILQ_EMPTY(&own->fresh) && !own->has_beginnings ? GLOBS_FEWER : GLOBS_MORE;
}

struct slice
globs_own_set(const struct globs_own *own, size_t *count)
{
	*count = own->set_count;
	return buffer_slice(&own->set);
}

void
globs_own_tell(struct globs_own *own, bool asks)
{
	struct own_glob *glob;

	own->told_number++;
	own->asked = asks ? own->told_number : own->asked;
	own->is_unheard = false;
	buffer_clear(&own->told);
	buffer_append_slice(&own->told, buffer_slice(&own->set));
	while ((glob = TAILQ_FIRST(&own->fresh)) != NULL)
		set_number(own, glob, own->told_number);
}

void
globs_own_acknowledged(
    struct globs_own *own, void (*early)(void *arg, struct slice glob), void *arg)
{
	struct own_glob *glob, *next;

	if (own->asked > own->acknowledged)
		own->acknowledged = own->asked;
	own->asked = 0;
	for (glob = TAILQ_FIRST(&own->early); glob != NULL; glob = next) {
		next = TAILQ_NEXT(glob, early);
		if (!is_in_force(own, glob))
			continue;
		set_early(own, glob, false);
		early(arg, bytes_of(glob));
	}
}

void
globs_own_unheard(struct globs_own *own)
{
	own->asked = 0;
	own->is_unheard = true;
}

void
globs_own_lose(struct globs_own *own)
{
	struct own_glob *glob;

	own->acknowledged = own->asked = 0;
	TAILQ_FOREACH (glob, &own->all, link)
		if (glob->has_members)
			set_early(own, glob, true);
}
