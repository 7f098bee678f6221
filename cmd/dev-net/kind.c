/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-net is; lib/kinds/kind.h. */
#include "cmd/dev-net/net.h"
#include "cmd/dev-net/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/netkit/member.h"
#include "lib/netkit/nftables.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <net/if.h>
#include <stdio.h>

#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

/* Whom else of this host a macvtap reaches: nobody, others on its interface, or those by way of the switch beyond it. */
static const char *const modes[] = { "private", "bridge", "vepa", NULL };

static const struct option options[] = {
	CARD_OPTIONS(struct net_options),
	{ .name = "mode",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct net_options, mode),
	  .choices = modes,
	  .initial = "private",
	  .flags = OPTION_NOT_PASSED },
	{ .name = "isolated",
	  .type = OPTION_ONOFF,
	  OPTION_FIELD(struct net_options, isolated),
	  .max = 1,
	  .initial = "off",
	  .flags = OPTION_NOT_PASSED },
	{ .name = "vhost",
	  .type = OPTION_ONOFF,
	  OPTION_FIELD(struct net_options, vhost),
	  .max = 1,
	  .initial = "off",
	  .flags = OPTION_NOT_PASSED },
	NETKIT_OPTIONS(struct net_options, frames, OPTION_NOT_PASSED),
	{ .name = "publish",
	  .type = OPTION_OWN,
	  .own_at = offsetof(struct net_options, publishes),
	  .value = "[ADDR:]HOSTPORT:PORT[/udp]",
	  .set = publish_set,
	  .put = publish_put,
	  .flags = OPTION_NOT_PASSED | OPTION_ADDS_UP },
	CARD_INNER_OPTIONS(struct net_options),
};

static enum kind_opens opens_of(const void *of);

static uint64_t mtu_of(const struct net_options *o)
{
	if (o->mtu)
		return o->mtu;
	return opens_of(o) == KIND_OPENS_PASST ? NET_MTU_PASST : NET_MTU_USUAL;
}

static bool passt_argument(const void *of, unsigned int i, char *out, size_t cap)
{
	const struct net_options *o = of;

	if (i > 0)
		return publish_passt(&o->publishes, i - 1, out, cap);
	snprintf(out, cap, "--mtu=%u", (unsigned int)mtu_of(o)); /* as the card has it */
	return true;
}

static bool macvtap_argument(const void *of, unsigned int i, char *out, size_t cap)
{
	const struct net_options *o = of;

	if (i == 0)
		snprintf(out, cap, "%s", modes[o->mode]);
	else if (i == 1)
		snprintf(out, cap, "%02x:%02x:%02x:%02x:%02x:%02x",
			 (unsigned int)(o->mac >> 40 & 255), (unsigned int)(o->mac >> 32 & 255),
			 (unsigned int)(o->mac >> 24 & 255), (unsigned int)(o->mac >> 16 & 255),
			 (unsigned int)(o->mac >> 8 & 255), (unsigned int)(o->mac & 255));
	return i < 2;
}

/* What is said of the card to its switch. */
static bool switch_argument(const void *of, unsigned int i, char *out, size_t cap)
{
	const struct net_options *o = of;
	const struct member m = {
		.mac = o->mac,
		.isolated = o->isolated,
		.frames = { .ip4 = o->frames.ip4, .ip6 = o->frames.ip6 },
	};
	char text[MEMBER_TEXT_MAX];

	if (i || !o->mac)
		return false;
	member_say(&m, text);
	snprintf(out, cap, "%s", text);
	return true;
}

