#ifndef ACL_CHECK_H
#define ACL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl/user.h"
#include "base/bytes.h"

/*
 * May a user do this? The verdict is Redis's: the first selector that allows all of the request
 * decides; where none does, the denial that went furthest is told.
 */
enum acl_verdict { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_CHANNEL };

/* *at is the argument that was denied. Callers on a busy path ask user->unrestricted first. */
enum acl_verdict acl_check(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc, size_t *at) __attribute__((warn_unused_result));

/* Where a check is that takes more than one turn. */
struct acl_look {
	size_t selector, at;
	enum acl_verdict verdict; /* when it is done */
	size_t denied_at;
	uint32_t version; /* the caller's: of the rules that it began with */
};

#define ACL_LOOK_BEGINS                                                                            \
	{                                                                                          \
		.verdict = ACL_DENIED_COMMAND                                                      \
	}

/* As acl_check, but no more than about so much work, in bytes compared; false: there is more to do,
 * with the same arguments and rules. */
bool acl_check_part(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc, size_t work, struct acl_look *look)
    __attribute__((warn_unused_result));

/* 0, or the first argument that is a key, as the row says, and that the selector does not allow
 * what is done to it. */
size_t acl_denied_key(const struct acl_selector *s, const struct acl_command *row,
    const struct slice *argv, size_t argc);

/* True if some selector that allows the request may read every key. */
bool acl_reads_all_keys(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc);

/*
 * True if some selector allows a subscription to this channel, or to this very pattern: a pattern
 * must be granted literally, so that it never shows more than the rule.
 */
bool acl_may_hear(const struct acl_user *user, struct slice name, bool is_pattern);

/* True if whoever could hear something under `before` can under `after`, as far as a look at the
 * rules alone tells. */
bool acl_hears_as_much(const struct acl_user *before, const struct acl_user *after);

#endif
