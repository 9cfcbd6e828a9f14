#ifndef ACL_USER_H
#define ACL_USER_H

#include <stdbool.h>
#include <stddef.h>

#include "acl/limits.h"
#include "acl/rules.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * A user: a name, passwords, and selectors. A request is allowed if one selector allows it. The
 * first selector is the root, which plain rules change; the others are written in parentheses.
 *
 * Passwords are kept as SHA-256 in hexadecimal, as in Redis; none is shown or logged in clear.
 */
#define ACL_HASH_LEN 64 /* hexadecimal digits */

struct acl_user {
	char *name; /* owned; no blanks, no NUL */
	size_t name_len;
	bool enabled;
	bool nopass;
	bool jwt;          /* may log in with a token that names it */
	bool sanitizes;    /* sanitize-payload: only shown, because there is no command RESTORE */
	bool unrestricted; /* some selector allows everything: all that is checked on the path of a
			       message */
	bool deleted;      /* removed from the table: its clients are being closed */
	size_t clients;    /* connected as this user */
	struct acl_limits limits;
	struct acl_rate rate;
	size_t refs;                  /* one for each client, and one of the table of users */
	char (*hashes)[ACL_HASH_LEN]; /* owned */
	size_t hash_count;
	struct acl_selector *selectors; /* owned; at least one */
	size_t selector_count;
};

/* As Redis 7.2 makes a new user: off, nothing allowed. Returns owned, with one reference. */
struct acl_user *acl_user_new(struct slice name, bool all_channels);
struct acl_user *acl_user_ref(struct acl_user *user);
void acl_user_unref(struct acl_user *user);

/* Copies everything but the name, the references, the clients and the use of the rates. */
void acl_user_copy_rules(struct acl_user *to, const struct acl_user *from);

/* The same, but takes `from`, to which there is no other reference. The use of the rates is reset
 * if the rates differ. */
void acl_user_take_rules(struct acl_user *to, struct acl_user *from);

/*
 * Applies rules in order, as the arguments of ACL SETUSER: a selector may extend over several. On a
 * fault the rule (or its beginning) is appended to offender, and user may be changed in part, so
 * the caller works on a copy. all_channels: acl-pubsub-default.
 */
enum acl_fault acl_user_apply(struct acl_user *user, const struct acl_commands *commands,
    bool all_channels, const struct slice *rules, size_t count, struct buffer *offender)
    __attribute__((warn_unused_result));

/* Appends "user NAME on ...", the line of ACL LIST and of a file. */
void acl_user_describe(const struct acl_user *user, struct buffer *out);
/* "on", "nopass" and so on. */
size_t acl_user_flags(const struct acl_user *user, const char *flags[4]); /* returns the count */

/*
 * True if the user is on and the password is one of its passwords. user is NULL for an unknown
 * user, which takes the same time.
 */
bool acl_user_accepts(const struct acl_user *user, struct slice password)
    __attribute__((warn_unused_result));

/* SHA-256 of password, in hexadecimal. */
void acl_hash(struct slice password, char out[ACL_HASH_LEN]);

#endif
