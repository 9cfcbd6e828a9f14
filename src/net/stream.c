#include "config.h"

#include "net/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	s->handler->readable(s, (what & EV_CLOSED) != 0);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	/* A failure is reported by the next write. */
	if (s->tls != NULL && tls_stream_flush(s->tls) == 0 && event_add(s->writable, NULL) == 0)
		return;
	if (!s->awaits_writable)
		return;
	s->awaits_writable = false;
	s->handler->writable(s);
}

void
stream_open(struct stream *s, struct event_base *base, int fd, struct tls_stream *tls,
    const struct stream_handler *handler)
{
	int early = event_base_get_features(base) & EV_FEATURE_EARLY_CLOSE;

	*s = (struct stream){.handler = handler, .tls = tls, .fd = fd};
	event_assign(&s->event, base, fd,
	    (short)(EV_READ | EV_PERSIST | (early != 0 ? EV_CLOSED : 0)), on_event, s);
}

void
stream_close(struct stream *s)
{
	stream_stop(s);
	if (s->writable != NULL)
		event_free(s->writable);
	if (s->tls != NULL) {
		tls_stream_end(s->tls);
		tls_stream_free(s->tls);
	}
	close(s->fd);
}

/* The socket has no event for bytes that OpenSSL has already read, so the event is made here. */
static void
tell_more(struct stream *s)
{
	if (s->tls != NULL && s->tls->more && s->reading)
		event_active(&s->event, EV_READ, 0);
}

bool
stream_watch(struct stream *s, bool on)
{
	if (s->reading == on)
		return true;
	s->reading = on;
	if ((on ? event_add(&s->event, NULL) : event_del(&s->event)) != 0)
		return false;
	tell_more(s);
	return true;
}

static bool
watch_writable(struct stream *s)
{
	if (s->writable == NULL)
		s->writable = event_new(event_get_base(&s->event), s->fd, EV_WRITE, on_writable, s);
	return s->writable != NULL && event_add(s->writable, NULL) == 0;
}

bool
stream_await_writable(struct stream *s)
{
	s->awaits_writable = true;
	if (s->tls != NULL && !s->tls->may_write)
		return true; /* read_tls() watches the socket when the handshake is done */
	return watch_writable(s);
}

void
stream_stop(struct stream *s)
{
	s->reading = s->awaits_writable = false;
	event_del(&s->event);
	if (s->writable != NULL)
		event_del(s->writable);
}

/* Watches for writability if OpenSSL's own answers wait for the socket, or if a writer has waited
 * for the end of the handshake. */
static ssize_t
read_tls(struct stream *s, void *room, size_t len)
{
	bool could_write = s->tls->may_write;
	ssize_t n = tls_stream_read(s->tls, room, len);
	int error = errno;

	if ((s->tls->rest != NULL || (!could_write && s->tls->may_write && s->awaits_writable)) &&
	    !watch_writable(s)) {
		errno = ENOMEM;
		return -1;
	}
	tell_more(s);
	errno = error;
	return n;
}

ssize_t
stream_read(struct stream *s, void *room, size_t len)
{
	if (s->tls != NULL)
		return read_tls(s, room, len);
	return recv(s->fd, room, len, MSG_DONTWAIT);
}

bool
stream_has_unread(const struct stream *s)
{
	int unread = 0;

	if (s->tls != NULL && s->tls->more)
		return true;
	return ioctl(s->fd, FIONREAD, &unread) == 0 && unread > 0;
}

const char *
stream_reason(const struct stream *s)
{
	return s->tls != NULL ? s->tls->reason : NULL;
}

bool
stream_is_full(const struct stream *s)
{
	return s->tls != NULL && s->tls->rest != NULL;
}

void
stream_shut(struct stream *s)
{
	if (s->tls != NULL)
		tls_stream_end(s->tls);
	shutdown(s->fd, SHUT_WR);
}

/* Copies small pieces together; returns the number of pieces afterwards. */
static size_t
gather(struct iovec *pieces, size_t count, char *room)
{
	size_t len = 0, gathered = 0;

	for (size_t i = 0; i < count; i++)
		len += pieces[i].iov_len;
	if (len / count >= 2048 || len > STREAM_ROOM_BYTES)
		return count;
	for (size_t i = 0; i < count; i++) {
		memcpy(room + gathered, pieces[i].iov_base, pieces[i].iov_len);
		gathered += pieces[i].iov_len;
	}
	pieces[0] = (struct iovec){room, gathered};
	return 1;
}

/* There is nearly always one piece, and for one piece send(2) costs less than sendmsg(2). */
ssize_t
stream_write(struct stream *s, struct iovec *pieces, size_t count, char *room)
{
	struct msghdr message = {.msg_iov = pieces};

	if (s->tls != NULL)
		return tls_stream_write(s->tls, pieces, count, room);
	if (count > 1)
		count = gather(pieces, count, room);
	if (count == 1)
		return send(
		    s->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	message.msg_iovlen = count;
	return sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
