#ifndef PERSIST_TESTING_DISK_H
#define PERSIST_TESTING_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "persist/disk.h"

/*
 * For tests: the working folder as a disk that fails when it is told to, and that knows what a loss
 * of power would leave of its files. Its state is shared with children, so that the calls that a
 * child makes are counted and remembered as well.
 *
 * What is written lasts once a sync of the file succeeded, a name once a sync of the folder did.
 * What a sync fails to write is lost: another sync does not try it again, as in Linux.
 */
enum testing_call {
	TESTING_OPEN = 1 << 0,
	TESTING_WRITE = 1 << 1,
	TESTING_READ = 1 << 2,
	TESTING_SYNC = 1 << 3,
	TESTING_TRUNCATE = 1 << 4,
	TESTING_RENAME = 1 << 5,
	TESTING_UNLINK = 1 << 6,
	TESTING_FORK = 1 << 7,
	TESTING_ALL = (1 << 8) - 1,
};

#define TESTING_FILES 64
#define TESTING_FILE_MAX ((size_t)32 << 10)
#define TESTING_NAME_MAX 64

struct testing_file {
	uint64_t inode; /* 0: the place is free */
	size_t len;     /* that lasts */
	char bytes[TESTING_FILE_MAX];
	bool is_dirty[TESTING_FILE_MAX]; /* written, and not synced */
};

struct testing_names {
	size_t count;
	struct testing_name {
		char name[TESTING_NAME_MAX];
		uint64_t inode;
	} names[TESTING_FILES];
};

struct testing_disk {
	struct disk disk;   /* to be handed to what is tested */
	uint32_t calls;     /* of the kinds that may fail, so far */
	uint32_t kinds;     /* enum testing_call */
	uint32_t fail_from; /* this call fails, counted from 1; 0: none */
	uint32_t fail_count;
	int error;
	bool fails_short; /* if the first that fails is a write, half of it is done */
	int child_signal; /* ends each child before it writes; 0: none */
	struct testing_file files[TESTING_FILES];
	struct testing_names names; /* that last */
};

/* Nothing fails. Returns owned (testing_disk_free). */
struct testing_disk *testing_disk_new(void);
void testing_disk_free(struct testing_disk *d);

/* From now on, of the calls of these kinds, skip succeed, count fail, and all others succeed. */
void testing_disk_fail(
    struct testing_disk *d, uint32_t kinds, uint32_t skip, uint32_t count, int error);

/* Nothing fails from now on. */
void testing_disk_heal(struct testing_disk *d);

/* Everything fails from now on, and changes nothing. */
void testing_disk_die(struct testing_disk *d);

/* What the next process finds. */
enum testing_loss {
	TESTING_KILLED,    /* all that was written: only the process has ended */
	TESTING_OLD_NAMES, /* the power was lost: nothing is there that was not synced */
	TESTING_NEW_NAMES, /* ... but all names are as they were last */
	TESTING_TORN,      /* ... and half of what a file got */
	TESTING_LOSSES,
};

struct testing_image;

/* Returns owned (testing_image_free). */
struct testing_image *testing_disk_image(struct testing_disk *d, enum testing_loss loss);
/* Makes the folder so. */
void testing_image_put(const struct testing_image *image);
/* Borrows; ptr is NULL if there is no such file. */
struct slice testing_image_file(const struct testing_image *image, const char *name);
void testing_image_free(struct testing_image *image);

/* Removes all files of the working folder. */
void testing_disk_empty_folder(void);

#endif
