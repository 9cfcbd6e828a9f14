#include "config.h"

#include "app/hand_over.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/kept_history.h"
#include "app/persistence.h"
#include "app/systemd.h"
#include "app/upgrade_channel.h"
#include "app/wiring.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net.h"
#include "persist/disk.h"
#include "persist/key_stream.h"
#include "persist/keyspace.h"
#include "persist/transfer.h"
#include "pubsub/history.h"
#include "pubsub/hub_history.h"
#include "server/blocked.h"
#include "server/core.h"
#include "server/history_image.h"
#include "server/pause.h"
#include "server/presence_service.h"
#include "server/scripts.h"
#include "server/upgrade_image.h"

/* The time to read the configuration, and to open the files. */
#define START_US 30000000
/* Then the last changes are sent in any case. */
#define FOLLOW_US 10000000
/* ... earlier if so few are left. */
#define FEW_BYTES ((size_t)256 << 10)
/* Commands that change keys wait for at most the sum of these. */
#define FREEZE_US 10000000
#define CONCLUDE_US 10000000

/* Packets sent in one step. */
#define PACKETS_A_STEP 16

/* The time to wait for the end of a child that was killed. */
#define HISTORY_END_US 100000

static void event(struct hand_over *h, enum upgrade_event what);

static struct persist *
persist_of(const struct hand_over *h)
{
	return persistence_persist(h->wiring->persistence);
}

/* h->why says why. */
static void
fail(struct hand_over *h)
{
	log_error("upgrade failed, this process goes on: %.*s", (int)h->why.len, h->why.ptr);
	event(h, UPGRADE_EVENT_FAILED);
	systemd_notify("MAINPID=%ld", (long)getpid());
}

static void
fail_because(struct hand_over *h, const char *why)
{
	buffer_append_str(&h->why, why);
	fail(h);
}

static void
fail_to_send(struct hand_over *h)
{
	if (errno == EPIPE || errno == ECONNRESET)
		buffer_append_str(&h->why, "the new process ended");
	else
		buffer_appendf(&h->why, "cannot send to the new process: %s", strerror(errno));
	fail(h);
}

static void
on_output(void *arg)
{
	hand_over_turn_ends(arg);
}

static void
await_room(struct hand_over *h)
{
	if (h->output != NULL)
		return;
	h->output = net_watch_writable(h->wiring->net, h->upgrade.fd, on_output, h);
	if (h->output == NULL)
		fail_because(h, "the event loop cannot watch the socket");
}

static void
unwatch_output(struct hand_over *h)
{
	net_unwatch(h->output);
	h->output = NULL;
}

/* Sends a part of the changes. True: all are sent. */
static bool
send_changes(struct hand_over *h)
{
	struct slice queue;
	int n;

	for (n = 0; (queue = persist_transfer_queue(persist_of(h))).len > 0; n++) {
		if (queue.len > UPGRADE_PAYLOAD_MAX)
			queue.len = UPGRADE_PAYLOAD_MAX;
		if (n == PACKETS_A_STEP) {
			await_room(h);
			return false;
		}
		if (!upgrade_channel_send(h->upgrade.fd, UPGRADE_CHANGES, queue, -1, false)) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				await_room(h);
			else
				fail_to_send(h);
			return false;
		}
		persist_transfer_sent(persist_of(h), queue.len);
	}
	unwatch_output(h);
	return true;
}

/* In a child. */
static bool
send_parts(const struct hand_over *h, enum upgrade_message message, struct slice part)
{
	while (part.len > 0) {
		size_t len = part.len < UPGRADE_PAYLOAD_MAX ? part.len : UPGRADE_PAYLOAD_MAX;

		if (!upgrade_channel_send(
			h->upgrade.fd, message, (struct slice){part.ptr, len}, -1, true))
			return false;
		part = (struct slice){part.ptr + len, part.len - len};
	}
	return true;
}

static bool
send_keys(void *arg, struct slice part)
{
	return send_parts(arg, UPGRADE_KEYS, part);
}

static bool
send_history(void *arg, struct slice part)
{
	return send_parts(arg, UPGRADE_HISTORY, part);
}

/* what: that the child process sends. */
static void
fail_to_copy(struct hand_over *h, const char *what, int error)
{
	if (error == EAGAIN || error == EWOULDBLOCK)
		buffer_appendf(&h->why, "the new process did not read for %d s", UPGRADE_SEND_S);
	else
		buffer_appendf(&h->why, "the child process that sends the %s: %s", what,
		    error == ECHILD ? "it ended without a result" : strerror(error));
	fail(h);
}

