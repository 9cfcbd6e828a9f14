#include "config.h"

#include "link/presence_changes.h"

#include <string.h>

#include "base/alloc.h"

void
presence_changes_init(struct presence_changes *changes)
{
	*changes = (struct presence_changes){0};
	STAILQ_INIT(&changes->sent);
	STAILQ_INIT(&changes->again);
}

void
presence_changes_release(struct presence_changes *changes)
{
	presence_changes_clear(changes, &changes->sent);
	presence_changes_clear(changes, &changes->again);
}

static bool
is_end(const struct upstream_presence_change *what)
{
	return what->kind == PRESENCE_LEFT || what->kind == PRESENCE_VACATED;
}

bool
presence_told_is_end(const struct presence_told *told)
{
	return is_end(&told->what);
}

struct presence_told *
presence_changes_new(struct presence_changes *changes, const struct upstream_presence_change *what)
{
	const struct slice from[] = {
	    what->channel, what->member, what->info, what->event_channel, what->event};
	size_t parts = is_end(what) ? sizeof(from) / sizeof(from[0]) : 2, len = 0;
	struct presence_told *told;
	char *at;

	for (size_t i = 0; i < parts; i++)
		len += from[i].len;
	told = xmalloc(sizeof(*told) + len);
	*told = (struct presence_told){.what.kind = what->kind, .bytes = len};
	struct slice *const to[] = {&told->what.channel, &told->what.member, &told->what.info,
	    &told->what.event_channel, &told->what.event};
	at = told->text;
	for (size_t i = 0; i < parts; i++) {
		if (from[i].len > 0)
			memcpy(at, from[i].ptr, from[i].len);
		*to[i] = (struct slice){at, from[i].len};
		at += from[i].len;
	}
	changes->count++;
	changes->bytes += len;
	return told;
}

void
presence_changes_free(struct presence_changes *changes, struct presence_told *told)
{
	changes->count--;
	changes->bytes -= told->bytes;
	xfree(told);
}

struct presence_told *
presence_changes_take(struct presence_told_list *list)
{
	struct presence_told *told = STAILQ_FIRST(list);

	if (told != NULL)
		STAILQ_REMOVE_HEAD(list, link);
	return told;
}

void
presence_changes_clear(struct presence_changes *changes, struct presence_told_list *list)
{
	struct presence_told *told;

	while ((told = presence_changes_take(list)) != NULL)
		presence_changes_free(changes, told);
}
