#ifndef PERSIST_KEY_STREAM_H
#define PERSIST_KEY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Key stream: the keyspace, or changes of it, as bytes for another process: batches of commands
 * with headers and checksums, as in a file of persist/aof.h that begins at offset 0. A lost, moved
 * or changed byte is detected. Unlike a file, a stream has no torn tail: whatever is not intact is
 * an error.
 *
 * It opens nothing: the caller transports the bytes.
 */
struct persist_keyspace;

/* Appends a batch, which will be at *offset in the stream, and advances *offset. */
void key_stream_put(struct buffer *out, uint64_t *offset, struct slice commands);

/*
 * Writes the whole keyspace as a stream to send, in pieces that it borrows, with the use of each
 * key and an end mark. False: send returned false.
 */
bool key_stream_write(const struct persist_keyspace *keyspace,
    bool (*send)(void *arg, struct slice part), void *arg) __attribute__((warn_unused_result));

/* The reader. Initially zero. */
struct key_stream_reader {
	struct buffer rest; /* the beginning of a batch that has not arrived completely */
	uint64_t offset;    /* where it is in the stream */
	uint64_t commands;  /* carried out so far */
	bool has_end_mark;  /* the last batch was the end mark */
};

/*
 * Carries out the batches that are complete with the next part of the stream, whatever its size.
 * Call it between replay_begin and replay_end of the keyspace. False: error says what is wrong.
 */
bool key_stream_read(struct key_stream_reader *reader, const struct persist_keyspace *keyspace,
    struct slice part, struct buffer *error) __attribute__((warn_unused_result));

/* True if no batch is incomplete. */
bool key_stream_is_whole(const struct key_stream_reader *reader);
void key_stream_release(struct key_stream_reader *reader);

#endif