static void
on_copied(void *arg, int error)
{
	struct hand_over *h = arg;

	if (error == 0)
		event(h, UPGRADE_EVENT_COPIED);
	else
		fail_to_copy(h, "keys", error);
}

static bool
send_state(void *arg, struct slice part)
{
	return send_parts(arg, UPGRADE_STATE, part);
}

static bool
dump_state(
    void *arg, bool with_use, bool (*sink)(void *sink_arg, struct slice commands), void *sink_arg)
{
	(void)with_use;
	return server_upgrade_write(arg, sink, sink_arg);
}

static int
write_history(void *arg)
{
	struct hand_over *h = arg;
	struct kept_history kept = {.server = h->wiring->server};
	const struct persist_keyspace keyspace = kept_history_keyspace(&kept);
	const struct persist_keyspace state = {.dump = dump_state, .arg = h->wiring->server};

	return key_stream_write(&keyspace, send_history, h) &&
		       key_stream_write(&state, send_state, h)
		   ? 0
		   : errno;
}

static void
on_history_sent(void *arg)
{
	struct hand_over *h = arg;
	int error = dump_child_result(&h->history);

	net_unwatch(h->history_end);
	h->history_end = NULL;
	if (error == 0)
		h->history_is_sent = true;
	else
		fail_to_copy(h, "kept messages and members", error);
}

static uint64_t
newest_seq(const struct hand_over *h)
{
	return history_position(hub_history(h->wiring->server->hub)).seq;
}

/* A child sends the kept messages and members: no message is published meanwhile, and reads go on.
 */
static void
copy_history(struct hand_over *h)
{
	const struct dump_work work = {.run = write_history, .arg = h, .fd = h->upgrade.fd};

	h->history_is_sent = false;
	h->history_seq = newest_seq(h);
	if (!dump_child_start(&h->history, &disk_system, &work)) {
		buffer_appendf(&h->why, "fork: %s", strerror(errno));
		fail(h);
		return;
	}
	h->history_end = net_watch(h->wiring->net, h->history.result_fd, on_history_sent, h);
	if (h->history_end == NULL)
		fail_because(h, "the event loop cannot watch the child process");
}

/* The child is killed, and waited for: a moment. */
static void
end_history(struct hand_over *h)
{
	net_unwatch(h->history_end);
	h->history_end = NULL;
	(void)dump_child_end(&h->history, HISTORY_END_US);
}

static bool
send_files(const struct hand_over *h, enum upgrade_message message)
{
	struct upgrade_files all;

	memset(&all, 0, sizeof(all));
	persist_transfer_files(persist_of(h), &all.files);
	all.changes_len = persist_transfer_queued_total(persist_of(h));
	return upgrade_channel_send(h->upgrade.fd, message,
	    (struct slice){(const char *)&all, sizeof(all)},
	    message == UPGRADE_END ? all.files.lock_fd : -1, false);
}

static void
copy(struct hand_over *h)
{
	const struct transfer_copy keys = {
	    .send = send_keys, .fd = h->upgrade.fd, .done = on_copied, .arg = h};

	if (!send_files(h, UPGRADE_FILES))
		fail_to_send(h);
	else if (!persist_transfer_copy(persist_of(h), &keys, &h->why))
		fail(h);
	else
		log_notice("upgrade: the keys are being sent to process %ld", (long)h->successor);
}

static void
tell(struct hand_over *h)
{
	const char *fault = persist_transfer_fault(persist_of(h));
	int fds[2], error;
	bool ok;

	/* A hub that follows may go on: the successor gets the messages from the upstream, too. */
	if (fault == NULL && newest_seq(h) != h->history_seq &&
	    !history_follows(hub_history(h->wiring->server->hub)))
		fault = "a message was kept after the last one was sent";
	if (fault != NULL) {
		fail_because(h, fault);
		return;
	}
	if (!upgrade_channel_open(fds)) {
		buffer_appendf(&h->why, "socketpair: %s", strerror(errno));
		fail(h);
		return;
	}
	systemd_notify("MAINPID=%ld", (long)h->successor);
	ok = upgrade_channel_send(
	    h->upgrade.fd, UPGRADE_SERVE, (struct slice){"", 0}, fds[1], false);
	error = errno;
	close(fds[1]);
	if (ok) {
		departures_send(&h->departures, fds[0]);
		event(h, UPGRADE_EVENT_TOLD);
	} else {
		close(fds[0]);
		errno = error;
		fail_to_send(h);
	}
}

static void
unwatch(struct hand_over *h)
{
	net_unwatch(h->input);
	h->input = NULL;
	unwatch_output(h);
}

