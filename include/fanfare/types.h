#ifndef FANFARE_TYPES_H
#define FANFARE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What all headers of libfanfare-core share: version, results, bytes, messages, positions, and the
 * setup of the process. Include <fanfare/core.h>.
 *
 * A struct that begins with `size` may get more members in later versions. The caller sets every
 * member that it does not use to 0, and size to sizeof() of the struct.
 */
#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FANFARE_API __attribute__((visibility("default")))
#define FANFARE_CHECKED __attribute__((visibility("default"), warn_unused_result))
#else
#define FANFARE_API
#define FANFARE_CHECKED
#endif

/* The version of this header, and of the library in use: "0.1.0". */
#define FANFARE_CORE_VERSION "0.1.0"
FANFARE_API const char *fanfare_core_version(void);

/* Bytes of any value, borrowed. data may be NULL if len is 0. */
struct fanfare_bytes {
	const char *data;
	size_t len;
};

/* The bytes of a string without its NUL; NULL gives none. Borrows. */
FANFARE_API struct fanfare_bytes fanfare_bytes_of(const char *string);

/* Values are never renumbered; later versions may add some. Unless said otherwise, nothing was
 * changed if the result is not FANFARE_OK. */
enum fanfare_result {
	FANFARE_OK = 0,
	FANFARE_MORE = 1,    /* a part was done; call it again */
	FANFARE_EMPTY = 2,   /* there is nothing, or nothing more */
	FANFARE_INVALID = 3, /* an argument is not allowed */
	FANFARE_BUSY = 4,    /* called from within a callback that must not call it */
	FANFARE_CLOSED = 5,  /* the subscriber gets no more messages; it must be closed */
	FANFARE_ALREADY = 6, /* subscribed before */
	FANFARE_NOT_SUBSCRIBED = 7,
	FANFARE_NAME_TOO_LONG = 8,
	FANFARE_TOO_MANY_SUBSCRIPTIONS = 9, /* of this subscriber */
	FANFARE_TOO_MANY_SUBSCRIBERS = 10,  /* of this channel or pattern */
	FANFARE_TOO_MANY = 11,              /* forms of a hub, or channels that a pattern matches */
	FANFARE_TOO_LARGE = 12, /* the message exceeds a limit of the hub or of its channel */
	FANFARE_BLOCKED = 13,   /* a subscriber under FANFARE_BLOCK has no room; publish again after
				   room() */
	FANFARE_FULL = 14, /* memory_max would be exceeded: publish again when messages were read */
	FANFARE_PREPARING = 15, /* a large message is copied in steps: publish it again soon */
};

/* A short English text without a full stop; never NULL, whatever the value. */
FANFARE_API const char *fanfare_result_text(enum fanfare_result result);

/* Names one kept message of a hub, for ever. 0-0: none. See fanfare_hub_options.epoch. */
struct fanfare_position {
	uint64_t epoch;
	uint64_t seq; /* counts the kept messages of all channels of the hub */
};

#define FANFARE_POSITION_TEXT 42 /* bytes that fanfare_position_print() writes at most */

/* Writes "EPOCH-SEQ" with a NUL; returns the length without it. out has FANFARE_POSITION_TEXT
 * bytes; NULL writes nothing and returns 0. */
FANFARE_API size_t fanfare_position_print(struct fanfare_position position, char *out);

/* FANFARE_INVALID: the text is anything else than EPOCH-SEQ. */
FANFARE_CHECKED enum fanfare_result fanfare_position_parse(
    struct fanfare_bytes text, struct fanfare_position *position);

enum fanfare_kind {
	FANFARE_MESSAGE = 0,
	FANFARE_MISSED = 1, /* in this place messages are missing; only `missed` is set */
};

struct fanfare_message {
	enum fanfare_kind kind;
	struct fanfare_bytes pattern; /* through which it was received; data is NULL: by name */
	struct fanfare_bytes channel;
	struct fanfare_bytes payload;
	struct fanfare_position position; /* 0-0: it is not kept */
	uint64_t missed;
};

/* Whether text matches the glob, as PSUBSCRIBE understands it. */
FANFARE_API bool fanfare_glob_match(struct fanfare_bytes glob, struct fanfare_bytes text);

/* ---- The process -------------------------------------------------------------------------- */

/*
 * Where the library gets its memory. All three functions are given, or none (malloc and its kin).
 * They behave as malloc, realloc and free, and may be called by each function of the library. A
 * size is never 0.
 */
struct fanfare_allocator {
	void *(*allocate)(void *arg, size_t len);
	void *(*reallocate)(void *arg, void *ptr, size_t len);
	void (*release)(void *arg, void *ptr);
	void *arg;
};

struct fanfare_setup {
	size_t size;
	struct fanfare_allocator allocator;

	/* Called when no memory is left, with the size that was wanted. It must not return: if it
	 * does, or is NULL, the process is aborted. */
	void (*out_of_memory)(void *arg, size_t len);
	void *out_of_memory_arg;

	/* The secret of hash tables: 16 bytes that peers cannot guess. NULL: the library asks the
	 * system for them (getrandom) when it needs them. Copied. */
	const uint64_t *hash_seed;
};

/*
 * Sets up the process, once, before any other function of the library but those of texts and
 * versions. Without it everything has its default. FANFARE_BUSY: the library is in use already.
 */
FANFARE_CHECKED enum fanfare_result fanfare_setup(const struct fanfare_setup *setup);

/* Bytes that the library holds in this process; 0 with an allocator of the caller's. */
FANFARE_API size_t fanfare_memory(void);

#ifdef __cplusplus
}
#endif

#endif
