#ifndef LINK_LINK_CLUSTER_H
#define LINK_LINK_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/expected.h"

/*
 * What is different in the conversation with a node of a cluster (link_config.cluster). For the
 * files of link.h only.
 *
 * The node says which slots it serves. It redirects commands for other slots, and unsubscribes from
 * the channels of a slot that leaves it. So the push that answers SUNSUBSCRIBE looks like one that
 * nobody has asked for; if it was one, the reply to SUNSUBSCRIBE is a redirection that comes behind
 * it. A PING behind each SUNSUBSCRIBE shows where its replies end.
 */
struct link;
struct resp_value;

void link_send_topology(struct link *link);
void link_send_sync(struct link *link);

/* A message and its copies by one command, which publishes all of them or none. */
void link_send_copied(struct link *link, struct slice channel, struct slice payload,
    const struct slice *to, size_t count);

/* The reply to HELLO. NULL, or why the node cannot be the upstream. */
const char *link_check_cluster_peer(struct link *link, const struct resp_value *value);

/* MOVED or ASK; this or another error because of the slot, which may be over soon. */
bool link_is_moved(const struct link *link, struct slice error);
bool link_is_redirected(const struct link *link, struct slice error);

/* Replies and pushes. */
void link_take_cluster(struct link *link, enum link_answer_kind answer,
    const struct resp_value *value, uint64_t now_us);
/* An error as the reply to a command about `count` names; false: it is no redirection of one. */
bool link_take_redirection(struct link *link, enum link_answer_kind answer, struct slice error,
    size_t count, uint64_t now_us);
void link_take_gone(struct link *link, struct slice name, uint64_t now_us);

#endif
