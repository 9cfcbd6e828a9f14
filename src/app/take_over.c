#include "config.h"

#include "app/take_over.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/kept_history.h"
#include "app/persistence.h"
#include "app/upgrade_channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "persist/key_stream.h"
#include "persist/keyspace.h"
#include "persist/transfer.h"
#include "server/upgrade_image.h"

/* The time that this process waits for the answer when it has everything. */
#define ANSWER_MS 10000
#define ANSWER_TRIES 100
#define ANSWER_PAUSE_MS 10

struct receiver {
	struct persistence *persistence;
	struct persist_keyspace keyspace;
	struct key_stream_reader keys, changes, history, state;
	struct kept_history kept;
	struct upgrade_image_reader image;
	bool has_files; /* what is to be taken over was announced */
	bool is_at_end; /* everything has arrived */
	uint64_t begun_us;
	struct buffer *error;
};

static bool
send_pid(int fd, enum upgrade_message message)
{
	const int64_t pid = getpid();

	return upgrade_channel_send(
	    fd, message, (struct slice){(const char *)&pid, sizeof(pid)}, -1, true);
}

static bool
read_files(const struct upgrade_packet *packet, struct upgrade_files *all)
{
	if (packet->len != sizeof(*all))
		return false;
	memcpy(all, packet->payload, sizeof(*all));
	all->files.log_name[TRANSFER_NAME_MAX] = all->files.snapshot_name[TRANSFER_NAME_MAX] = '\0';
	return true;
}

static bool
on_files(struct receiver *r, const struct upgrade_packet *packet)
{
	struct upgrade_files all;

	if (r->has_files || !read_files(packet, &all)) {
		buffer_append_str(r->error, "unexpected message");
		return false;
	}
	r->has_files = true;
	r->begun_us = clock_mono_us();
	return persist_transfer_fits(persistence_persist(r->persistence), &all.files, r->error);
}

static bool
read_part(struct receiver *r, struct key_stream_reader *stream, const char *name,
    const struct upgrade_packet *packet)
{
	struct slice part = {packet->payload, packet->len};
	struct buffer why = {0};
	bool ok = key_stream_read(stream, &r->keyspace, part, &why);

	if (!ok)
		buffer_appendf(
		    r->error, "the %s did not arrive intact: %.*s", name, (int)why.len, why.ptr);
	buffer_release(&why);
	return ok;
}

static bool
read_history(struct receiver *r, const struct upgrade_packet *packet)
{
	const struct persist_keyspace keyspace = kept_history_keyspace(&r->kept);
	struct slice part = {packet->payload, packet->len};
	struct buffer why = {0};
	bool ok;

	if (r->kept.reader == NULL)
		keyspace.replay_begin(keyspace.arg, true);
	ok = key_stream_read(&r->history, &keyspace, part, &why);
	if (!ok)
		buffer_appendf(r->error, "the kept messages did not arrive intact: %.*s",
		    (int)why.len, why.ptr);
	buffer_release(&why);
	return ok;
}

static void
state_begin(void *arg, bool with_use)
{
	(void)arg;
	(void)with_use;
}

static bool
state_command(void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	return upgrade_image_read(arg, argv, argc, error, error_len);
}

static void
state_end(void *arg)
{
	(void)arg;
}

static bool
read_state(struct receiver *r, const struct upgrade_packet *packet)
{
	const struct persist_keyspace state = {.replay_begin = state_begin,
	    .replay = state_command,
	    .replay_end = state_end,
	    .arg = &r->image};
	struct slice part = {packet->payload, packet->len};
	struct buffer why = {0};
	bool ok = key_stream_read(&r->state, &state, part, &why);

	if (!ok)
		buffer_appendf(r->error, "the members of channels did not arrive intact: %.*s",
		    (int)why.len, why.ptr);
	buffer_release(&why);
	return ok;
}

static bool
has_whole_history(struct receiver *r)
{
	return key_stream_is_whole(&r->history) && r->history.has_end_mark &&
	       kept_history_end(&r->kept);
}

static bool
has_whole_state(struct receiver *r)
{
	return upgrade_image_end(&r->image) && key_stream_is_whole(&r->state) &&
	       r->state.has_end_mark;
}

/* Takes the lock of the packet. */
static bool
on_end(struct receiver *r, struct upgrade_packet *packet)
{
	struct upgrade_files all;

	if (!r->has_files || !read_files(packet, &all)) {
		buffer_append_str(r->error, "unexpected message");
		return false;
	}
	if (!key_stream_is_whole(&r->keys) || !r->keys.has_end_mark ||
	    !key_stream_is_whole(&r->changes) || r->changes.offset != all.changes_len) {
		buffer_append_str(r->error, "the keys did not arrive completely");
		return false;
	}
	if (!has_whole_history(r)) {
		buffer_append_str(r->error, "the kept messages did not arrive completely");
		return false;
	}
	if (!has_whole_state(r)) {
		buffer_append_str(r->error, "the members of channels did not arrive completely");
		return false;
	}
	if ((all.files.lock_fd != -1) != (packet->passed_fd != -1)) {
		buffer_append_str(r->error, "the lock of dir did not arrive");
		return false;
	}
	all.files.lock_fd = packet->passed_fd;
	packet->passed_fd = -1;
	r->is_at_end = true;
	return persistence_inherit(r->persistence, &all.files, r->error) &&
	       persistence_discard_history(r->persistence, r->error);
}

