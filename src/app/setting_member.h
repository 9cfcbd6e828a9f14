#ifndef APP_SETTING_MEMBER_H
#define APP_SETTING_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "app/setting.h"

/*
 * The member of struct settings in which a row's value is kept, and its value. For the files that
 * implement app/settings.h; the caller passes a row of a type that has such a value. It knows of
 * the struct only what the row says: where the member is, and its size.
 */
struct settings;

void *setting_member(struct settings *s, const struct setting *row);
const void *setting_const_member(const struct settings *s, const struct setting *row);

/* Members for numbers have 1, 4 or 8 bytes; a row's range fits its member. */
void setting_store_number(struct settings *s, const struct setting *row, int64_t number);
int64_t setting_number(const struct settings *s, const struct setting *row);

/* True if the member is a string. */
bool setting_is_string(const struct setting *row);

/* Takes str, which may be NULL, and frees the string before it. */
void setting_store_string(struct settings *s, const struct setting *row, char *str);
char *setting_string(const struct settings *s, const struct setting *row); /* borrows */

/* True if the member is a struct setting_list of words. Lines of users are one too, but no words.
 */
bool setting_is_list(const struct setting *row);
const struct setting_list *setting_list_of(const struct settings *s, const struct setting *row);

#endif
