/* SPDX-License-Identifier: Apache-2.0 */
/* What cloud-init is to find (cmd/image-seed): inputs that are none first, then what is written, and the disk. */
#include "tests/unit/unit.h"

#include "cmd/image-seed/hash.h"
#include "cmd/image-seed/iso.h"
#include "cmd/image-seed/sshkey.h"
#include "cmd/image-seed/text.h"
#include "cmd/image-seed/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAIGJ1bGtoZWFkLXRlc3Qta2V5LW9mLTMyLWJ5dGVzLi4u"
#define KEY_LINE "ssh-ed25519 " KEY
#define X43 "0123456789abcdefghijABCDEFGHIJ./0123456789a"
#define X86 X43 X43
#define BLOCK 2048U

static struct seed_bytes bytes_of(const char *text)
{
	return (struct seed_bytes){ (const uint8_t *)text, strlen(text) };
}

/* ---- text ---- */

static const char *text(const char *s)
{
	return text_wrong((const uint8_t *)s, strlen(s));
}

static void test_what_is_no_text(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"", "\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3(", "\xe2\x82", "\xef\xbb\xbf#cloud-config\n",
		"\xff\xfe#", "\xfe\xff#",
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(text(bad[i]));
	assert_non_null(text_wrong((const uint8_t *)"a\0b", 3));
	assert_null(text("a: \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"));
}

static const char *user(const char *s)
{
	return user_data_wrong((const uint8_t *)s, strlen(s));
}

static void test_user_data_that_cloud_init_passes_over(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"", "users:\n", " #cloud-config\n", "#cloud-confi\n", "#cloud-configs\n", "\n#!/bin/sh\n", "# comment\n",
		"---\n#cloud-config\n", "#cloud-config\n\xff", "\xef\xbb\xbf#cloud-config\n", "From: a\n\nMIME-Version: 1.0\n",
		"#upstart\n", "{\"a\": 1}", "\x1f", "#include\xff\n",
	};
	static const char *const good[] = {
		"#cloud-config", "#cloud-config\nusers: []\n", "#cloud-config\r\n", "#cloud-config-archive\n- a\n",
		"#!/bin/sh\n\xff\xfe binary behind it", "#include\nhttps://x/\n", "#include-once\n", "#cloud-boothook\n\xff",
		"#part-handler\n", "## template: jinja\n#cloud-config\n", "\x1f\x8b\x08 packed", "MIME-Version: 1.0\n\n",
		"Content-Type: multipart/mixed; boundary=\"x\"\nmime-version: 1.0\n\n", "From: a\nMIME-Version: 1.0\n",
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(user(bad[i]));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(user(good[i]));
	assert_non_null(strstr(user("users:\n"), "it must begin with #cloud-config"));
}

/* ---- keys ---- */

static int keys_in(const char *s, const char **ret_why)
{
	const uint8_t *key;
	size_t at = 0, len;
	int n = 0, r;

	while ((r = sshkey_next((const uint8_t *)s, strlen(s), &at, &key, &len, ret_why)) > 0)
		n++;
	return r < 0 ? r : n;
}

static void test_private_keys_are_seen(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"-----BEGIN OPENSSH PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN EC PRIVATE KEY-----",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "PuTTY-User-Key-File-3: ssh-ed25519\n",
		"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", "SSH PRIVATE KEY FILE FORMAT 1.1\n",
		KEY_LINE "\n-----BEGIN OPENSSH PRIVATE KEY-----\n",
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(sshkey_is_private((const uint8_t *)bad[i], strlen(bad[i])));
	assert_false(sshkey_is_private((const uint8_t *)KEY_LINE, strlen(KEY_LINE)));
}

