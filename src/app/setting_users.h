#ifndef APP_SETTING_USERS_H
#define APP_SETTING_USERS_H

#include <stdbool.h>

#include "app/settings.h"

/*
 * The directive `user`: a name and the rules of access control, one line a user. The value is the
 * list of all lines, each "NAME rule ...", whose rules are known to be good.
 */

/* Each line is looked at by itself, and with CONFIG SET all are copied: more go into an aclfile. */
#define SETTING_USERS_MAX 1000

/* Adds a line; one empty word takes all lines away. Not SETTING_OK: nothing was changed. */
enum setting_fault setting_users_add(struct setting_list *users, const struct slice *words,
    size_t count) __attribute__((warn_unused_result));

/* Takes away the line of this user, if there is one. */
void setting_users_remove(struct setting_list *users, struct slice name);

/* Appends what is wrong with a line; never what may be a password. */
void setting_users_explain(
    enum setting_fault fault, const struct slice *words, size_t count, struct buffer *out);

/* Appends a line "user NAME rule ..." for each, newlines between them; quoted: as in a
 * configuration file. */
void setting_users_write(const struct setting_list *users, bool quoted, struct buffer *out);

/*
 * What is left to be said of `users` where a file has said `known` already, which with
 * acl-pubsub-default: all_channels. False, and rest is empty, where known says other than users of
 * somebody: then all of it is to be taken back first. rest is released with setting_users_release.
 */
bool setting_users_subtract(const struct setting_list *users, const struct setting_list *known,
    bool all_channels, struct setting_list *rest) __attribute__((warn_unused_result));
void setting_users_release(struct setting_list *users);

/* In place of what is there: the lines of text, which server_describe_users wrote. False: they are
 * more than SETTING_USERS_MAX, and nothing is changed. */
bool setting_users_take(struct setting_list *users, struct slice text)
    __attribute__((warn_unused_result));

#endif
