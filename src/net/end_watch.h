#ifndef NET_END_WATCH_H
#define NET_END_WATCH_H

#include <event2/event.h>
#include <stdbool.h>

/*
 * End watch: reports when the peer of a socket has sent its last byte or has reset the connection,
 * without reading from the socket, even if unread bytes are there.
 *
 * It uses an epoll instance of its own, which the loop watches: for a socket that was reset,
 * libevent does not report EV_CLOSED, but wakes up again and again. The socket may belong to
 * another thread. For the net layer only.
 */
struct end_watch;

/* Borrows base. Returns owned (end_watch_free), or NULL with errno. ended is called at most once
 * for each end_watch_add(); it must not remove other sockets. */
struct end_watch *end_watch_new(struct event_base *base, void (*ended)(void *arg));
void end_watch_free(struct end_watch *w);

/* Borrows fd until it is removed or closed. A socket whose end was reported may be added again.
 * False with errno if the system cannot watch it. */
bool end_watch_add(struct end_watch *w, int fd, void *arg) __attribute__((warn_unused_result));
void end_watch_remove(struct end_watch *w, int fd);

#endif