static void test_lines_that_are_no_keys(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"hello", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-rsa " KEY, "ssh-dss " KEY, "SSH-ED25519 " KEY,
		"no-pty " KEY_LINE, "command=\"x\" " KEY_LINE, "ssh-ed25519 " KEY "=", "ssh-ed25519 " KEY "!!!!", "ssh-ed25519 -" KEY,
		KEY_LINE " a\x1b[2J", KEY_LINE " \xc2\x85", KEY_LINE " \xe2\x80\xa8", KEY_LINE " \xff", KEY_LINE " a\rb",
		KEY_LINE "\nhello", "---- BEGIN SSH2 PUBLIC KEY ----",
	};
	/* clang-format on */
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(keys_in(bad[i], &why), -EINVAL);
		assert_non_null(why);
	}
	assert_int_equal(keys_in("", &why), 0);
	assert_int_equal(keys_in("# nothing\n\n   \n", &why), 0);
	assert_int_equal(keys_in(KEY_LINE, &why), 1);
	assert_int_equal(
		keys_in("\r\n \t" KEY_LINE " a \"c\": {} \xc3\xa9\r\n#\n" KEY_LINE " \n", &why), 2);
}

/* ---- hashes ---- */

static void test_what_is_no_hash(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"", "hunter2", "$6$", "$6$salt", "$6$salt$", "$6$salt$short", "$6$" X86, "$5$salt$" X86, "$6$salt$" X43,
		"$y$j9T$salt$" X86, "$1$salt$0123456789abcdefghijkl", "_J9..rasm0123456789", "$sha1$1$a$b", "$6$sa:lt$" X86,
		"$6$sa\nlt$" X86, "$6$sa\"lt$" X86, "$9$salt$" X43, " $6$salt$" X86, "*", "!", "$2b$10", "$6salt$" X86,
	};
	static const char *const good[] = {
		"$6$salt$" X86, "$6$rounds=5000$salt$" X86, "$5$salt$" X43, "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$" X43,
		"$gy$j9T$salt$" X43, "$7$CU..../....salt$" X43, "$2b$10$" X43 "0123456789",
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *why = hash_wrong((const uint8_t *)bad[i], strlen(bad[i]));

		assert_non_null(why);
		assert_null(strstr(why, "hunter2"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(hash_wrong((const uint8_t *)good[i], strlen(good[i])));
}

/* ---- YAML ---- */

static const char *quoted(const char *s, size_t len)
{
	static char out[4096];
	struct bytes_writer w = bytes_writer(out, sizeof(out) - 1);

	yaml_put_quoted(&w, s, len);
	out[bytes_written(&w)] = '\0';
	return out;
}

static void test_nothing_leaves_its_quotes(void **state)
{
	(void)state;
	assert_string_equal(quoted("a\": {b}\n- c", 11), "\"a\\x22: {b}\\x0a- c\"");
	assert_string_equal(quoted("\\\"", 2), "\"\\x5c\\x22\"");
	assert_string_equal(quoted("\0\x7f\t", 3), "\"\\x00\\x7f\\x09\"");
	assert_string_equal(quoted("\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80", 9),
			    "\"\\xe9\\u2028\\U0001f600\"");
	assert_string_equal(quoted("\xff\xc3", 2), "\"\\ufffd\\ufffd\"");
	for (int c = 0; c < 256; c++) {
		const char one = (char)c;
		const char *q = quoted(&one, 1);

		assert_true(q[0] == '"' && q[strlen(q) - 1] == '"');
		for (size_t i = 1; i + 1 < strlen(q); i++)
			assert_true(q[i] >= ' ' && q[i] <= '~' && q[i] != '"');
	}
}

/* ---- the files ---- */

static struct seed_files files;
static char why[400];

static int make(const struct seed_job *job, const struct seed_inputs *in)
{
	memset(&files, 0, sizeof(files));
	why[0] = '\0';
	return seed_make(job, in, &files, why, sizeof(why));
}

static void assert_file(enum seed_file i, const char *is)
{
	assert_non_null(files.of[i].at);
	assert_int_equal(files.of[i].len, strlen(is));
	assert_memory_equal(files.of[i].at, is, strlen(is));
}

static void test_refusals_name_the_input(void **state)
{
	struct seed_job job = { .vm = "v", .inputs = { [SEED_KEYS] = "/home/u/id" } };
	struct seed_inputs in = { .of = { [SEED_KEYS] =
						  bytes_of("-----BEGIN X PRIVATE KEY-----") } };

	(void)state;
	assert_int_equal(make(&job, &in), -EINVAL);
	assert_string_equal(
		why, "--ssh-key /home/u/id: this is a PRIVATE key, which is nobody's but its "
		     "owner's: its public half is right, mostly /home/u/id.pub");
	in.of[SEED_KEYS] = bytes_of("# none\n");
	assert_int_equal(make(&job, &in), -EINVAL);
	assert_string_equal(
		why,
		"--ssh-key /home/u/id: there is no key in it: a file as id_ed25519.pub is right");

	job = (struct seed_job){ .vm = "v",
				 .user = "u",
				 .inputs = { [SEED_PASSWORD_HASH] = "--password-hash" } };
	in = (struct seed_inputs){ .of = { [SEED_PASSWORD_HASH] = bytes_of("hunter2") } };
	assert_int_equal(make(&job, &in), -EINVAL);
	assert_null(strstr(why, "hunter2"));
	assert_memory_equal(why, "--password-hash: it is no hash", 30);

	job = (struct seed_job){ .vm = "v",
				 .inputs = { [SEED_USER_DATA] = "a", [SEED_META_DATA] = "b" } };
	in = (struct seed_inputs){
		.of = { [SEED_USER_DATA] = bytes_of("#!x"), [SEED_META_DATA] = bytes_of("\xff") }
	};
	assert_int_equal(make(&job, &in), -EINVAL);
	assert_string_equal(why, "--cloud-init meta-data=b: it is no UTF-8: a text file is right");
}

static void test_all_short_forms(void **state)
{
	const struct seed_job job = {
		.vm = "web_1",
		.user = "ada",
		.hostname = "engine.example",
		.inputs = { [SEED_KEYS] = "a", [SEED_KEYS + 3] = "b", [SEED_PASSWORD_HASH] = "h" }
	};
	const struct seed_inputs in = {
		.of = { [SEED_KEYS] = bytes_of(KEY_LINE " \": x\n" KEY_LINE),
			[SEED_KEYS + 3] = bytes_of(KEY_LINE " b\r\n"),
			[SEED_PASSWORD_HASH] = bytes_of("$6$salt$" X86 "\n") }
	};

	(void)state;
	assert_int_equal(make(&job, &in), 0);
	assert_file(SEED_FILE_USER,
		    "#cloud-config\nusers:\n  - name: \"ada\"\n    shell: \"/bin/bash\"\n"
		    "    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n    lock_passwd: false\n"
		    "    hashed_passwd: \"$6$salt$" X86 "\"\n    ssh_authorized_keys:\n"
		    "    - \"" KEY_LINE " \\x22: x\"\n    - \"" KEY_LINE "\"\n    - \"" KEY_LINE
		    " b\"\n");
	assert_file(SEED_FILE_META,
		    "instance-id: \"bulkhead-web_1\"\nlocal-hostname: \"engine.example\"\n");
	assert_null(files.of[SEED_FILE_NETWORK].at);
}

static void test_short_forms_alone(void **state)
{
	struct seed_job job = { .vm = "web_1", .inputs = { [SEED_KEYS] = "a" } };
	struct seed_inputs in = { .of = { [SEED_KEYS] = bytes_of(KEY_LINE) } };

	(void)state;
	assert_int_equal(make(&job, &in), 0);
	assert_file(SEED_FILE_USER, "#cloud-config\nssh_authorized_keys:\n- \"" KEY_LINE "\"\n");
	assert_file(SEED_FILE_META, "instance-id: \"bulkhead-web_1\"\nlocal-hostname: \"web-1\"\n");
	job = (struct seed_job){ .vm = "w", .user = "root" };
	in = (struct seed_inputs){ 0 };
	assert_int_equal(make(&job, &in), 0);
	assert_file(SEED_FILE_USER,
		    "#cloud-config\ndisable_root: false\nusers:\n  - name: \"root\"\n"
		    "    shell: \"/bin/bash\"\n");
	assert_file(SEED_FILE_META, "instance-id: \"bulkhead-w\"\nlocal-hostname: \"w\"\n");
	job = (struct seed_job){ .vm = "w", .hostname = "h" };
	assert_int_equal(make(&job, &in), 0);
	assert_file(SEED_FILE_USER, "#cloud-config\n");
}

/* As many as fit into user-data, and no byte more. */
static void test_too_many_keys(void **state)
{
	static char many[SEED_KEY_MAX];
	struct seed_job job = { .vm = "v" };
	struct seed_inputs in = { 0 };
	size_t at = 0;

	(void)state;
	while (at + strlen(KEY_LINE) + 1 <= sizeof(many)) {
		memcpy(many + at, KEY_LINE "\n", strlen(KEY_LINE) + 1);
		at += strlen(KEY_LINE) + 1;
	}
	for (int i = SEED_KEYS; i < SEED_INPUTS; i++) {
		job.inputs[i] = "k";
		in.of[i] = (struct seed_bytes){ (const uint8_t *)many, at };
	}
	assert_int_equal(make(&job, &in), -EINVAL);
	assert_string_equal(why, "--ssh-key: the keys are too many: user-data has at most 1 MiB");
	in.of[SEED_INPUTS - 1] = in.of[SEED_INPUTS - 2] = bytes_of(KEY_LINE);
	assert_int_equal(make(&job, &in), 0);
}

/* ---- words ---- */

static void test_words_there_and_back(void **state)
{
	const struct seed_job job = { .vm = "v",
				      .user = "u",
				      .inputs = { [0] = "a=b, c", [SEED_INPUTS - 1] = "" } };
	const char *argv[SEED_WORDS_MAX], *bad = NULL;
	char room[256];
	struct seed_job back;
	int n = seed_job_render(&job, argv, room, sizeof(room));

	(void)state;
	assert_int_equal(n, 4);
	assert_null(argv[n]);
	assert_int_equal(seed_job_parse(n, (char **)(uintptr_t)argv, &back, &bad), 0);
	assert_string_equal(back.vm, "v");
	assert_string_equal(back.user, "u");
	assert_null(back.hostname);
	assert_string_equal(back.inputs[0], "a=b, c");
	assert_string_equal(back.inputs[SEED_INPUTS - 1], "");
	assert_null(back.inputs[1]);
	for (size_t cap = 0; cap < 22; cap++)
		assert_int_equal(seed_job_render(&job, argv, room, cap), -E2BIG);
}

static void test_bad_words(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "vm",
					   "20=a",
					   "-1=a",
					   "00=a",
					   "1 =a",
					   "+1=a",
					   "=a",
					   "vm=b",
					   "verylongname1234=x" };
	struct seed_job back;
	const char *wrong;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *argv[] = { "vm=a", bad[i] };

		assert_int_equal(seed_job_parse(2, (char **)(uintptr_t)argv, &back, &wrong),
				 -EINVAL);
		assert_ptr_equal(wrong, bad[i]);
	}
	assert_int_equal(seed_job_parse(0, NULL, &back, &wrong), -EINVAL);
}

