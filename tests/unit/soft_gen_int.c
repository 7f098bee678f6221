/* SPDX-License-Identifier: Apache-2.0 */
/* Integer instructions for the generator; see soft_gen.h. */
#include "tests/unit/soft_gen.h"

/* clang-format off */
#define ROW(n, m, o, e, i, u, f) { .name = n, .map = m, .opcode = o, .ext = e, .imm = i, .undef = u, .flags = f }
#define PREFIXED(n, p, m, o, e, i, u, f) \
	{ .name = n, .prefix = p, .map = m, .opcode = o, .ext = e, .imm = i, .undef = u, .flags = f }
/* clang-format on */

#define ALU(n, base, lock, u, f)                                           \
	ROW(n, 0, base, GEN_ANY, IMM_NO, u, GEN_BYTE | lock | f),          \
		ROW(n, 0, base + 1, GEN_ANY, IMM_NO, u, lock | f),         \
		ROW(n, 0, base + 2, GEN_ANY, IMM_NO, u, GEN_BYTE | f),     \
		ROW(n, 0, base + 3, GEN_ANY, IMM_NO, u, f),                \
		ROW(n, 0, base + 4, GEN_NONE, IMM_8, u, GEN_BYTE | f),     \
		ROW(n, 0, base + 5, GEN_NONE, IMM_Z, u, f),                \
		ROW(n, 0, 0x80, base >> 3, IMM_8, u, GEN_BYTE | lock | f), \
		ROW(n, 0, 0x81, base >> 3, IMM_Z, u, lock | f),            \
		ROW(n, 0, 0x83, base >> 3, IMM_8, u, lock | f)

#define SHIFT(n, e, u, f)                                                                      \
	ROW(n, 0, 0xc0, e, IMM_8, u, GEN_BYTE | f), ROW(n, 0, 0xc1, e, IMM_8, u, f),           \
		ROW(n, 0, 0xd0, e, IMM_NO, u, GEN_BYTE | f), ROW(n, 0, 0xd1, e, IMM_NO, u, f), \
		ROW(n, 0, 0xd2, e, IMM_NO, u, GEN_BYTE | GEN_ALONE | f),                       \
		ROW(n, 0, 0xd3, e, IMM_NO, u, GEN_ALONE | f)

#define STRING(n, o, f)                                                     \
	ROW(n, 0, o, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_REP | f), \
		ROW(n, 0, o + 1, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_REP | f)

#define BIT(n, o, e, lock)                                           \
	ROW(n, 1, o, GEN_ANY, IMM_NO, UNDEF_BIT, lock | GEN_BITOFF), \
		ROW(n, 1, 0xba, e, IMM_8, UNDEF_BIT, lock)

