/* SPDX-License-Identifier: Apache-2.0 */
/* Saved states are hostile: a toy schema of every width, and every way to be wrong. */
#include "tests/unit/unit.h"

#include "lib/state/state.h"

#include <errno.h>
#include <string.h>

struct toy {
	uint8_t mode;  /* 1 to 3 */
	uint8_t on;    /* a bool */
	uint16_t bits; /* 0x0f0f */
	uint32_t n_used;
	uint64_t any;
	uint16_t ring[4]; /* below 256 */
};

static const struct state_field toy_fields[] = {
	STATE_RANGE(struct toy, mode, 1, 3),  STATE_BOOL(struct toy, on),
	STATE_BITS(struct toy, bits, 0x0f0f), STATE_RANGE(struct toy, n_used, 0, 100),
	STATE_ANY(struct toy, any),	      STATE_RANGES(struct toy, ring, 0, 255),
};

static const char *toy_check(const void *image)
{
	const struct toy *t = image;

	return t->on || !t->n_used ? NULL : "n_used without on";
}

static const struct state_schema toy_schema = {
	.name = "toy",
	.version = 3,
	.size = sizeof(struct toy),
	.fields = toy_fields,
	.n_fields = ARRAY_SIZE(toy_fields),
	.check = toy_check,
};

static const struct toy good = { 2, 1, 0x0a05, 99, 0x1122334455667788, { 1, 2, 3, 255 } };
#define WIRE_LEN (STATE_HEADER_LEN + 1 + 1 + 2 + 4 + 8 + 8)

static void save_good(uint8_t wire[WIRE_LEN])
{
	assert_int_equal(state_wire_len(&toy_schema), WIRE_LEN);
	assert_int_equal(state_save(&toy_schema, &good, wire, WIRE_LEN), WIRE_LEN);
}

static void refused(const uint8_t *wire, size_t len, int error, const char *why_part)
{
	static const struct toy zero;
	char why[STATE_WHY_MAX] = "";
	struct toy t;

	memset(&t, 0x5a, sizeof(t));
	assert_int_equal(state_load(&toy_schema, wire, len, &t, why), error);
	assert_non_null(strstr(why, why_part));
	assert_memory_equal(&t, &zero, sizeof(t));
}

static void test_round_trip(void **state)
{
	uint8_t wire[WIRE_LEN];
	char why[STATE_WHY_MAX];
	struct toy t;

	(void)state;
	save_good(wire);
	assert_int_equal(state_load(&toy_schema, wire, sizeof(wire), &t, why), 0);
	assert_memory_equal(&t, &good, sizeof(t));
	for (size_t cap = 0; cap < WIRE_LEN; cap++)
		assert_int_equal(state_save(&toy_schema, &good, wire, cap), -EMSGSIZE);
}

static void test_fixed_bytes(void **state)
{
	static const uint8_t body[] = { 2,    1,    0x05, 0x0a, 99, 0, 0, 0, 0x88, 0x77, 0x66, 0x55,
					0x44, 0x33, 0x22, 0x11, 1,  0, 2, 0, 3,	   0,	 255,  0 };
	static const uint8_t after_hash[] = { 3, 0, 0, 0, sizeof(body), 0, 0, 0 };
	uint8_t wire[WIRE_LEN];

	(void)state;
	save_good(wire);
	assert_memory_equal(wire, "BHST", 4);
	assert_memory_equal(wire + 8, after_hash, sizeof(after_hash));
	assert_memory_equal(wire + STATE_HEADER_LEN, body, sizeof(body));
}

static void test_every_length(void **state)
{
	uint8_t wire[WIRE_LEN + 1] = { 0 };

	(void)state;
	save_good(wire);
	for (size_t len = 0; len < WIRE_LEN; len++)
		refused(wire, len, -EBADMSG,
			len < STATE_HEADER_LEN ? "header" : "bytes instead of 24");
	refused(wire, WIRE_LEN + 1, -EBADMSG, "25 bytes instead of 24");
}

/* Each byte of the header has one right value. */
static void test_headers(void **state)
{
	uint8_t wire[WIRE_LEN];

	(void)state;
	for (size_t i = 0; i < STATE_HEADER_LEN; i++) {
		int error = i >= 4 && i < 10 ? -EPROTONOSUPPORT : -EBADMSG;

		save_good(wire);
		wire[i] ^= 0x10;
		refused(wire, WIRE_LEN, error, "state of toy: ");
	}
	save_good(wire);
	wire[8] = 4;
	refused(wire, WIRE_LEN, -EPROTONOSUPPORT, "version 4, known is 3");
}

