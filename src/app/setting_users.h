#ifndef APP_SETTING_USERS_H
#define APP_SETTING_USERS_H

#include <stdbool.h>

#include "app/settings.h"

/*
 * The directive `user`: a name and the rules of access control, one line for each user. The value
 * is the list of all lines, each "NAME rule ..." with valid rules.
 */

/* A bound, because each line is checked by itself and CONFIG SET copies all. More users are
 * possible in an aclfile. */
#define SETTING_USERS_MAX 1000

/* Adds a line; one empty word removes all lines. Not SETTING_OK: nothing was changed. */
enum setting_fault setting_users_add(struct setting_list *users, const struct slice *words,
    size_t count) __attribute__((warn_unused_result));

/* Removes the line of this user, if there is one. */
void setting_users_remove(struct setting_list *users, struct slice name);

/* Appends what is wrong with a line, without any password. */
void setting_users_explain(
    enum setting_fault fault, const struct slice *words, size_t count, struct buffer *out);

/* Appends a line "user NAME rule ..." for each, newlines between them; quoted: as in a
 * configuration file. */
void setting_users_write(const struct setting_list *users, bool quoted, struct buffer *out);

/*
 * The lines of `users` that a file with the lines `known` lacks. all_channels: acl-pubsub-default.
 * False, with an empty rest, if a line of known differs from that in users: then all lines of known
 * must be removed first. rest is released with setting_users_release.
 */
bool setting_users_subtract(const struct setting_list *users, const struct setting_list *known,
    bool all_channels, struct setting_list *rest) __attribute__((warn_unused_result));
void setting_users_release(struct setting_list *users);

/* Replaces all lines by those of text, which server_describe_users wrote. False: there are more
 * than SETTING_USERS_MAX; nothing is changed. */
bool setting_users_take(struct setting_list *users, struct slice text)
    __attribute__((warn_unused_result));

#endif
