#include "config.h"

#include "net/io_link.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"

/* All functions run in the loop's thread. */

/* A batch ends with the request whose addition makes the argument slices, or the memory beside the
 * bytes read, exceed this size. */
#define BATCH_ROOM 65536

/* The time for handshakes in one round of the loop. Thousands may begin at once, and each costs as
 * much as many requests of established connections. */
#define HANDSHAKE_US 500

void
io_requests_free(struct io_requests *requests)
{
	if (requests == NULL)
		return;
	arena_release(&requests->arena);
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
	link->reading_ended = true;
	stream_stop(&link->stream);
}

static void
watch(struct io_link *link, bool on)
{
	if (!stream_watch(&link->stream, on))
		fail(link, ENOMEM, false);
}

/* Copies the requests that were found in the len bytes at ptr into memory of their own; their
 * arguments are in loop->args. */
static struct io_requests *
pack(struct io_loop *loop, const char *ptr, size_t len, struct arena *arena, char *error)
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
	/* An argument outside of these bytes is in the arena, or empty. */
	for (size_t i = 0; i < args; i++) {
		uintptr_t at = (uintptr_t)requests->args[i].ptr - (uintptr_t)ptr;

		if (at < len)
			requests->args[i].ptr = copy + at;
	}
	return requests;
}

/* Takes requests from the bytes into loop->argc, loop->args and arena. Returns the number of bytes
 * taken; *end is set to the end of the last request. */
static size_t
collect(struct io_link *link, const char *ptr, size_t len, struct arena *arena,
    struct protocol_request *request, size_t *end, enum protocol_status *status)
{
	struct io_loop *loop = link->loop;
	const struct protocol *protocol = loop->parsers.protocols[link->service];
	size_t at = 0, taken;

	while (at < len) {
		*status = protocol->feed(
		    link->parser, ptr + at, len - at, link->unauthenticated, &taken, request);
		if (*status != PROTOCOL_REQUEST)
			return len;
		at += taken;
		*end = at;
		buffer_append(&loop->argc, &request->count, sizeof(request->count));
		buffer_append(&loop->args, request->args, request->count * sizeof(*request->args));
		protocol->give_arena(link->parser, arena);
		/*
		 * Before authentication one request at a time is taken, because it may be a login,
		 * which raises the limits. The memory of a batch beside its bytes is limited: the
		 * other requests go into the next batch.
		 */
		if (request->ends_batch || link->unauthenticated || arena->room > BATCH_ROOM ||
		    loop->args.len > BATCH_ROOM)
			break;
	}
	return at;
}

/* Returns the parser to the pool if no request is incomplete. */
static void
settle_parser(struct io_link *link, struct io_report *report)
{
	struct io_loop *loop = link->loop;
	const struct protocol *protocol = loop->parsers.protocols[link->service];

	link->parser = parser_pool_settle(&loop->parsers, link->service, link->parser);
	if (link->parser == NULL)
		return;
	report->held_bytes += protocol->held_bytes(link->parser);
	report->room_bytes = protocol->room_bytes(link->parser);
}

/* Parses the bytes and reports the requests, with `read` as the number of bytes read. Returns the
 * number of bytes taken. */
static size_t
parse(struct io_link *link, const char *ptr, size_t len, size_t read)
{
	struct io_loop *loop = link->loop;
	enum protocol_status status = PROTOCOL_MORE;
	struct protocol_request request = {.ends_batch = false};
	struct arena arena = {0};
	struct io_report *report;
	size_t at, end = 0;
	char *error = NULL;

	if (link->parser == NULL)
		link->parser = parser_pool_take(&loop->parsers, link->service);
	at = collect(link, ptr, len, &arena, &request, &end, &status);
	if (status == PROTOCOL_ERROR) {
		error = xstrdup(loop->parsers.protocols[link->service]->error(link->parser));
		link->reading_ended = true;
	}
	report = io_report(link, IO_READ);
	report->len = read;
	if (loop->argc.len > 0 || error != NULL) {
		report->requests = pack(loop, ptr, end, &arena, error);
		report->requests->ends_batch = status == PROTOCOL_REQUEST && request.ends_batch;
		link->reported = true;
	}
	buffer_clear(&loop->argc);
	buffer_clear(&loop->args);
	buffer_shrink(&loop->argc, BATCH_ROOM);
	buffer_shrink(&loop->args, BATCH_ROOM);
	report->held_bytes = len - at;
	settle_parser(link, report);
	return at;
}

/* Called after each read: reports the end of the handshake. */
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

