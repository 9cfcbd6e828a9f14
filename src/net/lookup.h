#ifndef NET_LOOKUP_H
#define NET_LOOKUP_H

#include <event2/event.h>
#include <netdb.h>

/*
 * Lookup: finds the addresses of a host without blocking the loop.
 *
 * A numeric address is answered at once. A name is looked up by getaddrinfo(3) in a thread of its
 * own, so that it means the same as to every other program on the machine (/etc/hosts, nsswitch,
 * search domains). A lookup that is cancelled goes on in its thread until the system answers, and
 * is then forgotten. For the net layer only.
 */
struct lookup;

/*
 * Calls done once, in the loop: list is owned by the callee (freeaddrinfo), or NULL; then error is
 * a string literal. Borrows base, copies host. Returns owned until done or lookup_cancel(); NULL if
 * done was called already.
 */
struct lookup *lookup_start(struct event_base *base, const char *host, int port,
    void (*done)(void *arg, struct addrinfo *list, const char *error), void *arg);
void lookup_cancel(struct lookup *lookup); /* done is not called any more. NULL is allowed */

#endif