static const struct kind_way ways[] = {
	{ .word = "default",
	  .optional = true,
	  .opens = KIND_OPENS_PASST,
	  .fd = NET_FD_LINK,
	  .argument = passt_argument },
	{ .word = "user", .opens = KIND_OPENS_PASST, .fd = NET_FD_LINK, .argument = passt_argument },
	{ .word = "fd",
	  .value = "N",
	  .number = true,
	  .min = 3,
	  .max = 1 << 20,
	  .opens = KIND_OPENS_STREAM,
	  .fd = NET_FD_LINK },
	{ .word = "tap",
	  .value = "NAME",
	  .min = 1,
	  .max = IFNAMSIZ - 1,
	  .opens = KIND_OPENS_TAP,
	  .fd = NET_FD_TAP },
	{ .word = "bridge",
	  .value = "NAME",
	  .shared = true,
	  .min = 1,
	  .max = IFNAMSIZ - 1,
	  .opens = KIND_OPENS_BRIDGE,
	  .fd = NET_FD_TAP },
	{ .word = "macvtap",
	  .value = "NAME",
	  .shared = true,
	  .min = 1,
	  .max = IFNAMSIZ - 1,
	  .opens = KIND_OPENS_MACVTAP,
	  .fd = NET_FD_TAP,
	  .argument = macvtap_argument },
	{ .word = "switch",
	  .value = "NAME",
	  .shared = true,
	  .min = 1,
	  .max = 64,
	  .opens = KIND_OPENS_SWITCH,
	  .fd = NET_FD_LINK,
	  .argument = switch_argument },
};

static int fail(const char *what, char *why, size_t cap)
{
	snprintf(why, cap, "%s", what);
	return -EINVAL;
}

static enum kind_opens opens_of(const void *of)
{
	const struct net_options *o = of;

	return ways[o->way].opens;
}

/* An interface of the host's: what passes there is its kernel's to judge. A relay would need a stream. */
static bool is_interface(const void *of)
{
	return opens_of(of) == KIND_OPENS_TAP || opens_of(of) == KIND_OPENS_BRIDGE ||
	       opens_of(of) == KIND_OPENS_MACVTAP;
}

/* One that is made is so in any case: others are there, too. */
static bool is_ruled(const void *of)
{
	const struct net_options *o = of;

	return is_interface(of) && (opens_of(of) != KIND_OPENS_TAP || netkit_is_wanted(&o->frames));
}

/*
 * The kernel's rules count frames as they are written. What a rate of the guest's is to bound are packets: so no frame
 * may become more of them later, which costs the guest its large frames.
 */
static bool is_bare(const void *of)
{
	const struct net_options *o = of;

	return is_interface(of) && (o->frames.rates.rate[THROTTLE_OPS_WRITE] ||
				    o->frames.rates.rate[THROTTLE_BYTES_WRITE]);
}

/* Each VM's are its own, and the same the next time: made of its name. */
static uint64_t make_mac(const char *vm, unsigned int number)
{
	uint64_t hash = FNV_START;

	for (; *vm; vm++)
		hash = (hash ^ (unsigned char)*vm) * FNV_PRIME;
	hash = (hash ^ number) * FNV_PRIME;
	return UINT64_C(0x52) << 40 | (hash >> 24 & 0xffffffffff); /* locally administered */
}

static void settle(void *of, const char *vm, unsigned int number)
{
	struct net_options *o = of;

	o->frames.public |= ways[o->way].optional; /* what nobody chose */
	if (!o->mac)
		o->mac = make_mac(vm, number);
	o->mtu = mtu_of(o);
	o->bare = is_bare(o);
}

static size_t rules(const void *of, const struct kind_interface *i, char *out, size_t cap)
{
	const struct net_options *o = of;
	const struct nftables_place place = { i->table, i->name, i->lower };

	return nftables_render(&o->frames, o->mac, &place, out, cap);
}

static bool has_no_address(const struct net_options *o)
{
	return addr_is_unspecified(&o->frames.ip4) && addr_is_unspecified(&o->frames.ip6);
}

/* A switch holds a card to its addresses itself. */
static bool is_relayed(const struct net_options *o)
{
	struct netkit_options rest = o->frames;

	if (opens_of(o) == KIND_OPENS_SWITCH)
		rest.ip4 = rest.ip6 = (struct addr){ { 0 } };
	return opens_of(o) == KIND_OPENS_PASST || netkit_is_wanted(&rest);
}

static bool has_uso(const void *of)
{
	const struct net_options *o = of;

	return o->uso;
}

static unsigned int queues(const void *of)
{
	const struct net_options *o = of;

	return is_interface(of) ? (unsigned int)o->queues : 1;
}