static bool
on_packet(struct receiver *r, struct upgrade_packet *packet)
{
	switch (packet->message) {
	case UPGRADE_FILES:
		return on_files(r, packet);
	case UPGRADE_KEYS:
		return read_part(r, &r->keys, "keys", packet);
	case UPGRADE_CHANGES:
		/* The keys come first: the child ends before this process's first change. */
		if (r->keys.has_end_mark)
			return read_part(r, &r->changes, "changes", packet);
		break;
	case UPGRADE_HISTORY:
		return read_history(r, packet);
	case UPGRADE_STATE:
		return read_state(r, packet);
	case UPGRADE_END:
		return on_end(r, packet);
	default:
		break;
	}
	buffer_append_str(r->error, "unexpected message");
	return false;
}

static bool
receive(struct receiver *r, int fd)
{
	struct upgrade_packet packet;

	while (!r->is_at_end) {
		enum upgrade_receipt receipt = upgrade_channel_receive(fd, &packet, true);
		bool ok;

		if (receipt == UPGRADE_FAILED)
			buffer_appendf(r->error, "cannot receive the keys: %s", strerror(errno));
		else if (receipt != UPGRADE_RECEIVED)
			buffer_append_str(r->error,
			    receipt == UPGRADE_INVALID
				? "the process that started this one is of another version"
				: "the process that started this one gave up");
		if (receipt != UPGRADE_RECEIVED)
			return false;
		ok = on_packet(r, &packet);
		if (packet.passed_fd != -1)
			close(packet.passed_fd);
		if (!ok)
			return false;
	}
	return true;
}

static void
say_no(int fd, const struct buffer *error)
{
	struct slice text = buffer_slice(error);

	if (text.len > UPGRADE_PAYLOAD_MAX)
		text.len = UPGRADE_PAYLOAD_MAX;
	(void)!upgrade_channel_send(fd, UPGRADE_NO, text, -1, false);
}

bool
take_over_keys(int fd, struct server *server, struct persistence *persistence, struct buffer *error)
{
	struct receiver r = {.persistence = persistence,
	    .keyspace = persistence_server_keyspace(persistence),
	    .kept = {.server = server},
	    .error = error};
	bool ok = send_pid(fd, UPGRADE_HELLO);

	if (!ok) {
		buffer_append_str(error, "the process that started this one gave up");
		return false;
	}
	r.keyspace.replay_begin(r.keyspace.arg, true);
	upgrade_image_begin(&r.image, server);
	ok = receive(&r, fd);
	r.keyspace.replay_end(r.keyspace.arg);
	key_stream_release(&r.keys);
	key_stream_release(&r.changes);
	key_stream_release(&r.history);
	key_stream_release(&r.state);
	(void)!upgrade_image_end(&r.image);
	(void)!kept_history_end(&r.kept); /* if it failed */
	if (ok)
		log_notice("upgrade: %zu keys and %" PRIu64 " changes taken over in %.3f s",
		    r.keyspace.key_count(r.keyspace.arg), r.changes.commands,
		    (double)(clock_mono_us() - r.begun_us) / 1e6);
	else
		say_no(fd, error);
	if (ok && r.kept.has_other_lines)
		log_notice("upgrade: the channel options differ from those of the process before: "
			   "those of this configuration apply");
	return ok;
}

/* An answer that was sent must not be overlooked: then no process would serve. So a call that fails
 * is repeated. */
static bool
read_answer(int fd, int *departures_fd)
{
	struct upgrade_packet packet = {.passed_fd = -1};
	enum upgrade_receipt receipt;
	int tries = 0;
	bool ok;

	while ((receipt = upgrade_channel_receive(fd, &packet, false)) == UPGRADE_FAILED &&
	       ++tries < ANSWER_TRIES)
		(void)poll(NULL, 0, ANSWER_PAUSE_MS);
	ok = receipt == UPGRADE_RECEIVED && packet.message == UPGRADE_SERVE;
	if (!ok && packet.passed_fd != -1)
		close(packet.passed_fd);
	*departures_fd = ok ? packet.passed_fd : -1;
	return ok;
}

bool
take_over_serve(int fd, int *departures_fd)
{
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	bool ok;

	if (send_pid(fd, UPGRADE_CAN_SERVE))
		(void)poll(&answer, 1, ANSWER_MS);
	/* From now on no answer can be sent; one that was sent before is still read. */
	(void)shutdown(fd, SHUT_RD);
	ok = read_answer(fd, departures_fd);
	close(fd);
	return ok;
}
