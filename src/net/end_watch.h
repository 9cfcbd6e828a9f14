#ifndef NET_END_WATCH_H
#define NET_END_WATCH_H

#include <event2/event.h>
#include <stdbool.h>

/*
 * End watch: tells when the peer of a socket has sent its last byte or is gone, though nothing is
 * read from the socket meanwhile, and whatever may lie there unread.
 *
 * An epoll instance of its own, which the loop watches: libevent's EV_CLOSED is silent about a
 * socket that was reset, and goes round and round instead. The socket may be another thread's. For
 * the net layer only.
 */
struct end_watch;

/* Borrows base. Returns owned (end_watch_free), or NULL with errno. ended is called once for each
 * time that a socket was added; it must not remove others. */
struct end_watch *end_watch_new(struct event_base *base, void (*ended)(void *arg));
void end_watch_free(struct end_watch *w);

/* Borrows fd until it is removed or closed. A socket that was told of may be added again. False
 * with errno where the system can't watch one more. */
bool end_watch_add(struct end_watch *w, int fd, void *arg) __attribute__((warn_unused_result));
void end_watch_remove(struct end_watch *w, int fd);

#endif