/* The successor accepts from the shared sockets, so no waiting connection is lost. */
static void
take_leave(struct hand_over *h)
{
	log_notice("upgrade: process %ld serves from now on", (long)h->successor);
	unwatch(h);
	upgrade_disconnect(&h->upgrade);
	net_leave_listeners(h->wiring->net);
	persistence_hand_over(h->wiring->persistence);
	server_history_hand_over(h->wiring->server);
	blocked_end_all(h->wiring->server);
	server_freeze(h->wiring->server, false);
	h->done(h->arg);
}

static void
drop(struct hand_over *h)
{
	unwatch(h);
	end_history(h);
	if (h->ends_itself)
		upgrade_disconnect(&h->upgrade);
	else
		upgrade_give_up(&h->upgrade);
	buffer_release(&h->why);
}

static void
event(struct hand_over *h, enum upgrade_event what)
{
	enum upgrade_state before = h->state;
	uint32_t actions = upgrade_step(&h->state, what);

	if (h->state != before)
		h->since_us = clock_mono_us();
	if ((actions & UPGRADE_RESERVE) != 0)
		persist_transfer_reserve(persist_of(h));
	if ((actions & (UPGRADE_COPY | UPGRADE_FREEZE)) != 0)
		scripts_settle(h->wiring->server);
	if ((actions & UPGRADE_COPY) != 0)
		copy(h);
	if ((actions & UPGRADE_FREEZE) != 0) {
		server_freeze(h->wiring->server, true);
		presence_service_record(h->wiring->server, true);
		persist_transfer_sync(persist_of(h));
		copy_history(h);
	}
	if ((actions & UPGRADE_SEAL) != 0)
		persist_transfer_seal(persist_of(h));
	if ((actions & UPGRADE_TELL) != 0)
		tell(h);
	if ((actions & UPGRADE_TAKE_LEAVE) != 0)
		take_leave(h);
	if ((actions & UPGRADE_CANCEL) != 0)
		persist_transfer_cancel(persist_of(h));
	if ((actions & UPGRADE_THAW) != 0) {
		presence_service_record(h->wiring->server, false);
		server_freeze(h->wiring->server, false);
	}
	if ((actions & UPGRADE_DROP) != 0)
		drop(h);
	if ((actions & UPGRADE_REFUSE) != 0)
		log_warn("SIGUSR2: an upgrade is under way already");
	if ((actions & UPGRADE_FAIL) != 0)
		fail_because(h, "the new process sent an unexpected message");
}

static bool
note_pid(struct hand_over *h, const struct upgrade_packet *packet)
{
	int64_t pid;

	if (packet->len != sizeof(pid))
		return false;
	memcpy(&pid, packet->payload, sizeof(pid));
	h->successor = (pid_t)pid;
	return pid > 0;
}

static void
on_no_program(struct hand_over *h, const struct upgrade_packet *packet)
{
	int64_t error = 0;

	if (packet->len == sizeof(error))
		memcpy(&error, packet->payload, sizeof(error));
	buffer_appendf(&h->why, "%s: %s", h->upgrade.path, strerror((int)error));
	h->ends_itself = true;
	fail(h);
}

static void
on_packet(struct hand_over *h, const struct upgrade_packet *packet)
{
	if (packet->passed_fd != -1)
		close(packet->passed_fd);
	if (packet->message == UPGRADE_HELLO && note_pid(h, packet)) {
		event(h, UPGRADE_EVENT_HELLO);
	} else if (packet->message == UPGRADE_CAN_SERVE && note_pid(h, packet)) {
		event(h, UPGRADE_EVENT_READY);
	} else if (packet->message == UPGRADE_NO) {
		buffer_append_escaped(&h->why, (struct slice){packet->payload, packet->len});
		h->ends_itself = true;
		fail(h);
	} else if (packet->message == UPGRADE_NO_PROGRAM) {
		on_no_program(h, packet);
	} else {
		fail_because(h, "the new process sent an unexpected message");
	}
}

static void
on_input(void *arg)
{
	struct hand_over *h = arg;
	struct upgrade_packet packet;
	enum upgrade_receipt receipt = UPGRADE_RECEIVED;

	while (hand_over_is_active(h) && receipt == UPGRADE_RECEIVED) {
		receipt = upgrade_channel_receive(h->upgrade.fd, &packet, false);
		if (receipt == UPGRADE_RECEIVED) {
			on_packet(h, &packet);
		} else if (receipt == UPGRADE_INVALID) {
			fail_because(h, "the new process is of a version that cannot take over "
					"from this one");
		} else if (receipt == UPGRADE_FAILED) {
			buffer_appendf(
			    &h->why, "cannot receive from the new process: %s", strerror(errno));
			fail(h);
		} else if (receipt == UPGRADE_ENDED) {
			h->ends_itself = true;
			fail_because(h, h->state == UPGRADE_STARTS
					    ? "the new process ended before it could serve"
					    : "the new process ended");
		}
	}
}

