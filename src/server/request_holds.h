#ifndef SERVER_REQUEST_HOLDS_H
#define SERVER_REQUEST_HOLDS_H

#include <stdbool.h>
#include <stdint.h>

/* What keeps a request from being executed at once, though it is allowed. */
struct request;

/* The flags of its command; EXEC has those of its commands too. */
uint32_t request_flags(const struct request *rq);

/* True after replying with an error, if a script has run for too long. */
bool request_is_busy(struct request *rq);

/* It waits for the end of a pause (pause.h). */
bool request_is_paused(const struct request *rq);

/*
 * While replies are held, a command that does more than reply (SUBSCRIBE, HELLO, PUBLISH) waits
 * until they are sent, so that its effects do not precede them. It also waits for a change of its
 * client whose reply CLIENT REPLY dropped. A write waits while the disk does not keep up.
 */
bool request_waits_for_disk(const struct request *rq);

#endif
