/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for machines. Names come from images: any bytes; what is no UTF-8 of them becomes '?'. */
#ifndef BULKHEAD_IMAGEKIT_JSON_H
#define BULKHEAD_IMAGEKIT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

void json_put_text(json_t *o, const char *key, const char *text);
void json_put_number(json_t *o, const char *key, uint64_t v);
void json_put_bool(json_t *o, const char *key, bool v);
void json_put(json_t *o, const char *key, json_t *v);
/* For the user, and freed. */
void json_print(json_t *o);
/* Text for people likewise: what is not printable ASCII becomes '?'. */
const char *text_plain(const char *text, char *out, size_t cap);

#endif
