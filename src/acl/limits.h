#ifndef ACL_LIMITS_H
#define ACL_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * What a user may use up, beyond what Redis's language says: rules "limit:NAME=VALUE", which no
 * rule of Redis can be mistaken for. 0 is no limit, and a limit that is not set is not shown.
 */
struct acl_limits {
	bool any; /* some limit is set: the one question of a busy path */
	uint32_t connections;
	uint32_t subscriptions;    /* of each connection */
	uint32_t publish_messages; /* a second, of all his connections */
	uint64_t publish_bytes;    /* a second; of payloads */
	uint64_t outbox_bytes;
	uint32_t policies; /* bits: 1 << enum outbox_policy; 0: all */
};

/* "limit:..."; else it is no rule of this kind. */
bool acl_is_limit(struct slice rule);

/* False: it names no limit, or has no such value; nothing changed. */
bool acl_limits_apply(struct acl_limits *limits, struct slice rule)
    __attribute__((warn_unused_result));

/* Appends " limit:connections=5 ..." for those that are set. */
void acl_limits_describe(const struct acl_limits *limits, struct buffer *out);

/* False: what was published under one of them counts for nothing under the other. */
bool acl_limits_same_rate(const struct acl_limits *a, const struct acl_limits *b);

/* What was published of late. A second's worth may come at once. */
struct acl_rate {
	uint64_t messages_until_us, bytes_until_us;
};

/* True if a message may be published now; then it is to be counted. now_us is monotonic. */
bool acl_rate_allows(const struct acl_rate *rate, const struct acl_limits *limits, uint64_t now_us);
void acl_rate_count(
    struct acl_rate *rate, const struct acl_limits *limits, size_t len, uint64_t now_us);

#endif
