#ifndef CMD_TESTING_RESUME_H
#define CMD_TESTING_RESUME_H

#include <stdbool.h>

#include "cmd/testing_server.h"

/* For tests of RESUME and PRESUME: two connections to a server whose channels k* keep ten messages.
 */
extern struct test_conn *client, *publisher;

void resume_setup(void); /* then test_teardown() */
void resume_keep(const char *glob, const char *size);
void resume_publish(const char *channel, int count); /* messages "1", "2" ... */

/* The position so many messages after the newest, or before it; and before every message. Each is
 * valid until the next call of one of them. */
const char *resume_position(int messages);
const char *resume_origin(void);

/* "COMMAND NAME POSITION" from the client, with a position as above; returns the reply. */
const char *resume_call(const char *command, const char *name, int messages);

/* The reply with one row, whose position is `at` or one as above. */
const char *resume_row_at(const char *name, const char *verdict, const char *at, int count);
const char *resume_row(const char *name, const char *verdict, int messages, int count);

/* Names that are too many for one turn. */
#define RESUME_MANY 200000

/* The client sends "COMMAND k0 SINCE k1 SINCE ...", without SINCE if it is NULL. False: it is not
 * done yet. */
bool resume_send_many(const char *command, const char *since);

#endif
