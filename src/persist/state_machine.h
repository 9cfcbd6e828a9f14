#ifndef PERSIST_STATE_MACHINE_H
#define PERSIST_STATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The states of persistence as one table of transitions: it takes events and returns the actions
 * and the next state. It does nothing itself; persist.c carries the actions out.
 *
 * The log (the append-only file) is OFF, STARTING (changes go to a file without a name until a
 * rewrite has made one with a name; appendonly is still "no"), ON, or CLOSED (the daemon is
 * ending). At most one dump (rewrite or snapshot) is under way: WANTED (begins at the end of the
 * turn), CHILD (a child writes it), PLACING (the writer thread renames it), or CANCELLED (its child
 * or its rename has not ended yet; the outcome is ignored). Further dumps are scheduled.
 */
enum log_phase { PHASE_OFF, PHASE_STARTING, PHASE_ON, PHASE_CLOSED };
enum dump_phase { DUMP_IDLE, DUMP_WANTED, DUMP_CHILD, DUMP_PLACING, DUMP_CANCELLED };
enum dump_kind { DUMP_REWRITE, DUMP_SNAPSHOT };

struct state_machine {
	enum log_phase log;
	enum dump_phase dump;
	enum dump_kind kind; /* meaningless while dump is DUMP_IDLE */
};

enum state_machine_event {
	EVENT_LOG_ON,        /* the log is being switched on, and its unnamed file is open */
	EVENT_LOG_LOADED,    /* at the start, the file was found or made, and is used */
	EVENT_LOG_OFF,       /* appendonly no */
	EVENT_LOG_FAULT,     /* a write or sync of the log failed */
	EVENT_WANT_REWRITE,  /* BGREWRITEAOF, or the file has grown */
	EVENT_WANT_SNAPSHOT, /* BGSAVE, SAVE, or a save rule */
	EVENT_TURN_ENDS,     /* all changes so far were passed to the writer */
	EVENT_CHILD_DONE,
	EVENT_CHILD_FAILED,  /* or was not started */
	EVENT_CHILD_STOPPED, /* another process ended it by a signal such as SIGTERM */
	EVENT_PLACED,
	EVENT_PLACE_FAILED,
	EVENT_SAVE_NOW, /* this process is about to write a snapshot itself */
	EVENT_END,
	STATE_MACHINE_EVENTS,
};

/* In the order in which persist.c carries them out. */
enum state_machine_action {
	ACTION_SCHEDULE = 1 << 0, /* this kind begins after the dump under way */
	ACTION_REFUSE = 1 << 1,   /* the same kind is under way already */
	ACTION_UNSCHEDULE_REWRITE = 1 << 2,
	ACTION_UNSCHEDULE_SNAPSHOT = 1 << 3,
	ACTION_SCHEDULE_REWRITE = 1 << 4,
	ACTION_KILL_CHILD = 1 << 5,
	ACTION_REFUSE_RENAMES = 1 << 6, /* renames that were ordered before */
	ACTION_FORK = 1 << 7,
	ACTION_ADOPT = 1 << 8,  /* the rewritten file replaces the log */
	ACTION_RENAME = 1 << 9, /* the dump gets its name */
	ACTION_REMOVE_TEMP = 1 << 10,
	ACTION_NOTE_DONE = 1 << 11, /* the dump's outcome, for figures and waiting clients */
	ACTION_NOTE_FAILED = 1 << 12,
	ACTION_NOTE_CANCELLED = 1 << 13,
	ACTION_JOURNAL_ON = 1 << 14,  /* changes are collected */
	ACTION_JOURNAL_OFF = 1 << 15, /* changes are no longer collected; held replies are sent */
	ACTION_STOP_LOG = 1 << 16,    /* the writer closes the file; all batches are settled */
	ACTION_ACCEPT_LOG = 1 << 17,  /* appendonly is "yes" from now on */
	ACTION_FAIL_START = 1 << 18,  /* appendonly stays "no": waiting clients get the reason */
};

/* Returns the actions (enum state_machine_action), and sets *m to the next state. */
uint32_t state_machine_step(struct state_machine *m, enum state_machine_event event);

#endif
