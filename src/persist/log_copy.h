#ifndef PERSIST_LOG_COPY_H
#define PERSIST_LOG_COPY_H

#include <stdbool.h>

/*
 * The end of a rewrite: what the old file got since the new one was begun is copied behind it, a
 * batch after the other: a header fits one place only, so each gets another. What is synced is read
 * from the old file; the rest comes from memory. For log_file.c only.
 */
struct log_file;

/* Takes fd, copies the paths. */
void log_copy_begin(struct log_file *log, int fd, const char *temp_path, const char *path);

/*
 * Copies a piece. True: the new file has taken the place of the old one; its name is to be synced
 * (COPY_RENAMED). A failure ends the copy, and leaves the old file as it was.
 */
bool log_copy_step(struct log_file *log) __attribute__((warn_unused_result));

/* The copy, if there is one, is over: 0, errno, or ECANCELED. */
void log_copy_end(struct log_file *log, int error);

#endif
