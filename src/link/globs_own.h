#ifndef LINK_GLOBS_OWN_H
#define LINK_GLOBS_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Globs own: the patterns of the subscribers of this node, the set of globs that other nodes of the
 * cluster are told, and for which patterns all of them are known to send copies: these are in
 * force.
 *
 * The set has each pattern; if they are too many or too long (GLOBS_MAX, GLOBS_BYTES_MAX) it has
 * their literal beginnings instead, each followed by *, shortened until they are few. So a set
 * always matches all channels that the patterns match. Sets are numbered: a pattern is in force
 * when the first set that covers it is acknowledged.
 *
 * A pattern without subscribers stays for a while, because subscribers often come back.
 */
struct globs_own;

struct globs_own *globs_own_new(void); /* returns owned (globs_own_free) */
void globs_own_free(struct globs_own *own);

/* As many patterns without subscribers may stay. */
#define GLOBS_LINGERING_MAX 65536

/* A pattern's first subscriber has come; its last one has left, and the pattern stays until
 * until_us. */
void globs_own_add(struct globs_own *own, struct slice glob);
void globs_own_remove(struct globs_own *own, struct slice glob, uint64_t until_us);

/* Somebody is about to subscribe: it stays until then at least. True if it is in force. */
bool globs_own_need(struct globs_own *own, struct slice glob, uint64_t until_us);

/* Patterns, those without subscribers included. */
size_t globs_own_count(const struct globs_own *own);

/* Removes patterns whose time is over. */
void globs_own_expire(struct globs_own *own, uint64_t now_us);

enum globs_change {
	GLOBS_SAME,
	GLOBS_FEWER, /* nothing in it has to be acknowledged */
	GLOBS_MORE,  /* it has patterns that are not in force */
};

/* What the set is now, compared with the one that was told last. With beginnings, patterns that are
 * gone count only if is_thorough, because then the set is made anew. */
enum globs_change globs_own_change(struct globs_own *own, bool is_thorough);

/* The set as of globs_own_change(), in the form of globs_frame.h. Borrows, until the next call of
 * that. */
struct slice globs_own_set(const struct globs_own *own, size_t *count);

/* The set is told to all, who are asked to acknowledge it or not. */
void globs_own_tell(struct globs_own *own, bool asks);

/* The set that was told with this question is acknowledged: its patterns are in force. early() is
 * called for those that had subscribers before: messages for them may have been missed. */
void globs_own_acknowledged(
    struct globs_own *own, void (*early)(void *arg, struct slice glob), void *arg);

/* Nobody has heard it: it has to be told again. */
void globs_own_unheard(struct globs_own *own);

/* No pattern is in force. Those that have subscribers have them early. */
void globs_own_lose(struct globs_own *own);

/* Visits the patterns with subscribers. visit must not call functions of `own`. */
void globs_own_each(
    const struct globs_own *own, void (*visit)(void *arg, struct slice glob), void *arg);

#endif
