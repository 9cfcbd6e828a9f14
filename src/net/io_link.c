#include "config.h"

#include "net/io_link.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/wrong_protocol.h"

/* All of it runs in the loop's thread. */

/* A batch ends behind the request with which its arguments, or what lies beside the bytes read,
 * take more than this. */
#define BATCH_ROOM 65536

/* Thousands may come at once, and each handshake costs as much as many requests of those who are
 * there: after this long they wait for the next round. */
#define SHAKING_US 500

void
io_requests_free(struct io_requests *requests)
{
	if (requests == NULL)
		return;
	resp_arena_release(&requests->arena);
	xfree(requests->error);
	xfree(requests);
}

static void
fail(struct io_link *link, int error, bool is_writing)
{
	struct io_report *report = io_report(link, IO_FAILED);

	report->error = error;
	report->reason = stream_reason(&link->stream);
	report->is_writing = is_writing;
	link->deaf = true;
	stream_stop(&link->stream);
}

static void
watch(struct io_link *link, bool on)
{
	if (!stream_watch(&link->stream, on))
		fail(link, ENOMEM, false);
}

/* Requests found in the len bytes at ptr, in memory of their own; the arguments are in loop->args.
 */
static struct io_requests *
pack(struct io_loop *loop, const char *ptr, size_t len, struct resp_arena *arena, char *error)
{
	size_t count = loop->argc.len / sizeof(size_t);
	size_t args = loop->args.len / sizeof(struct slice);
	size_t bytes =
	    sizeof(struct io_requests) + args * sizeof(struct slice) + count * sizeof(size_t) + len;
	struct io_requests *requests = xmalloc(bytes);
	char *copy;

	*requests = (struct io_requests){.count = count, .error = error, .arena = *arena};
	requests->bytes = bytes + arena->room;
	requests->args = (struct slice *)(void *)(requests + 1);
	requests->argc = (size_t *)(void *)(requests->args + args);
	copy = (char *)(requests->argc + count);
	if (count > 0) {
		memcpy(requests->args, loop->args.ptr, loop->args.len);
		memcpy(requests->argc, loop->argc.ptr, loop->argc.len);
		memcpy(copy, ptr, len);
	}
	/* What does not lie in these bytes lies in the arena, or is empty. */
	for (size_t i = 0; i < args; i++) {
		uintptr_t at = (uintptr_t)requests->args[i].ptr - (uintptr_t)ptr;

		if (at < len)
			requests->args[i].ptr = copy + at;
	}
	return requests;
}

/* How many of the bytes were taken. Requests among them are reported, with `read` bytes. */
static size_t
parse(struct io_link *link, const char *ptr, size_t len, size_t read)
{
	struct io_loop *loop = link->loop;
	enum resp_status status = RESP_MORE;
	struct resp_arena arena = {0};
	struct io_report *report;
	size_t at = 0, taken, end = 0;
	char *error = NULL;

	while (at < len) {
		const struct slice *args;
		size_t count;

		status = resp_parser_feed(link->parser, ptr + at, len - at, &taken);
		if (status != RESP_REQUEST) {
			at = len;
			break;
		}
		at += taken;
		end = at;
		args = resp_parser_args(link->parser, &count);
		buffer_append(&loop->argc, &count, sizeof(count));
		buffer_append(&loop->args, args, count * sizeof(*args));
		resp_parser_give_arena(link->parser, &arena);
		/* The next may be a login, after which more is allowed. And what requests cost
		 * beside their bytes is bounded: the others come in the next batch. */
		if (link->unauthenticated || arena.room > BATCH_ROOM || loop->args.len > BATCH_ROOM)
			break;
	}
	if (status == RESP_ERROR) {
		error = xstrdup(resp_parser_error(link->parser));
		link->deaf = true;
	}
	report = io_report(link, IO_READ);
	report->len = read;
	if (loop->argc.len > 0 || error != NULL) {
		report->requests = pack(loop, ptr, end, &arena, error);
		link->reported = true;
	}
	buffer_clear(&loop->argc);
	buffer_clear(&loop->args);
	buffer_shrink(&loop->argc, BATCH_ROOM);
	buffer_shrink(&loop->args, BATCH_ROOM);
	resp_parser_reset(link->parser);
	report->held_bytes = resp_parser_held_bytes(link->parser) + len - at;
	report->room_bytes = resp_parser_room_bytes(link->parser);
	return at;
}

/* After each read. */
static void
check_secured(struct io_link *link)
{
	const struct tls_stream *tls = link->stream.tls;
	struct io_report *report;

	if (!link->securing || !tls->secured)
		return;
	link->securing = false;
	report = io_report(link, IO_SECURED);
	report->text = tls_user_of(tls->tls, tls->ssl);
	report->is_resumed = tls_stream_is_resumed(tls);
}

/* False if these first bytes are of another protocol. */
static bool
greet(struct io_link *link, const char *ptr, size_t len)
{
	struct io_report *report;
	const char *fault;

	if (link->greeted)
		return true;
	link->greeted = true;
	fault = wrong_protocol(ptr, len);
	if (fault == NULL)
		return true;
	report = io_report(link, IO_FAILED);
	report->error = EPROTO;
	report->reason = fault;
	link->deaf = true;
	stream_stop(&link->stream);
	return false;
}

