#include "config.h"

#include "net/stream.h"

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
	s->handler->readable(s->arg, (what & EV_CLOSED) != 0);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	s->handler->writable(s->arg);
}

void
stream_open(struct stream *s, struct event_base *base, int fd, const struct stream_handler *handler,
    void *arg)
{
	int early = event_base_get_features(base) & EV_FEATURE_EARLY_CLOSE;

	*s = (struct stream){.handler = handler, .arg = arg, .fd = fd};
	event_assign(&s->event, base, fd,
	    (short)(EV_READ | EV_PERSIST | (early != 0 ? EV_CLOSED : 0)), on_event, s);
}

void
stream_close(struct stream *s)
{
	stream_stop(s);
	if (s->writable != NULL)
		event_free(s->writable);
	close(s->fd);
}

bool
stream_watch(struct stream *s, bool on)
{
	if (s->reading == on)
		return true;
	s->reading = on;
	return (on ? event_add(&s->event, NULL) : event_del(&s->event)) == 0;
}

bool
stream_await_writable(struct stream *s)
{
	if (s->writable == NULL)
		s->writable = event_new(event_get_base(&s->event), s->fd, EV_WRITE, on_writable, s);
	return s->writable != NULL && event_add(s->writable, NULL) == 0;
}

void
stream_stop(struct stream *s)
{
	s->reading = false;
	event_del(&s->event);
	if (s->writable != NULL)
		event_del(s->writable);
}

ssize_t
stream_read(struct stream *s, void *room, size_t len)
{
	return recv(s->fd, room, len, MSG_DONTWAIT);
}

bool
stream_has_unread(const struct stream *s)
{
	int unread = 0;

	return ioctl(s->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* How many pieces there are then. */
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

/* One piece, which is nearly always what there is, goes out cheaper without a message header. */
ssize_t
stream_write(struct stream *s, struct iovec *pieces, size_t count, char *room)
{
	struct msghdr message = {.msg_iov = pieces};

	if (count > 1)
		count = gather(pieces, count, room);
	if (count == 1)
		return send(
		    s->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	message.msg_iovlen = count;
	return sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
