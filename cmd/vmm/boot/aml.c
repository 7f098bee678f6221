/* SPDX-License-Identifier: Apache-2.0 */
/* AML and resource descriptors; see aml.h. */
#include "cmd/vmm/boot/aml.h"

#include <string.h>

#define OP_NAME 0x08
#define OP_BYTE 0x0a
#define OP_WORD 0x0b
#define OP_DWORD 0x0c
#define OP_STRING 0x0d
#define OP_QWORD 0x0e
#define OP_SCOPE 0x10
#define OP_BUFFER 0x11
#define OP_PACKAGE 0x12
#define OP_METHOD 0x14
#define OP_EXT 0x5b
#define EXT_REGION 0x80
#define EXT_FIELD 0x81
#define EXT_DEVICE 0x82
#define OP_DUAL_NAME 0x2e
#define OP_MULTI_NAME 0x2f
#define OP_ROOT '\\'
#define OP_LOCAL0 0x60
#define OP_ARG0 0x68
#define OP_STORE 0x70
#define OP_AND 0x7b
#define OP_NOTIFY 0x86
#define OP_IF 0xa0
#define OP_RETURN 0xa4

#define METHOD_SERIALIZED 0x08
#define SPACE_IO 1
#define FIELD_BYTE_WRITE_ZEROES 0x41
#define FIELD_DWORD_WRITE_ZEROES 0x43

/* ---- lengths ---- */

#define PKG_1BYTE_MAX 0x3f
#define PKG_2BYTE_MAX 0xfff

/* PkgLength counts itself; ACPI 6.4, 20.2.4. */
static size_t pkg_length_size(size_t body)
{
	if (body + 1 <= PKG_1BYTE_MAX)
		return 1;
	return body + 2 <= PKG_2BYTE_MAX ? 2 : 3;
}