static bool
is_late(const struct hand_over *h, uint64_t limit_us)
{
	return clock_mono_us() - h->since_us >= limit_us;
}

static void
check_limits(struct hand_over *h)
{
	static const struct {
		uint64_t limit_us;
		const char *why;
	} limits[UPGRADE_STATES] = {
	    [UPGRADE_STARTS] = {START_US, "the new process does not serve after 30 s"},
	    [UPGRADE_FREEZES] = {FREEZE_US,
		"the last changes could not be synced and sent within 10 s"},
	    [UPGRADE_CONCLUDES] = {CONCLUDE_US,
		"the new process has all keys and does not serve after 10 s"},
	};

	if (limits[h->state].limit_us != 0 && is_late(h, limits[h->state].limit_us))
		fail_because(h, limits[h->state].why);
}

static void
follow(struct hand_over *h)
{
	(void)send_changes(h);
	if (h->state == UPGRADE_FOLLOWS &&
	    (persist_transfer_queue(persist_of(h)).len <= FEW_BYTES || is_late(h, FOLLOW_US)))
		event(h, UPGRADE_EVENT_CLOSE);
}

static void
conclude(struct hand_over *h)
{
	if (!send_changes(h) || !h->history_is_sent || !persist_transfer_is_synced(persist_of(h)))
		return;
	if (send_files(h, UPGRADE_END))
		event(h, UPGRADE_EVENT_EMPTY);
	else if (errno == EAGAIN || errno == EWOULDBLOCK)
		await_room(h);
	else
		fail_to_send(h);
}

void
hand_over_turn_ends(struct hand_over *h)
{
	const char *fault;

	(void)dump_child_reap(&h->history);
	departures_turn_ends(&h->departures);
	if (!hand_over_is_active(h))
		return;
	fault = persist_transfer_fault(persist_of(h));
	if (fault != NULL) {
		fail_because(h, fault);
		return;
	}
	if (h->state == UPGRADE_WAITS && persist_transfer_may_copy(persist_of(h)))
		event(h, UPGRADE_EVENT_IDLE);
	if (h->state == UPGRADE_FOLLOWS)
		follow(h);
	else if (h->state == UPGRADE_FREEZES)
		conclude(h);
	check_limits(h);
}

void
hand_over_init(
    struct hand_over *h, struct wiring *wiring, char **argv, void (*done)(void *arg), void *arg)
{
	*h = (struct hand_over){
	    .wiring = wiring, .history = {.result_fd = -1}, .done = done, .arg = arg};
	departures_init(&h->departures, wiring);
	upgrade_init(&h->upgrade, argv);
}

void
hand_over_end(struct hand_over *h)
{
	departures_release(&h->departures);
}

void
hand_over_release(struct hand_over *h)
{
	upgrade_release(&h->upgrade);
	buffer_release(&h->why);
}

bool
hand_over_is_active(const struct hand_over *h)
{
	return h->state != UPGRADE_NONE && h->state != UPGRADE_DONE;
}

void
hand_over_cancel(struct hand_over *h)
{
	event(h, UPGRADE_EVENT_FAILED);
}

void
hand_over_begin(struct hand_over *h)
{
	struct net_listener listeners[NET_LISTENERS_MAX];
	size_t count = net_listeners(h->wiring->net, listeners, NET_LISTENERS_MAX);
	struct buffer error = {0};

	if (hand_over_is_active(h)) {
		event(h, UPGRADE_EVENT_BEGIN);
		return;
	}
	if (count > NET_LISTENERS_MAX) {
		log_error("SIGUSR2: no upgrade with more than %u listeners", NET_LISTENERS_MAX);
		return;
	}
	if (!upgrade_start(&h->upgrade, listeners, count, &error)) {
		log_error("SIGUSR2: upgrade failed, this process goes on: %.*s", (int)error.len,
		    error.ptr);
		buffer_release(&error);
		return;
	}
	log_notice(
	    "SIGUSR2: upgrade: started %s as process %ld", h->upgrade.path, (long)h->upgrade.child);
	h->ends_itself = false;
	event(h, UPGRADE_EVENT_BEGIN);
	h->input = net_watch(h->wiring->net, h->upgrade.fd, on_input, h);
	if (h->input == NULL)
		fail_because(h, "the event loop cannot watch the socket");
}