/* False if these first bytes belong to another protocol. */
static bool
check_first_bytes(struct io_link *link, const char *ptr, size_t len)
{
	const struct protocol *protocol = link->loop->parsers.protocols[link->service];
	struct io_report *report;
	const char *fault;

	if (link->first_bytes_seen || protocol->foreign == NULL)
		return true;
	link->first_bytes_seen = true;
	fault = protocol->foreign(ptr, len);
	if (fault == NULL)
		return true;
	report = io_report(link, IO_FAILED);
	report->error = EPROTO;
	report->reason = fault;
	link->reading_ended = true;
	stream_stop(&link->stream);
	return false;
}

static void
end_reading(struct io_link *link)
{
	watch(link, false);
	link->reading_ended = true;
	io_report(link, IO_END);
}

/* Discards further input. */
static void
linger(struct io_link *link)
{
	ssize_t n = stream_read(&link->stream, link->loop->scratch, STREAM_ROOM_BYTES);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	end_reading(link);
}

/* Nothing behind the last request counts but the end. */
static void
discard_some(struct io_link *link)
{
	ssize_t n = stream_read(&link->stream, link->loop->scratch, STREAM_ROOM_BYTES);

	if (n == 0)
		end_reading(link);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail(link, errno, false);
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
		if (!check_first_bytes(link, loop->scratch, (size_t)n))
			return;
		taken = parse(link, loop->scratch, (size_t)n, (size_t)n);
		if (taken < (size_t)n)
			unparsed_append(&link->unparsed, loop->scratch + taken, (size_t)n - taken);
	} else if (n == 0) {
		end_reading(link);
	} else if (errno != EAGAIN && errno != EINTR) {
		fail(link, errno, false);
	}
}

static void
take_handshake_turn(struct io_link *link)
{
	struct io_loop *loop = link->loop;
	uint64_t start_us;

	if (loop->handshake_us >= HANDSHAKE_US)
		return; /* the event is reported again */
	start_us = clock_mono_us();
	read_some(link);
	loop->handshake_us += clock_mono_us() - start_us;
}

static struct io_link *
link_of(struct stream *s)
{
	return (struct io_link *)(void *)((char *)s - offsetof(struct io_link, stream));
}

static void
on_readable(struct stream *s, bool ending)
{
	struct io_link *link = link_of(s);

	(void)ending;
	if (link->lingers) {
		linger(link);
	} else if (link->reported || link->reading_ended) {
		link->unwatched = true;
		watch(link, false);
	} else if (link->discards) {
		discard_some(link);
	} else if (link->securing) {
		take_handshake_turn(link);
	} else {
		read_some(link);
	}
}

static void
on_writable(struct stream *s)
{
	io_report(link_of(s), IO_WRITABLE);
}

const struct stream_handler io_link_handler = {.readable = on_readable, .writable = on_writable};

static void
switch_service(struct io_link *link, uint8_t service)
{
	if (service == link->service)
		return;
	parser_pool_drop(&link->loop->parsers, link->service, link->parser);
	link->parser = NULL;
	link->service = service;
}

static void
begin_discarding(struct io_link *link)
{
	link->discards = true;
	parser_pool_drop(&link->loop->parsers, link->service, link->parser);
	link->parser = NULL;
	unparsed_drop(&link->unparsed);
}

static void
resume(struct io_link *link, const struct io_order *order)
{
	struct slice left;

	io_requests_free((struct io_requests *)(uintptr_t)order->ptr);
	link->reported = false;
	link->unauthenticated = order->flag;
	switch_service(link, order->service);
	if (order->discards)
		begin_discarding(link);
	if (link->reading_ended)
		return;
	left = unparsed_bytes(link->unparsed);
	if (left.len > 0)
		unparsed_consume(&link->unparsed, parse(link, left.ptr, left.len, 0));
	if (link->unparsed != NULL)
		return;
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
	discarded |= link->unparsed != NULL || link->parser != NULL;
	if (link->reading_ended && !discarded) {
		io_report(link, IO_END);
		return;
	}
	if (!discarded && !stream_has_unread(&link->stream)) {
		link->reading_ended = true;
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
	parser_pool_drop(&link->loop->parsers, link->service, link->parser);
	unparsed_drop(&link->unparsed);
	xfree(link);
}

void
io_link_do(struct io_link *link, const struct io_order *order)
{
	struct io_loop *loop = link->loop;

	switch (order->what) {
	case IO_ORDER_START:
		link->unauthenticated = order->flag;
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
		link->reading_ended = true;
		io_report(link, IO_STOPPED);
		break;
	case IO_ORDER_CLOSE:
		link_free(link);
		break;
	}
}
