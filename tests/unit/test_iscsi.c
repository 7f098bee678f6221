/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI's codecs and login: known answers, and targets that cheat. */
#include "tests/unit/unit.h"

#include "lib/iscsi/md5.h"
#include "lib/iscsi/scsi.h"
#include "lib/iscsi/secret.h"
#include "lib/iscsi/uri.h"

#include <errno.h>
#include <string.h>

/* RFC 1321, A.5 */
static void test_md5(void **state)
{
	static const char text[] =
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
	static const uint8_t want[][MD5_LEN] = {
		{ 0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec,
		  0xf8, 0x42, 0x7e },
		{ 0x57, 0xed, 0xf4, 0xa2, 0x2b, 0xe3, 0xc9, 0x55, 0xac, 0x49, 0xda, 0x2e, 0x21,
		  0x07, 0xb6, 0x7a },
	};
	uint8_t got[MD5_LEN];
	struct md5 m;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		md5_begin(&m);
		md5_add(&m, text, i * 80);
		md5_end(&m, got);
		assert_memory_equal(got, want[i], sizeof(got));
	}
}

static void test_binary(void **state)
{
	uint8_t out[4];

	(void)state;
	assert_int_equal(iscsi_binary("0x102", out, sizeof(out)), 2);
	assert_memory_equal(out, "\1\2", 2);
	assert_int_equal(iscsi_binary("0bAQI=", out, sizeof(out)), 2);
	assert_memory_equal(out, "\1\2", 2);
	assert_int_equal(iscsi_binary("0bAQID", out, 2), -EBADMSG);
	assert_int_equal(iscsi_binary("0x0102030405", out, sizeof(out)), -EBADMSG);
	assert_int_equal(iscsi_binary("0x", out, sizeof(out)), -EBADMSG);
	assert_int_equal(iscsi_binary("0x0g", out, sizeof(out)), -EBADMSG);
	assert_int_equal(iscsi_binary("0b====", out, sizeof(out)), -EBADMSG);
	assert_int_equal(iscsi_binary("", out, sizeof(out)), -EBADMSG);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {
		"iscsi://",
		"iscsi://h",
		"iscsi://h/iqn.a:b",
		"iscsi://h/iqn.a:b/",
		"iscsi://h/iqn.a:b/x",
		"iscsi://h/iqn.a:b/16384",
		"iscsi://h/a.b.c:d/1",
		"iscsi://h:0/iqn.a:b/1",
		"iscsi://h:65536/iqn.a:b/1",
		"iscsi://[::1/iqn.a:b/1",
		"iscsi://-h/iqn.a:b/1",
		"iscsi://@h/iqn.a:b/1",
		"iscsi://a%0@h/iqn.a:b/1",
		"iscsi://a%00@h/iqn.a:b/1",
		"iscsi://a+b+c+d+e/iqn.a:b/1",
		"iscsi://a+/iqn.a:b/1",
		"iscsi://h/iqn.a:b/1/2",
	};
	const char *good = "iscsi://us%40er@10.0.0.1+[fe80::1]:33/iqn.2026-01.com.example:d/300",
		   *why;
	struct iscsi_uri u;

	(void)state;
	assert_int_equal(iscsi_uri_parse(good, strlen(good), &u, &why), 0);
	assert_string_equal(u.user, "us@er");
	assert_int_equal(u.n_portals, 2);
	assert_string_equal(u.portal[1].host, "fe80::1");
	assert_int_equal(u.portal[0].port, 3260);
	assert_int_equal(u.portal[1].port, 33);
	assert_memory_equal(u.lun, "\x41\x2c\0\0\0\0\0\0", 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iscsi_uri_parse(bad[i], strlen(bad[i]), &u, &why) != -EINVAL)
			fail_msg("%s", bad[i]);
}

/* ---- logins ---- */

static struct iscsi_login l;
static struct iscsi_who who;

static void begin(bool chap, bool mutual)
{
	static const uint8_t random[1 + ISCSI_CHALLENGE_LEN] = { 9, 1, 2, 3 };
	const char *why;

	who = (struct iscsi_who){ .initiator = "iqn.a:a", .target = "iqn.b:b", .user = "guest" };
	if (chap)
		assert_int_equal(iscsi_secret_take("sixteen-letters1\n", 17, &who, &why), 0);
	if (mutual)
		assert_int_equal(iscsi_peer_take("host:other-letters-22", 21, &who, &why), 0);
	iscsi_login_begin(&l, &who, random);
}

static int say_as(struct iscsi_in in, const char *text, size_t len)
{
	in.opcode = ISCSI_LOGIN_RESPONSE;
	in.data_len = (uint32_t)len;
	return iscsi_login_take(&l, &in, (const uint8_t *)text);
}
#define SAY(text, ...)                                                                 \
	say_as((struct iscsi_in){ .opcode = ISCSI_LOGIN_RESPONSE, __VA_ARGS__ }, text, \
	       sizeof(text) - 1)