/* ---- the disk ---- */

static uint8_t disk[2 * SEED_DISK_MAX];
static size_t disk_len;

static int take(void *owner, const void *bytes, size_t len)
{
	assert_ptr_equal(owner, disk);
	assert_true(disk_len + len <= sizeof(disk));
	memcpy(disk + disk_len, bytes, len);
	disk_len += len;
	return 0;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The record of a name in Joliet's root (ECMA-119, 9.1), or NULL. */
static const uint8_t *find_record(const char *name)
{
	const uint8_t *root = disk + (size_t)17 * BLOCK + 156;
	const uint8_t *at = disk + (size_t)le32(root + 2) * BLOCK;
	const uint8_t *end = at + le32(root + 10);
	const size_t len = strlen(name);

	for (; at < end && at[0]; at += at[0]) {
		size_t same = 0;

		while (same < len && at[33 + 2 * same] == 0 &&
		       at[34 + 2 * same] == (uint8_t)name[same])
			same++;
		if (same == len && at[32] == 2 * len)
			return at;
	}
	return NULL;
}

static void write_disk(const struct seed_files *f)
{
	const char *failed = "";

	disk_len = 0;
	assert_int_equal(iso_prepare(), 0);
	assert_int_equal(iso_write(f, take, disk, &failed), 0);
	assert_int_equal(disk_len % BLOCK, 0);
	assert_true(disk_len <= SEED_DISK_MAX);
	assert_memory_equal(disk + (size_t)16 * BLOCK, "\1CD001", 6);
	assert_memory_equal(disk + (size_t)16 * BLOCK + 40, "CIDATA  ", 8);
	assert_memory_equal(disk + (size_t)17 * BLOCK, "\2CD001", 6);
	assert_memory_equal(disk + (size_t)17 * BLOCK + 40, "\0c\0i\0d\0a\0t\0a\0 ", 14);
}

static void assert_on_disk(const struct seed_files *f)
{
	for (int i = 0; i < SEED_FILES; i++) {
		const uint8_t *r = find_record(seed_file_names[i]);

		if (!f->of[i].at) {
			assert_null(r);
			continue;
		}
		assert_non_null(r);
		assert_int_equal(le32(r + 10), f->of[i].len);
		assert_memory_equal(disk + (size_t)le32(r + 2) * BLOCK, f->of[i].at, f->of[i].len);
	}
}

static void test_the_disk(void **state)
{
	static const size_t sizes[] = { 1, 2047, 2048, 2049, 65536, SEED_USER_DATA_MAX };
	static uint8_t content[SEED_USER_DATA_MAX];
	uint64_t random = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)next_random(&random);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct seed_files f = {
			.of = { { content, sizes[i] }, { content + 7, 300 }, { NULL, 0 } }
		};

		write_disk(&f);
		assert_on_disk(&f);
	}
	write_disk(&(struct seed_files){ .of = { { content, SEED_USER_DATA_MAX },
						 { content, SEED_META_DATA_MAX },
						 { content, SEED_NETWORK_CONFIG_MAX } } });
	assert_non_null(find_record("network-config"));
}

