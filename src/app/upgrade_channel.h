#ifndef APP_UPGRADE_CHANNEL_H
#define APP_UPGRADE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "persist/transfer.h"

/*
 * Upgrade channel: the messages between a process and its successor, over a socket pair that keeps
 * the boundaries of packets (SOCK_SEQPACKET).
 *
 * Each packet has the version of this protocol, so that processes of different versions refuse each
 * other. Both processes are on one machine and of one user: payloads are structs.
 */
#define UPGRADE_CHANNEL_VERSION 3

/* The most bytes in the payload of one packet. */
#define UPGRADE_PAYLOAD_MAX ((size_t)64 << 10)

enum upgrade_message {
	/* From the successor: */
	UPGRADE_HELLO = 1, /* it has read its configuration; payload: its process id, int64_t */
	UPGRADE_NO,        /* it cannot serve; payload: why, a text for the log */
	UPGRADE_CAN_SERVE, /* it has the keys and the files; payload: its process id, int64_t */
	/* From the process that serves: */
	UPGRADE_FILES,   /* what is to be taken over: struct upgrade_files */
	UPGRADE_KEYS,    /* a part of the stream with the keys of one moment */
	UPGRADE_CHANGES, /* a part of the stream with the changes since then */
	UPGRADE_HISTORY, /* a part of the stream with the kept messages of channels */
	UPGRADE_STATE,   /* a part of the stream with members and keys of messages */
	UPGRADE_END,     /* as UPGRADE_FILES, and the lock of the folder if there is one */
	UPGRADE_SERVE,   /* it shall serve, and the socket of UPGRADE_PARTED */
	UPGRADE_PARTED,  /* a part of the stream with members that leave; see departures.h */
	/* From the child that should have become the successor: */
	UPGRADE_NO_PROGRAM, /* payload: the errno of the failed execve(), int64_t */
};

struct upgrade_files {
	struct transfer_files files; /* in UPGRADE_FILES the sizes are not final */
	uint64_t changes_len;        /* of the stream of changes */
};

struct upgrade_packet {
	enum upgrade_message message;
	size_t len;    /* of payload */
	int passed_fd; /* owned by the receiver; -1: none */
	char payload[UPGRADE_PAYLOAD_MAX];
};

/*
 * Sends a packet with a payload of at most UPGRADE_PAYLOAD_MAX bytes. passed_fd: -1, or a
 * descriptor of which the receiver gets a duplicate. waits: blocks until there is room, for
 * UPGRADE_SEND_S at most. False with errno; EAGAIN: there is no room.
 */
bool upgrade_channel_send(int fd, enum upgrade_message message, struct slice payload, int passed_fd,
    bool waits) __attribute__((warn_unused_result));

#define UPGRADE_SEND_S 30

enum upgrade_receipt {
	UPGRADE_RECEIVED,
	UPGRADE_NOTHING, /* only if it does not wait */
	UPGRADE_ENDED,   /* the other process has closed its end, or died */
	UPGRADE_INVALID, /* not a packet of this version */
	UPGRADE_FAILED,  /* the call failed; errno */
};

enum upgrade_receipt upgrade_channel_receive(int fd, struct upgrade_packet *packet, bool waits)
    __attribute__((warn_unused_result));

/* A pair of sockets; sends that wait give up after UPGRADE_SEND_S. False with errno. */
bool upgrade_channel_open(int fds[2]) __attribute__((warn_unused_result));

#endif
