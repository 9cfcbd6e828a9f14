#include "config.h"

#include "app/upgrade_channel.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Fanfare 0.1.0 sends 16 bytes: its process id, or 0 and an errno. It takes this header for a
 * failure with the error EPROTO, whatever follows.
 */
struct header {
	int64_t zero;
	int64_t eproto;
	uint32_t version;
	uint32_t message;
};

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

bool
upgrade_channel_open(int fds[2])
{
	const struct timeval limit = {.tv_sec = UPGRADE_SEND_S};
	int error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return false;
	if (setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
	    setsockopt(fds[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0)
		return true;
	error = errno;
	close(fds[0]);
	close(fds[1]);
	errno = error;
	return false;
}

static void
attach(struct msghdr *packet, union control *control, int fd)
{
	struct cmsghdr *cmsg;

	packet->msg_control = control->bytes;
	packet->msg_controllen = sizeof(control->bytes);
	cmsg = CMSG_FIRSTHDR(packet);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

bool
upgrade_channel_send(
    int fd, enum upgrade_message message, struct slice payload, int passed_fd, bool waits)
{
	struct header header = {
	    .eproto = EPROTO, .version = UPGRADE_CHANNEL_VERSION, .message = message};
	struct iovec parts[2] = {
	    {&header, sizeof(header)}, {(void *)(uintptr_t)payload.ptr, payload.len}};
	struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
	union control control;
	ssize_t len;

	assert(payload.len <= UPGRADE_PAYLOAD_MAX);
	if (passed_fd != -1)
		attach(&packet, &control, passed_fd);
	do
		len = sendmsg(fd, &packet, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
	while (len < 0 && errno == EINTR);
	if (len >= 0 && (size_t)len != sizeof(header) + payload.len) {
		errno = EMSGSIZE;
		return false;
	}
	return len >= 0;
}

/* Takes the first descriptor, closes others. */
static void
take_descriptors(struct msghdr *packet, int *taken)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(packet); cmsg != NULL; cmsg = CMSG_NXTHDR(packet, cmsg)) {
		int fd;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
		    cmsg->cmsg_len != CMSG_LEN(sizeof(fd)))
			continue;
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		if (*taken == -1)
			*taken = fd;
		else
			close(fd);
	}
}

enum upgrade_receipt
upgrade_channel_receive(int fd, struct upgrade_packet *packet, bool waits)
{
	struct header header;
	struct iovec parts[2] = {
	    {&header, sizeof(header)}, {packet->payload, sizeof(packet->payload)}};
	union control control;
	struct msghdr message = {.msg_iov = parts,
	    .msg_iovlen = 2,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	ssize_t len;

	do
		len = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
	while (len < 0 && errno == EINTR);
	if (len < 0 && !waits && (errno == EAGAIN || errno == EWOULDBLOCK))
		return UPGRADE_NOTHING;
	if (len < 0 && errno != ECONNRESET)
		return UPGRADE_FAILED;
	if (len <= 0)
		return UPGRADE_ENDED;
	packet->passed_fd = -1;
	take_descriptors(&message, &packet->passed_fd);
	if ((size_t)len >= sizeof(header) && (message.msg_flags & MSG_TRUNC) == 0 &&
	    header.version == UPGRADE_CHANNEL_VERSION && header.eproto == EPROTO) {
		packet->message = (enum upgrade_message)header.message;
		packet->len = (size_t)len - sizeof(header);
		return UPGRADE_RECEIVED;
	}
	if (packet->passed_fd != -1)
		close(packet->passed_fd);
	packet->passed_fd = -1;
	return UPGRADE_INVALID;
}
