#ifndef BASE_TASK_H
#define BASE_TASK_H

/*
 * Task: work that another thread does for the main loop. It is embedded in a struct with what it
 * works on, which belongs to that thread from the moment at which the task is given to it until
 * done() is called.
 */
struct task {
	struct task *next;
	void (*run)(struct task *task);  /* called once, in the other thread */
	void (*done)(struct task *task); /* called once behind it, in the main loop; may free it */
};

#endif
