#ifndef APP_SETTING_GUESS_H
#define APP_SETTING_GUESS_H

#include "base/bytes.h"

/*
 * Which directive a name that is none may stand for: "maxclient" for maxclients.
 */

/* The directive that differs from name by one letter that is missing, added or wrong, or by two in
 * a name of at least 8 letters; NULL if there is none. */
const char *setting_guess(struct slice name);

#endif