static void test_no_chap_is_no_way_in(void **state)
{
	(void)state;
	begin(true, false);
	assert_int_equal(SAY("AuthMethod=None\0", .transit = true, .next = 1), -EACCES);
	begin(true, false);
	assert_int_equal(SAY("AuthMethod=CHAP\0", .transit = true, .next = 1), -EACCES);
	begin(true, false);
	assert_int_equal(SAY("", .transit = true, .next = 3), -EACCES);
	/* what it asks of an initiator without a secret */
	begin(false, false);
	assert_int_equal(SAY("AuthMethod=CHAP\0", .itt = 0), -EACCES);
}

static void come_to_proof(void)
{
	begin(true, true);
	assert_int_equal(SAY("AuthMethod=CHAP\0", .itt = 0), 0);
	assert_int_equal(SAY("CHAP_A=5\0CHAP_I=7\0CHAP_C=0x01020304\0", .itt = 0), 0);
}

/* A target that proves nothing, with the name of another, or with our own proof. */
static void test_a_target_shows_who_it_is(void **state)
{
	struct iscsi_text t = { .len = 0 };
	uint8_t proof[ISCSI_PROOF_LEN];
	struct iscsi_in in = { .opcode = ISCSI_LOGIN_RESPONSE, .transit = true, .next = 1 };

	(void)state;
	come_to_proof();
	assert_int_equal(SAY("", .transit = true, .next = 1), -EACCES);
	come_to_proof();
	iscsi_chap(l.id, &who.secret, l.challenge, sizeof(l.challenge), proof);
	iscsi_text_add(&t, "CHAP_N", "host");
	iscsi_text_add_binary(&t, "CHAP_R", proof, sizeof(proof));
	in.data_len = (uint32_t)t.len;
	assert_int_equal(iscsi_login_take(&l, &in, t.bytes), -EACCES);
	come_to_proof();
	iscsi_chap(l.id, &who.peer_secret, l.challenge, sizeof(l.challenge), proof);
	t.len = 0;
	iscsi_text_add(&t, "CHAP_N", "host");
	iscsi_text_add_binary(&t, "CHAP_R", proof, sizeof(proof));
	assert_int_equal(iscsi_login_take(&l, &in, t.bytes), 0);
	assert_int_equal(
		SAY("MaxRecvDataSegmentLength=8192\0FirstBurstLength=4096\0ImmediateData=No\0",
		    .stage = 1, .transit = true, .next = 3),
		1);
	assert_int_equal(l.terms.send_max, 8192);
	assert_int_equal(l.terms.first_burst, 4096);
	assert_false(l.terms.immediate);
}

static void test_logins_that_go_nowhere(void **state)
{
	static char long_text[ISCSI_TEXT_MAX + 1];
	int r = 0;

	(void)state;
	begin(false, false);
	assert_int_equal(SAY("AuthMethod", .itt = 0), -EBADMSG);
	begin(false, false);
	assert_int_equal(SAY("", .stage = 1), -EBADMSG);
	begin(false, false);
	assert_int_equal(SAY("", .transit = true, .next = 0), -EBADMSG);
	begin(false, false);
	assert_int_equal(SAY("", .itt = 1), -EBADMSG);
	begin(false, false);
	assert_int_equal(SAY("", .response = 1, .status = 1), -EREMCHG);
	begin(false, false);
	assert_int_equal(SAY("", .response = 3, .status = 1), -EAGAIN);
	begin(false, false);
	assert_int_equal(say_as((struct iscsi_in){ .more = true }, long_text, sizeof(long_text)),
			 -EBADMSG);
	begin(false, false);
	for (unsigned int i = 0; i < 100 && r == 0; i++)
		r = SAY("", .itt = 0);
	assert_int_equal(r, -EBADMSG);
	begin(false, false);
	assert_int_equal(SAY("", .transit = true, .next = 1), 0);
	assert_int_equal(SAY("MaxBurstLength=0\0", .stage = 1), -EBADMSG);
}

/* Keys without end, values that are none, more answers than there is room for, and digests that were not agreed to. */
static void test_text_that_is_none(void **state)
{
	static const struct {
		const char *text;
		int r;
	} bad[] = {
		{ "=x", -EBADMSG },
		{ "MaxBurstLength=0x200", -EBADMSG },
		{ "MaxBurstLength=4294967808", -EBADMSG },
		{ "MaxBurstLength=16777216", -EBADMSG },
		{ "FirstBurstLength=-1", -EBADMSG },
		{ "MaxRecvDataSegmentLength=511", -EBADMSG },
		{ "ErrorRecoveryLevel=3", -EBADMSG },
		{ "HeaderDigest=CRC32C", -EOPNOTSUPP },
		{ "DataDigest=None,CRC32C", -EOPNOTSUPP },
	};
	static char many[ISCSI_TEXT_MAX], key[66 + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(false, false);
		assert_int_equal(SAY("", .transit = true, .next = 1), 0);
		assert_int_equal(say_as((struct iscsi_in){ .stage = 1 }, bad[i].text,
					strlen(bad[i].text) + 1),
				 bad[i].r);
	}
	for (size_t len = 63; len < 66; len++) {
		begin(false, false);
		assert_int_equal(SAY("", .transit = true, .next = 1), 0);
		memset(key, 'k', len);
		memcpy(key + len, "=", 2);
		assert_int_equal(say_as((struct iscsi_in){ .stage = 1 }, key, len + 2),
				 len > 63 ? -EBADMSG : 0);
	}
	for (size_t i = 0; i < sizeof(many); i += 4)
		memcpy(many + i, "x=y", 4);
	begin(false, false);
	assert_int_equal(SAY("", .transit = true, .next = 1), 0);
	assert_int_equal(say_as((struct iscsi_in){ .stage = 1 }, many, sizeof(many)), -EBADMSG);
	assert_string_equal(l.why, "the target asks too much");
}

