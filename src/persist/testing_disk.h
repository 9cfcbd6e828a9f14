#ifndef PERSIST_TESTING_DISK_H
#define PERSIST_TESTING_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "persist/disk.h"

/*
 * For tests: the working folder as a disk that can be made to fail, and that tracks the bytes and
 * names that would survive a loss of power. Its state is shared with child processes, so that their
 * calls are counted and remembered as well, also those of two processes at the same time.
 *
 * Written data is durable after a successful sync of the file, a name after one of the folder. Data
 * that a sync fails to write is lost: another sync does not retry it, as in Linux.
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
	_Atomic uint64_t inode; /* 0: unused */
	size_t len;             /* of the durable bytes */
	char bytes[TESTING_FILE_MAX];
	bool is_dirty[TESTING_FILE_MAX]; /* written and not synced */
};

struct testing_names {
	size_t count;
	struct testing_name {
		char name[TESTING_NAME_MAX];
		uint64_t inode;
	} names[TESTING_FILES];
};

struct testing_disk {
	struct disk disk;       /* to be passed to the code under test */
	_Atomic uint32_t calls; /* so far, of the kinds that may fail */
	uint32_t kinds;         /* enum testing_call */
	uint32_t fail_from;     /* this call fails, counted from 1; 0: none */
	uint32_t fail_count;
	int error;
	bool fails_short; /* if the first failing call is a write, half of it is written */
	int child_signal; /* signal that ends each child before it writes; 0: none */
	struct testing_file files[TESTING_FILES];
	struct testing_names names; /* the durable names */
};

/* Nothing fails. Returns owned (testing_disk_free). */
struct testing_disk *testing_disk_new(void);
void testing_disk_free(struct testing_disk *d);

/* From now on, of the calls of these kinds, `skip` succeed, then `count` fail, and all others
 * succeed. */
void testing_disk_fail(
    struct testing_disk *d, uint32_t kinds, uint32_t skip, uint32_t count, int error);

/* Nothing fails from now on. */
void testing_disk_heal(struct testing_disk *d);

/* Everything fails from now on, and changes nothing. */
void testing_disk_die(struct testing_disk *d);

/* What the next process finds on the disk. */
enum testing_loss {
	TESTING_KILLED,    /* everything written: only the process has ended */
	TESTING_OLD_NAMES, /* power was lost: only synced data and names */
	TESTING_NEW_NAMES, /* power was lost: only synced data, but all names */
	TESTING_TORN,      /* the same with half of the unsynced data */
	TESTING_LOSSES,
};

struct testing_image;

/* Returns owned (testing_image_free). */
struct testing_image *testing_disk_image(struct testing_disk *d, enum testing_loss loss);
/* Puts the files into the folder. */
void testing_image_put(const struct testing_image *image);
/* Borrows; ptr is NULL if there is no such file. */
struct slice testing_image_file(const struct testing_image *image, const char *name);
void testing_image_free(struct testing_image *image);

/* Removes all files of the working folder. */
void testing_disk_empty_folder(void);

#endif
