#include "config.h"

#include "net/stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* libevent 2.1 reads at most this much at once (EVBUFFER_MAX_READ). */
#define LIBEVENT_READ_BYTES 4096

#define MORE_BYTES 32768

/*
 * More of what a busy peer has sent: a pipeline is often longer than what libevent reads at a time,
 * and each turn that sees more of it flushes less often.
 */
static void
read_more(struct stream *s, struct evbuffer *input)
{
	struct evbuffer_iovec room;
	ssize_t n;

	evbuffer_unfreeze(input, 0);
	if (evbuffer_reserve_space(input, MORE_BYTES, &room, 1) == 1) {
		n = recv(s->fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
		room.iov_len = n > 0 ? (size_t)n : 0;
		evbuffer_commit_space(input, &room, 1);
	}
	evbuffer_freeze(input, 0);
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;
	struct evbuffer *input = bufferevent_get_input(bev);

	if (evbuffer_get_length(input) >= LIBEVENT_READ_BYTES)
		read_more(s, input);
	s->handler->readable(s->arg);
}

static void
on_writable(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	(void)bev;
	s->handler->writable(s->arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *s = arg;

	(void)bev;
	if (what & BEV_EVENT_ERROR) {
		s->handler->ended(s->arg, errno == ECONNRESET ? "reset by peer" : "read error");
	} else if (what & BEV_EVENT_EOF) {
		s->reading = false;
		s->handler->ended(s->arg, NULL);
	}
}

static bool
make_bufferevent(struct stream *s)
{
	s->bev = bufferevent_socket_new(s->base, s->fd, 0);
	if (s->bev == NULL)
		return false;
	bufferevent_setcb(s->bev, on_readable, on_writable, on_event, s);
	return true;
}

bool
stream_open(struct stream *s, struct event_base *base, int fd, const struct stream_handler *handler,
    void *arg)
{
	*s = (struct stream){.base = base, .handler = handler, .arg = arg, .fd = fd};
	if (make_bufferevent(s))
		return true;
	close(fd);
	return false;
}

static void
stop_resting(struct stream *s)
{
	if (s->rest != NULL)
		event_free(s->rest);
	s->rest = NULL;
}

void
stream_close(struct stream *s)
{
	stop_resting(s);
	if (s->bev != NULL)
		bufferevent_free(s->bev);
	close(s->fd);
}

/* Back from rest to what it was: reading. */
static bool
wake(struct stream *s)
{
	if (s->bev != NULL)
		return true;
	stop_resting(s);
	if (!make_bufferevent(s)) {
		s->handler->ended(s->arg, "out of memory");
		return false;
	}
	if (s->reading)
		bufferevent_enable(s->bev, EV_READ);
	return true;
}

/* The bytes stay in the kernel: the bufferevent reads them when the loop comes round again. */
static void
on_sign_of_life(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)wake(arg);
}

void
stream_read(struct stream *s, bool on)
{
	if (s->reading == on || !wake(s))
		return;
	s->reading = on;
	if (on)
		bufferevent_enable(s->bev, EV_READ);
	else
		bufferevent_disable(s->bev, EV_READ);
}

void
stream_await_writable(struct stream *s)
{
	if (wake(s))
		bufferevent_enable(s->bev, EV_WRITE);
}

void
stream_stop(struct stream *s)
{
	stop_resting(s);
	s->reading = false;
	if (s->bev != NULL)
		bufferevent_disable(s->bev, EV_READ | EV_WRITE);
}

struct evbuffer *
stream_input(const struct stream *s)
{
	return s->bev != NULL ? bufferevent_get_input(s->bev) : NULL;
}

size_t
stream_input_len(const struct stream *s)
{
	return s->bev != NULL ? evbuffer_get_length(bufferevent_get_input(s->bev)) : 0;
}

bool
stream_has_unread(const struct stream *s)
{
	int unread = 0;

	return stream_input_len(s) > 0 || (ioctl(s->fd, FIONREAD, &unread) == 0 && unread > 0);
}

/* One piece, which is nearly always what there is, goes out cheaper without a message header. */
ssize_t
stream_write(struct stream *s, struct iovec *pieces, size_t count)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};

	if (count == 1)
		return send(
		    s->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
stream_rest(struct stream *s)
{
	if (s->bev == NULL || !s->reading || stream_input_len(s) > 0)
		return;
	s->rest = event_new(s->base, s->fd, EV_READ, on_sign_of_life, s);
	if (s->rest == NULL)
		return;
	bufferevent_free(s->bev);
	s->bev = NULL;
	if (event_add(s->rest, NULL) != 0)
		(void)wake(s);
}