/* ---- disks ---- */

static void test_disks(void **state)
{
	uint8_t capacity[32] = { 0, 0, 0, 0, 0, 0, 0x3f, 0xff, 0, 0, 2, 0 };
	struct scsi_disk d;

	(void)state;
	assert_int_equal(scsi_disk_take(&d, SCSI_CAPACITY, capacity, 32), 0);
	assert_int_equal(d.blocks, 16384);
	assert_int_equal(scsi_disk_take(&d, SCSI_CAPACITY, capacity, 11), -EBADMSG);
	capacity[11] = 1;
	assert_int_equal(scsi_disk_take(&d, SCSI_CAPACITY, capacity, 32), -EOPNOTSUPP);
	capacity[11] = 0;
	memset(capacity, 0xff, 8);
	assert_int_equal(scsi_disk_take(&d, SCSI_CAPACITY, capacity, 32), -EBADMSG);
	assert_int_equal(scsi_disk_take(&d, SCSI_INQUIRY, (const uint8_t[]){ 0x7f }, 1), -ENXIO);
	assert_int_equal(scsi_disk_take(&d, SCSI_INQUIRY, (const uint8_t[]){ 5 }, 1), -EOPNOTSUPP);
	/* a length beyond what came */
	assert_int_equal(scsi_sense_decode((const uint8_t[]){ 0xff, 0xff, 0x70, 0, 6, 0 }, 6).key,
			 6);
	assert_int_equal(scsi_sense_decode((const uint8_t[]){ 0 }, 1).key, 0);
}

/* Pages that say more than there is of them. */
static void test_what_a_disk_is_called(void **state)
{
	uint8_t page[252] = { 0, 0x83, 0, 12, 1, 3, 0, 4, 'a', 'b', 'c', 'd', 1, 0x13, 0, 0 };
	struct scsi_disk d = SCSI_DISK_UNKNOWN, other = d;

	(void)state;
	assert_true(d.cached && scsi_disk_is(&d, &other));
	assert_int_equal(scsi_disk_take(&d, SCSI_INQUIRY_NAMES, page, 16), 0);
	assert_int_equal(d.names_len, 8); /* not that of the port */
	assert_false(scsi_disk_is(&d, &other));
	for (size_t len = 0; len < 12; len++) {
		other = SCSI_DISK_UNKNOWN;
		assert_int_equal(scsi_disk_take(&other, SCSI_INQUIRY_NAMES, page, len), 0);
		assert_int_equal(other.names_len, 0);
	}
	memset(page + 2, 0xff, sizeof(page) - 2);
	assert_int_equal(scsi_disk_take(&other, SCSI_INQUIRY_NAMES, page, sizeof(page)), 0);
	assert_int_equal(other.names_len, 0);
	page[1] = 0x80;
	assert_int_equal(scsi_disk_take(&other, SCSI_INQUIRY_SERIAL, page, sizeof(page)), 0);
	assert_int_equal(other.names_len, sizeof(page) - 4);
	assert_int_equal(scsi_disk_take(&other, SCSI_INQUIRY_SERIAL, page, sizeof(page)), 0);
	assert_int_equal(other.names_len, SCSI_NAMES_MAX);
	for (size_t len = 0; len < 7; len++) {
		other.cached = false;
		assert_int_equal(scsi_disk_take(&other, SCSI_CACHING,
						(const uint8_t[]){ 0, 0, 0, 0, 8, 18, 0 }, len),
				 0);
		assert_true(other.cached);
	}
	assert_int_equal(scsi_disk_take(&other, SCSI_CACHING,
					(const uint8_t[]){ 0, 0, 0, 0, 8, 18, 0 }, 7),
			 0);
	assert_false(other.cached);
	assert_int_equal(scsi_disk_take(&other, SCSI_CACHING,
					(const uint8_t[]){ 0, 0, 0, 255, 8, 18, 0 }, 7),
			 0);
	assert_true(other.cached);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_md5),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_chap_is_no_way_in),
		cmocka_unit_test(test_a_target_shows_who_it_is),
		cmocka_unit_test(test_logins_that_go_nowhere),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_what_a_disk_is_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
