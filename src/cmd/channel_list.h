#ifndef CMD_CHANNEL_LIST_H
#define CMD_CHANNEL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "server/command.h"

/*
 * A list of channels as a reply, for commands of the form CONTAINER SUBCOMMAND [pattern]: built
 * in slices, because there may be a million channels.
 */
struct client;
struct request;

/*
 * The channel whose name comes after `after`, or the first of all if after.ptr is NULL; the
 * channels may change between two calls. *is_wanted: it belongs to the list. False: there is none.
 * Borrows name until the next call. c is the client that asks.
 */
typedef bool channel_list_next(
    struct client *c, struct slice after, struct slice *name, bool *is_wanted);

/* Replies with the names that match the pattern, if there is one, in their order. */
enum command_result channel_list(struct request *rq, channel_list_next *next);

/* Of a list that is built in another way. Returns false after replying with an error if there are
 * too many arguments, or the pattern is not allowed. */
bool channel_list_check(struct request *rq) __attribute__((warn_unused_result));

/* Replies with `count` names, which are encoded as bulk strings. Copies. */
void channel_list_put(struct request *rq, struct slice names, size_t count);

#endif
