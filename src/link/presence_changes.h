#ifndef LINK_PRESENCE_CHANGES_H
#define LINK_PRESENCE_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/upstream_presence.h"

/* Presence changes: those that a node has told, and its engine has not taken yet. */
struct presence_told {
	STAILQ_ENTRY(presence_told) link;
	uint32_t session; /* of engine_presence.h */
	size_t bytes;
	/* Channel and member; of LEFT and VACATED everything, because what it was is known only
	 * then: that is sent again as it was. */
	struct upstream_presence_change what;
	char text[]; /* of `what` */
};
STAILQ_HEAD(presence_told_list, presence_told);

struct presence_changes {
	struct presence_told_list sent;  /* in the order of their answers */
	struct presence_told_list again; /* to be sent again */
	size_t count, bytes;             /* of all, in these lists or taken from them */
};

void presence_changes_init(struct presence_changes *changes);
void presence_changes_release(struct presence_changes *changes);

/* LEFT or VACATED. */
bool presence_told_is_end(const struct presence_told *told);

/* Copies. It is in no list. Returns owned (presence_changes_free). */
struct presence_told *presence_changes_new(
    struct presence_changes *changes, const struct upstream_presence_change *what);
void presence_changes_free(struct presence_changes *changes, struct presence_told *told);
void presence_changes_clear(struct presence_changes *changes, struct presence_told_list *list);

/* The first one, taken from the list; NULL: it is empty. */
struct presence_told *presence_changes_take(struct presence_told_list *list);

#endif
