#ifndef CMD_DEBUG_H
#define CMD_DEBUG_H

/*
 * Subcommands of DEBUG that are in files of their own. Each is called with the right number of
 * arguments, for a client that may call DEBUG.
 */
struct request;

/* debug_digest.c: SHA-1 over all keys, and over the value of each key that is named. Both take as
 * long as it takes to read the values, in one step. */
void debug_digest(struct request *rq);
void debug_digest_value(struct request *rq);

/* debug_protocol.c: a reply of the type that is named. */
void debug_protocol(struct request *rq);

/* debug_reload.c: makes all keys anew from what a rewrite would write. One step. */
void debug_reload(struct request *rq);

#endif