static const struct gen_row rows[] = {
	ALU("add", 0x00, GEN_LOCK, UNDEF_NONE, 0),
	ALU("or", 0x08, GEN_LOCK, UNDEF_AF, 0),
	ALU("adc", 0x10, GEN_LOCK, UNDEF_NONE, GEN_READS),
	ALU("sbb", 0x18, GEN_LOCK, UNDEF_NONE, GEN_READS),
	ALU("and", 0x20, GEN_LOCK, UNDEF_AF, 0),
	ALU("sub", 0x28, GEN_LOCK, UNDEF_NONE, 0),
	ALU("xor", 0x30, GEN_LOCK, UNDEF_AF, 0),
	ALU("cmp", 0x38, 0, UNDEF_NONE, 0),
	ROW("push", 0, 0x50, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_OPREG),
	ROW("pop", 0, 0x58, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_OPREG),
	ROW("push", 0, 0x68, GEN_NONE, IMM_Z, UNDEF_NONE, 0),
	ROW("push", 0, 0x6a, GEN_NONE, IMM_8, UNDEF_NONE, 0),
	ROW("push", 0, 0xff, 6, IMM_NO, UNDEF_NONE, 0),
	ROW("pop", 0, 0x8f, 0, IMM_NO, UNDEF_NONE, 0),
	/* of 16 bits from memory Intel reads 2 bytes, AMD 4 */
	ROW("movsxd", 0, 0x63, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LONG | GEN_NO66),
	ROW("movsxd", 0, 0x63, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LONG | GEN_REG),
	ROW("arpl", 0, 0x63, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LEGACY | GEN_NO66),
	ROW("imul", 0, 0x69, GEN_ANY, IMM_Z, UNDEF_MUL, 0),
	ROW("imul", 0, 0x6b, GEN_ANY, IMM_8, UNDEF_MUL, 0),
	ROW("jcc", 0, 0x70, GEN_NONE, IMM_8, UNDEF_NONE,
	    GEN_OPREG | GEN_REL | GEN_READS | GEN_NO66),
	ROW("jcc", 0, 0x78, GEN_NONE, IMM_8, UNDEF_NONE,
	    GEN_OPREG | GEN_REL | GEN_READS | GEN_NO66),
	ROW("test", 0, 0x84, GEN_ANY, IMM_NO, UNDEF_AF, GEN_BYTE),
	ROW("test", 0, 0x85, GEN_ANY, IMM_NO, UNDEF_AF, 0),
	ROW("xchg", 0, 0x86, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK),
	ROW("xchg", 0, 0x87, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LOCK),
	ROW("mov", 0, 0x88, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE),
	ROW("mov", 0, 0x89, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("mov", 0, 0x8a, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE),
	ROW("mov", 0, 0x8b, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("lea", 0, 0x8d, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_MEM),
	ROW("xchg", 0, 0x90, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_OPREG),
	ROW("cbw", 0, 0x98, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("cwd", 0, 0x99, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("sahf", 0, 0x9e, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("lahf", 0, 0x9f, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_READS),
	ROW("mov", 0, 0xa0, GEN_NONE, IMM_MOFFS, UNDEF_NONE, GEN_BYTE),
	ROW("mov", 0, 0xa1, GEN_NONE, IMM_MOFFS, UNDEF_NONE, 0),
	ROW("mov", 0, 0xa2, GEN_NONE, IMM_MOFFS, UNDEF_NONE, GEN_BYTE),
	ROW("mov", 0, 0xa3, GEN_NONE, IMM_MOFFS, UNDEF_NONE, 0),
	STRING("movs", 0xa4, 0),
	STRING("cmps", 0xa6, GEN_ORDER),
	ROW("test", 0, 0xa8, GEN_NONE, IMM_8, UNDEF_AF, GEN_BYTE),
	ROW("test", 0, 0xa9, GEN_NONE, IMM_Z, UNDEF_AF, 0),
	STRING("stos", 0xaa, 0),
	STRING("lods", 0xac, 0),
	STRING("scas", 0xae, 0),
	ROW("mov", 0, 0xb0, GEN_NONE, IMM_8, UNDEF_NONE, GEN_OPREG | GEN_BYTE),
	ROW("mov", 0, 0xb8, GEN_NONE, IMM_V, UNDEF_NONE, GEN_OPREG),
	SHIFT("rol", 0, UNDEF_ROTATE, 0),
	SHIFT("ror", 1, UNDEF_ROTATE, 0),
	SHIFT("rcl", 2, UNDEF_ROTATE, GEN_READS),
	SHIFT("rcr", 3, UNDEF_ROTATE, GEN_READS),
	SHIFT("shl", 4, UNDEF_SHIFT, 0),
	SHIFT("shr", 5, UNDEF_SHIFT, 0),
	SHIFT("sal", 6, UNDEF_SHIFT, 0),
	SHIFT("sar", 7, UNDEF_SHIFT, 0),
	ROW("ret", 0, 0xc2, GEN_NONE, IMM_16, UNDEF_NONE, GEN_NO66 | GEN_ALONE),
	ROW("ret", 0, 0xc3, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_NO66 | GEN_ALONE),
	ROW("mov", 0, 0xc6, 0, IMM_8, UNDEF_NONE, GEN_BYTE),
	ROW("mov", 0, 0xc7, 0, IMM_Z, UNDEF_NONE, 0),
	ROW("enter", 0, 0xc8, GEN_NONE, IMM_ENTER, UNDEF_NONE, 0),
	ROW("leave", 0, 0xc9, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("xlat", 0, 0xd7, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("loopne", 0, 0xe0, GEN_NONE, IMM_8, UNDEF_NONE, GEN_REL | GEN_READS | GEN_NO66),
	ROW("loope", 0, 0xe1, GEN_NONE, IMM_8, UNDEF_NONE, GEN_REL | GEN_READS | GEN_NO66),
	ROW("loop", 0, 0xe2, GEN_NONE, IMM_8, UNDEF_NONE, GEN_REL | GEN_NO66),
	ROW("jrcxz", 0, 0xe3, GEN_NONE, IMM_8, UNDEF_NONE, GEN_REL | GEN_NO66),
	ROW("call", 0, 0xe8, GEN_NONE, IMM_Z, UNDEF_NONE, GEN_REL | GEN_NO66),
	ROW("jmp", 0, 0xe9, GEN_NONE, IMM_Z, UNDEF_NONE, GEN_REL | GEN_NO66),
	ROW("jmp", 0, 0xeb, GEN_NONE, IMM_8, UNDEF_NONE, GEN_REL | GEN_NO66),
	ROW("cmc", 0, 0xf5, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("clc", 0, 0xf8, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("stc", 0, 0xf9, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("cld", 0, 0xfc, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("std", 0, 0xfd, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("pushf", 0, 0x9c, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_READS),
	ROW("test", 0, 0xf6, 0, IMM_8, UNDEF_AF, GEN_BYTE),
	ROW("test", 0, 0xf7, 1, IMM_Z, UNDEF_AF, 0),
	ROW("not", 0, 0xf6, 2, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK),
	ROW("not", 0, 0xf7, 2, IMM_NO, UNDEF_NONE, GEN_LOCK),
	ROW("neg", 0, 0xf6, 3, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK),
	ROW("neg", 0, 0xf7, 3, IMM_NO, UNDEF_NONE, GEN_LOCK),
	ROW("mul", 0, 0xf6, 4, IMM_NO, UNDEF_MUL, GEN_BYTE),
	ROW("mul", 0, 0xf7, 4, IMM_NO, UNDEF_MUL, 0),
	ROW("imul", 0, 0xf6, 5, IMM_NO, UNDEF_MUL, GEN_BYTE),
	ROW("imul", 0, 0xf7, 5, IMM_NO, UNDEF_MUL, 0),
	ROW("div", 0, 0xf6, 6, IMM_NO, UNDEF_ALL, GEN_BYTE | GEN_DIV),
	ROW("div", 0, 0xf7, 6, IMM_NO, UNDEF_ALL, GEN_DIV),
	ROW("idiv", 0, 0xf6, 7, IMM_NO, UNDEF_ALL, GEN_BYTE | GEN_DIV),
	ROW("idiv", 0, 0xf7, 7, IMM_NO, UNDEF_ALL, GEN_DIV),
	ROW("inc", 0, 0xfe, 0, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK | GEN_READS),
	ROW("inc", 0, 0xff, 0, IMM_NO, UNDEF_NONE, GEN_LOCK | GEN_READS),
	ROW("dec", 0, 0xfe, 1, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK | GEN_READS),
	ROW("dec", 0, 0xff, 1, IMM_NO, UNDEF_NONE, GEN_LOCK | GEN_READS),
	ROW("call", 0, 0xff, 2, IMM_NO, UNDEF_NONE, GEN_NO66 | GEN_ALONE | GEN_ORDER),
	ROW("jmp", 0, 0xff, 4, IMM_NO, UNDEF_NONE, GEN_NO66 | GEN_ALONE),
	ROW("inc", 0, 0x40, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_OPREG | GEN_LEGACY | GEN_READS),
	ROW("dec", 0, 0x48, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_OPREG | GEN_LEGACY | GEN_READS),
	ROW("pusha", 0, 0x60, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_LEGACY),
	ROW("popa", 0, 0x61, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_LEGACY | GEN_PARTIAL),
	ROW("bound", 0, 0x62, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LEGACY | GEN_MEM),
	ROW("daa", 0, 0x27, GEN_NONE, IMM_NO, UNDEF_DECIMAL, GEN_LEGACY | GEN_READS),
	ROW("das", 0, 0x2f, GEN_NONE, IMM_NO, UNDEF_DECIMAL, GEN_LEGACY | GEN_READS),
	ROW("aaa", 0, 0x37, GEN_NONE, IMM_NO, UNDEF_AAA, GEN_LEGACY | GEN_READS),
	ROW("aas", 0, 0x3f, GEN_NONE, IMM_NO, UNDEF_AAA, GEN_LEGACY | GEN_READS),
	ROW("aam", 0, 0xd4, GEN_NONE, IMM_8, UNDEF_AAM, GEN_LEGACY),
	ROW("aad", 0, 0xd5, GEN_NONE, IMM_8, UNDEF_AAM, GEN_LEGACY),
	ROW("ud2", 1, 0x0b, GEN_NONE, IMM_NO, UNDEF_NONE, 0),
	ROW("nop", 1, 0x1f, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("cmov", 1, 0x40, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_READS | GEN_OPREG),
	ROW("cmov", 1, 0x48, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_READS | GEN_OPREG),
	ROW("jcc", 1, 0x80, GEN_NONE, IMM_Z, UNDEF_NONE,
	    GEN_OPREG | GEN_REL | GEN_READS | GEN_NO66),
	ROW("jcc", 1, 0x88, GEN_NONE, IMM_Z, UNDEF_NONE,
	    GEN_OPREG | GEN_REL | GEN_READS | GEN_NO66),
	ROW("setcc", 1, 0x90, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_READS | GEN_OPREG),
	ROW("setcc", 1, 0x98, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_READS | GEN_OPREG),
	BIT("bt", 0xa3, 4, 0),
	BIT("bts", 0xab, 5, GEN_LOCK),
	BIT("btr", 0xb3, 6, GEN_LOCK),
	BIT("btc", 0xbb, 7, GEN_LOCK),
	ROW("shld", 1, 0xa4, GEN_ANY, IMM_8, UNDEF_DOUBLE, 0),
	ROW("shld", 1, 0xa5, GEN_ANY, IMM_NO, UNDEF_DOUBLE, GEN_ALONE),
	ROW("shrd", 1, 0xac, GEN_ANY, IMM_8, UNDEF_DOUBLE, 0),
	ROW("shrd", 1, 0xad, GEN_ANY, IMM_NO, UNDEF_DOUBLE, GEN_ALONE),
	ROW("imul", 1, 0xaf, GEN_ANY, IMM_NO, UNDEF_MUL, 0),
	ROW("cmpxchg", 1, 0xb0, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK),
	ROW("cmpxchg", 1, 0xb1, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LOCK | GEN_UPPER),
	ROW("movzx", 1, 0xb6, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("movzx", 1, 0xb7, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("movsx", 1, 0xbe, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("movsx", 1, 0xbf, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	PREFIXED("popcnt", 0xf3, 1, 0xb8, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
	ROW("bsf", 1, 0xbc, GEN_ANY, IMM_NO, UNDEF_SCAN, 0),
	ROW("bsr", 1, 0xbd, GEN_ANY, IMM_NO, UNDEF_SCAN, 0),
	ROW("xadd", 1, 0xc0, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE | GEN_LOCK),
	ROW("xadd", 1, 0xc1, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_LOCK),
	ROW("movnti", 1, 0xc3, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_MEM | GEN_NO66),
	ROW("cmpxchg8b", 1, 0xc7, 1, IMM_NO, UNDEF_NONE,
	    GEN_MEM | GEN_LOCK | GEN_NO66 | GEN_ALIGNED),
	ROW("bswap", 1, 0xc8, GEN_NONE, IMM_NO, UNDEF_NONE, GEN_OPREG | GEN_NO66),
	PREFIXED("crc32", 0xf2, 2, 0xf0, GEN_ANY, IMM_NO, UNDEF_NONE, GEN_BYTE),
	PREFIXED("crc32", 0xf2, 2, 0xf1, GEN_ANY, IMM_NO, UNDEF_NONE, 0),
};

const struct gen_table gen_int = { rows, sizeof(rows) / sizeof(rows[0]) };
