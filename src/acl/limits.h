#ifndef ACL_LIMITS_H
#define ACL_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Limits of a user, which Redis's rules do not have: "limit:NAME=VALUE", which is not the beginning
 * of any rule of Redis. 0 is no limit; a limit that is not set is not shown.
 */
struct acl_limits {
	bool any; /* at least one limit is set: all that is checked on the path of a message */
	uint32_t connections;
	uint32_t subscriptions;    /* of each connection */
	uint32_t publish_messages; /* a second, all connections of the user together */
	uint64_t publish_bytes;    /* a second; of payloads */
	uint64_t outbox_bytes;
	uint32_t policies; /* bits: 1 << enum outbox_policy; 0: all */
};

/* True for a rule that begins with "limit:". */
bool acl_is_limit(struct slice rule);

/* False: unknown limit or invalid value; nothing changed. */
bool acl_limits_apply(struct acl_limits *limits, struct slice rule)
    __attribute__((warn_unused_result));

/* Appends " limit:connections=5 ..." for those that are set. */
void acl_limits_describe(const struct acl_limits *limits, struct buffer *out);

/* True if both have the same rates, so that the use of one counts for the other. */
bool acl_limits_same_rate(const struct acl_limits *a, const struct acl_limits *b);

/* Recent use of the rates: a burst of one second's worth is allowed. */
struct acl_rate {
	uint64_t messages_until_us, bytes_until_us;
};

/* True if a message may be published now; the caller then counts it. now_us is monotonic. */
bool acl_rate_allows(const struct acl_rate *rate, const struct acl_limits *limits, uint64_t now_us);
void acl_rate_count(
    struct acl_rate *rate, const struct acl_limits *limits, size_t len, uint64_t now_us);

#endif
