#ifndef PERSIST_LOG_COPY_H
#define PERSIST_LOG_COPY_H

#include <stdbool.h>

/*
 * The end of a rewrite: appends the batches that the old file got since the rewrite began to the
 * new file. A header is valid at one offset only, so each batch gets a new one. Synced batches are
 * read from the old file, the rest from memory. For log_file.c only.
 */
struct log_file;

/* Takes fd, copies the paths. */
void log_copy_begin(struct log_file *log, int fd, const char *temp_path, const char *path);

/* Copies a piece. True: the new file has replaced the old one; the folder must still be synced
 * (COPY_RENAMED). A failure ends the copy and leaves the old file as it was. */
bool log_copy_step(struct log_file *log) __attribute__((warn_unused_result));

/* Ends the copy, if there is one, with 0, errno or ECANCELED. */
void log_copy_end(struct log_file *log, int error);

#endif