void aml_end(struct bytes_writer *w, aml_mark mark)
{
	size_t body = w->at - mark;
	size_t n = pkg_length_size(body);
	size_t total = body + n;

	for (size_t i = 0; i < n; i++)
		bytes_put8(w, 0); /* makes room, or fails */
	if (w->failed)
		return;
	memmove(w->data + mark + n, w->data + mark, body);
	if (n == 1) {
		w->data[mark] = (uint8_t)total;
		return;
	}
	w->data[mark] = (uint8_t)((n - 1) << 6 | (total & 0xf));
	for (size_t i = 1; i < n; i++)
		w->data[mark + i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
}

/* ---- names and values ---- */

void aml_ref(struct bytes_writer *w, const char *name)
{
	bytes_put(w, name, 4);
}

void aml_root_path2(struct bytes_writer *w, const char *first, const char *second)
{
	bytes_put8(w, OP_ROOT);
	bytes_put8(w, OP_DUAL_NAME);
	aml_ref(w, first);
	aml_ref(w, second);
}

void aml_root_path3(struct bytes_writer *w, const char *first, const char *second,
		    const char *third)
{
	bytes_put8(w, OP_ROOT);
	bytes_put8(w, OP_MULTI_NAME);
	bytes_put8(w, 3);
	aml_ref(w, first);
	aml_ref(w, second);
	aml_ref(w, third);
}

void aml_name(struct bytes_writer *w, const char *name)
{
	bytes_put8(w, OP_NAME);
	aml_ref(w, name);
}

void aml_int(struct bytes_writer *w, uint64_t v)
{
	if (v <= 1) {
		bytes_put8(w, (uint8_t)v); /* ZeroOp, OneOp */
	} else if (v <= UINT8_MAX) {
		bytes_put8(w, OP_BYTE);
		bytes_put8(w, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		bytes_put8(w, OP_WORD);
		bytes_put16(w, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		bytes_put8(w, OP_DWORD);
		bytes_put32(w, (uint32_t)v);
	} else {
		bytes_put8(w, OP_QWORD);
		bytes_put64(w, v);
	}
}

void aml_string(struct bytes_writer *w, const char *s)
{
	bytes_put8(w, OP_STRING);
	bytes_put(w, s, strlen(s) + 1);
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

void aml_eisaid(struct bytes_writer *w, const char *id)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)(id[i] - '@');
	for (unsigned int i = 3; i < 7; i++)
		v = v << 4 | hex_digit(id[i]);
	bytes_put8(w, OP_DWORD);
	bytes_put32(w, __builtin_bswap32(v));
}

/* ---- objects ---- */

aml_mark aml_scope(struct bytes_writer *w, const char *name)
{
	aml_mark mark;

	bytes_put8(w, OP_SCOPE);
	mark = w->at;
	aml_ref(w, name);
	return mark;
}

aml_mark aml_device(struct bytes_writer *w, const char *name)
{
	aml_mark mark;

	bytes_put8(w, OP_EXT);
	bytes_put8(w, EXT_DEVICE);
	mark = w->at;
	aml_ref(w, name);
	return mark;
}

aml_mark aml_method(struct bytes_writer *w, const char *name, unsigned int n_args, bool serialized)
{
	aml_mark mark;

	bytes_put8(w, OP_METHOD);
	mark = w->at;
	aml_ref(w, name);
	bytes_put8(w, (uint8_t)((n_args & 7) | (serialized ? METHOD_SERIALIZED : 0)));
	return mark;
}

aml_mark aml_package(struct bytes_writer *w, uint8_t n_elements)
{
	aml_mark mark;

	bytes_put8(w, OP_PACKAGE);
	mark = w->at;
	bytes_put8(w, n_elements);
	return mark;
}

static aml_mark field(struct bytes_writer *w, const char *region, uint8_t flags)
{
	aml_mark mark;

	bytes_put8(w, OP_EXT);
	bytes_put8(w, EXT_FIELD);
	mark = w->at;
	aml_ref(w, region);
	bytes_put8(w, flags);
	return mark;
}

aml_mark aml_byte_field(struct bytes_writer *w, const char *region)
{
	return field(w, region, FIELD_BYTE_WRITE_ZEROES);
}

aml_mark aml_dword_field(struct bytes_writer *w, const char *region)
{
	return field(w, region, FIELD_DWORD_WRITE_ZEROES);
}

aml_mark aml_if(struct bytes_writer *w)
{
	bytes_put8(w, OP_IF);
	return w->at;
}

void aml_io_region(struct bytes_writer *w, const char *name, uint16_t port, uint8_t len)
{
	bytes_put8(w, OP_EXT);
	bytes_put8(w, EXT_REGION);
	aml_ref(w, name);
	bytes_put8(w, SPACE_IO);
	aml_int(w, port);
	aml_int(w, len);
}

void aml_field_unit(struct bytes_writer *w, const char *name, uint8_t bits)
{
	aml_ref(w, name);
	bytes_put8(w, bits & PKG_1BYTE_MAX);
}

/* ---- operators ---- */

void aml_op_store(struct bytes_writer *w)
{
	bytes_put8(w, OP_STORE);
}

void aml_op_return(struct bytes_writer *w)
{
	bytes_put8(w, OP_RETURN);
}

void aml_op_notify(struct bytes_writer *w)
{
	bytes_put8(w, OP_NOTIFY);
}

void aml_op_and(struct bytes_writer *w)
{
	bytes_put8(w, OP_AND);
}

aml_mark aml_if_local0(struct bytes_writer *w, uint32_t bits)
{
	aml_mark mark = aml_if(w);

	aml_op_and(w);
	aml_local0(w);
	aml_int(w, bits);
	aml_no_target(w);
	return mark;
}

void aml_arg0(struct bytes_writer *w)
{
	bytes_put8(w, OP_ARG0);
}

void aml_local0(struct bytes_writer *w)
{
	bytes_put8(w, OP_LOCAL0);
}

void aml_no_target(struct bytes_writer *w)
{
	bytes_put8(w, 0);
}

/* ---- resources ---- */

#define RES_SIZE_FIELD 3 /* WordPrefix and a word: always room for the buffer's size */

aml_mark aml_resources(struct bytes_writer *w)
{
	aml_mark mark;

	bytes_put8(w, OP_BUFFER);
	mark = w->at;
	bytes_put8(w, OP_WORD);
	bytes_put16(w, 0);
	return mark;
}

void aml_resources_end(struct bytes_writer *w, aml_mark mark)
{
	size_t len;

	bytes_put8(w, 0x79); /* end tag */
	bytes_put8(w, 0);    /* its checksum: not computed */
	if (w->failed)
		return;
	len = w->at - mark - RES_SIZE_FIELD;
	w->data[mark + 1] = (uint8_t)len;
	w->data[mark + 2] = (uint8_t)(len >> 8);
	aml_end(w, mark);
}

void aml_res_io(struct bytes_writer *w, uint16_t port, uint8_t len)
{
	bytes_put8(w, 0x47); /* I/O port, small, 7 bytes */
	bytes_put8(w, 1);    /* decodes 16 bits */
	bytes_put16(w, port);
	bytes_put16(w, port);
	bytes_put8(w, 1); /* alignment */
	bytes_put8(w, len);
}

void aml_res_memory32(struct bytes_writer *w, uint32_t start, uint32_t len)
{
	bytes_put8(w, 0x86); /* 32-bit fixed memory */
	bytes_put16(w, 9);
	bytes_put8(w, 1); /* writable */
	bytes_put32(w, start);
	bytes_put32(w, len);
}

void aml_res_irq_edge(struct bytes_writer *w, uint32_t gsi)
{
	bytes_put8(w, 0x89); /* extended interrupt */
	bytes_put16(w, 6);
	bytes_put8(w, 0x03); /* consumer, edge, active high, exclusive */
	bytes_put8(w, 1);
	bytes_put32(w, gsi);
}

void aml_res_bus_range(struct bytes_writer *w, uint16_t first, uint16_t last)
{
	bytes_put8(w, 0x88); /* word address space */
	bytes_put16(w, 13);
	bytes_put8(w, 2);    /* bus numbers */
	bytes_put8(w, 0x0c); /* producer, minimum and maximum fixed */
	bytes_put8(w, 0);
	bytes_put16(w, 0);
	bytes_put16(w, first);
	bytes_put16(w, last);
	bytes_put16(w, 0);
	bytes_put16(w, (uint16_t)(last - first + 1));
}

void aml_res_window32(struct bytes_writer *w, uint32_t start, uint32_t len)
{
	bytes_put8(w, 0x87); /* double-word address space */
	bytes_put16(w, 23);
	bytes_put8(w, 0);    /* memory */
	bytes_put8(w, 0x0c); /* producer, minimum and maximum fixed */
	bytes_put8(w, 1);    /* not cacheable, writable */
	bytes_put32(w, 0);
	bytes_put32(w, start);
	bytes_put32(w, start + (len - 1));
	bytes_put32(w, 0);
	bytes_put32(w, len);
}
