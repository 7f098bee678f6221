/* SPDX-License-Identifier: Apache-2.0 */
/* Logging through one sink; see log.h. */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
	log_sink sink;
	void *ctx;
	enum log_level most;
} the_log = { .most = LOG_LEVEL_INFO };

void log_set_sink(log_sink sink, void *ctx)
{
	the_log.sink = sink;
	the_log.ctx = ctx;
}

void log_set_level(enum log_level most)
{
	the_log.most = most;
}

void log_sink_stderr(void *ctx, enum log_level level, const char *line, size_t len)
{
	char out[LOG_LINE_MAX + 64];
	int n = snprintf(out, sizeof(out), "%s: %s%.*s\n", (const char *)ctx,
			 level == LOG_LEVEL_WARNING ? "warning: " : "", (int)len, line);

	if (n < 0)
		return;
	if ((size_t)n >= sizeof(out))
		n = sizeof(out) - 1;
	(void)!write(STDERR_FILENO, out, (size_t)n);
}

static __attribute__((format(printf, 2, 0))) void log_va(enum log_level level, const char *fmt,
							 va_list ap)
{
	char line[LOG_LINE_MAX];
	int n;

	if (!the_log.sink || level > the_log.most)
		return;
	n = vsnprintf(line, sizeof(line), fmt, ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	the_log.sink(the_log.ctx, level, line, (size_t)n);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(level, fmt, ap);
	va_end(ap);
}

void log_gated(struct log_gate *gate, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (gate->seen >= gate->burst)
		return;
	va_start(ap, fmt);
	log_va(level, fmt, ap);
	va_end(ap);
	if (++gate->seen == gate->burst)
		log_line(level, "more messages of this kind are left out");
}
