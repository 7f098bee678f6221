/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: accesses of every width at every offset (CVE-2020-13754, 2018-16847), masks, pending. */
#include "cmd/vmm/pci/msix.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include "lib/base/fd.h"

#include <string.h>

#define VECTORS 5U

struct fixture {
	struct machine m;
	struct accel accel;
	uint8_t before[64];
	struct msix x;
	uint8_t after[64];
	int fd[3];
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	test_machine_open(&f->m, &f->accel);
	msix_init(&f->x, &f->m, VECTORS);
	for (int i = 0; i < 3; i++) {
		f->fd[i] = make_event();
		assert_int_equal(msix_add_source(&f->x, f->fd[i]), i);
	}
	memset(f->before, 0xa5, sizeof(f->before));
	memset(f->after, 0xa5, sizeof(f->after));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(f->before); i++)
		assert_true(f->before[i] == 0xa5 && f->after[i] == 0xa5);
	assert_int_equal(f->accel.n_faults, 0);
	fds_close(f->fd, 3);
	test_machine_close(&f->m);
	test_free(f);
	return 0;
}

static void set_entry(struct fixture *f, unsigned int vector, uint32_t address, uint32_t data,
		      uint32_t control)
{
	msix_table_write(&f->x, 16 * vector, 4, address);
	msix_table_write(&f->x, 16 * vector + 4, 4, 0);
	msix_table_write(&f->x, 16 * vector + 8, 4, data);
	msix_table_write(&f->x, 16 * vector + 12, 4, control);
}

static void raise_source(struct fixture *f, unsigned int source)
{
	const uint64_t one = 1;

	assert_int_equal(write(f->fd[source], &one, 8), 8);
}

static bool good_access(uint64_t offset, unsigned int width, uint64_t size)
{
	return (width == 4 || width == 8) && offset % width == 0 && offset + width <= size;
}

static void every_width_at_every_offset(void **state)
{
	struct fixture *f = *state;

	for (unsigned int width = 0; width <= 16; width++)
		for (uint64_t offset = 0; offset < 16 * VECTORS + 32; offset++) {
			struct msix old = f->x;

			msix_table_write(&f->x, offset, width, UINT64_MAX);
			if (!good_access(offset, width, 16 * VECTORS)) {
				assert_memory_equal(&old, &f->x, sizeof(old));
				assert_true(msix_table_read(&f->x, offset, width) == 0);
			}
			if (offset >= 8)
				assert_true(msix_pba_read(&f->x, offset, width) == 0);
		}
	assert_true(msix_table_read(&f->x, UINT64_MAX - 3, 4) == 0);
	assert_true(msix_table_read(&f->x, UINT64_MAX - 7, 8) == 0);
	msix_table_write(&f->x, UINT64_MAX - 7, 8, 1);
	assert_true(msix_pba_read(&f->x, UINT64_MAX - 7, 8) == 0);
}

static void entries_keep_what_is_writable(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(msix_table_read(&f->x, 12, 4), 1); /* masked from the start */
	msix_table_write(&f->x, 0, 8, UINT64_MAX);
	msix_table_write(&f->x, 8, 8, UINT64_MAX);
	assert_true(msix_table_read(&f->x, 0, 8) == 0xfffffffffffffffcULL);
	assert_true(msix_table_read(&f->x, 8, 8) == 0x00000001ffffffffULL);
	assert_int_equal(msix_table_read(&f->x, 4, 4), 0xffffffff);
}

static void a_source_is_bound_only_while_it_may_be_delivered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(msix_map(&f->x, 0, 2), 2);
	set_entry(f, 2, 0xfee01000, 0x41, 0);
	assert_int_equal(f->accel.n_irqs, 0); /* not enabled */
	msix_set_deliver(&f->x, true);
	assert_int_equal(f->accel.n_irqs, 1);
	assert_true(f->accel.irq[0].msi.address == 0xfee01000 && f->accel.irq[0].msi.data == 0x41);
	msix_table_write(&f->x, 16 * 2 + 12, 4, 1);
	assert_int_equal(f->accel.n_irqs, 0); /* masked */
	msix_table_write(&f->x, 16 * 2 + 8, 8, 0x42);
	assert_int_equal(f->accel.n_irqs, 1);
	assert_int_equal(f->accel.irq[0].msi.data, 0x42);
	assert_int_equal(msix_map(&f->x, 0, VECTORS), MSIX_NO_VECTOR);
	assert_int_equal(f->accel.n_irqs, 0); /* unmapped */
	assert_int_equal(msix_map(&f->x, 0, 2), 2);
	msix_set_deliver(&f->x, false);
	assert_int_equal(f->accel.n_irqs, 0);
	msix_set_deliver(&f->x, true);
	msix_reset(&f->x);
	assert_int_equal(f->accel.n_irqs, 0);
	assert_int_equal(msix_vector(&f->x, 0), MSIX_NO_VECTOR);
}

static void messages_go_to_local_apics_only(void **state)
{
	struct fixture *f = *state;

	msix_set_deliver(&f->x, true);
	assert_int_equal(msix_map(&f->x, 1, 1), 1);
	set_entry(f, 1, 0x00001000, 0x41, 0);
	assert_int_equal(f->accel.n_irqs, 0);
	set_entry(f, 1, 0xfed00000, 0x41, 0);
	assert_int_equal(f->accel.n_irqs, 0);
	set_entry(f, 1, 0xfee00000, 0x41, 0);
	assert_int_equal(f->accel.n_irqs, 1);
	msix_table_write(&f->x, 16 + 4, 4, 1); /* above 4 GiB */
	assert_int_equal(f->accel.n_irqs, 0);
}

static void pending_shows_what_waits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(msix_map(&f->x, 0, 4), 4);
	assert_int_equal(msix_map(&f->x, 1, 0), 0);
	assert_int_equal(msix_map(&f->x, 2, 4), 4); /* shared */
	msix_set_deliver(&f->x, true);
	set_entry(f, 0, 0xfee00000, 0x30, 0);
	assert_true(msix_pba_read(&f->x, 0, 8) == 0);
	raise_source(f, 2);
	raise_source(f, 1); /* bound: goes to the guest */
	assert_true(msix_pba_read(&f->x, 0, 8) == 1 << 4);
	assert_true(msix_pba_read(&f->x, 0, 4) == 1 << 4);
	assert_true(msix_pba_read(&f->x, 4, 4) == 0);
	set_entry(f, 4, 0xfee00000, 0x34, 0);
	assert_true(msix_pba_read(&f->x, 0, 8) == 0);
	assert_int_equal(f->accel.n_irqs, 3);
}

static void unknown_sources_and_too_many(void **state)
{
	struct fixture *f = *state;
	int r = 0;

	assert_int_equal(msix_map(&f->x, 3, 0), MSIX_NO_VECTOR);
	assert_int_equal(msix_vector(&f->x, 1000), MSIX_NO_VECTOR);
	for (unsigned int i = 3; i <= MSIX_MAX; i++)
		r = msix_add_source(&f->x, f->fd[0]);
	assert_int_equal(r, -28 /* ENOSPC */);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_width_at_every_offset),
		T(entries_keep_what_is_writable),
		T(a_source_is_bound_only_while_it_may_be_delivered),
		T(messages_go_to_local_apics_only),
		T(pending_shows_what_waits),
		T(unknown_sources_and_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