/* Throws away what comes. */
static void
linger(struct io_link *link)
{
	ssize_t n = stream_read(&link->stream, link->loop->scratch, STREAM_ROOM_BYTES);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	watch(link, false);
	link->deaf = true;
	io_report(link, IO_END);
}

static void
read_some(struct io_link *link)
{
	struct io_loop *loop = link->loop;
	size_t share = loop->limits.read_share_bytes, taken;
	ssize_t n = stream_read(
	    &link->stream, loop->scratch, share < STREAM_ROOM_BYTES ? share : STREAM_ROOM_BYTES);

	if (link->securing) {
		int error = errno;

		check_secured(link);
		errno = error;
	}
	if (n > 0) {
		if (!greet(link, loop->scratch, (size_t)n))
			return;
		taken = parse(link, loop->scratch, (size_t)n, (size_t)n);
		if (taken < (size_t)n)
			buffer_append(&link->input, loop->scratch + taken, (size_t)n - taken);
	} else if (n == 0) {
		watch(link, false);
		link->deaf = true;
		io_report(link, IO_END);
	} else if (errno != EAGAIN && errno != EINTR) {
		fail(link, errno, false);
	}
}

static void
shake(struct io_link *link)
{
	struct io_loop *loop = link->loop;
	uint64_t start_us;

	if (loop->shaking_us >= SHAKING_US)
		return; /* it is told again */
	start_us = clock_mono_us();
	read_some(link);
	loop->shaking_us += clock_mono_us() - start_us;
}

static void
on_readable(void *arg, bool ending)
{
	struct io_link *link = arg;

	(void)ending;
	if (link->lingers) {
		linger(link);
	} else if (link->reported || link->deaf) {
		link->unwatched = true;
		watch(link, false);
	} else if (link->securing) {
		shake(link);
	} else {
		read_some(link);
	}
}

static void
on_writable(void *arg)
{
	io_report(arg, IO_WRITABLE);
}

const struct stream_handler io_link_handler = {.readable = on_readable, .writable = on_writable};

static void
resume(struct io_link *link, const struct io_order *order)
{
	io_requests_free((struct io_requests *)(uintptr_t)order->ptr);
	link->reported = false;
	link->unauthenticated = order->flag;
	resp_parser_set_unauthenticated(link->parser, order->flag);
	if (link->deaf)
		return;
	if (link->input_at < link->input.len) {
		link->input_at += parse(
		    link, link->input.ptr + link->input_at, link->input.len - link->input_at, 0);
		if (link->input_at < link->input.len)
			return;
		buffer_release(&link->input);
		link->input_at = 0;
	}
	if (link->unwatched && !link->reported) {
		link->unwatched = false;
		watch(link, true);
	}
}

static void
write_pieces(struct io_link *link)
{
	struct io_loop *loop = link->loop;
	size_t count = loop->piece_count, offered = 0;
	struct io_report *report;
	ssize_t sent;

	for (size_t i = 0; i < count; i++)
		offered += loop->pieces[i].iov_len;
	loop->piece_count = 0;
	sent = stream_write(&link->stream, loop->pieces, count, loop->scratch);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			fail(link, errno, true);
			return;
		}
		sent = 0;
	}
	report = io_report(link, IO_WRITTEN);
	report->len = (size_t)sent;
	report->is_full = (size_t)sent < offered || stream_is_full(&link->stream);
	if (report->is_full && !stream_await_writable(&link->stream))
		fail(link, ENOMEM, false);
}

static void
shut(struct io_link *link, bool discarded)
{
	discarded |= link->input_at < link->input.len || !resp_parser_is_idle(link->parser);
	if (link->deaf && !discarded) {
		io_report(link, IO_END);
		return;
	}
	if (!discarded && !stream_has_unread(&link->stream)) {
		link->deaf = true;
		watch(link, false);
		io_report(link, IO_END);
		return;
	}
	stream_shut(&link->stream);
	link->lingers = true;
	watch(link, true);
}

static void
link_free(struct io_link *link)
{
	stream_close(&link->stream);
	resp_parser_free(link->parser);
	buffer_release(&link->input);
	xfree(link);
}

void
io_link_do(struct io_link *link, const struct io_order *order)
{
	struct io_loop *loop = link->loop;

	switch (order->what) {
	case IO_ORDER_START:
		link->unauthenticated = order->flag;
		resp_parser_set_unauthenticated(link->parser, order->flag);
		watch(link, true);
		break;
	case IO_ORDER_RESUME:
		resume(link, order);
		break;
	case IO_ORDER_PIECE:
	case IO_ORDER_WRITE:
		loop->pieces[loop->piece_count++] =
		    (struct iovec){(void *)(uintptr_t)order->ptr, order->len};
		if (order->what == IO_ORDER_WRITE)
			write_pieces(link);
		break;
	case IO_ORDER_LINGER:
		shut(link, order->flag);
		break;
	case IO_ORDER_STOP:
		stream_stop(&link->stream);
		link->deaf = true;
		io_report(link, IO_STOPPED);
		break;
	case IO_ORDER_CLOSE:
		link_free(link);
		break;
	}
}