static int check(const struct kind_said *said, char *why, size_t cap)
{
	const struct net_options *o = said->options;

	if (o->queues > 1 && !is_interface(o))
		return fail(
			"queues= is for a tap, bridge or macvtap: a stream of frames has one pair: "
			"--net tap=tap0,queues=4",
			why, cap);
	if (o->publishes.n && opens_of(o) != KIND_OPENS_PASST)
		return fail("publish= is for the user's network: --net user,publish=8022:22", why,
			    cap);
	if (o->frames.public && (is_interface(o) || opens_of(o) == KIND_OPENS_SWITCH))
		return fail("public= is for the user's network, or a stream: --net user,public=on",
			    why, cap);
	if (o->uso && (!is_interface(o) || is_bare(o)))
		return fail(
			"uso=on is for a tap, bridge or macvtap without packets-out= and bytes-out=, which "
			"would count a train of datagrams as one: --net tap=tap0,uso=on",
			why, cap);
	if (o->vhost && !is_interface(o))
		return fail(
			"vhost=on is for a tap, bridge or macvtap, which the host's kernel has: "
			"--net tap=tap0,vhost=on",
			why, cap);
	if (o->mode && opens_of(o) != KIND_OPENS_MACVTAP)
		return fail("mode= is for a macvtap: --net macvtap=eth0,mode=bridge", why, cap);
	if (o->isolated && opens_of(o) != KIND_OPENS_SWITCH)
		return fail("isolated= is for a switch: --net switch=lab,isolated=on", why, cap);
	/* the relay would wait for a lease, which nobody gives there */
	if (opens_of(o) == KIND_OPENS_SWITCH && is_relayed(o) && has_no_address(o))
		return fail(
			"on a switch, guard=, restrict=, allow=, link-local= and rates are for addresses that "
			"are said: say ip= too, as nobody gives any there",
			why, cap);
	return 0;
}

/* What passes is not this process's to judge, which the guest faces. The user's network has one in any case. */
static const char *behind(const void *of)
{
	const struct net_options *o = of;

	if (is_interface(of))
		return NULL;
	return is_relayed(o) ? "net-relay" : NULL;
}

/* Whoever moves the frames, the tap and its rules are the same. */
static const char *instead(const void *of)
{
	const struct net_options *o = of;

	return o->vhost ? "dev-vhost-net" : NULL;
}

const struct device_kind net_kind = {
	.word = "net",
	.declared = &net_declared,
	.number = KIND_MANY,
	.most = KIND_LINKS_MAX,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.link = { .ways = ways,
		  .n_ways = ARRAY_SIZE(ways),
		  .way_at = offsetof(struct net_options, way),
		  .unsaid = "default",
		  .settle = settle,
		  .count = queues,
		  .ruled = is_ruled,
		  .rules = rules,
		  .bare = is_bare,
		  .uso = has_uso },
	.file = { .check = check },
	.feature = { "virtio-net", kind_always },
	.state = { { .fd = NET_FD_STATE, .name = NET_STATE_NAME, .size = NET_STATE_SIZE } },
	.virtio = { .id = VIRTIO_ID_NET,
		    .name = "net",
		    .class_code = 0x020000,
		    .n_queues = NET_N_QUEUES,
		    .queues_min = NET_N_QUEUES,
		    .config_len = NET_CONFIG_LEN,
		    .features = NET_FEATURES | NET_TAP_FEATURES | NET_USO_FEATURES |
				NET_MQ_FEATURES,
		    .foreign = { NET_FOREIGN_FEATURES, NET_TRANSMITQ + 1 },
		    .fd = NET_FD_VHOST_USER },
	.behind = behind,
	.instead = instead,
	.foreign = true,
	.takes_link = true,
	.restartable = true,
	.attachable = true,
	.memory = NET_STATE_SIZE + 3 * NET_PAIRS_MAX * TAP_FRAME_MAX,
};
_Static_assert(sizeof(struct net_options) <= KIND_OPTIONS_BYTES, "room for them");
_Static_assert(KIND_LINK_FDS_EACH == NET_PAIRS_MAX, "a descriptor for each pair of queues");
_Static_assert(NFTABLES_TEXT_MAX == KIND_RULES_MAX, "room for its rules");
_Static_assert(sizeof(struct net_page) <= NET_STATE_SIZE, "what its supervisor makes");
