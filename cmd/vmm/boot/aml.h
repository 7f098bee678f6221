/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small builder of ACPI Machine Language (ACPI 6.4, chapter 20) into a bounded buffer. Running
 * out of room sets a sticky error in the writer. Names are of exactly four characters.
 */
#ifndef BULKHEAD_VMM_BOOT_AML_H
#define BULKHEAD_VMM_BOOT_AML_H

#include "lib/base/bytes.h"

/* Objects with a length: begin, put what is inside, end. They nest. */
typedef size_t aml_mark;

aml_mark aml_scope(struct bytes_writer *w, const char *name);
aml_mark aml_device(struct bytes_writer *w, const char *name);
aml_mark aml_method(struct bytes_writer *w, const char *name, unsigned int n_args, bool serialized);
aml_mark aml_package(struct bytes_writer *w, uint8_t n_elements);
/* A field of byte accesses without the global lock. */
aml_mark aml_byte_field(struct bytes_writer *w, const char *region);
/* The same of accesses of four bytes. */
aml_mark aml_dword_field(struct bytes_writer *w, const char *region);
/* If; the predicate follows first. */
aml_mark aml_if(struct bytes_writer *w);
/* If Local0 has one of these bits. */
aml_mark aml_if_local0(struct bytes_writer *w, uint32_t bits);
void aml_end(struct bytes_writer *w, aml_mark mark);

/* Name (NAME, what follows) */
void aml_name(struct bytes_writer *w, const char *name);
void aml_int(struct bytes_writer *w, uint64_t v);
void aml_string(struct bytes_writer *w, const char *s);
/* A PNP id such as "PNP0A08" in its compressed form. */
void aml_eisaid(struct bytes_writer *w, const char *id);
/* Paths from the root: \_SB_.PWRB; to a method without arguments, which this calls. */
void aml_root_path2(struct bytes_writer *w, const char *first, const char *second);
void aml_root_path3(struct bytes_writer *w, const char *first, const char *second,
		    const char *third);
void aml_ref(struct bytes_writer *w, const char *name);
void aml_io_region(struct bytes_writer *w, const char *name, uint16_t port, uint8_t len);
/* One field of a field list. */
void aml_field_unit(struct bytes_writer *w, const char *name, uint8_t bits);

/* Operators; operands follow. */
void aml_op_store(struct bytes_writer *w);  /* source, target */
void aml_op_return(struct bytes_writer *w); /* value */
void aml_op_notify(struct bytes_writer *w); /* object, value */
void aml_op_and(struct bytes_writer *w);    /* a, b, target */
void aml_arg0(struct bytes_writer *w);
void aml_local0(struct bytes_writer *w);
void aml_no_target(struct bytes_writer *w);

/* Resource templates (ACPI 6.4, 6.4): a buffer between begin and end. */
aml_mark aml_resources(struct bytes_writer *w);
void aml_resources_end(struct bytes_writer *w, aml_mark mark);
void aml_res_io(struct bytes_writer *w, uint16_t port, uint8_t len);
void aml_res_memory32(struct bytes_writer *w, uint32_t start, uint32_t len);
void aml_res_irq_edge(struct bytes_writer *w, uint32_t gsi);
void aml_res_bus_range(struct bytes_writer *w, uint16_t first, uint16_t last);
void aml_res_window32(struct bytes_writer *w, uint32_t start, uint32_t len);

#endif
