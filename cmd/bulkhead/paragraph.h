/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people on standard output: a label, and what is right of it, in lines of 100 columns. */
#ifndef BULKHEAD_CMD_BULKHEAD_PARAGRAPH_H
#define BULKHEAD_CMD_BULKHEAD_PARAGRAPH_H

#include <stddef.h>

/*
 * Prints the label and the formatted text beside it; both may be empty. What is not printable ASCII
 * becomes '?': names of files come from whoever wrote the configuration.
 */
void paragraph(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A list that grows, "A, B, C"; cut where it is full. */
struct list {
	char text[2048];
	size_t len;
};

void list_add(struct list *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
