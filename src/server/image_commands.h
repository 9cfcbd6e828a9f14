#ifndef SERVER_IMAGE_COMMANDS_H
#define SERVER_IMAGE_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/* What history_image.h and upgrade_image.h have in common: the state of a server as commands in
 * RESP, from a first one to FANFARED.END. */

struct image_writer {
	struct buffer commands;
	bool (*sink)(void *arg, struct slice commands); /* false: it takes no more */
	void *arg;
	bool ok; /* the sink has taken everything; true at first */
};

void image_begin(struct image_writer *w, size_t argc, const char *name); /* a command */
void image_put(struct image_writer *w, uint64_t number);                 /* below 2^63 */
void image_put_text(struct image_writer *w, struct slice text);

/* Call it after each command: passes them on in large pieces. False: the sink takes no more. */
bool image_pass(struct image_writer *w) __attribute__((warn_unused_result));

/* is_whole: writes the end. Passes the rest on and frees it. False: as image_pass(). */
bool image_finish(struct image_writer *w, bool is_whole) __attribute__((warn_unused_result));

enum image_state {
	IMAGE_EMPTY,
	IMAGE_OPEN,
	IMAGE_WHOLE,
	IMAGE_BROKEN,
};

/* Reads the arguments from the given one on as numbers. False: one is none. */
bool image_numbers(const struct slice *argv, size_t argc, size_t from, uint64_t *out)
    __attribute__((warn_unused_result));

/* Says in `error` that this command is wrong; what: "history". */
void image_refuse(const char *what, struct slice name, char *error, size_t error_len);

#endif