static void test_fields_out_of_range(void **state)
{
	static const struct {
		struct toy t;
		const char *why;
	} cases[] = {
		{ { 0, 1, 0, 0, 0, { 0 } }, "mode is 0x0" },
		{ { 4, 1, 0, 0, 0, { 0 } }, "mode is 0x4" },
		{ { 1, 2, 0, 0, 0, { 0 } }, "on is 0x2" },
		{ { 1, 1, 0x1000, 0, 0, { 0 } }, "bits is 0x1000" },
		{ { 1, 1, 0, 101, 0, { 0 } }, "n_used is 0x65" },
		{ { 1, 1, 0, UINT32_MAX, 0, { 0 } }, "n_used is 0xffffffff" },
		{ { 1, 1, 0, 0, 0, { 0, 0, 256, 0 } }, "ring[2] is 0x100" },
		{ { 1, 0, 0, 1, 0, { 0 } }, "n_used without on" },
	};
	uint8_t wire[WIRE_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(state_save(&toy_schema, &cases[i].t, wire, WIRE_LEN), WIRE_LEN);
		refused(wire, WIRE_LEN, -EBADMSG, cases[i].why);
	}
}

/* A schema of another name, or with a field that is wider, longer or called otherwise. */
static void test_other_schemas(void **state)
{
	struct state_field fields[ARRAY_SIZE(toy_fields)];
	struct state_schema other = toy_schema;
	uint8_t wire[2 * WIRE_LEN];
	int len;

	(void)state;
	other.name = "boy";
	len = state_save(&other, &good, wire, sizeof(wire));
	refused(wire, (size_t)len, -EPROTONOSUPPORT, "another kind");
	other = toy_schema;
	other.fields = fields;
	for (int i = 0; i < 3; i++) {
		memcpy(fields, toy_fields, sizeof(fields));
		if (i == 0)
			fields[5].count = 3;
		else if (i == 1)
			fields[2].name = "bats";
		else
			fields[2].width = 1;
		len = state_save(&other, &good, wire, sizeof(wire));
		refused(wire, (size_t)len, -EPROTONOSUPPORT, "another kind");
	}
}

/* ---- objects ---- */

struct gadget {
	struct toy toy;
	unsigned int n_quiesced;
	unsigned int n_loaded;
	int reset_error;
};

static int gadget_reset(void *object)
{
	struct gadget *g = object;

	g->toy = (struct toy){ .mode = 1 };
	return g->reset_error;
}

static int gadget_quiesce(void *object)
{
	((struct gadget *)object)->n_quiesced++;
	return 0;
}

static void gadget_save(const void *object, void *image)
{
	memcpy(image, &((const struct gadget *)object)->toy, sizeof(struct toy));
}

static int gadget_load(void *object, const void *image, const char **ret_why)
{
	struct gadget *g = object;
	const struct toy *t = image;

	if (t->mode == 3) {
		*ret_why = "mode 3 needs another gadget";
		return -EINVAL;
	}
	g->toy = *t;
	g->n_loaded++;
	return 0;
}

static const struct state_ops gadget_ops = { "gadget",	     &toy_schema, gadget_reset,
					     gadget_quiesce, gadget_save, gadget_load };

static void test_objects(void **state)
{
	struct gadget g = { .toy = good };
	const struct state_object o = { &gadget_ops, &g };
	char why[STATE_WHY_MAX] = "";
	uint8_t wire[WIRE_LEN];

	(void)state;
	assert_int_equal(state_object_save(&o, wire, sizeof(wire)), WIRE_LEN);
	assert_int_equal(g.n_quiesced, 1);
	assert_int_equal(gadget_reset(&g), 0);
	assert_int_equal(state_object_load(&o, wire, sizeof(wire), why), 0);
	assert_memory_equal(&g.toy, &good, sizeof(good));
	wire[STATE_HEADER_LEN] = 3;
	assert_int_equal(state_object_load(&o, wire, sizeof(wire), why), -EINVAL);
	assert_string_equal(why, "state of gadget: mode 3 needs another gadget");
	wire[STATE_HEADER_LEN] = 4;
	assert_int_equal(state_object_load(&o, wire, sizeof(wire), why), -EBADMSG);
	assert_memory_equal(&g.toy, &good, sizeof(good));
	assert_int_equal(g.n_loaded, 1);
}

static void test_reset_all(void **state)
{
	struct gadget g[3] = { { .toy = good, .reset_error = -EIO },
			       { .toy = good, .reset_error = -EPIPE },
			       { .toy = good } };
	struct state_object o[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		o[i] = (struct state_object){ &gadget_ops, &g[i] };
	assert_int_equal(state_reset_all(o, 3), -EPIPE); /* the last comes first */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(g[i].toy.mode, 1);
	assert_int_equal(state_reset_all(o + 2, 1), 0);
	assert_int_equal(state_reset_all(o, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_fixed_bytes),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_fields_out_of_range),
		cmocka_unit_test(test_other_schemas),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_reset_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
