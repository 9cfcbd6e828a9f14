#ifndef ACL_ACL_H
#define ACL_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "acl/user.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The table of users. The user `default` is always there and always the same object: a new
 * connection is his. Changes are whole: a rule or a line that is wrong changes nothing.
 *
 * It reads no file and knows no client; who holds a user holds a reference.
 */
struct acl;

#define ACL_USERS_MAX 10000

/* default: on, nopass, everything allowed. Borrows commands. Returns owned (acl_free). */
struct acl *acl_new(const struct acl_commands *commands);
void acl_free(struct acl *acl);

/* Whether new users and selectors may hear all channels (acl-pubsub-default). */
void acl_set_all_channels(struct acl *acl, bool all_channels);

/* The password of the user default; empty: he needs none. */
void acl_set_default_password(struct acl *acl, struct slice password);

struct acl_user *acl_default(const struct acl *acl);                 /* borrowed */
struct acl_user *acl_find(const struct acl *acl, struct slice name); /* borrowed, or NULL */
size_t acl_count(const struct acl *acl);

/* Users in the order of their names; NULL at the end. Borrowed until users come or go. */
struct acl_user *acl_at(const struct acl *acl, size_t index);

/*
 * Rules for a user, who is made if there is none. False: error says why, without a code.
 * *narrowed: he may now hear less than before.
 */
bool acl_set_user(struct acl *acl, struct slice name, const struct slice *rules, size_t count,
    bool *narrowed, struct buffer *error) __attribute__((warn_unused_result));

/* Takes a user out; who holds him sees user->deleted. False: there is none. */
bool acl_delete(struct acl *acl, struct slice name);

/*
 * All users anew, from lines "user NAME rules ...". Blank lines and those that begin with # count
 * as lines, and say nothing. Users that are named before and after stay the same objects, others
 * are deleted; default, where it is not named, becomes as it is without a file, with
 * default_password. False: error has "path:line: what is wrong" for each wrong line, up to 16, and
 * nothing is changed.
 */
bool acl_load(struct acl *acl, struct slice text, const char *path, struct slice default_password,
    struct buffer *error) __attribute__((warn_unused_result));

/* True if acl_load would take this line; else error says why, without a place. */
bool acl_check_line(const struct acl_commands *commands, struct slice line, struct buffer *error)
    __attribute__((warn_unused_result));

/* Appends the line as acl_describe shows its user, without a newline. all_channels: what
 * acl_set_all_channels is given. False: acl_load would not take it, or it names no user. */
bool acl_canonical_line(const struct acl_commands *commands, struct slice line, bool all_channels,
    struct buffer *out) __attribute__((warn_unused_result));

/*
 * Appends the line of each user and a newline: what acl_load reads. without_default: not the line
 * of default where he is as acl_load makes him with this password.
 */
void acl_describe(
    const struct acl *acl, bool without_default, struct slice default_password, struct buffer *out);

#endif
