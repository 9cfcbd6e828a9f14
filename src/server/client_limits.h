#ifndef SERVER_CLIENT_LIMITS_H
#define SERVER_CLIENT_LIMITS_H

#include <stdint.h>

/* Limits of one client: of its outbox, and client-output-buffer-limit. */
struct client;

/* Applies the limits chosen by OUTBOX SET, or the defaults, within the limits of the configuration
 * and of the user. */
void client_apply_limits(struct client *c);

/*
 * Closes the client if its queued output exceeds a hard limit, or has exceeded a soft one for too
 * long.
 */
void client_check_limits(struct client *c, uint64_t now_us);

#endif
