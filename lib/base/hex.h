/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal digits, of either case. */
#ifndef BULKHEAD_BASE_HEX_H
#define BULKHEAD_BASE_HEX_H

#include <errno.h>

/* 0 to 15, or -EINVAL. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -EINVAL;
}

/* The byte that two digits say, or -EINVAL; the second is not looked at when the first is none. */
static inline int hex_byte(const char *digits)
{
	int high = hex_digit(digits[0]), low = high < 0 ? -EINVAL : hex_digit(digits[1]);

	return low < 0 ? -EINVAL : high * 16 + low;
}

#endif
