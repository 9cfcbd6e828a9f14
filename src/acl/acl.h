#ifndef ACL_ACL_H
#define ACL_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "acl/user.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The table of users. The user `default` always exists and is always the same object; a new
 * connection belongs to it. A change is applied whole: an invalid rule or line changes nothing.
 *
 * It reads no file and knows no client; whatever points to a user holds a reference to it.
 */
struct acl;

#define ACL_USERS_MAX 10000

/* The user default is on, needs no password and may do everything. Borrows commands. Returns owned
 * (acl_free). */
struct acl *acl_new(const struct acl_commands *commands);
void acl_free(struct acl *acl);

/* Whether new users and selectors are allowed all channels (acl-pubsub-default). */
void acl_set_all_channels(struct acl *acl, bool all_channels);

/*
 * A user that exists although no line names it, and then may do nothing: off, no password, no
 * rights. It is made at once. If it is deleted, another such user replaces it. Copies; empty: there
 * is none.
 */
void acl_keep_user(struct acl *acl, struct slice name);
struct acl_user *acl_kept_user(const struct acl *acl); /* borrowed; NULL: there is none */

/* The password of the user default; empty: none is needed. */
void acl_set_default_password(struct acl *acl, struct slice password);

struct acl_user *acl_default(const struct acl *acl);                 /* borrowed */
struct acl_user *acl_find(const struct acl *acl, struct slice name); /* borrowed, or NULL */
size_t acl_count(const struct acl *acl);

/* Users in the order of their names; NULL at the end. Borrowed until a user is added or removed. */
struct acl_user *acl_at(const struct acl *acl, size_t index);

/*
 * Applies rules to a user, which is created if it does not exist. False: error says why, without
 * an error code. *narrowed: the user may now receive less than before.
 */
bool acl_set_user(struct acl *acl, struct slice name, const struct slice *rules, size_t count,
    bool *narrowed, struct buffer *error) __attribute__((warn_unused_result));

/* Removes a user and sets user->deleted, for the holders of references. False: unknown user. */
bool acl_delete(struct acl *acl, struct slice name);

/*
 * Replaces all users by those of the lines "user NAME rules ...". Empty lines and lines that begin
 * with # are skipped, but counted in line numbers. A user that exists before and after keeps its
 * object, others are deleted. If no line names default, it gets the rules that it has without a
 * file, and default_password; the same holds for the kept user. False: error has "path:line: what
 * is wrong" for each invalid line, up to 16, and nothing is changed.
 */
bool acl_load(struct acl *acl, struct slice text, const char *path, struct slice default_password,
    struct buffer *error) __attribute__((warn_unused_result));

/* True if acl_load would take this line; else error says why, without file and line. */
bool acl_check_line(const struct acl_commands *commands, struct slice line, struct buffer *error)
    __attribute__((warn_unused_result));

/* Appends the line as acl_describe shows its user, without a newline. all_channels as in
 * acl_set_all_channels. False: acl_load would refuse the line, or it names no user. */
bool acl_canonical_line(const struct acl_commands *commands, struct slice line, bool all_channels,
    struct buffer *out) __attribute__((warn_unused_result));

/*
 * Appends the line of each user and a newline: the format that acl_load reads. without_default:
 * omits default if it is what acl_load makes of it with this password, and the kept user if it may
 * do nothing.
 */
void acl_describe(
    const struct acl *acl, bool without_default, struct slice default_password, struct buffer *out);

#endif
