#ifndef ACL_CHECK_H
#define ACL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl/user.h"
#include "base/bytes.h"

/*
 * The verdict on a request of a user, as in Redis: the request is allowed if one selector allows
 * all of it; if none does, the denial that got furthest is reported.
 */
enum acl_verdict { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_CHANNEL };

/* *at is the denied argument. Callers on the path of a message check user->unrestricted first.
 * queue_names: subscribing commands join queue groups by queue names (pubsub/queue_name.h), for
 * which the user needs the rights of their topics. */
enum acl_verdict acl_check(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc, bool queue_names, size_t *at)
    __attribute__((warn_unused_result));

/* The progress of a check that takes more than one turn. */
struct acl_look {
	size_t selector, at;
	enum acl_verdict verdict; /* once the check is finished */
	size_t denied_at;
	bool queue_names; /* set by the caller: see acl_check() */
	uint32_t version; /* for the caller: the version of the rules at the start */
};

#define ACL_LOOK_BEGINS                                                                            \
	{                                                                                          \
		.verdict = ACL_DENIED_COMMAND                                                      \
	}

/* As acl_check, but stops after about `work` bytes were compared. False: to be called again with
 * the same arguments and rules. */
bool acl_check_part(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc, size_t work, struct acl_look *look)
    __attribute__((warn_unused_result));

/* The first argument that is a key to which the selector does not allow the command's access; 0 if
 * there is none. */
size_t acl_denied_key(const struct acl_selector *s, const struct acl_command *row,
    const struct slice *argv, size_t argc);

/* True if some selector that allows the request may read every key. */
bool acl_reads_all_keys(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc);

/*
 * True if some selector allows a subscription to this channel or pattern. A pattern must be equal
 * to a granted one, so that it never matches more channels than the rule.
 */
bool acl_may_receive(const struct acl_user *user, struct slice name, bool is_pattern);

/* True if everything that `before` allows to receive is allowed by `after` as well. It compares the
 * rules only, so it may be false although the channels in use are still allowed. */
bool acl_receives_as_much(const struct acl_user *before, const struct acl_user *after);

#endif