static int refuse(void *owner, const void *bytes, size_t len)
{
	(void)owner;
	(void)bytes;
	(void)len;
	return -ENOSPC;
}

static void test_a_disk_that_cannot_be_written(void **state)
{
	const struct seed_files f = { .of = { bytes_of("#!x"), bytes_of("a: b") } };
	const char *failed = NULL;
	int before;

	(void)state;
	assert_int_equal(iso_prepare(), 0);
	before = open_fds();
	assert_int_equal(iso_write(&f, refuse, NULL, &failed), -EIO);
	assert_non_null(failed);
	assert_true(open_fds() < before); /* the scratch file is gone */
	failed = NULL;
	assert_int_equal(iso_write(&f, refuse, NULL, &failed), -EIO); /* there is no other */
	assert_non_null(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_text),
		cmocka_unit_test(test_user_data_that_cloud_init_passes_over),
		cmocka_unit_test(test_private_keys_are_seen),
		cmocka_unit_test(test_lines_that_are_no_keys),
		cmocka_unit_test(test_what_is_no_hash),
		cmocka_unit_test(test_nothing_leaves_its_quotes),
		cmocka_unit_test(test_refusals_name_the_input),
		cmocka_unit_test(test_all_short_forms),
		cmocka_unit_test(test_short_forms_alone),
		cmocka_unit_test(test_too_many_keys),
		cmocka_unit_test(test_words_there_and_back),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_the_disk),
		cmocka_unit_test(test_a_disk_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
