#include "config.h"

#include "app/departures.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/upgrade_channel.h"
#include "app/wiring.h"
#include "base/log.h"
#include "net/net.h"
#include "persist/keyspace.h"
#include "server/core.h"
#include "server/parted_members.h"
#include "server/presence_service.h"

/* Packets sent or received in one turn. */
#define PACKETS_A_TURN 4

/* The successor carries out a batch in one step. */
#define BATCH_BYTES 8192

void
departures_init(struct departures *d, struct wiring *wiring)
{
	*d = (struct departures){.wiring = wiring, .fd = -1};
}

static void
disconnect(struct departures *d)
{
	net_unwatch(d->watch);
	d->watch = NULL;
	if (d->fd != -1)
		close(d->fd);
	d->fd = -1;
}

void
departures_release(struct departures *d)
{
	disconnect(d);
	buffer_release(&d->queue);
	key_stream_release(&d->reader);
}

/* The old process */

void
departures_send(struct departures *d, int fd)
{
	d->fd = fd;
	d->sends = true;
}

static void
on_room(void *arg)
{
	departures_turn_ends(arg);
}

/* Nothing is sent any more: the successor learns it from the end of the socket. */
static void
give_up(struct departures *d)
{
	disconnect(d);
	buffer_release(&d->queue);
	d->sent = 0;
	presence_service_record(d->wiring->server, false);
}

static void
await_room(struct departures *d)
{
	if (d->watch == NULL)
		d->watch = net_watch_writable(d->wiring->net, d->fd, on_room, d);
	if (d->watch == NULL)
		give_up(d);
}

static void
send_queue(struct departures *d)
{
	for (int n = 0; d->sent < d->queue.len; n++) {
		struct slice part = {d->queue.ptr + d->sent, d->queue.len - d->sent};

		if (part.len > UPGRADE_PAYLOAD_MAX)
			part.len = UPGRADE_PAYLOAD_MAX;
		if (n == PACKETS_A_TURN) {
			await_room(d);
			return;
		}
		if (!upgrade_channel_send(d->fd, UPGRADE_PARTED, part, -1, false)) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				await_room(d);
			else
				give_up(d);
			return;
		}
		d->sent += part.len;
	}
	net_unwatch(d->watch);
	d->watch = NULL;
	buffer_release(&d->queue);
	d->sent = 0;
}

/* The queue is bounded: a member leaves once, and none joins in the old process any more. */
void
departures_turn_ends(struct departures *d)
{
	struct buffer *parted;
	struct slice rest;

	if (!d->sends || d->fd == -1)
		return;
	parted = &d->wiring->server->presence->parted;
	for (rest = buffer_slice(parted); rest.len > 0;) {
		struct slice batch = parted_members_part(rest, BATCH_BYTES);

		key_stream_put(&d->queue, &d->offset, batch);
		rest = (struct slice){rest.ptr + batch.len, rest.len - batch.len};
	}
	buffer_release(parted);
	if (d->queue.len > 0)
		send_queue(d);
}

/* The successor */

static void
end(struct departures *d)
{
	disconnect(d);
	presence_service_end_elsewhere(d->wiring->server);
}

static void
stream_begin(void *arg, bool with_use)
{
	(void)arg;
	(void)with_use;
}

static bool
stream_command(void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	const struct departures *d = arg;
	struct slice channel, member;

	if (!parted_members_read(argv, argc, &channel, &member)) {
		snprintf(error, error_len, "unexpected command");
		return false;
	}
	presence_service_part(d->wiring->server, channel, member);
	return true;
}

static void
stream_end(void *arg)
{
	(void)arg;
}

static void
read_part(struct departures *d, const struct upgrade_packet *packet)
{
	const struct persist_keyspace stream = {.replay_begin = stream_begin,
	    .replay = stream_command,
	    .replay_end = stream_end,
	    .arg = d};
	struct buffer error = {0};
	bool ok = packet->message == UPGRADE_PARTED &&
		  key_stream_read(
		      &d->reader, &stream, (struct slice){packet->payload, packet->len}, &error);

	if (!ok) {
		log_error("upgrade: the members that leave the process before this one are not "
			  "known any more: %.*s",
		    (int)error.len, error.len > 0 ? error.ptr : "");
		end(d);
	}
	buffer_release(&error);
}

static void
on_input(void *arg)
{
	struct departures *d = arg;
	struct upgrade_packet packet;

	for (int n = 0; n < PACKETS_A_TURN && d->fd != -1; n++) {
		switch (upgrade_channel_receive(d->fd, &packet, false)) {
		case UPGRADE_RECEIVED:
			if (packet.passed_fd != -1)
				close(packet.passed_fd);
			read_part(d, &packet);
			break;
		case UPGRADE_NOTHING:
			return;
		default:
			end(d);
		}
	}
}

void
departures_receive(struct departures *d, int fd)
{
	d->fd = fd;
	if (fd != -1)
		d->watch = net_watch(d->wiring->net, fd, on_input, d);
	if (d->watch == NULL)
		end(d);
}
