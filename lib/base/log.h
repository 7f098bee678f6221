/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging, for mains only: libraries return errors. A jailed process's lines go to the supervisor
 * over its control channel; the command's and the supervisor's go to standard error.
 */
#ifndef BULKHEAD_BASE_LOG_H
#define BULKHEAD_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_LINE_MAX 400 /* bytes of one line with its NUL; longer ones are cut */

typedef void (*log_sink)(void *ctx, enum log_level level, const char *line, size_t len);

/* Without a sink, lines are dropped. */
void log_set_sink(log_sink sink, void *ctx);
void log_set_level(enum log_level most);
/* A sink for standard error: "PREFIX: line". ctx is the prefix, a string. */
void log_sink_stderr(void *ctx, enum log_level level, const char *line, size_t len);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * For what a guest can repeat at will: at most `burst` lines in the life of the gate, the last of
 * which says that more are left out. Counting, not time, so that it needs no clock.
 */
struct log_gate {
	unsigned int burst;
	unsigned int seen;
};

#define LOG_GATE(n) ((struct log_gate){ .burst = (n) })

void log_gated(struct log_gate *gate, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
