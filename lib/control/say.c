/* SPDX-License-Identifier: Apache-2.0 */
/* What a process says to its supervisor in words; see control.h. */
#include "lib/control/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void control_log_sink(void *ctx, enum log_level level, const char *line, size_t len)
{
	struct control_msg m = { .type = CTL_LOG, .number = (uint32_t)level };

	m.text_len = len < CTL_TEXT_MAX ? len : CTL_TEXT_MAX;
	memcpy(m.text, line, m.text_len);
	(void)!control_send(*(const int *)ctx, &m, -1);
}

int control_fail(int sock, const char *fmt, ...)
{
	struct control_msg m = { .type = CTL_FAILED };
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (n > 0)
		m.text_len = n < CTL_TEXT_MAX ? (size_t)n : CTL_TEXT_MAX;
	(void)!control_send(sock, &m, -1);
	return 1;
}
